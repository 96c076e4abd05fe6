package schemas

// Field is one field of a schema, as far as columns and structs have to follow it.
type Field struct {
	// Name as the schema has it.
	Name string
	// Type without null: a logical type's name ("uuid", "timestamp-micros"), or else that of its own ("int", "enum").
	Type string
	// Nullable is whether it may be null.
	Nullable bool
	// Aliases are the names that it had.
	Aliases []string
}

// Fields returns the fields in the order of the record.
func (s *Schema) Fields() []Field {
	fields := make([]Field, 0, len(s.record.Fields()))
	for _, f := range s.record.Fields() {
		typ, nullable := unwrap(f.Type())
		fields = append(fields, Field{Name: f.Name(), Type: typeName(typ), Nullable: nullable, Aliases: f.Aliases()})
	}
	return fields
}

// Name returns the full name of the record: "webcheck.CheckCompleted".
func (s *Schema) Name() string { return s.record.FullName() }
