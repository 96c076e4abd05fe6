package prober

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// accountedDomain is the first word of the text, and changes with its form.
	accountedDomain = "webcheck-accounted-1"
	// maxAccountedBytes is below what brokers take as a committed offset's metadata unless told otherwise (offset.metadata.max.bytes).
	maxAccountedBytes = 4000
)

// accounted says how far the slots of a partition's targets have events that are safe: all slots before until, but for some targets
// only those before a moment of their own. Numbers are milliseconds since 1970; the zero value says nothing.
type accounted struct {
	until  int64
	behind map[string]int64
}

// of returns the moment until which a target is accounted for, and whether one is known.
func (a accounted) of(id string) (until int64, known bool) {
	if a.until == 0 {
		return 0, false
	}
	if own, is := a.behind[id]; is {
		return min(own, a.until), true
	}
	return a.until, true
}

// leave notes that a target is accounted for until slot only.
func (a *accounted) leave(id string, slot int64) {
	if slot >= a.until {
		return
	}
	if a.behind == nil {
		a.behind = make(map[string]int64)
	}
	if before, is := a.behind[id]; !is || slot < before {
		a.behind[id] = slot
	}
}

// String writes a as a group's metadata holds it: the moment, and id@milliseconds for each target that is behind, the furthest
// behind first. Where these do not fit, until is that of the first of those that are left out.
func (a accounted) String() string {
	until := a.until
	var b strings.Builder
	ids := make([]string, 0, len(a.behind))
	for id := range a.behind {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(x, y string) int { return cmp.Or(cmp.Compare(a.behind[x], a.behind[y]), strings.Compare(x, y)) })
	for _, id := range ids {
		item := " " + id + "@" + strconv.FormatInt(a.behind[id], 10)
		if len(accountedDomain)+1+len(time.RFC3339Nano)+b.Len()+len(item) > maxAccountedBytes {
			until = min(until, a.behind[id])
			break
		}
		b.WriteString(item)
	}
	return accountedDomain + " " + moment(until).Format("2006-01-02T15:04:05.000Z07:00") + b.String()
}

// parseAccounted reads what [accounted.String] wrote. Another text, as an empty one, says nothing.
func parseAccounted(text string) (accounted, error) {
	words := strings.Fields(text)
	if len(words) == 0 {
		return accounted{}, nil
	}
	if len(words) < 2 || words[0] != accountedDomain {
		return accounted{}, fmt.Errorf("parsing what is accounted for: %q does not begin with %s", cut(text, maxAssertionValueBytes), accountedDomain)
	}
	until, err := time.Parse(time.RFC3339, words[1])
	if err != nil || until.UnixMilli() <= 0 {
		return accounted{}, fmt.Errorf("parsing what is accounted for: %q is no moment", words[1])
	}
	a := accounted{until: until.UnixMilli()}
	for _, word := range words[2:] {
		id, text, _ := strings.Cut(word, "@")
		slot, err := strconv.ParseInt(text, 10, 64)
		if err != nil || id == "" || slot < 0 {
			return accounted{}, fmt.Errorf("parsing what is accounted for: %q is not id@milliseconds", word)
		}
		a.leave(id, slot)
	}
	return a, nil
}

// accountedFor returns how far each of the shares, which are of different partitions, is accounted for, by partition.
func (p *Prober) accountedFor(shares ...*share) map[int32]accounted {
	all := make(map[*share]accounted, len(shares))
	for _, s := range shares {
		a := accounted{until: p.released + 1}
		if s.gone {
			a = accounted{until: s.left.until, behind: maps.Clone(s.left.behind)}
		}
		all[s] = a
	}
	leave := func(w *planned, slot int64) {
		if a, asked := all[w.share]; asked {
			a.leave(w.target.ID, slot)
			all[w.share] = a
		}
	}
	for _, d := range p.debts {
		leave(d.planned, d.spans[0].from)
	}
	p.books.mu.Lock()
	for h := range p.books.open {
		leave(h.planned, h.slot)
	}
	p.books.mu.Unlock()
	marks := make(map[int32]accounted, len(all))
	for s, a := range all {
		marks[s.partition] = a
	}
	return marks
}
