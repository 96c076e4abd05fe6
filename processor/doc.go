// Package processor folds the log of checks into PostgreSQL: events in, rows out.
//
// In come the records of webcheck.checks, through a consumer group, and the definitions of webcheck.targets, of which each
// processor reads all. Out go, in one PostgreSQL transaction a batch, the checks' rows and all that is folded from them (strips,
// states of locations and targets, transitions, rollups), the records that can never be applied (dead letters), and the next
// offset of each partition. Dead letters and transitions that are news are published from PostgreSQL afterwards, to webcheck.dead
// and webcheck.transitions.
//
// Guaranteed:
//
//   - A record counts once. The offset moves by compare-and-set in the transaction that writes the rows, so a crash, a
//     redelivery or a second owner of the partition changes nothing (KafkaConsumer javadoc, "Storing Offsets Outside
//     Kafka"). Where to start is read from PostgreSQL; the offset that Kafka holds follows for lag tools and is never read.
//   - The tables do not depend on the order of arrival. Of two events with one id the one that check_precedes puts first
//     is kept (queries/migrations/00001_checks.sql). Checks that come late, definitions that come after their checks, and
//     replaced rows amend what was folded: the folds are always what one clean pass over the rows would make.
//   - What was told stays told. A transition is published at least once, in the order of its target, and as news only when its
//     check came in time; where late data change what had been told, a correction follows. The outbox and the announcements are
//     therefore no folds.
//   - One bad record stops nothing: it is kept whole with its position and cause, and the rest of its batch goes on.
//   - Trouble of Kafka, the registry or PostgreSQL is waited out with a growing pause. It is said once when it begins and
//     once when it is over; meanwhile nothing is lost and nothing becomes a dead letter.
//   - A log that no longer has the offset at which to go on is said with the number of records lost, never skipped over in
//     silence.
//
// A Replayer reads what the log still has once more, without the group and with the same reader and store, up to where the
// group stands. Its progress commits with its rows as the offsets do.
//
// A Rebuilder makes all tables anew in a schema beside the one in use, from the log and from what only the tables have, compares both,
// and swaps them in one transaction. It folds silently and never past the offsets that are stored, so nothing is told twice or
// never, and a process that holds prepared statements writes on into the new tables.
//
// WhatIf folds the strips that there are by other rules beside those of the definitions, and says what would have been different. It
// reads in one snapshot and writes nothing.
//
// # How checks are folded
//
// A strip (strip.go) holds what was observed of a target at a location in ten minutes, and the location's fold before it. For
// each target of a batch the strips from the first changed one on are read, the changes applied, and everything from there on is
// folded again: each location by the N-of-M rules of the definition that each check was made by (location.go), the target by a
// quorum of the locations that report (timeline.go), hours and days by what became more or fewer (track.go, rollup.go). What
// comes out the same is not written. In order this reads one strip a location; late, as many as there are since.
//
// Batches are written in two lanes, each a connection (lane.go): side by side those of different partitions, one behind the other
// those of the same, while the next ones are decoded.
//
// Never: it does not talk to a target, does not read Kafka's committed offset, and does not import the prober.
package processor
