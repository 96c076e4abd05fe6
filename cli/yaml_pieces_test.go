package cli

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"webcheck/embedded/testservices/seed"
)

// read returns all that a document says, for a comparison.
func readAll(d *document) (values map[string]located, targets, faults []string) {
	all, more := readTargets(&document{file: d.file, targets: d.targets, pieces: d.pieces, whole: d.whole})
	for _, t := range all {
		targets = append(targets, t.Definition())
	}
	for _, fault := range append(d.faults, more...) {
		faults = append(faults, fault.String())
	}
	return d.values, targets, faults
}

func TestAFileInPiecesSaysWhatItSaysAsAWhole(t *testing.T) {
	random := seed.Random(t)
	inPieces := 0
	for range seed.Runs(t, 500) {
		text := []byte(randomFile(random))
		left, pieces := cutTargets(text, 1+random.IntN(200))
		cut := readWhole("x.yaml", left)
		whole := readWhole("x.yaml", text)
		if len(cut.faults) > 0 {
			continue // then it is read as a whole
		}
		if cut.pieces, cut.whole = pieces, text; len(pieces) > 1 {
			if _, ok := readPieces(pieces); ok {
				inPieces++
			}
		}
		values, targets, faults := readAll(cut)
		wantValues, wantTargets, wantFaults := readAll(whole)
		if len(wantFaults) > 0 {
			wantValues = values // of no use, and not even read where the list is no YAML
		}
		if diff := cmp.Diff(wantTargets, targets) + cmp.Diff(wantFaults, faults) + cmp.Diff(wantValues, values, cmp.AllowUnexported(located{})); diff != "" {
			t.Fatalf("%s in\n%s", diff, text)
		}
	}
	if inPieces == 0 {
		t.Error("none was read in pieces")
	}
}

// randomFile is a file of a few targets, with what a person may write between them, and sometimes with a fault.
func randomFile(random *rand.Rand) string {
	var b strings.Builder
	section := func() string {
		return pick(random, "", "log: {level: warn}\n", "prober:\n  name: here\n", "# targets:\n", "\n\n", "kafka:\n  brokers:\n  - a:1\n  - b:2\n")
	}
	b.WriteString(section())
	b.WriteString(pick(random, "targets:\n", "targets:   # of mine\r\n", "targets:\n\n# first\n"))
	indent := strings.Repeat(" ", random.IntN(3))
	for i := range 1 + random.IntN(12) {
		id := fmt.Sprintf("t%d", i)
		if random.IntN(60) == 0 {
			id = pick(random, "t0", "No Slug", "[")
		}
		b.WriteString(pick(random,
			indent+"- id: "+id+"\n"+indent+"  url: http://example.com/\n",
			indent+"- id: "+id+"\r\n"+indent+"  url: http://example.com/\r\n"+indent+"  labels: {a: 'b'}\n",
			indent+"-\n"+indent+"  id: "+id+"\n"+indent+"  url: http://example.com/\n",
			indent+"- {id: "+id+", url: \"http://example.com/\"}\n",
			indent+"- id: "+id+"\n"+indent+"  body: |\n"+indent+"    - id: x\n\n"+indent+"    # y\n"+indent+"  url: tcp://example.com:1\n",
			indent+"- id: "+id+"\n"+indent+"  url: http://example.com/\n"+indent+"  body: \"a\n"+indent+"    - b\"\n",
		))
		b.WriteString(pick(random, "", "", "\n", "# a comment\n", "      # deep\n", indent+"# - id: no\n"))
		if random.IntN(200) == 0 {
			b.WriteString(pick(random, indent+"  nothing\n", "\t- x\n", "---\n", "targets: []\n", indent+"- *a\n", indent+"  body: \"\n"+indent+"- b\"\n"))
		}
	}
	b.WriteString(section())
	return b.String()
}

func TestALongFileIsReadInPieces(t *testing.T) {
	var b strings.Builder
	b.WriteString("targets:\n")
	for i := 0; b.Len() < 2*piecedFrom; i++ {
		fmt.Fprintf(&b, "  - {id: t%d, url: \"http://example.com/\"}\n", i)
	}
	good := b.String()
	d := readDocument("x.yaml", []byte(good+"log: {level: warn}\n"))
	targets, faults := readTargets(d)
	if want := strings.Count(good, "\n") - 1; len(targets) != want || len(faults)+len(d.faults) > 0 || len(d.pieces) < 10 || d.values["log.level"].text != "warn" {
		t.Errorf("%d targets, want %d, in %d pieces, %v %v %v", len(targets), want, len(d.pieces), d.values, d.faults, faults)
	}
	lines := strings.Count(good, "\n")
	d = readDocument("x.yaml", []byte(good+"  - {id: t0, url: \"http://example.com/\", interval: 1}\nlog: {level: warn}\n"))
	_, faults = readTargets(d)
	want := []string{
		fmt.Sprintf(`x.yaml:%d:52: targets[%d].interval: "1" is not a duration (examples: 30s, 1m)`, lines+1, lines-1),
		fmt.Sprintf(`x.yaml:%d:10: targets[%d].id: "t0" is taken; first on line 2`, lines+1, lines-1),
	}
	var got []string
	for _, fault := range faults {
		got = append(got, fault.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
