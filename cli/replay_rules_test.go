package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"webcheck/processor"
)

var opened = time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)

// incident is one that began some minutes after the first and lasted for some, or goes on for 0.
func incident(after, lasted time.Duration) processor.Incident {
	i := processor.Incident{OpenedAt: opened.Add(after * time.Minute)}
	if lasted > 0 {
		i.ClosedAt = i.OpenedAt.Add(lasted * time.Minute)
	}
	return i
}

func whatIfOfLogin() processor.WhatIfTarget {
	minute := time.Minute.Milliseconds()
	return processor.WhatIfTarget{
		ID: "log\x1bin", First: opened.Add(-time.Hour), Last: opened.Add(23 * time.Hour),
		Was:   processor.Outlook{Incidents: 4, Pages: 7, UpMs: 1400 * minute, DownMs: 40 * minute},
		Would: processor.Outlook{Incidents: 2, Pages: 3, UpMs: 1439 * minute, DegradedMs: minute},
		Changes: []processor.IncidentChange{
			{Kind: "gone", Was: []processor.Incident{incident(0, 2)}},
			{Kind: "joined", Was: []processor.Incident{incident(10, 5), incident(17, 5)}, Would: []processor.Incident{incident(10, 12)}},
			{Kind: "new", Would: []processor.Incident{incident(60, 0)}},
		},
		PagesGone: 5, PagesNew: 1, Stale: true, Older: true,
	}
}

func TestWhatWouldHaveBeenIsATableATargetAndASum(t *testing.T) {
	var b bytes.Buffer
	out := &printer{out: &b}
	target := whatIfOfLogin()
	report := &rulesReport{file: "new.yaml", unchecked: []string{"a", "b"}, others: 1}
	report.add(target, false)
	out.whatIf(target)
	out.whatIfs(report)
	const table = `
              as it was      would be
  incidents             4             2
  pages                 7             3  5 gone, 1 new
  down                40m            0s
  degraded             0s            1m
  uptime         97.222 %     100.000 %
`
	want := `log\x1bin, 2026-11-24T07:00:00Z to 2026-11-25T07:00:00Z` + strings.Replace(table, "              as", "                as", 1) +
		`  gone      2026-11-24T08:00:00Z for 2m
  joined    was 2026-11-24T08:10:00Z for 5m and 2026-11-24T08:17:00Z for 5m, would be 2026-11-24T08:10:00Z for 12m
  new       from 2026-11-24T09:00:00Z on
1 target of new.yaml folded twice, 2026-11-24T07:00:00Z to 2026-11-25T07:00:00Z: 1 would have been different` +
		strings.Replace(table, "              as", "                as", 1) +
		`2 targets of new.yaml without checks in that time: a, b
1 target with checks not in new.yaml
1 target with older checks that PostgreSQL does not keep any more; what these led to is where both begin: log\x1bin
1 target whose transitions are not what the stored checks make: log\x1bin
hint: "webcheck verify" tells more, "webcheck replay --from start" reads the log once more
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if report.list != nil {
		t.Errorf("kept what nobody wants: %+v", report.list)
	}
}

func TestWhatWouldHaveBeenIsOneObjectOfJSON(t *testing.T) {
	report := &rulesReport{file: "new.yaml"}
	report.add(whatIfOfLogin(), true)
	var b bytes.Buffer
	if err := (&printer{out: &b}).json(report.json()); err != nil {
		t.Fatal(err)
	}
	var got rulesJSON
	if err := json.Unmarshal(b.Bytes(), &got); err != nil || bytes.Count(b.Bytes(), []byte("\n")) != 1 {
		t.Fatalf("%v: %s", err, b.Bytes())
	}
	if diff := cmp.Diff(report.json(), got); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
	for _, part := range []string{`"stale":["log\u001bin"]`, `"unchecked":[]`, `"uptime":1}`, `"closed_at":null`, `"was":[],"would":[{"opened_at":"2026-11-24T09:00:00Z"`} {
		if !strings.Contains(b.String(), part) {
			t.Errorf("no %s in %s", part, b.Bytes())
		}
	}
	b.Reset()
	if err := (&printer{out: &b}).json(new(rulesReport).json()); err != nil || strings.Contains(b.String(), "NaN") || !strings.Contains(b.String(), `"first_check":null`) {
		t.Errorf("of nothing: %v, %s", err, b.Bytes())
	}
}

func TestALongListOfIncidentsOrNamesIsCut(t *testing.T) {
	target := processor.WhatIfTarget{ID: "login"}
	var ids []string
	for i := range maxChanges + 3 {
		target.Changes = append(target.Changes, processor.IncidentChange{Kind: "gone", Was: []processor.Incident{incident(time.Duration(i), 1)}})
		ids = append(ids, fmt.Sprint(i))
	}
	var b bytes.Buffer
	(&printer{out: &b}).whatIf(target)
	if got := b.String(); strings.Count(got, "gone  ") != maxChanges || !strings.HasSuffix(got, "  and 3 more; --json has all\n") {
		t.Errorf("got %s", got)
	}
	if got, want := namesText(ids), "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 13 more"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAnUptimeOfAHundredWasNeverDown(t *testing.T) {
	for text, o := range map[string]processor.Outlook{
		"-": {}, "100.000 %": {UpMs: 5}, "99.999 %": {UpMs: 1e12, DownMs: 1}, "0.000 %": {DownMs: 1}, "29.000 %": {DegradedMs: 29, DownMs: 71},
	} {
		if got := uptimeText(o); got != text {
			t.Errorf("%+v: got %s, want %s", o, got, text)
		}
	}
}

func TestATimeOfManyTargetsIsWrittenInDays(t *testing.T) {
	for text, ms := range map[string]int64{
		"0s": 0, "1.5s": 1500, "1m": 60_000, "1m1s": 61_500, "1d": 86_400_000, "2d3h0m4s": 2*86_400_000 + 3*3_600_000 + 4_400, "1000000d": 86_400_000_000_000,
	} {
		if got := longText(ms); got != text {
			t.Errorf("%d ms: got %s, want %s", ms, got, text)
		}
	}
}
