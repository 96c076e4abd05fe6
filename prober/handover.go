package prober

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// assigned begins to load the partitions that the group gives this prober.
func (f *follower) assigned(ctx context.Context, _ *kgo.Client, assigned map[string][]int32) {
	partitions := slices.Sorted(slices.Values(assigned[f.Topic]))
	loads := f.prepare(ctx, partitions)
	f.mu.Lock()
	f.joined = true
	for p, l := range loads {
		f.mine[p], f.loading[p] = true, l
		delete(f.read, p)
	}
	mine := maps.Clone(f.mine)
	f.mu.Unlock()
	f.prober.do(func() { f.prober.dropOthers(mine) })
	f.say(nil)
	f.logger.Info("partitions assigned", "topic", f.Topic, "partitions", partitions)
}

// prepare asks until which moment the slots of partitions are accounted for, and where the partitions end.
func (f *follower) prepare(ctx context.Context, partitions []int32) map[int32]*loading {
	if len(partitions) == 0 {
		return nil
	}
	var marks map[int32]accounted
	reader := topicReader{client: f.client, topic: f.Topic}
	for attempt := 1; ; attempt++ {
		limited, cancel := context.WithTimeout(ctx, groupTimeout)
		var err error
		if marks, err = f.committed(limited); err == nil {
			err = reader.bound(limited)
		}
		cancel()
		if err == nil {
			break
		}
		f.logger.Warn("asking for what is accounted for", "attempt", attempt, "err", err)
		select {
		case <-time.After(groupPause):
		case <-ctx.Done():
			return nil
		case <-f.prober.ended:
			return nil
		}
	}
	loads := make(map[int32]*loading, len(partitions))
	for _, p := range partitions {
		loads[p] = &loading{start: reader.next[p], end: reader.ends[p], until: marks[p], definitions: make(map[string]defined), heard: time.Now()}
	}
	return loads
}

// committed returns what the group knows to be accounted for.
func (f *follower) committed(ctx context.Context) (map[int32]accounted, error) {
	offsets, err := f.admin.FetchOffsets(ctx, f.Group)
	if err == nil {
		err = offsets.Error()
	}
	if err != nil {
		return nil, fmt.Errorf("reading the offsets of group %q: %w", f.Group, err)
	}
	marks := make(map[int32]accounted)
	offsets.Each(func(o kadm.OffsetResponse) {
		if o.Topic != f.Topic {
			return
		}
		a, err := parseAccounted(o.Metadata)
		if err != nil { // somebody else's: nothing is known then
			f.logger.Warn("the group's offset has metadata that is not ours", "partition", o.Partition, "err", err)
		}
		marks[o.Partition] = a
	})
	return marks, nil
}

// dropOthers gives up the shares that were lost and did not come back.
func (p *Prober) dropOthers(mine map[int32]bool) {
	for partition, s := range p.shares {
		if partition != fixed && !mine[partition] {
			p.lose(s)
		}
	}
}

// revoked hands partitions over: no check of their targets is begun any more, those that run have a moment to end, and the group is
// told how far the slots are accounted for.
func (f *follower) revoked(ctx context.Context, _ *kgo.Client, revoked map[string][]int32) {
	partitions := slices.Sorted(slices.Values(revoked[f.Topic]))
	var shares []*share
	f.prober.do(func() {
		for _, partition := range partitions {
			if s := f.prober.shares[partition]; s != nil {
				f.prober.lose(s)
				shares = append(shares, s)
			}
		}
	})
	f.forget(partitions)
	patience := time.NewTimer(handOverPatience)
	defer patience.Stop()
	for _, s := range shares {
		select {
		case <-f.prober.books.drained(s):
			continue
		case <-patience.C:
		case <-ctx.Done():
		}
		break
	}
	var marks map[int32]accounted
	f.prober.do(func() { marks = f.prober.accountedFor(shares...) })
	f.commitLast(ctx, marks)
	f.logger.Info("partitions handed over", "topic", f.Topic, "partitions", partitions)
}

