package processor

import (
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"webcheck/embedded/testservices/seed"
)

// Processors that come and go move the partitions about and lose nothing.

func TestProcessorsThatComeAndGoAllTheTimeWriteEachEventOnce(t *testing.T) {
	random := seed.Random(t)
	p := newPipeline(t, 4)
	events := newEvents(28 + 3000)
	member := func() *running {
		records := 5 + random.IntN(30)
		return p.start(func(c *Config) { quickly(c); c.BatchRecords = records })
	}
	// The first one makes the rows of offsets and targets alone: that two make them at once is waited out, and said.
	members := []*running{member()}
	p.produce(4, events[:28]...)
	members[0].await(28)
	members = append(members, member())
	for chunk := range slices.Chunk(events[28:], 375) {
		p.produce(4, chunk...)
		// One comes in the midst of it, and one of them all goes.
		members = append(members, member())
		p.awaitGroup("Stable", len(members))
		leaving := random.IntN(len(members))
		members[leaving].finish()
		members = append(members[:leaving], members[leaving+1:]...)
	}
	p.awaitEnd()
	for _, m := range members {
		m.finish()
	}
	if troubles := p.logs.with("WARN"); len(troubles) > 0 {
		t.Errorf("coming and going is no trouble; said %q", troubles)
	}
	p.checkInvariants(events, 0)
}

// awaitGroup waits until the group has so many members and is in a state: "PreparingRebalance" while it waits for members to give
// partitions back, "Stable" once all have theirs, "Empty".
func (p *pipeline) awaitGroup(state string, members int) {
	p.t.Helper()
	until(p.t, func() (bool, string) {
		groups, err := kadm.NewClient(p.client).DescribeGroups(p.t.Context(), p.topic)
		if err != nil {
			p.t.Fatal(err)
		}
		g := groups[p.topic]
		return g.State == state && len(g.Members) == members,
			fmt.Sprintf("the group is %s with %d members, want %s with %d", g.State, len(g.Members), state, members)
	})
}
