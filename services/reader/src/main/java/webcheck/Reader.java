package webcheck;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Reads a topic of webcheck with nothing of webcheck: Apache's Kafka client, Apache's Avro, and the registry over plain REST.
 *
 * <p>It reads from the start of every partition up to the end as it was when it began, or up to a count, and prints one JSON
 * line a record: position, key, timestamp in ms, schema id, and the value as the writer's schema says, its logical types as
 * the plain numbers and texts that they are on the wire. It exits 1 with one line on stderr for a record that is not in the
 * Confluent wire format, a schema id the registry does not know, bytes too few or too many, or fewer records than asked for
 * in time; 2 for wrong arguments.
 */
public final class Reader {
  private static final String USAGE =
      "usage: Reader --brokers HOST:PORT --registry URL --topic NAME [--count N] [--timeout-seconds N]";

  private final ObjectMapper json = new ObjectMapper();
  private final HttpClient http = HttpClient.newHttpClient();
  private final Map<Integer, Schema> schemas = new HashMap<>();
  private final String registry;
  private final Duration timeout;

  private Reader(String registry, Duration timeout) {
    this.registry = registry.replaceAll("/+$", "");
    this.timeout = timeout;
  }

  public static void main(String[] args) {
    Map<String, String> given;
    try {
      given = parse(args);
    } catch (IllegalArgumentException e) {
      System.err.println(e.getMessage());
      System.err.println(USAGE);
      System.exit(2);
      return;
    }
    try {
      Duration timeout = Duration.ofSeconds(Long.parseLong(given.getOrDefault("timeout-seconds", "30")));
      long count = Long.parseLong(given.getOrDefault("count", "0"));
      new Reader(given.get("registry"), timeout).read(given.get("brokers"), given.get("topic"), count);
    } catch (Exception e) {
      System.err.println("reading " + given.get("topic") + ": " + e);
      System.exit(1);
    }
  }

  private static Map<String, String> parse(String[] args) {
    Set<String> known = Set.of("brokers", "registry", "topic", "count", "timeout-seconds");
    Map<String, String> given = new HashMap<>();
    for (int i = 0; i < args.length; i += 2) {
      String name = args[i].startsWith("--") ? args[i].substring(2) : "";
      if (!known.contains(name) || i + 1 == args.length) {
        throw new IllegalArgumentException("unknown argument or missing value: " + args[i]);
      }
      given.put(name, args[i + 1]);
    }
    for (String name : List.of("brokers", "registry", "topic")) {
      if (!given.containsKey(name)) {
        throw new IllegalArgumentException("missing argument: --" + name);
      }
    }
    return given;
  }

  /** Prints every record of the topic, or the first count of them when count is not 0. */
  private void read(String brokers, String topic, long count) throws IOException, InterruptedException {
    Properties config = new Properties();
    config.put("bootstrap.servers", brokers);
    config.put("enable.auto.commit", "false");
    config.put("default.api.timeout.ms", Long.toString(timeout.toMillis()));
    long deadline = System.nanoTime() + timeout.toNanos();
    long seen = 0;
    try (var consumer = new KafkaConsumer<>(config, new StringDeserializer(), new ByteArrayDeserializer())) {
      List<TopicPartition> partitions =
          consumer.partitionsFor(topic).stream().map(p -> new TopicPartition(topic, p.partition())).toList();
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
      while (count > 0 ? seen < count : !atEnd(consumer, ends)) {
        if (System.nanoTime() > deadline) {
          throw new IOException("only " + seen + " records in " + timeout.toSeconds() + " s");
        }
        for (ConsumerRecord<String, byte[]> record : consumer.poll(Duration.ofMillis(200))) {
          if (count == 0 || seen < count) {
            System.out.println(line(record));
            seen++;
          }
        }
      }
    }
  }

  private static boolean atEnd(KafkaConsumer<?, ?> consumer, Map<TopicPartition, Long> ends) {
    return ends.entrySet().stream().allMatch(end -> consumer.position(end.getKey()) >= end.getValue());
  }

  private String line(ConsumerRecord<String, byte[]> record) throws IOException, InterruptedException {
    String position = record.topic() + "/" + record.partition() + "@" + record.offset();
    ByteBuffer value = record.value() == null ? ByteBuffer.allocate(0) : ByteBuffer.wrap(record.value());
    if (value.remaining() < 5 || value.get() != 0) {
      throw new IOException(position + ": not in the Confluent wire format");
    }
    int id = value.getInt();
    ObjectNode line = json.createObjectNode();
    line.put("topic", record.topic());
    line.put("partition", record.partition());
    line.put("offset", record.offset());
    line.put("key", record.key());
    line.put("timestamp", record.timestamp());
    line.put("schema_id", id);
    line.set("value", decode(position, schema(id), value));
    return json.writeValueAsString(line);
  }

  private JsonNode decode(String position, Schema writer, ByteBuffer value) throws IOException {
    BinaryDecoder decoder =
        DecoderFactory.get().binaryDecoder(value.array(), value.position(), value.remaining(), null);
    GenericRecord record = new GenericDatumReader<GenericRecord>(writer).read(null, decoder);
    if (!decoder.isEnd()) {
      throw new IOException(position + ": bytes left over after the record");
    }
    // A generic record's text is its fields as JSON.
    return json.readTree(record.toString());
  }

  /** Returns the schema that the registry has under id, asking once for each. */
  private Schema schema(int id) throws IOException, InterruptedException {
    Schema known = schemas.get(id);
    if (known != null) {
      return known;
    }
    HttpRequest request = HttpRequest.newBuilder(URI.create(registry + "/schemas/ids/" + id)).timeout(timeout).build();
    HttpResponse<String> response = http.send(request, HttpResponse.BodyHandlers.ofString());
    if (response.statusCode() != 200) {
      throw new IOException("schema " + id + ": the registry answered " + response.statusCode() + " " + response.body());
    }
    Schema schema = new Schema.Parser().parse(json.readTree(response.body()).get("schema").textValue());
    schemas.put(id, schema);
    return schema;
  }
}
