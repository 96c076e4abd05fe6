package prober

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/event"
	"webcheck/schemas"
)

const (
	// DefaultSessionTimeout is how long a prober that was killed keeps its targets: above the least that brokers allow unless told
	// otherwise (group.min.session.timeout.ms, 6 s), and below most intervals, so that no slot is missed for it.
	DefaultSessionTimeout = 10 * time.Second
	// heartbeatInterval is how late a member may learn that partitions wait for it: between two probers nobody has them meanwhile.
	heartbeatInterval = 500 * time.Millisecond
	// followRebalanceTimeout is what a rebalance leaves to each member, far beyond what handing over takes.
	followRebalanceTimeout = 30 * time.Second
	// accountEvery is how often the group is told how far this prober has accounted for its slots; what is newer is begun or written
	// as missed once more after a kill, with the same ids.
	accountEvery = 2 * time.Second
	// handOverPatience is how long running checks hold up a hand-over. Those that take longer end here, and are told apart.
	handOverPatience = time.Second
	// groupTimeout bounds a question to the group's coordinator, and groupPause lies between two of them.
	groupTimeout = 5 * time.Second
	groupPause   = 500 * time.Millisecond
	// commitAgain is when a commit that the group refused is tried again; it refuses them while it deals out partitions.
	commitAgain = 200 * time.Millisecond
	// definitionsAtOnce is how many definitions the scheduler is given at once.
	definitionsAtOnce = 5000
)

// Follow says where the definitions of targets are. The probers of a location are a consumer group: each has the targets of the
// partitions that the group gives it, reads these from their start whenever it gets them, and commits how far it has accounted
// for their slots as the metadata of the group's offsets.
type Follow struct {
	// Kafka has the options that say where Kafka is and how to sign in.
	Kafka []kgo.Opt
	// Topic is [schemas.TopicTargets], or one's own.
	Topic string
	// Group is the consumer group; [GroupOf] the location unless one's own.
	Group string
	// Decoder is that of the topic's schema.
	Decoder *schemas.DecoderOf[event.TargetDefined]
	// SessionTimeout is how long a prober that is not heard of keeps its targets; 0 means DefaultSessionTimeout.
	SessionTimeout time.Duration
}

// GroupOf returns the consumer group of a location's probers.
func GroupOf(location string) string { return "webcheck-prober-" + location }

// follower gives a prober the targets that its group assigns to it. Its callbacks run one after the other and never beside a poll.
type follower struct {
	Follow
	logger *slog.Logger
	prober *Prober
	client *kgo.Client
	admin  *kadm.Client

	mu      sync.Mutex
	mine    map[int32]bool // what the group gave us
	loading map[int32]*loading
	read    map[int32]kgo.EpochOffset // the next offset of each partition
	joined  bool
	trouble error // of the last poll

	loaded chan struct{} // a partition was, and the group does not know yet how far it is accounted for
}

// loading is a partition that is read from its start to the end that it had.
type loading struct {
	start, end  int64 // 0 and 0 where there is nothing
	until       accounted
	definitions map[string]defined
	heard       time.Time // when the partition last brought something
}

func newFollower(f Follow, c Config, p *Prober) *follower {
	if f.Group == "" {
		f.Group = GroupOf(c.Location)
	}
	if f.SessionTimeout == 0 {
		f.SessionTimeout = DefaultSessionTimeout
	}
	return &follower{
		Follow: f, logger: c.Logger, prober: p,
		mine: make(map[int32]bool), loading: make(map[int32]*loading), read: make(map[int32]kgo.EpochOffset),
		loaded: make(chan struct{}, 1),
	}
}

// handOverTime is within how long a target goes from one prober to another, also where the first was killed.
func (p *Prober) handOverTime() time.Duration {
	if p.follow == nil {
		return 0
	}
	return p.follow.SessionTimeout + followRebalanceTimeout
}

func (f *follower) options() []kgo.Opt {
	return append(slices.Clone(f.Kafka),
		kgo.ConsumeTopics(f.Topic),
		kgo.ConsumerGroup(f.Group),
		kgo.Balancers(kgo.CooperativeStickyBalancer()), // who keeps a partition goes on checking meanwhile
		kgo.SessionTimeout(f.SessionTimeout),
		kgo.HeartbeatInterval(min(heartbeatInterval, f.SessionTimeout/3)),
		kgo.RebalanceTimeout(followRebalanceTimeout),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(f.assigned),
		kgo.OnPartitionsRevoked(f.revoked),
		kgo.OnPartitionsLost(f.lost),
		kgo.AdjustFetchOffsetsFn(fromStart),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxBytes(followFetchBytes),
		kgo.FetchMaxWait(fetchWait), // a partition that is assigned waits for the fetch in hand
		kgo.KeepControlRecords(),    // the end of a partition may be one
	)
}

