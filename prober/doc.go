// Package prober is targets in, events out: it checks web sites on a schedule and hands one event of package event to
// Kafka for every slot. [Definitions] publishes what the targets are, before the first of them is checked, and reads it.
//
// In come targets, an [Emitter] and a context. Out goes one CheckCompleted for each slot: `up`, `degraded`, `down`, or `missed` with
// the reason why nothing was measured. Targets are fixed ([Config.Targets]) or followed in Kafka ([Follow]): the probers of a location are
// a consumer group of the topic of definitions, whose assignment is the work split.
// What a check does follows from the scheme of the target's URL: http, https, tcp, tls or dns.
//
// # Guarantees
//
//   - Every slot of a target between the start and the stop of [Prober.Run] ends in exactly one event, however slow the
//     target, the process or the broker, and wherever the clock steps. A prober that follows Kafka's definitions accounts for the slots
//     before its start too, from where the last prober of the location was, after a kill as after a hand-over. The only exception
//     is said in the log: slots older than [Config.CatchUp].
//   - A result that was lost, for want of room, is followed by an event of its slot that says so.
//   - A slot's event has the same id whoever runs it and however often: [schemas.EventID] of target, location and slot.
//   - Trouble of our own is never `down`: a full table of file descriptors, a bug, a stalled process, an interface that is
//     down and our own stop end as `missed`. Trouble of the broker changes no event at all.
//   - Slots that have no safe event when it stops are counted, and [Prober.Run] ends with an error that has the number.
//   - Idle targets cost no goroutine and no timer: one scheduler holds a heap of them.
//   - A check opens connections of its own and closes them; it reads at most [MaxBodyBytes] of a body and [MaxHeaderBytes] of
//     a header. Times are in UTC and whole microseconds.
//   - No connection is made to an address that [Addresses] refuses, whatever name or redirect leads there.
//   - No text of a check's event holds a URL's query, or a secret that was sent; every text is valid UTF-8 without control
//     characters. A definition holds the target's URL whole.
//
// # What it never does
//
// It never reads the database, or a topic but that of definitions, knows no processor, and does not apply a target's [Rules].
// It asks a target twice in one slot only where the target says so, and takes no proxy from the environment: what is measured is
// the way from here to the target, not one that a shell happened to name. It keeps no cookies, and sends credentials to the
// target's own host only.
//
// The clock may step. Slots are moments of the wall clock; a clock that steps back makes the prober wait until it is past
// the last slot it has run, because an event for that slot exists, unless that is more than a minute; one that steps forward leaves slots that are written as
// missed, `not_running`.
package prober
