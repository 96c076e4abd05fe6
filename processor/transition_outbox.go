package processor

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/db"
	"webcheck/gen/event"
	"webcheck/schemas"
)

// publishTransitions is how many transitions are published at once.
const publishTransitions = 500

// transitionOutbox is the transitions in PostgreSQL that their topic does not have. One that is published twice has the same id
// both times; those of one target are published in their order.
type transitionOutbox struct {
	topic    string
	pool     *pgxpool.Pool
	queries  *db.Queries
	registry *schemas.Registry
	register bool // the schema may be registered by this program
	encoder  *schemas.EncoderOf[event.TargetTransitioned]
}

// publishSome publishes the oldest transitions and removes them in one transaction, which keeps other publishers away.
func (o *transitionOutbox) publishSome(ctx context.Context, client *kgo.Client) (more bool, err error) {
	err = pgx.BeginFunc(ctx, o.pool, func(tx pgx.Tx) error {
		mine, err := o.queries.TryLockOutbox(ctx, tx)
		if err != nil || !mine {
			return err
		}
		rows, err := o.queries.ListOutbox(ctx, tx, publishTransitions)
		if err != nil {
			return fmt.Errorf("reading the outbox: %w", err)
		}
		more = len(rows) == publishTransitions
		if len(rows) == 0 {
			return nil
		}
		records, numbers, err := o.encode(ctx, rows)
		if err != nil {
			return err
		}
		if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
			return fmt.Errorf("publishing transitions: %w", err)
		}
		return o.queries.DeleteOutbox(ctx, tx, numbers)
	})
	return more, err
}

func (o *transitionOutbox) encode(ctx context.Context, rows []db.Outbox) (records []*kgo.Record, numbers []int64, err error) {
	if o.encoder == nil {
		if o.encoder, err = o.newEncoder(ctx); err != nil {
			return nil, nil, err
		}
	}
	for _, row := range rows {
		e := transitionedEvent(row)
		value, err := o.encoder.AppendEncode(nil, &e)
		if err != nil {
			return nil, nil, fmt.Errorf("encoding transition %q: %w", e.EventID, err)
		}
		records = append(records, &kgo.Record{Topic: o.topic, Key: []byte(e.TargetID), Value: value})
		numbers = append(numbers, row.Number)
	}
	return records, numbers, nil
}

func (o *transitionOutbox) newEncoder(ctx context.Context) (*schemas.EncoderOf[event.TargetTransitioned], error) {
	schema := schemas.TargetTransitioned(o.topic)
	find := o.registry.LookUp
	if o.register {
		find = o.registry.Register
	}
	id, err := find(ctx, schema)
	if err != nil {
		return nil, fmt.Errorf("finding the schema of %s: %w", o.topic, err)
	}
	return schemas.NewEncoderOf[event.TargetTransitioned](schema, id), nil
}

func transitionedEvent(row db.Outbox) event.TargetTransitioned {
	return event.TargetTransitioned{
		EventID: row.EventID, TargetID: row.TargetID, DefinitionVersion: row.DefinitionVersion, Slot: row.Slot, From: row.From, To: row.To,
		CauseEventID: row.CauseEventID, CauseLocation: row.CauseLocation, Failure: row.Failure, FailureText: row.FailureText,
		Flapping: row.Flapping, LocationsDown: row.LocationsDown, LocationsReporting: row.LocationsReporting, Kind: row.Kind,
		IncidentOpenedAt: row.IncidentOpenedAt,
	}
}