// followFetchBytes bounds what a fetch brings, and so the memory of a start with a million targets.
const followFetchBytes = 8 << 20

// fromStart has every partition read from its start: what a prober knows ends with its assignment.
func fromStart(_ context.Context, fetched map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	for _, partitions := range fetched {
		for p := range partitions {
			partitions[p] = kgo.NewOffset().AtStart()
		}
	}
	return fetched, nil
}

// open makes the client. The group is joined with the first poll.
func (f *follower) open() error {
	if f.client != nil {
		return nil
	}
	client, err := kgo.NewClient(f.options()...)
	if err != nil {
		return fmt.Errorf("preparing a Kafka client: %w", err)
	}
	f.client, f.admin = client, kadm.NewClient(client)
	return nil
}

// run follows the definitions until ctx ends; Kafka's absence only delays it. The client stays, until leave.
func (f *follower) run(ctx context.Context) error {
	if err := f.open(); err != nil {
		return err
	}
	var commits sync.WaitGroup
	commits.Go(func() { f.commitMarks(ctx) })
	defer commits.Wait()
	for ctx.Err() == nil {
		poll, cancel := context.WithTimeout(ctx, quietTime)
		fetches := f.client.PollRecords(poll, definitionsAtOnce)
		cancel()
		f.take(ctx, fetches)
		f.client.AllowRebalance()
	}
	return nil
}

// take applies what a poll brought.
func (f *follower) take(ctx context.Context, fetches kgo.Fetches) {
	var trouble error
	for _, failed := range fetches.Errors() {
		if !errors.Is(failed.Err, context.DeadlineExceeded) && !errors.Is(failed.Err, context.Canceled) {
			trouble = fmt.Errorf("reading %q: %w", f.Topic, failed.Err)
		}
	}
	if trouble != nil || fetches.NumRecords() > 0 {
		f.say(trouble)
	}
	records := make(map[int32][]*kgo.Record)
	fetches.EachRecord(func(r *kgo.Record) { records[r.Partition] = append(records[r.Partition], r) })
	changes := make(map[int32][]change)
	var decoding sync.WaitGroup
	for _, records := range records {
		decoding.Go(func() { // what a start takes is decoding, and there are more cores than one
			decoded := make([]change, len(records))
			for i, r := range records {
				decoded[i] = f.decode(ctx, r)
			}
			f.note(records[len(records)-1], decoded, changes)
		})
	}
	decoding.Wait()
	whole := f.whole(ctx)
	f.claim(ctx, whole)
	for _, p := range whole {
		f.finishLoading(p)
	}
	if len(changes) > 0 {
		f.prober.do(func() { f.prober.apply(changes) })
	}
}

// whole returns the partitions that are read to the ends that they had when they were assigned.
func (f *follower) whole(ctx context.Context) (whole []int32) {
	quiet := topicReader{client: f.client, topic: f.Topic, next: make(map[int32]int64), ends: make(map[int32]int64)}
	f.mu.Lock()
	for p, l := range f.loading {
		next := max(l.start, f.read[p].Offset)
		switch {
		case next >= l.end:
			whole = append(whole, p)
		case time.Since(l.heard) >= quietTime:
			quiet.next[p], quiet.ends[p], l.heard = next, l.end, time.Now()
		}
	}
	f.mu.Unlock()
	if asked := slices.Collect(maps.Keys(quiet.ends)); len(asked) > 0 {
		ctx, cancel := context.WithTimeout(ctx, groupTimeout)
		defer cancel()
		if err := quiet.dropEnded(ctx); err != nil {
			f.say(fmt.Errorf("reading %q: %w", f.Topic, err))
		}
		for _, p := range asked {
			if _, more := quiet.ends[p]; !more {
				whole = append(whole, p)
			}
		}
	}
	slices.Sort(whole)
	return whole
}

// change is one record of the topic: a definition; a removal, which has no target; or nothing, which has no id either.
type change struct {
	id string
	defined
}

