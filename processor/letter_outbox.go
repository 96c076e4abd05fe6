package processor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/gen/db"
)

// publishLetters is how many letters are held in memory at once; each may be as large as a record can be.
const publishLetters = 20

// letterOutbox is the dead letters in PostgreSQL that their topic does not have. A letter that is published twice has the same
// origin headers both times.
type letterOutbox struct {
	topic   string
	pool    *pgxpool.Pool
	queries *db.Queries
	logger  *slog.Logger
}

// publishSome publishes the oldest letters and marks them in the transaction that locks them against other publishers.
func (o *letterOutbox) publishSome(ctx context.Context, client *kgo.Client) (more bool, err error) {
	err = pgx.BeginFunc(ctx, o.pool, func(tx pgx.Tx) error {
		rows, err := o.queries.LockUnpublishedDeadLetters(ctx, tx, publishLetters)
		if err != nil {
			return fmt.Errorf("reading dead letters: %w", err)
		}
		more = len(rows) == publishLetters
		marks := make([]db.MarkDeadLettersParams, 0, len(rows))
		for _, row := range rows {
			mark, err := o.publish(ctx, client, letter(row))
			if err != nil {
				return err
			}
			marks = append(marks, mark)
		}
		var errs []error
		o.queries.MarkDeadLetters(ctx, tx, marks).Exec(func(_ int, err error) { errs = append(errs, err) })
		return errors.Join(errs...)
	})
	return more, err
}

// publish sends one letter and waits for its acknowledgement. A letter that Kafka will never take stays in PostgreSQL and
// is said once; an error is trouble that passes.
func (o *letterOutbox) publish(ctx context.Context, client *kgo.Client, l letter) (db.MarkDeadLettersParams, error) {
	mark := db.MarkDeadLettersParams{Topic: l.Topic, Partition: l.Partition, RecordOffset: l.RecordOffset}
	record, err := l.record(o.topic)
	if err == nil {
		err = client.ProduceSync(ctx, record).FirstErr()
	}
	switch {
	case err == nil:
		mark.Published = true
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge), errors.Is(err, kerr.InvalidRecord), errors.Is(err, errHeaders):
		reason := storableText(err.Error(), maxCauseBytes)
		mark.Unpublishable = &reason
		o.logger.Error("dead letter stays in PostgreSQL, its topic refuses it", "position", l.position().String(),
			"topic", o.topic, "error", err)
	default:
		return mark, fmt.Errorf("publishing the dead letter of %v: %w", l.position(), err)
	}
	return mark, nil
}
