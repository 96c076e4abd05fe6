package webcheck;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.apache.avro.AvroRuntimeException;
import org.apache.avro.Schema;
import org.apache.avro.SchemaCompatibility;

/**
 * Judges with Avro Java whether schemas may follow others, for tests that hold webcheck's own judgement against it.
 *
 * <p>Each line on stdin is a question in JSON: a level of compatibility, the text of the newer schema, and those of the older
 * ones, oldest first. Each line on stdout answers one: whether it may follow, and as breaks every incompatibility that
 * SchemaCompatibility finds at that level, with the index of the older schema and the side that does not read; this is what
 * Confluent's registry asks too, while Avro's SchemaValidator lets changed names and symbols pass. A question in which a text
 * is no schema is answered by "refused" and why; one that Avro ends by an exception, as it does where a field is found twice,
 * by "thrown". It exits 1 for a line that is no question.
 */
public final class Judge {
  private final ObjectMapper json = new ObjectMapper();

  private Judge() {}

  public static void main(String[] args) throws IOException {
    Judge judge = new Judge();
    var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    var out = new PrintStream(System.out, false, StandardCharsets.UTF_8);
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      out.println(judge.answer(judge.json.readTree(line)));
    }
    out.flush();
  }

  private String answer(JsonNode question) throws IOException {
    ObjectNode answer = json.createObjectNode();
    String level = question.get("level").textValue();
    Schema newer;
    List<Schema> older = new ArrayList<>();
    try {
      newer = new Schema.Parser().parse(question.get("newer").textValue());
      for (JsonNode text : question.get("older")) {
        older.add(new Schema.Parser().parse(text.textValue()));
      }
    } catch (AvroRuntimeException e) {
      return json.writeValueAsString(answer.put("refused", e.toString()));
    }
    try {
      ArrayNode breaks = breaks(level, newer, older);
      answer.put("compatible", breaks.isEmpty());
      answer.set("breaks", breaks);
    } catch (AvroRuntimeException e) {
      answer = json.createObjectNode().put("compatible", false).put("thrown", e.toString());
    }
    return json.writeValueAsString(answer);
  }

  private ArrayNode breaks(String level, Schema newer, List<Schema> older) {
    ArrayNode breaks = json.createArrayNode();
    int first = level.endsWith("_TRANSITIVE") ? 0 : Math.max(0, older.size() - 1);
    for (int i = first; i < older.size(); i++) {
      if (level.startsWith("BACKWARD") || level.startsWith("FULL")) {
        add(breaks, i, "new reader", newer, older.get(i));
      }
      if (level.startsWith("FORWARD") || level.startsWith("FULL")) {
        add(breaks, i, "old reader", older.get(i), newer);
      }
    }
    return breaks;
  }

  private static void add(ArrayNode breaks, int older, String side, Schema reader, Schema writer) {
    var result = SchemaCompatibility.checkReaderWriterCompatibility(reader, writer).getResult();
    for (var found : result.getIncompatibilities()) {
      breaks
          .addObject()
          .put("older", older)
          .put("side", side)
          .put("kind", found.getType().name())
          .put("pointer", found.getLocation())
          .put("detail", found.getMessage());
    }
  }
}
