package prober

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"

	"webcheck/gen/event"
)

const (
	// canaryTimeout bounds a round: a host that takes longer to accept a connection is as good as none for a check.
	canaryTimeout = 2 * time.Second
	// canaryPause is the least time between the beginnings of two rounds, so that a thousand failing targets cost four
	// connections a second to each canary.
	canaryPause = 250 * time.Millisecond
)

// Canaries tell an outage of the prober's own network from one of a target: places that are not watched, and that are hardly ever
// all away at once. They are asked only after a check has failed without an answer.
type Canaries struct {
	addresses []string // host:port
	dial      func(ctx context.Context, network, address string) (net.Conn, error)

	mu    sync.Mutex
	round *canaryRound // the latest; nil before the first
}

// canaryRound is one look at all canaries.
type canaryRound struct {
	began     time.Time
	ended     chan struct{} // closed when the fields below are set
	reachable bool
	aborted   bool // the check that ran it was cut
}

// NewCanaries returns canaries at addresses, each host:port or an http or https URL, of which only host and port are used. The
// error names the first that is neither. Without an address the result is nil, which [Config] takes for no canaries.
func NewCanaries(addresses []string) (*Canaries, error) {
	if len(addresses) == 0 {
		return nil, nil
	}
	c := &Canaries{dial: (&net.Dialer{KeepAlive: -1}).DialContext}
	for _, text := range addresses {
		address, err := canaryAddress(text)
		if err != nil {
			return nil, err
		}
		c.addresses = append(c.addresses, address)
	}
	return c, nil
}

func canaryAddress(text string) (string, error) {
	if u, err := url.Parse(text); err == nil && u.Hostname() != "" && (u.Scheme == "http" || u.Scheme == "https") {
		port := u.Port()
		if port == "" {
			port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
		}
		return net.JoinHostPort(u.Hostname(), port), nil
	}
	host, port, err := net.SplitHostPort(text)
	if number, wrong := strconv.ParseUint(port, 10, 16); err != nil || wrong != nil || number == 0 || host == "" {
		return "", fmt.Errorf("%q is neither host:port nor an http or https URL", text)
	}
	return text, nil
}

// hold returns v when it says something about the target, and when a round of canaries that began after the check, at began,
// has found the network in order. Otherwise nothing was measured.
func (c *Canaries) hold(ctx context.Context, began time.Time, v verdict) verdict {
	reachable, err := c.reach(ctx, began)
	switch {
	case err != nil:
		return ownFault(event.FailureShutdown, "the prober stopped before it knew whether its own network was in order")
	case reachable:
		return v
	}
	return ownFault(event.FailureOwnNetwork, fmt.Sprintf("the prober's network: none of %d canaries could be reached; the check ended with: %s", len(c.addresses), v.text))
}

// isSilence reports whether v is down because nothing answered, which an outage of the prober's own network looks like too.
func isSilence(v verdict, o *observation) bool {
	if v.outcome != event.OutcomeDown || o.status != 0 {
		return false
	}
	return v.failure == event.FailureDns || v.failure == event.FailureConnect || v.failure == event.FailureTimeout
}

// reach reports whether a canary could be reached in a round that began at or after the given moment and within the last
// canaryPause. One caller runs a round, the others share it. The error is ctx's.
func (c *Canaries) reach(ctx context.Context, began time.Time) (bool, error) {
	for {
		round, mine := c.join(began)
		if mine {
			c.run(ctx, round)
		}
		select {
		case <-round.ended:
		case <-ctx.Done():
			return false, ctx.Err()
		}
		switch {
		case mine && ctx.Err() != nil:
			return false, ctx.Err()
		case !round.aborted && !round.began.Before(began):
			return round.reachable, nil
		}
	}
}

// join returns the round to wait for; mine is true for the one who has to run it.
func (c *Canaries) join(began time.Time) (round *canaryRound, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.round != nil {
		select {
		case <-c.round.ended:
			if !c.round.aborted && !c.round.began.Before(began) && now.Sub(c.round.began) < canaryPause {
				return c.round, false
			}
		default:
			return c.round, false
		}
	}
	next := &canaryRound{began: now, ended: make(chan struct{})}
	if c.round != nil && now.Sub(c.round.began) < canaryPause {
		next.began = c.round.began.Add(canaryPause)
	}
	c.round = next
	return next, true
}

// run waits for the round's time and connects to all canaries at once; the first that accepts ends it.
func (c *Canaries) run(ctx context.Context, round *canaryRound) {
	defer close(round.ended)
	timer := time.NewTimer(time.Until(round.began))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		round.aborted = true
		return
	}
	dialing, cancel := context.WithTimeout(ctx, canaryTimeout)
	defer cancel()
	var dials sync.WaitGroup
	answers := make(chan bool, len(c.addresses))
	for _, address := range c.addresses {
		dials.Go(func() {
			conn, err := c.dial(dialing, "tcp", address)
			if err == nil {
				_ = conn.Close() // nothing was written
			}
			answers <- err == nil
		})
	}
	for range c.addresses {
		if round.reachable = <-answers; round.reachable {
			break
		}
	}
	cancel()
	dials.Wait()
	round.aborted = !round.reachable && ctx.Err() != nil
}
