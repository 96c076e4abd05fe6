package schemas

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// SameSchema says whether two texts are one schema to a registry, which looks at what Avro Java prints of them: they may
// differ in white space, in the order of an object's keys, in escapes, and in how a name or a primitive type is spelt.
func SameSchema(a, b string) bool {
	return a == b || Canonical(a) == Canonical(b)
}

// Canonical returns the text of a schema as Avro Java's Schema.toString prints it, with a type's own properties in the
// order of their names. Nothing that a schema says is lost, unlike in the form that fingerprints are made of. A text that
// is no JSON comes back as it is.
// https://github.com/confluentinc/schema-registry/blob/master/client/src/main/java/io/confluent/kafka/schemaregistry/avro/AvroSchema.java
func Canonical(text string) string { return printed(text, false) }

// Normalize returns the text as Confluent's registry normalizes it: as [Canonical], and with aliases in order, without
// empty docs, and with defaults of float and double as such.
// https://github.com/confluentinc/schema-registry/blob/master/client/src/main/java/io/confluent/kafka/schemaregistry/avro/AvroSchemaUtils.java
func Normalize(text string) string { return printed(text, true) }

func printed(text string, normal bool) string {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var schema any
	if err := decoder.Decode(&schema); err != nil {
		return text
	}
	p := canonicalPrinter{normal: normal}
	p.schema(schema, "")
	return p.out.String()
}

// canonicalPrinter prints schemas that were decoded from JSON. It is not there to judge them: what is no schema is printed
// as JSON.
type canonicalPrinter struct {
	out    bytes.Buffer
	normal bool
}

// object is a JSON object being printed.
type object struct {
	*canonicalPrinter
	comma string
}

func (o *object) key(name string) {
	o.out.WriteString(o.comma)
	o.comma = ","
	o.value(name)
	o.out.WriteByte(':')
}

func (o *object) member(name string, value any) {
	o.key(name)
	o.value(value)
}

