package schemas

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/sr"

	"webcheck/gen/event"
)

func TestDecodeWaitsForARegistryThatIsAway(t *testing.T) {
	for _, status := range []int{http.StatusInternalServerError, http.StatusServiceUnavailable, http.StatusUnauthorized,
		http.StatusForbidden, http.StatusTooManyRequests, http.StatusNotFound, http.StatusBadGateway} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			f := &fakeRegistry{}
			f.put(1, checkCompletedText)
			d := NewDecoder(f.start(t), CheckCompleted(TopicChecks))
			value := encode(t, CheckCompleted(TopicChecks), 1, usualEvent())
			f.status.Store(int64(status))
			for range 3 {
				err := d.Decode(context.Background(), value, new(event.CheckCompleted))
				registry, ok := errors.AsType[*RegistryError](err)
				if errors.Is(err, ErrUndecodable) || !ok || registry.Status != status || hintOf(err) == "" {
					t.Fatalf("got %v, want a RegistryError with status %d", err, status)
				}
			}
			f.status.Store(0)
			if diff := cmp.Diff(*usualEvent(), mustDecode(t, d, value)); diff != "" {
				t.Error(diff)
			}
			f.status.Store(int64(status))
			mustDecode(t, d, value) // what is known needs no registry
		})
	}
}

func TestDecodeWaitsForARegistryThatDoesNotListen(t *testing.T) {
	client, err := sr.NewClient(sr.URLs("http://127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	d := NewDecoder(NewRegistry(client), CheckCompleted(TopicChecks))
	value := encode(t, CheckCompleted(TopicChecks), 1, usualEvent())
	err = d.Decode(context.Background(), value, new(event.CheckCompleted))
	if _, ok := errors.AsType[*RegistryError](err); !ok || errors.Is(err, ErrUndecodable) {
		t.Errorf("got %v", err)
	}
}

func TestConcurrentDecodesAskOnce(t *testing.T) {
	f := &fakeRegistry{hold: make(chan struct{})}
	f.put(1, checkCompletedText)
	d := NewDecoder(f.start(t), CheckCompleted(TopicChecks))
	value := encode(t, CheckCompleted(TopicChecks), 1, usualEvent())
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 50 {
				var got event.CheckCompleted
				if err := d.Decode(context.Background(), value, &got); err != nil {
					t.Error(err)
				} else if diff := cmp.Diff(*usualEvent(), got); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
	close(f.hold)
	wg.Wait()
	if n := f.requests.Load(); n != 1 {
		t.Errorf("the registry was asked %d times", n)
	}
}

func TestAnUnknownIDIsAskedForAgainAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := &transport{status: http.StatusNotFound, body: `{"error_code":40403,"message":"none"}`}
		d := NewDecoder(answers.registry(t), CheckCompleted(TopicChecks))
		value := encode(t, CheckCompleted(TopicChecks), 7, usualEvent())
		for range 100 {
			if err := d.Decode(t.Context(), value, new(event.CheckCompleted)); !errors.Is(err, ErrUnknownSchema) || !errors.Is(err, ErrUndecodable) {
				t.Fatalf("got %v", err)
			}
		}
		if answers.requests != 1 {
			t.Errorf("the registry was asked %d times at once", answers.requests)
		}
		<-time.After(unknownFor)
		_ = d.Decode(t.Context(), value, new(event.CheckCompleted))
		if answers.requests != 2 {
			t.Errorf("the registry was asked %d times after a while, want 2", answers.requests)
		}
	})
}

// TestOneWhoLeavesDoesNotTakeTheOthersAlong cancels the Decode whose fetch others wait for.
func TestOneWhoLeavesDoesNotTakeTheOthersAlong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := &transport{hold: make(chan struct{})}
		d := NewDecoder(answers.registry(t), CheckCompleted(TopicChecks))
		value := encode(t, CheckCompleted(TopicChecks), 1, usualEvent())
		first, leave := context.WithCancel(t.Context())
		var firstErr, secondErr error
		go func() { firstErr = d.Decode(first, value, new(event.CheckCompleted)) }()
		synctest.Wait()
		go func() { secondErr = d.Decode(t.Context(), value, new(event.CheckCompleted)) }()
		synctest.Wait()
		leave()
		synctest.Wait()
		close(answers.hold)
		synctest.Wait()
		if !errors.Is(firstErr, context.Canceled) || errors.Is(firstErr, ErrUndecodable) {
			t.Errorf("the one who left got %v", firstErr)
		}
		if secondErr != nil {
			t.Errorf("the one who stayed got %v", secondErr)
		}
	})
}

func TestDecodeEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	d := decoderOf(t, checkCompletedText)
	err := d.Decode(ctx, encode(t, CheckCompleted(TopicChecks), 1, usualEvent()), new(event.CheckCompleted))
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrUndecodable) {
		t.Errorf("got %v", err)
	}
}

func TestCachesStayBounded(t *testing.T) {
	c := newWriterCache()
	for id := range 5000 {
		c.put(id, nil, ErrUndecodable)
		c.putUnknown(-id, ErrUndecodable)
	}
	if len(c.known) != maxWriters || len(c.unknown) != maxUnknown {
		t.Errorf("%d known and %d unknown ids are kept", len(c.known), len(c.unknown))
	}
	if _, err, ok := c.get(4999); !ok || err == nil {
		t.Error("the last one put is not there")
	}
}