// note keeps the changes of a partition, and the position behind last, which brought the last of them.
func (f *follower) note(last *kgo.Record, decoded []change, changes map[int32][]change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.read[last.Partition] = kgo.EpochOffset{Epoch: last.LeaderEpoch, Offset: last.Offset + 1}
	decoded = slices.DeleteFunc(decoded, func(c change) bool { return c.id == "" })
	l := f.loading[last.Partition]
	if l == nil {
		if len(decoded) > 0 {
			changes[last.Partition] = decoded
		}
		return
	}
	l.heard = time.Now()
	for _, c := range decoded {
		if c.target == nil {
			delete(l.definitions, c.id)
		} else {
			l.definitions[c.id] = c.defined
		}
	}
}

// apply gives the prober changed definitions of partitions that are its own.
func (p *Prober) apply(changes map[int32][]change) {
	for partition, all := range changes {
		s := p.shares[partition]
		if s == nil {
			continue
		}
		for _, c := range all {
			if c.target == nil {
				p.remove(s, c.id)
			} else {
				p.define(s, c.defined)
			}
		}
		p.config.Logger.Info("definitions changed", "partition", partition, "definitions", len(all), "targets", len(s.targets))
	}
}

// decode reads a record.
func (f *follower) decode(ctx context.Context, r *kgo.Record) change {
	id := string(r.Key)
	switch {
	case r.Attrs.IsControl():
		return change{}
	case len(r.Value) == 0:
		return change{id: id}
	}
	for {
		d, cause, err := decodeDefinition(ctx, f.Decoder, r)
		switch {
		case cause != nil:
			f.logger.Error("definition not read; the one before stays in force", "target", clean(id, maxAssertionValueBytes), "partition", r.Partition, "offset", r.Offset, "err", cause)
			return change{}
		case err == nil:
			return change{id: id, defined: newDefined(&d, r.Timestamp)}
		}
		f.say(err) // the registry is away
		select {
		case <-time.After(groupPause):
		case <-ctx.Done():
			return change{}
		}
	}
}

// newDefined is d as the prober takes it. Of a target that this build cannot check it keeps what its slots need.
func newDefined(d *event.TargetDefined, at time.Time) defined {
	t, err := ParseDefinition(d.Definition)
	if err == nil && t.ID != d.TargetID {
		err = fmt.Errorf("the definition is that of %q", t.ID)
	}
	if err == nil {
		return defined{target: &t, version: d.DefinitionVersion, at: at.UnixMilli()}
	}
	t = NewTarget(d.TargetID, d.URL)
	t.Interval = min(max(time.Duration(d.IntervalMs)*time.Millisecond, MinInterval), MaxInterval)
	t.Timeout = DefaultTimeoutFor(t.Interval)
	text := "this prober cannot read the target's definition: " + err.Error()
	return defined{target: &t, version: d.DefinitionVersion, unable: clean(text, maxFailureTextBytes), at: at.UnixMilli()}
}

// finishLoading gives the prober the targets of a partition that is read to its end.
func (f *follower) finishLoading(partition int32) {
	f.mu.Lock()
	l := f.loading[partition]
	delete(f.loading, partition)
	last := len(f.loading) == 0
	f.mu.Unlock()
	targets := 0
	f.prober.do(func() {
		s := f.prober.shares[partition]
		if s == nil {
			s = newShare(partition)
			f.prober.shares[partition] = s
		}
		f.prober.takeOver(s, slices.Collect(maps.Values(l.definitions)), l.until)
		targets = f.prober.targets()
	})
	select {
	case f.loaded <- struct{}{}:
	default:
	}
	f.logger.Debug("partition loaded", "topic", f.Topic, "partition", partition, "targets", len(l.definitions))
	if last {
		f.logger.Info("targets loaded", "topic", f.Topic, "targets", targets)
	}
}

// say logs what keeps the definitions from being read, once, and once that they are again.
func (f *follower) say(trouble error) {
	f.mu.Lock()
	before := f.trouble
	f.trouble = trouble
	f.mu.Unlock()
	switch {
	case trouble != nil && before == nil:
		f.logger.Warn("definitions are not followed; the targets are checked as they were defined last", "err", trouble)
	case trouble == nil && before != nil:
		f.logger.Info("definitions are followed again")
	}
}

// ready says why not all targets are checked that this prober would have.
func (f *follower) ready() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case !f.joined:
		return fmt.Errorf("the consumer group %q has given this prober no targets yet", f.Group)
	case len(f.loading) > 0:
		return fmt.Errorf("reading the definitions of partitions %v", slices.Sorted(maps.Keys(f.loading)))
	}
	return nil
}
