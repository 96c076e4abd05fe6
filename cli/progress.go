package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

const (
	// liveEvery is how often the line of progress changes on a terminal: as fast as a person reads a number.
	liveEvery = 200 * time.Millisecond
	// plainEvery is how often it is a line of its own elsewhere, where all of them stay.
	plainEvery = 10 * time.Second
	// rateWindow is the time over which a rate is taken: long enough to be steady, short enough to forget an outage.
	rateWindow = 15 * time.Second
	// eraseLine goes to the beginning of the line and clears it (ECMA-48: CR, EL).
	eraseLine = "\r\x1b[K"
)

// progressLine is standard error with a line of progress at its end. On a terminal the line is written over, and whatever
// else is written, such as a log record, comes above it.
type progressLine struct {
	out  io.Writer
	live bool

	mu    sync.Mutex
	shown bool
	last  time.Time
}

func newProgressLine(out io.Writer, env func(string) (string, bool)) *progressLine {
	return &progressLine{out: out, live: canBeSteered(out, env), last: time.Now()}
}

// showProgress puts a line of progress at the end of standard error. It comes before load, which makes the logger.
func (p *program) showProgress() *progressLine {
	line := newProgressLine(p.Stderr, p.Env)
	p.Stderr = line
	return line
}

// Write writes text in place of the line, which comes back when it changes.
func (l *progressLine) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.erase()
	return l.out.Write(text)
}

// show writes the line anew, unless it is too early for that.
func (l *progressLine) show(now time.Time, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	every := plainEvery
	if l.live {
		every = liveEvery
	}
	if now.Sub(l.last) < every {
		return
	}
	l.last = now
	if !l.live {
		fmt.Fprintln(l.out, text)
		return
	}
	if width := widthOf(l.out); width > 0 && len(text) >= width { // one that wraps can't be erased
		text = text[:width-1]
	}
	fmt.Fprint(l.out, eraseLine+text)
	l.shown = true
}

// clear removes the line.
func (l *progressLine) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.erase()
}

func (l *progressLine) erase() {
	if l.shown {
		fmt.Fprint(l.out, eraseLine)
		l.shown = false
	}
}

// widthOf is the number of columns of a terminal, 0 where it is not known.
func widthOf(out io.Writer) int {
	file, is := out.(*os.File)
	if !is {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// pace measures how fast a number grows.
type pace struct {
	samples []sample
}

type sample struct {
	at   time.Time
	done int64
}

// add notes how far it is, and forgets what is older than rateWindow but for one sample to compare with.
func (m *pace) add(at time.Time, done int64) {
	m.samples = append(m.samples, sample{at, done})
	for len(m.samples) > 2 && at.Sub(m.samples[1].at) > rateWindow {
		m.samples = m.samples[1:]
	}
}

// perSecond is the rate, 0 before it is known.
func (m *pace) perSecond() float64 {
	first, last := m.samples[0], m.samples[len(m.samples)-1]
	return perSecond(last.done-first.done, last.at.Sub(first.at))
}

func perSecond(n int64, in time.Duration) float64 {
	if in <= 0 {
		return 0
	}
	return float64(n) / in.Seconds()
}
