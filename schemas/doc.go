// Package schemas is what webcheck's data looks like in flight: topics, subjects, event ids, Avro schemas and the codec.
//
// In comes an event of package event, out go bytes in the Confluent wire format (a zero byte, the writer schema's id in
// four bytes, Avro), and back. The schema is the text of events/*.avsc, unchanged; a registry holds it under the
// subject of its topic and decides whether a newer one may follow.
//
// # Guarantees
//
//   - What an [EncoderOf] accepts, every [DecoderOf] of this build decodes to the same event.
//   - A value that was cut anywhere, that has a byte too many, or whose numbers, lengths, union branches, enum symbols,
//     booleans, UUIDs, times or UTF-8 are out of range is refused with [ErrUndecodable]; never half an event.
//   - [ErrUndecodable] is for ever: the same bytes will be refused tomorrow. A registry that is away is another error.
//   - Only schemas registered under the expected subject are believed, and only those within the profile of
//     [ParseSchema]: a flat record, no recursion, arrays, maps or wide unions, everything bounded.
//   - Times come out in UTC.
//   - [Breaks] finds what Avro Java's SchemaCompatibility finds, to the pointer; tests ask it.
//
// # Changing a schema
//
// [Review] says all that keeps a text from following the versions before it, with lines and with what to do; [Compatible] and
// [Breaks] are its part that a registry enforces. [Diff] says what changed.
//
// # What stands behind the guards
//
// The Avro library, github.com/hamba/avro/v2, is archived and has three known decoder faults without a fixed version
// (GO-2026-5046, GO-2026-5047, GO-2026-5048). It reads cut-off records as zero values, ignores bytes left over, spins or
// allocates without bound on hostile counts, and overflows the stack on recursive schemas. It stays because its
// compatibility check and its schema resolution agree with Avro Java; so:
//
//   - it never parses into the process-wide schema cache: every parse has a cache of its own;
//   - it never sees a schema outside the profile: [ParseSchema] refuses recursion, arrays and maps, where the faults are;
//   - it never sees bytes that a walk of our own over the writer's schema has not accepted to the last one, and none at all of
//     a value that was written with this build's own schema, which is decoded directly;
//   - its limits are set, its default configuration is never used, and its caches die with the schema they belong to;
//   - one compatibility checker answers one question: a shared one repeats its first answer, because its cache does not
//     look at defaults.
//
// # What it never does
//
// It keeps no connection, starts nothing that outlives a call, logs nothing, and never registers a schema unless
// [Registry.Register], [Registry.RegisterAt] or [Registry.Import] is called. It does not judge an event's content beyond what the schema says, except its id
// ([CheckEventID]).
package schemas
