package prober

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"webcheck/embedded/testservices/seed"
	"webcheck/gen/event"
)

// network is a dial function of canaries that a test makes fail, and takes note of.
type network struct {
	mu     sync.Mutex
	gone   bool
	delay  time.Duration
	dialed []time.Time
	began  map[time.Time]bool // whether it was gone for all that a round dialed at its beginning
}

func newNetwork() *network { return &network{began: make(map[time.Time]bool)} }

func (n *network) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	n.mu.Lock()
	gone, delay := n.gone, n.delay
	now := time.Now()
	n.dialed = append(n.dialed, now)
	was, before := n.began[now]
	n.began[now] = gone && (was || !before) // set may come between the dials of one moment
	n.mu.Unlock()
	select {
	case <-time.After(delay):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if gone {
		return nil, errors.New("no route")
	}
	conn, other := net.Pipe()
	return conn, other.Close()
}

func (n *network) set(gone bool, delay time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.gone, n.delay = gone, delay
}

func testCanaries(t *testing.T, n *network) *Canaries {
	t.Helper()
	c, err := NewCanaries([]string{"192.0.2.1:443", "https://example.com/path", "http://[2001:db8::1]:8080"})
	if err != nil {
		t.Fatal(err)
	}
	c.dial = n.dial
	return c
}

var silence = down(event.FailureConnect, "connection refused")

func TestCanaryAddressesAreHostsAndPorts(t *testing.T) {
	for text, want := range map[string]string{
		"example.com:443": "example.com:443", "192.0.2.1:53": "192.0.2.1:53", "[2001:db8::1]:443": "[2001:db8::1]:443",
		"https://example.com": "example.com:443", "http://example.com/a?b": "example.com:80", "https://example.com:8443/": "example.com:8443",
	} {
		if got, err := canaryAddress(text); got != want || err != nil {
			t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", "example.com", "example.com:", ":443", "example.com:0", "example.com:70000", "ftp://example.com", "https://", "example.com:https"} {
		if _, err := NewCanaries([]string{"192.0.2.1:53", text}); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%q: got %v", text, err)
		}
	}
	if c, err := NewCanaries(nil); c != nil || err != nil {
		t.Errorf("no address: got %v, %v", c, err)
	}
}

func TestSilenceIsDownOnlyWhileACanaryIsReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		c := testCanaries(t, n)
		if got := c.hold(t.Context(), time.Now(), silence); got != silence {
			t.Errorf("with a network: %+v", got)
		}
		wait(time.Second)
		n.set(true, 0)
		got := c.hold(t.Context(), time.Now(), silence)
		if got.outcome != event.OutcomeMissed || got.failure != event.FailureOwnNetwork || !strings.Contains(got.text, "none of 3 canaries") || !strings.Contains(got.text, silence.text) {
			t.Errorf("without a network: %+v", got)
		}
	})
}

func TestRoundOfCanariesIsBoundedAndEndsWithItsFirstAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		c := testCanaries(t, n)
		for delay, want := range map[time.Duration]time.Duration{time.Minute: canaryTimeout, 700 * time.Millisecond: 700 * time.Millisecond} {
			wait(time.Minute)
			n.set(false, delay)
			began := time.Now()
			got := c.hold(t.Context(), began, silence)
			if took := time.Since(began); took != want || (got == silence) != (delay < canaryTimeout) {
				t.Errorf("canaries that need %v: %+v after %v, want %v", delay, got.outcome, took, want)
			}
		}
	})
}

func TestStopEndsTheWaitForCanaries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.set(false, time.Minute)
		c := testCanaries(t, n)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var waiting sync.WaitGroup
		for range 5 {
			waiting.Go(func() {
				began := time.Now()
				if got := c.hold(ctx, began, silence); got.failure != event.FailureShutdown || time.Since(began) != time.Second {
					t.Errorf("got %+v after %v", got, time.Since(began))
				}
			})
		}
		waiting.Wait()
	})
}

