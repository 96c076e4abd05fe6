package prober

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"webcheck/embedded/testservices/seed"
)

// emitterRole makes this test binary a process that emits until it is killed, instead of running tests.
const emitterRole = "WEBCHECK_TEST_EMITTER"

// playEmitter emits events of four targets and says on its output which are safe: "safe target-1 42". Its input cuts and mends
// its way to Kafka. It returns at once in a process without the role.
func playEmitter() {
	role := os.Getenv(emitterRole)
	if role == "" {
		return
	}
	parts := strings.Split(role, " ") // brokers, topic, directory, first number
	first, err := strconv.Atoi(parts[3])
	fatal(err)
	l := newLine()
	client, err := kgo.NewClient(clientOpts(strings.Split(parts[0], ","), l)...)
	fatal(err)
	k, err := NewSpoolEmitter(SpoolConfig{Client: client, Topic: parts[1], Encoder: checksEncoder(), Dir: parts[2], After: 20 * time.Millisecond})
	fatal(err)
	go func() {
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			if in.Text() == "cut" {
				l.cut()
			} else {
				l.mend()
			}
		}
		os.Exit(0) // the test is gone
	}()
	for n := first; ; n++ {
		target := fmt.Sprint("target-", n%4)
		said := make(chan struct{})
		k.Emit(numbered(target, n), func(err error) {
			fatal(err)
			fmt.Printf("safe %s %d\n", target, n)
			close(said)
		})
		if n%200 == 0 { // some two hundred are on their way at a time
			<-said
		}
	}
}

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// child is a process in the role.
type child struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string // closed when the process is gone and all is read
}

func startChild(t *testing.T, b *broker, dir string, first int) *child {
	t.Helper()
	c := &child{cmd: exec.Command("/proc/self/exe"), lines: make(chan string, 1<<20)}
	c.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %s %d", emitterRole, strings.Join(b.seeds, ","), b.topic, dir, first))
	c.cmd.Stderr = os.Stderr
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(c.lines)
		for in := bufio.NewScanner(out); in.Scan(); {
			c.lines <- in.Text()
		}
	}()
	return c
}

// live lets the child emit n safe events, with Kafka going away and coming back, then kills it, and takes note of everything
// it said.
func (c *child) live(t *testing.T, l *ledger, random *rand.Rand, n int) (last int) {
	t.Helper()
	note := func(line string) {
		var target string
		if _, err := fmt.Sscanf(line, "safe %s %d", &target, &last); err != nil {
			t.Fatalf("the emitter said %q", line)
		}
		l.answer(target, last, nil)
	}
	for range n {
		if random.IntN(200) == 0 {
			fmt.Fprintln(c.in, []string{"cut", "mend"}[random.IntN(2)])
		}
		line, ok := <-c.lines
		if !ok {
			t.Fatal("the emitter ended by itself")
		}
		note(line)
	}
	_ = c.cmd.Process.Kill()
	for line := range c.lines {
		note(line)
	}
	_ = c.cmd.Wait()
	_ = c.in.Close()
	return last
}

// TestEventsThatAreSafeSurviveKills kills an emitter with kill -9 at random moments: while it sends, spools, drains and starts.
func TestEventsThatAreSafeSurviveKills(t *testing.T) {
	random, b, l := seed.Random(t), anyBroker(t), newLedger()
	config := b.config(t)
	next, spooled := 1, 0
	for range seed.Runs(t, 8) {
		last := startChild(t, b, config.Dir, next).live(t, l, random, 1+random.IntN(2000))
		next = last + 1000
		s := openTestSpool(t, config.Dir)
		spooled += s.records
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
	}
	k := startEmitter(t, config)
	untilMode(t, k, SpoolIdle)
	l.check(t, b)
	t.Logf("%d events were in the spool after kills", spooled)
}
