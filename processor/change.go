package processor

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/db"
)

// sampleRows is how many ids of a batch are looked up before it is copied. A redelivery repeats all of them, and what a spool
// sends twice comes in a row.
const sampleRows = 16

// sample gives ids spread evenly over the rows, the first and the last among them.
func sample(rows []db.CopyChecksParams) []string {
	n := min(sampleRows, len(rows))
	ids := make([]string, n)
	for i := range ids {
		ids[i] = rows[i*(len(rows)-1)/max(n-1, 1)].EventID
	}
	return ids
}

// repeats says whether an id stands in more than one of the rows.
func repeats(rows []db.CopyChecksParams) bool {
	seen := make(map[string]struct{}, len(rows))
	for i := range rows {
		seen[rows[i].EventID] = struct{}{}
	}
	return len(seen) < len(rows)
}

// newChecks gives rows that were all new.
func newChecks(rows []db.CopyChecksParams, records []*kgo.Record) []change {
	changes := make([]change, len(rows))
	for i := range rows {
		row := &rows[i]
		changes[i] = change{
			target: row.TargetID, location: row.Location,
			observation: observe(row.Slot, row.Outcome, row.TotalUs, row.DefinitionVersion), late: isLate(row, records[i]),
		}
	}
	return changes
}

// mergedChecks gives the rows that a merge has written. Of several events with one id any that came in time makes it news.
func mergedChecks(written []db.MergeIncomingChecksRow, rows []db.CopyChecksParams, records []*kgo.Record) []change {
	if len(written) == 0 {
		return nil
	}
	inTime := make(map[string]bool, len(rows))
	for i := range rows {
		if !isLate(&rows[i], records[i]) {
			inTime[rows[i].EventID] = true
		}
	}
	changes := make([]change, len(written))
	for i, w := range written {
		changes[i] = change{
			target: w.TargetID, location: w.Location,
			observation: observe(w.Slot, w.Outcome, w.TotalUs, w.DefinitionVersion), late: !inTime[w.EventID],
		}
	}
	return changes
}

func observe(slot time.Time, name string, totalUs *int32, version string) observation {
	o := observation{slotMs: slot.UnixMilli(), totalUs: -1, outcome: outcomeOf(name), version: version}
	if totalUs != nil && *totalUs >= 0 {
		o.totalUs = *totalUs
	}
	return o
}

// isLate says whether an event came to the log long after its check was done.
func isLate(row *db.CopyChecksParams, record *kgo.Record) bool {
	done := row.Slot
	if row.StartedAt.After(done) {
		done = row.StartedAt
	}
	if row.TotalUs != nil {
		done = done.Add(time.Duration(*row.TotalUs) * time.Microsecond)
	}
	return record.Timestamp.Sub(done) > lateAfter
}