// TestRoundThatIsCutIsRunAgainByAnother cuts the check that runs a round for two.
func TestRoundThatIsCutIsRunAgainByAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork()
		n.set(false, time.Second)
		c := testCanaries(t, n)
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		var both sync.WaitGroup
		began := time.Now()
		both.Go(func() { c.hold(ctx, began, silence) })
		synctest.Wait()
		both.Go(func() {
			if got := c.hold(t.Context(), began, silence); got != silence || time.Since(began) != 1300*time.Millisecond {
				t.Errorf("got %+v after %v", got, time.Since(began))
			}
		})
		both.Wait()
	})
}

// TestManyChecksShareRoundsThatBeganAfterThem runs checks that fail at random moments on a network that comes and goes: each
// verdict is that of a round that began after its check, rounds are rare, and none waits for long.
func TestManyChecksShareRoundsThatBeganAfterThem(t *testing.T) {
	random := seed.Random(t)
	for range seed.Runs(t, 30) {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork()
			c := testCanaries(t, n)
			var checks sync.WaitGroup
			start := time.Now()
			for range 300 {
				began := start.Add(time.Duration(random.IntN(20_000)) * time.Millisecond)
				took := time.Duration(random.IntN(3000)) * time.Millisecond
				checks.Go(func() {
					wait(time.Until(began.Add(took)))
					asked := time.Now()
					got := c.hold(t.Context(), began, silence)
					n.checkVerdict(t, began, got)
					if waited := time.Since(asked); waited > 2*canaryTimeout+2*canaryPause {
						t.Errorf("a verdict was held for %v", waited)
					}
				})
			}
			for range 40 {
				delay := time.Duration(random.IntN(2500)) * time.Millisecond
				wait(time.Duration(random.IntN(1000)) * time.Millisecond)
				n.set(random.IntN(2) == 0, delay)
			}
			checks.Wait()
			for i := 3; i < len(n.dialed); i++ {
				if gap := n.dialed[i].Sub(n.dialed[i-3]); gap < canaryPause {
					t.Errorf("two rounds began within %v", gap)
				}
			}
		})
	}
}

// checkVerdict holds that some round began after a check did, and that one of them explains the verdict.
func (n *network) checkVerdict(t *testing.T, began time.Time, got verdict) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	asked, present := false, false
	for at, gone := range n.began {
		if !at.Before(began) {
			asked, present = true, present || !gone
		}
	}
	if !asked || got == silence && !present || got != silence && got.failure != event.FailureOwnNetwork {
		t.Errorf("%+v: asked %t, network there %t", got, asked, present)
	}
}

func TestAnswerOfATargetIsNoSilence(t *testing.T) {
	for _, v := range []verdict{
		{outcome: event.OutcomeUp}, down(event.FailureStatus, ""), down(event.FailureBody, ""), down(event.FailureTls, ""), down(event.FailureCertificate, ""),
		down(event.FailureRedirect, ""), down(event.FailureProtocol, ""), ownFault(event.FailureOwnNetwork, ""),
	} {
		if isSilence(v, new(observation)) {
			t.Errorf("%+v counts as silence", v)
		}
	}
	if isSilence(down(event.FailureTimeout, ""), &observation{status: 200}) {
		t.Error("a body that never ends counts as silence")
	}
}

// TestCheckWithoutItsNetworkMeasuresNothing checks a port that refuses.
func TestCheckWithoutItsNetworkMeasuresNothing(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := NewTarget("home", "http://"+listener.Addr().String())
	listener.Close()
	n := newNetwork()
	c := newChecker()
	if e := c.check(t.Context(), &target, "v"); e.Outcome != event.OutcomeDown {
		t.Fatalf("without canaries: %s", e.Outcome)
	}
	c.canaries = testCanaries(t, n)
	if e := c.check(t.Context(), &target, "v"); e.Outcome != event.OutcomeDown || text(e.Failure) != event.FailureConnect {
		t.Errorf("with a network: %s %s", e.Outcome, text(e.Failure))
	}
	n.set(true, 0)
	e := c.check(t.Context(), &target, "v")
	if e.Outcome != event.OutcomeMissed || text(e.Failure) != event.FailureOwnNetwork || e.Attempts != 0 {
		t.Errorf("without a network: %s %s %d", e.Outcome, text(e.Failure), e.Attempts)
	}
}