// lost is called when the group has given up on this prober, most often because Kafka was away. Its targets are checked on until it
// is known whose they are: no event counts twice, and none is missing where nobody else can reach Kafka either.
func (f *follower) lost(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
	if len(lost[f.Topic]) == 0 {
		return
	}
	f.forget(lost[f.Topic])
	f.logger.Warn("partitions lost; their targets are checked on until the group is joined again", "topic", f.Topic, "partitions", lost[f.Topic])
}

// forget takes partitions out of those that the group gave this prober.
func (f *follower) forget(partitions []int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range partitions {
		delete(f.mine, p)
		delete(f.loading, p)
	}
}

// claim tells the group, of partitions that nobody has accounted for yet, that this prober does from now on, before it begins a check:
// killed right after its first one, it would otherwise leave slots that nobody knows of.
func (f *follower) claim(ctx context.Context, partitions []int32) {
	now := accounted{until: f.prober.now().UnixMilli()}
	marks := make(map[int32]accounted)
	f.mu.Lock()
	for _, p := range partitions {
		if l := f.loading[p]; l != nil && l.until.until == 0 {
			l.until, marks[p] = now, now
		}
	}
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, groupTimeout)
	defer cancel()
	for f.commit(ctx, marks) != nil {
		select {
		case <-time.After(commitAgain):
		case <-ctx.Done(): // it checks nevertheless
			return
		}
	}
}

// commitMarks tells the group regularly how far the slots are accounted for, until ctx ends.
func (f *follower) commitMarks(ctx context.Context) {
	timer := time.NewTimer(accountEvery)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-f.loaded:
		case <-ctx.Done():
			return
		}
		limited, cancel := context.WithTimeout(ctx, groupTimeout)
		var marks map[int32]accounted
		f.prober.do(func() { marks = f.loadedMarks() })
		err := f.commit(limited, marks)
		cancel()
		if timer.Reset(accountEvery); err != nil && ctx.Err() == nil {
			f.logger.Debug("telling the group what is accounted for", "err", err)
			timer.Reset(commitAgain)
		}
	}
}

// loadedMarks returns how far the partitions are accounted for that are this prober's and loaded. It belongs to the scheduler.
func (f *follower) loadedMarks() map[int32]accounted {
	f.mu.Lock()
	defer f.mu.Unlock()
	var shares []*share
	for partition, s := range f.prober.shares {
		if f.mine[partition] && f.loading[partition] == nil {
			shares = append(shares, s)
		}
	}
	return f.prober.accountedFor(shares...)
}

// commitLast is commit where this prober cannot try again.
func (f *follower) commitLast(ctx context.Context, marks map[int32]accounted) {
	if err := f.commit(ctx, marks); err != nil {
		f.logger.Warn("telling the group what is accounted for; the next prober writes some slots once more", "err", err)
	}
}

// commit writes marks as the metadata of the group's offsets. The group refuses those of a member that it has given up on.
func (f *follower) commit(ctx context.Context, marks map[int32]accounted) error {
	if len(marks) == 0 {
		return nil
	}
	offsets := make(map[int32]kgo.EpochOffset, len(marks))
	f.mu.Lock()
	for p := range marks {
		offsets[p] = f.read[p] // for lag tools; nobody starts there
	}
	f.mu.Unlock()
	ctx = kgo.PreCommitFnContext(ctx, func(request *kmsg.OffsetCommitRequest) error {
		for t := range request.Topics {
			for i := range request.Topics[t].Partitions {
				p := &request.Topics[t].Partitions[i]
				text := marks[p.Partition].String()
				p.Metadata = &text
			}
		}
		return nil
	})
	var refused error
	f.client.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{f.Topic: offsets}, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, response *kmsg.OffsetCommitResponse, err error) {
		refused = err
		if err != nil {
			return
		}
		for _, t := range response.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					refused = errors.Join(refused, fmt.Errorf("partition %d: %w", p.Partition, err))
				}
			}
		}
	})
	if refused != nil {
		return fmt.Errorf("committing to group %q: %w", f.Group, refused)
	}
	return nil
}

// leave tells the group how far everything is accounted for and leaves it. The scheduler must have ended.
func (f *follower) leave(ctx context.Context) {
	if f.client == nil {
		return
	}
	f.commitLast(ctx, f.loadedMarks())
	f.client.Close()
}
