package evolve

import (
	"slices"
	"strings"
)

// fieldType is a type of a field in Avro and of its column in SQL. sqlc.yaml gives both the same type in Go.
type fieldType struct{ name, avro, sql string }

var fieldTypes = []fieldType{
	{"boolean", `"boolean"`, "boolean"},
	{"int", `"int"`, "integer"},
	{"long", `"long"`, "bigint"},
	{"float", `"float"`, "real"},
	{"double", `"double"`, "double precision"},
	{"string", `"string"`, "text"},
	{"bytes", `"bytes"`, "bytea"},
	{"uuid", `{"type": "string", "logicalType": "uuid"}`, "uuid"},
	{"date", `{"type": "int", "logicalType": "date"}`, "date"},
	{"timestamp-millis", `{"type": "long", "logicalType": "timestamp-millis"}`, "timestamptz"},
	{"timestamp-micros", `{"type": "long", "logicalType": "timestamp-micros"}`, "timestamptz"},
}

// Types are the types that a new field may have.
func Types() []string {
	var names []string
	for _, t := range fieldTypes {
		names = append(names, t.name)
	}
	return names
}

// typeOf finds a type by its name.
func typeOf(name string) (fieldType, bool) {
	i := slices.IndexFunc(fieldTypes, func(t fieldType) bool { return t.name == name })
	if i < 0 {
		return fieldType{}, false
	}
	return fieldTypes[i], true
}

// ColumnType is the type in SQL of the column that takes a field of an Avro type ([schemas.Field]), with what stands behind it where
// the table's texts compare by byte: text for an enum, and bytea for a fixed.
func ColumnType(typ string, collate bool) string {
	t, known := typeOf(typ)
	switch {
	case typ == "enum":
		t.sql = "text"
	case !known:
		return "bytea"
	}
	if t.sql == "text" && collate {
		return `text COLLATE "C"`
	}
	return t.sql
}

// initialisms are those that avrogen spells in capitals, as golint does, and sqlc by sqlc.yaml.
var initialisms = strings.Fields("acl api ascii cpu css dns eof guid html http https id ip json lhs qps ram rhs rpc sla smtp sql ssh tcp tls ttl " +
	"udp ui uid uuid uri url utf8 vm xml xmpp xsrf xss")

// goName is the name of a field in generated code.
func goName(name string) string {
	var b strings.Builder
	for word := range strings.SplitSeq(name, "_") {
		if slices.Contains(initialisms, word) {
			b.WriteString(strings.ToUpper(word))
			continue
		}
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}

// IsReserved says whether PostgreSQL takes the name as a column's in quotes only.
func IsReserved(name string) bool { return slices.Contains(reserved, name) }

// reserved are the words that PostgreSQL takes as a column's name in quotes only (PostgreSQL, "SQL Key Words").
var reserved = strings.Fields("all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate collation column " +
	"concurrently constraint create cross current_catalog current_date current_role current_schema current_time current_timestamp current_user " +
	"default deferrable desc distinct do else end except false fetch for foreign freeze from full grant group having ilike in initially inner " +
	"intersect into is isnull join lateral leading left like limit localtime localtimestamp natural not notnull null offset on only or order " +
	"outer overlaps placing primary references returning right select session_user similar some symmetric system_user table tablesample then to " +
	"trailing true union unique user using variadic verbose when where window with")
