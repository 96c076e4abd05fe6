package schemas

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/sr"
	"go.uber.org/goleak"

	"webcheck/gen/event"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// maybe returns a pointer to what make makes, or nil half of the time.
func maybe[T any](rnd *rand.Rand, make func() T) *T {
	if rnd.IntN(2) == 0 {
		return nil
	}
	v := make()
	return &v
}

// randomEvent returns a valid event in which each optional field may be missing and numbers have any width.
func randomEvent(rnd *rand.Rand) *event.CheckCompleted {
	text := func(most int) string { return randomText(rnd, most) }
	number := func() int32 { return randomNumber(rnd) }
	moment := func() time.Time { return randomMoment(rnd) }
	short := func() string { return text(60) }
	flip := func() bool { return rnd.IntN(2) == 0 }
	e := &event.CheckCompleted{
		TargetID: "t" + text(80), Location: "l" + text(20), Slot: moment().Truncate(time.Millisecond), StartedAt: moment(),
		Outcome:     []string{event.OutcomeUp, event.OutcomeDegraded, event.OutcomeDown, event.OutcomeMissed}[rnd.IntN(4)],
		Failure:     maybe(rnd, func() string { return []string{event.FailureDns, event.FailureOwnFault, event.FailureTls}[rnd.IntN(3)] }),
		FailureText: maybe(rnd, func() string { return text(256) }), Assertion: maybe(rnd, short), AssertionValue: maybe(rnd, short),
		Attempts: number(), StatusCode: maybe(rnd, number), RemoteAddress: maybe(rnd, short), HTTPVersion: maybe(rnd, short),
		DNSUs: maybe(rnd, number), ConnectUs: maybe(rnd, number), TLSUs: maybe(rnd, number), FirstByteUs: maybe(rnd, number),
		TransferUs: maybe(rnd, number), TotalUs: maybe(rnd, number), BodyBytes: maybe(rnd, number), BodyTruncated: maybe(rnd, flip),
		RegexMatched: maybe(rnd, flip), CertificateExpiresAt: maybe(rnd, moment), DefinitionVersion: text(13), Prober: text(30),
	}
	e.EventID = EventID(e.TargetID, e.Location, e.Slot)
	fields := e.Pointers()
	fillSome(rnd, CheckCompleted(TopicChecks), fields[:])
	return e
}

// fillSome fills half of the fields that are null, so that a field which an event got later is seen with values too. An enum keeps
// its null, because not every symbol goes with every other.
func fillSome(rnd *rand.Rand, s *Schema, fields []any) {
	for i, f := range s.Fields() {
		to := reflect.ValueOf(fields[i]).Elem()
		if !f.Nullable || !to.IsNil() || f.Type == "enum" || rnd.IntN(2) == 0 {
			continue
		}
		value := reflect.New(to.Type().Elem())
		value.Elem().Set(reflect.ValueOf(randomValue(rnd, f.Type)))
		to.Set(value)
	}
}

// randomValue returns a value of a type of [Field].
func randomValue(rnd *rand.Rand, typ string) any {
	switch typ {
	case "boolean":
		return rnd.IntN(2) == 0
	case "int":
		return randomNumber(rnd)
	case "long":
		return int64(rnd.Uint64()) >> rnd.IntN(64)
	case "float":
		return float32(rnd.NormFloat64())
	case "double":
		return rnd.NormFloat64()
	case "uuid":
		return EventID(randomText(rnd, 9), "", randomMoment(rnd))
	case "date":
		return randomMoment(rnd).Truncate(24 * time.Hour)
	case "timestamp-millis":
		return randomMoment(rnd).Truncate(time.Millisecond)
	case "timestamp-micros":
		return randomMoment(rnd)
	case "bytes":
		return []byte("b" + randomText(rnd, 20))
	}
	return randomText(rnd, 60)
}

// randomText returns a text of fewer than most runes.
func randomText(rnd *rand.Rand, most int) string {
	const letters = "abcxyz019-_. äß€😀\x00"
	var b strings.Builder
	for n := rnd.IntN(most); n > 0; n-- {
		runes := []rune(letters)
		b.WriteRune(runes[rnd.IntN(len(runes))])
	}
	return b.String()
}

// randomNumber returns a number of any width.
func randomNumber(rnd *rand.Rand) int32 { return int32(rnd.Uint32()) >> rnd.IntN(32) }

// randomMoment returns a time in whole microseconds.
func randomMoment(rnd *rand.Rand) time.Time {
	return time.UnixMilli(rnd.Int64N(4e12)).Add(time.Duration(rnd.IntN(1000)) * time.Microsecond).UTC()
}

// usualEvent returns an event as a prober makes nearly all of them.
func usualEvent() *event.CheckCompleted {
	at := time.Date(2026, 3, 14, 15, 9, 26, 535_000_000, time.UTC)
	e := &event.CheckCompleted{
		TargetID: "example-home", Location: "eu-west", Slot: at, StartedAt: at.Add(1234 * time.Microsecond), Outcome: event.OutcomeUp,
		Attempts: 1, StatusCode: new(int32(200)), RemoteAddress: new("93.184.215.14:443"), HTTPVersion: new("2"),
		DNSUs: new(int32(1213)), ConnectUs: new(int32(10_321)), TLSUs: new(int32(21_777)), FirstByteUs: new(int32(35_001)),
		TransferUs: new(int32(812)), TotalUs: new(int32(69_124)), BodyBytes: new(int32(1256)), BodyTruncated: new(false),
		RegexMatched: new(true), CertificateExpiresAt: new(at.AddDate(0, 2, 0)), DefinitionVersion: "0a1b2c3d4e5f", Prober: "prober-1",
	}
	e.EventID = EventID(e.TargetID, e.Location, e.Slot)
	return e
}

