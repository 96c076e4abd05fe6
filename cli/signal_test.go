package cli

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestOnlyALaterSignalExits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		signals, done := make(chan os.Signal), make(chan struct{})
		var stops, exits int
		go obeySignals(signals, done, func() { stops++ }, func() { exits++ })
		for i, step := range []struct {
			after        time.Duration
			stops, exits int
		}{{0, 1, 0}, {time.Millisecond, 1, 0}, {signalBurst / 2, 1, 0}, {signalBurst, 1, 1}} {
			<-time.After(step.after)
			signals <- os.Interrupt
			synctest.Wait()
			if stops != step.stops || exits != step.exits {
				t.Errorf("signal %d: %d stops and %d exits, want %d and %d", i+1, stops, exits, step.stops, step.exits)
			}
		}
		close(done)
	})
}

// TestAnInterruptedCheckEndsAtOnce interrupts a check that waits for an answer.
func TestAnInterruptedCheckEndsAtOnce(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "webcheck")
	if err := os.Symlink(program, link); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	command := exec.CommandContext(t.Context(), link, "check", "--timeout", "1m", "http://"+listener.Addr().String())
	command.Env = append(os.Environ(), "NO_COLOR=1")
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	connection, err := listener.Accept() // the check is in hand
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if err := command.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(stderr).ReadString('\n')
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("an interrupted check goes on")
	}
	if line != "webcheck: interrupted\n" || command.ProcessState.ExitCode() != exitFailed {
		t.Errorf("got %q and code %d, want interrupted and %d", line, command.ProcessState.ExitCode(), exitFailed)
	}
}
