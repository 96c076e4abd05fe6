package processor

import (
	"slices"
	"time"
)

// The classes of findings. What is found in any of them is not accounted for.
const (
	ClassMissing     = "missing"     // events without a row
	ClassDifferent   = "different"   // rows that are not what their event says
	ClassOrphans     = "orphans"     // rows without a log position
	ClassUnkept      = "unkept"      // records that are neither a row nor a dead letter
	ClassDead        = "dead"        // dead letters
	ClassUnpublished = "unpublished" // dead letters and transitions that their topics do not have
	ClassLag         = "lag"         // records that wait for a processor
	ClassOffsets     = "offsets"     // offsets that do not fit the log
	ClassGaps        = "gaps"        // slots that nobody accounts for
	ClassSilent      = "silent"      // targets without a slot for too long
	ClassStrips      = "strips"      // strips that are not what the checks make
	ClassRollups     = "rollups"     // rollups that do not count what is there
	ClassStates      = "states"      // states of targets, at a location or over all, that are not where the checks lead
	ClassTransitions = "transitions" // transitions that do not follow one another
)

// foldsDiffer is what to do when the checks are right and a fold of them is not.
const foldsDiffer = `if the rows above are right, the folds are to be made anew: "webcheck replay --rebuild"`

// classes are all classes in the order of reports, each with what it counts and what a person can do.
var classes = []struct{ name, title, next string }{
	{ClassMissing, "events without a row", `"webcheck replay" writes what the log has`},
	{ClassDifferent, "rows that are not the event that is kept", `somebody changed the table: delete these rows, then "webcheck replay"`},
	{ClassOrphans, "rows without a log position", "somebody wrote into the table, or the log was cut: keep or delete these rows"},
	{ClassUnkept, "records that are neither a row nor a dead letter", `dropped by somebody, or lost: "webcheck replay" records them again`},
	{ClassDead, "dead letters", `"webcheck dead list" shows them; retry them after a fix, or drop them`},
	{ClassUnpublished, "dead letters and transitions that are not published", "is a processor running, and does it reach Kafka?"},
	{ClassLag, "records waiting for a processor", "is a processor running, and does it keep up?"},
	{ClassOffsets, "offsets that do not fit the log", "are this database and this Kafka those of each other?"},
	{ClassGaps, "slots that nobody accounts for", "no prober ran then, or what it wrote was lost"},
	{ClassSilent, "targets gone silent", "is a prober running that has them?"},
	{ClassStrips, "strips that are not what their checks make", foldsDiffer},
	{ClassRollups, "rollups that do not count what is there", foldsDiffer},
	{ClassStates, "states that are not where the checks lead", foldsDiffer},
	{ClassTransitions, "transitions that do not follow one another", foldsDiffer},
}

// VerifyClasses are the names of all classes of findings, in the order of reports.
func VerifyClasses() []string {
	names := make([]string, len(classes))
	for i, c := range classes {
		names[i] = c.name
	}
	return names
}

// Finding is what was found of one class.
type Finding struct {
	Class    string   `json:"class"`
	Title    string   `json:"title"` // what Count counts
	Count    int64    `json:"count"`
	Examples []string `json:"examples,omitempty"` // text from the outside is in them as it was
	Next     string   `json:"next,omitempty"`     // what to do, when there is something
}

// PartitionReport is one partition of the log, in offsets.
type PartitionReport struct {
	Partition int32 `json:"partition"`
	Start     int64 `json:"start"`
	End       int64 `json:"end"`
	// Next is the stored offset when the tables were looked at; -1 for none.
	Next int64 `json:"next"`
	// Lag is the number of records that still waited after the patience, LagSeconds since when the first of them does.
	Lag        int64   `json:"lag"`
	LagSeconds float64 `json:"lag_seconds"`
}

// Report is what a verification found.
type Report struct {
	Topic      string            `json:"topic"`
	At         time.Time         `json:"at"`       // when it began
	Records    int64             `json:"records"`  // of the log that were read
	Events     int64             `json:"events"`   // different ones among them, by id
	Rows       int64             `json:"rows"`     // that were compared
	Repeated   int64             `json:"repeated"` // records that say again what another one says
	Rivals     int64             `json:"rivals"`   // records that say something else of a slot than the one that is kept
	Old        int64             `json:"old"`      // events that are older than what PostgreSQL keeps
	Expired    int64             `json:"expired"`  // rows whose event the log, or the part that was read, no longer has
	Partitions []PartitionReport `json:"partitions"`
	Findings   []Finding         `json:"findings"` // one of each class
}

func newReport(topic string, at time.Time) Report {
	r := Report{Topic: topic, At: at}
	for _, c := range classes {
		r.Findings = append(r.Findings, Finding{Class: c.name, Title: c.title, Next: c.next})
	}
	return r
}

func (r *Report) finding(class string) *Finding {
	return &r.Findings[slices.IndexFunc(r.Findings, func(f Finding) bool { return f.Class == class })]
}

// Unaccounted lists the findings that count something, but for those of allowed classes.
func (r *Report) Unaccounted(allowed ...string) []Finding {
	var found []Finding
	for _, f := range r.Findings {
		if f.Count > 0 && !slices.Contains(allowed, f.Class) {
			found = append(found, f)
		}
	}
	return found
}
