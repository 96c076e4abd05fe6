// Package processor folds the log of checks into PostgreSQL: events in, rows out.
//
// In come the records of webcheck.checks, through a consumer group. Out go, in one PostgreSQL transaction a batch, the
// checks' rows, the records that can never be applied (dead letters), and the next offset of each partition. Dead
// letters are published to webcheck.dead from PostgreSQL afterwards.
//
// Guaranteed:
//
//   - A record counts once. The offset moves by compare-and-set in the transaction that writes the rows, so a crash, a
//     redelivery or a second owner of the partition changes nothing (KafkaConsumer javadoc, "Storing Offsets Outside
//     Kafka"). Where to start is read from PostgreSQL; the offset that Kafka holds follows for lag tools and is never read.
//   - The tables do not depend on the order of arrival. Of two events with one id the one that check_precedes puts first
//     is kept (queries/migrations/00001_checks.sql).
//   - One bad record stops nothing: it is kept whole with its position and cause, and the rest of its batch goes on.
//   - Trouble of Kafka, the registry or PostgreSQL is waited out with a growing pause. It is said once when it begins and
//     once when it is over; meanwhile nothing is lost and nothing becomes a dead letter.
//   - A log that no longer has the offset at which to go on is said with the number of records lost, never skipped over in
//     silence.
//
// A Replayer reads what the log still has once more, without the group and with the same reader and store, up to where the
// group stands. Its progress commits with its rows as the offsets do.
//
// Never: it does not talk to a target, does not read Kafka's committed offset, and does not import the prober.
package processor