// value prints JSON, with the keys of objects in order.
func (p *canonicalPrinter) value(v any) {
	encoder := json.NewEncoder(&p.out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(v) // it was decoded from JSON
	p.out.Truncate(p.out.Len() - 1)
}

// schema prints a type that is used where names without a dot are in namespace.
func (p *canonicalPrinter) schema(v any, namespace string) {
	switch v := v.(type) {
	case string:
		p.value(nameIn(qualified(v, namespace), namespace))
	case []any:
		p.out.WriteByte('[')
		for i, branch := range v {
			if i > 0 {
				p.out.WriteByte(',')
			}
			p.schema(branch, namespace)
		}
		p.out.WriteByte(']')
	case map[string]any:
		p.definition(v, namespace)
	default:
		p.value(v)
	}
}

func (p *canonicalPrinter) definition(v map[string]any, namespace string) {
	kind, ok := v["type"].(string)
	if !ok {
		p.schema(v["type"], namespace)
		return
	}
	_, named := v["name"].(string)
	var own []string // keys that are not properties
	switch {
	case named && (kind == "record" || kind == "error" || kind == "enum" || kind == "fixed"):
		p.named(v, kind, namespace)
		return
	case kind == "array":
		own = []string{"items"}
	case kind == "map":
		own = []string{"values"}
	case len(properties(v, reserved)) == 0 || !primitive(kind):
		p.schema(kind, namespace)
		return
	}
	o := p.open()
	o.member("type", kind)
	for _, key := range own {
		o.key(key)
		p.schema(v[key], namespace)
	}
	o.properties(v, reserved)
	p.out.WriteByte('}')
}

func (p *canonicalPrinter) open() *object {
	p.out.WriteByte('{')
	return &object{canonicalPrinter: p}
}

func (p *canonicalPrinter) named(v map[string]any, kind, outer string) {
	name, _ := v["name"].(string)
	namespace := outer
	if given, ok := v["namespace"].(string); ok {
		namespace = given
	}
	full := qualified(name, namespace)
	namespace, name = splitName(full)
	o := p.open()
	o.member("type", kind)
	o.member("name", name)
	if namespace != outer {
		o.member("namespace", namespace)
	}
	o.doc(v)
	omitted := reserved
	switch kind {
	case "enum":
		o.member("symbols", v["symbols"])
		if symbol, ok := v["default"]; ok {
			o.member("default", symbol)
		}
		omitted = append(slices.Clone(reserved), "default")
	case "fixed":
		o.member("size", v["size"])
	default:
		o.key("fields")
		p.fields(v["fields"], namespace)
	}
	o.properties(v, omitted)
	o.aliases(v, namespace)
	p.out.WriteByte('}')
}

func (p *canonicalPrinter) fields(v any, namespace string) {
	p.out.WriteByte('[')
	list, _ := v.([]any)
	for i, entry := range list {
		if i > 0 {
			p.out.WriteByte(',')
		}
		field, _ := entry.(map[string]any)
		o := p.open()
		o.member("name", field["name"])
		o.key("type")
		p.schema(field["type"], namespace)
		if doc, ok := field["doc"]; ok {
			o.member("doc", doc)
		}
		if value, ok := field["default"]; ok {
			o.member("default", p.defaultOf(field["type"], value))
		}
		if order, ok := field["order"]; ok && order != "ascending" {
			o.member("order", order)
		}
		o.aliases(field, "")
		o.properties(field, fieldReserved)
		p.out.WriteByte('}')
	}
	p.out.WriteByte(']')
}

// defaultOf is a default as it is printed for a type: normalized, a whole number for a double is 1.0.
func (p *canonicalPrinter) defaultOf(kind, value any) any {
	if union, ok := kind.([]any); ok && len(union) > 0 {
		kind = union[0]
	}
	if definition, ok := kind.(map[string]any); ok {
		kind = definition["type"]
	}
	number, ok := value.(json.Number)
	if p.normal && ok && (kind == "float" || kind == "double") && !strings.ContainsAny(number.String(), ".eE") {
		return number + ".0"
	}
	return value
}

func (o *object) doc(v map[string]any) {
	if doc, ok := v["doc"]; ok && (doc != "" || !o.normal) {
		o.member("doc", doc)
	}
}

// aliases prints them as seen from namespace.
func (o *object) aliases(v map[string]any, namespace string) {
	list, _ := v["aliases"].([]any)
	var names []string
	for _, entry := range list {
		name, _ := entry.(string)
		if name = nameIn(qualified(name, namespace), namespace); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if o.normal {
		slices.Sort(names)
	}
	if len(names) > 0 {
		o.member("aliases", names)
	}
}

var (
	reserved      = []string{"doc", "fields", "items", "name", "namespace", "size", "symbols", "values", "type", "aliases"}
	fieldReserved = []string{"default", "doc", "name", "order", "type", "aliases"}
)

// properties prints what people and logical types add, by name.
func (o *object) properties(v map[string]any, omitted []string) {
	for _, key := range properties(v, omitted) {
		o.member(key, v[key])
	}
}

func properties(v map[string]any, omitted []string) []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(v)), func(key string) bool { return slices.Contains(omitted, key) })
}

func primitive(name string) bool {
	return slices.Contains([]string{"null", "boolean", "int", "long", "float", "double", "bytes", "string"}, name)
}

// qualified is the full name of name as it is used in namespace.
func qualified(name, namespace string) string {
	if namespace == "" || strings.Contains(name, ".") || primitive(name) {
		return name
	}
	return namespace + "." + name
}

// nameIn is how the full name is written in namespace.
func nameIn(full, namespace string) string {
	if space, name := splitName(full); space == namespace {
		return name
	}
	return full
}

func splitName(full string) (namespace, name string) {
	if i := strings.LastIndexByte(full, '.'); i >= 0 {
		return full[:i], full[i+1:]
	}
	return "", full
}