// encode returns e as a value under schema id.
func encode[E Event](t testing.TB, s *Schema, id int, e *E) []byte {
	t.Helper()
	value, err := NewEncoderOf[E](s, id).AppendEncode(nil, e)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// fakeRegistry answers what a Decoder asks, from schemas that the test sets, and can be told to fail.
type fakeRegistry struct {
	mu       sync.Mutex
	texts    map[int]string // of every topic
	requests atomic.Int64   // for a schema's text
	status   atomic.Int64   // what to answer instead, unless 0
	hold     chan struct{}  // if not nil, requests wait until it is closed
}

// put registers text under id.
func (f *fakeRegistry) put(id int, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.texts == nil {
		f.texts = make(map[int]string)
	}
	f.texts[id] = text
}

func (f *fakeRegistry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.hold != nil {
		select {
		case <-f.hold:
		case <-r.Context().Done():
			return
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if status := f.status.Load(); status != 0 {
		http.Error(w, "out of order", int(status))
		return
	}
	id, _ := strconv.Atoi(strings.Split(r.URL.Path, "/")[3])
	text, ok := f.texts[id]
	var answer any
	switch {
	case !ok:
		w.WriteHeader(http.StatusNotFound)
		answer = map[string]any{"error_code": 40403, "message": "schema not found"}
	case strings.HasSuffix(r.URL.Path, "/versions"):
		f.requests.Add(1)
		versions := []any{map[string]any{"subject": "other-value", "version": 4}}
		for _, topic := range Topics() {
			if topic.Subject != "" {
				versions = append(versions, map[string]any{"subject": topic.Subject, "version": id})
			}
		}
		answer = versions
	default:
		answer = map[string]any{"schema": text}
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// start serves f and returns a Registry that asks it.
func (f *fakeRegistry) start(t testing.TB) *Registry {
	t.Helper()
	return serve(t, f)
}

// serve returns a Registry that asks h.
func serve(t testing.TB, h http.Handler) *Registry {
	t.Helper()
	server := httptest.NewServer(h)
	transport := &http.Transport{}
	t.Cleanup(func() { server.Close(); transport.CloseIdleConnections() })
	client, err := sr.NewClient(sr.URLs(server.URL), sr.HTTPClient(&http.Client{Transport: transport, Timeout: 5 * time.Second}))
	if err != nil {
		t.Fatal(err)
	}
	return NewRegistry(client)
}

// decoderOf returns a Decoder of this build's schema to which the texts are registered from id 1 on.
func decoderOf(t testing.TB, texts ...string) *Decoder {
	t.Helper()
	return decoderFor[event.CheckCompleted](t, CheckCompleted(TopicChecks), texts...)
}

// decoderFor returns a decoder of s, which is this build's schema of E, to which the texts are registered from id 1 on.
func decoderFor[E Event](t testing.TB, s *Schema, texts ...string) *DecoderOf[E] {
	t.Helper()
	f := &fakeRegistry{}
	for i, text := range texts {
		f.put(i+1, text)
	}
	return NewDecoderOf[E](f.start(t), s)
}

// evolved returns this build's schema text with the JSON of field name replaced by that of any number of fields; an empty
// name adds them at the end.
func evolved(t testing.TB, name, replacement string) string {
	t.Helper()
	return evolvedFrom(t, checkCompletedText, name, replacement)
}

// evolvedFrom is evolved for the schema of any event.
func evolvedFrom(t testing.TB, text, name, replacement string) string {
	t.Helper()
	var schema map[string]any
	if err := json.Unmarshal([]byte(text), &schema); err != nil {
		t.Fatal(err)
	}
	fields := schema["fields"].([]any)
	at := len(fields)
	for i, f := range fields {
		if f.(map[string]any)["name"] == name {
			at = i
		}
	}
	rest := append([]any{}, fields[:at]...)
	var replacements []any
	if err := json.Unmarshal([]byte("["+replacement+"]"), &replacements); err != nil {
		t.Fatal(err)
	}
	rest = append(rest, replacements...)
	if at < len(fields) {
		rest = append(rest, fields[at+1:]...)
	}
	schema["fields"] = rest
	changed, err := json.Marshal(schema)
	if err != nil {
		t.Fatal(err)
	}
	return string(changed)
}

// mustDecode decodes value and fails the test if that fails.
func mustDecode[E Event](t testing.TB, d *DecoderOf[E], value []byte) E {
	t.Helper()
	var got E
	if err := d.Decode(context.Background(), value, &got); err != nil {
		t.Fatalf("decoding %x: %v", value, err)
	}
	return got
}

// zigzag appends n as Avro writes numbers.
func zigzag(dst []byte, n int64) []byte {
	u := uint64(n<<1) ^ uint64(n>>63)
	for u > 0x7f {
		dst = append(dst, byte(u)|0x80)
		u >>= 7
	}
	return append(dst, byte(u))
}

// hintOf returns the hint of err, or "".
func hintOf(err error) string {
	if h, ok := err.(interface{ Hint() string }); ok {
		return h.Hint()
	}
	return ""
}
