package processor

import (
	"errors"
	"fmt"
)

var errNotMember = errors.New("not a member of the consumer group yet")

// Ready says why the processor does not process at the moment: it is not in its group yet, or waits for Kafka, the
// registry or PostgreSQL. It gives nil when it does, and when others have all the partitions. It may be called from any
// goroutine, at any time.
func (p *Processor) Ready() error {
	if err := p.outage.trouble(); err != nil {
		return fmt.Errorf("waiting: %w", err)
	}
	if err := p.brokers.trouble(); err != nil {
		return fmt.Errorf("waiting: %w", err)
	}
	client := p.member.Load()
	if client == nil {
		return errNotMember
	}
	if _, generation := client.GroupMetadata(); generation < 0 {
		return errNotMember
	}
	return nil
}
