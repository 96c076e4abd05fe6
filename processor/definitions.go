package processor

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/event"
	"webcheck/schemas"
)

// definitionsPerTransaction bounds what one transaction of definitions locks.
const definitionsPerTransaction = 500

// definitions reads webcheck.targets, from its start at each run, and stores what it did not know: the topic is compacted and
// storing is idempotent, so that no offset has to be kept, and every processor may read all of it.
type definitions struct {
	topic   string
	kafka   []kgo.Opt
	decoder *schemas.DecoderOf[event.TargetDefined]
	store   *store
	outage  outage
	buried  func() // called when there are new dead letters
}

// run stores definitions until ctx ends, and waits out trouble.
func (d *definitions) run(ctx context.Context) error {
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.ConsumeTopics(d.topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxBytes(fetchMaxPartitionBytes), kgo.FetchMaxPartitionBytes(fetchMaxPartitionBytes),
		kgo.MaxConcurrentFetches(1),
	}, d.kafka...)...)
	if err != nil {
		return &PermanentError{Err: fmt.Errorf("making the Kafka client for definitions: %w", err)}
	}
	defer client.Close()
	for ctx.Err() == nil {
		fetches := client.PollRecords(ctx, definitionsPerTransaction)
		if err := fetches.Err0(); err != nil && ctx.Err() == nil {
			d.outage.begin(fmt.Errorf("reading %s: %w", d.topic, err))
		}
		if err := d.keep(ctx, fetches.Records()); err != nil {
			return err
		}
	}
	return nil
}

// keep stores the definitions among records, however often it takes; only a PermanentError, or tables that do not fit, make it
// give up.
func (d *definitions) keep(ctx context.Context, records []*kgo.Record) error {
	pauses := newPauses()
	for len(records) > 0 {
		err := d.apply(ctx, records)
		switch {
		case err == nil:
			d.outage.end()
			return nil
		case ctx.Err() != nil:
			return nil
		case isPermanent(err):
			return err
		}
		d.outage.begin(err)
		if !pause(ctx, pauses.NextBackOff()) {
			return nil
		}
	}
	return nil
}

func (d *definitions) apply(ctx context.Context, records []*kgo.Record) error {
	ctx, cancel := context.WithTimeout(ctx, batchTimeout)
	defer cancel()
	if err := checkMigrated(ctx, d.store.pool); err != nil {
		return err
	}
	var defined []event.TargetDefined
	var letters []letter
	for _, record := range records {
		if record.Value == nil {
			continue // the target was removed; what its definitions said stays true of the checks
		}
		var e event.TargetDefined
		err := d.decoder.Decode(ctx, record.Value, &e)
		if err != nil && !errors.Is(err, schemas.ErrUndecodable) {
			return fmt.Errorf("decoding %v: %w", positionOf(record), err)
		}
		if err == nil {
			err = checkDefinition(&e)
		}
		if err != nil {
			letters = append(letters, newLetter(record, err))
			continue
		}
		defined = append(defined, e)
	}
	if _, err := d.store.define(ctx, defined); err != nil {
		return err
	}
	if err := d.store.writeLetters(ctx, d.store.pool, letters); err != nil {
		return fmt.Errorf("writing dead letters: %w", err)
	}
	if len(letters) > 0 {
		d.buried()
	}
	return nil
}

// checkDefinition refuses what PostgreSQL's text has no room for, and what names no target.
func checkDefinition(e *event.TargetDefined) error {
	for _, field := range e.Pointers() {
		if hasNUL(field) {
			return fmt.Errorf("checking the definition of %q: a NUL in its text", e.TargetID)
		}
	}
	if e.TargetID == "" || e.DefinitionVersion == "" {
		return errors.New("checking a definition: no target id or no version")
	}
	if err := checkKeys(e.TargetID, e.DefinitionVersion); err != nil {
		return fmt.Errorf("checking a definition: %w", err)
	}
	return nil
}
