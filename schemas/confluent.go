package schemas

import (
	"fmt"
	"strings"
)

// Confluent returns the break as Confluent's registry tells it when asked to be verbose, word by word. That one tells of
// the versions newest first, of each the old reader's before the new reader's, and stops after the first with any.
// https://github.com/confluentinc/schema-registry/blob/master/client/src/main/java/io/confluent/kafka/schemaregistry/avro/Difference.java
func (b Break) Confluent() string {
	if b.Kind == NameMismatch && strings.HasPrefix(b.Detail, ambiguous) {
		return "Unexpected exception during compatibility check: " + b.Detail
	}
	reader, writer := "new", "old"
	if b.Side == OldReader {
		reader, writer = writer, reader
	}
	var description string
	switch b.Kind {
	case FixedSizeMismatch:
		description = fmt.Sprintf("The size of FIXED type field at path '%s' in the %s schema does not match with the %s schema", b.Pointer, reader, writer)
	case TypeMismatch:
		description = fmt.Sprintf("The type (path '%s') of a field in the %s schema does not match with the %s schema", b.Pointer, reader, writer)
	case NameMismatch:
		description = fmt.Sprintf("The name of the schema has changed (path '%s')", b.Pointer)
	case MissingEnumSymbols:
		description = fmt.Sprintf("The %s schema is missing enum symbols '%s' at path '%s' in the %s schema", reader, b.Detail, b.Pointer, writer)
	case MissingUnionBranch:
		description = fmt.Sprintf("The %s schema is missing a type inside a union field at path '%s' in the %s schema", reader, b.Pointer, writer)
	case ReaderFieldMissingDefault:
		description = fmt.Sprintf("The field '%s' at path '%s' in the %s schema has no default value and is missing in the %s schema", b.Detail, b.Pointer, reader, writer)
	}
	return fmt.Sprintf("{errorType:'%s', description:'%s', additionalInfo:'%s'}", b.Kind, description, b.Detail)
}
