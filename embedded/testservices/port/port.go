// Package port is for tests that listen at a port twice, or leave it free for a while before a program listens there. It imports
// nothing of ours, as package seed does.
package port

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// The ports to choose from lie below those that Linux gives to whoever asks for any, 32768 to 60999 (ip(7),
// ip_local_port_range): only one who names the port can take it while nobody listens there.
const (
	lowest   = 10000
	choices  = 20000
	attempts = 100 // far more than a machine with a thousand listeners among them needs
)

// Free returns a port of 127.0.0.1 at which nobody listens. The error is that of the last attempt. What it chooses has no seed of
// a test: two processes with one seed would choose the same.
func Free() (int, error) {
	var err error
	for range attempts {
		port := lowest + rand.IntN(choices)
		var listener net.Listener
		if listener, err = net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			return port, listener.Close()
		}
	}
	return 0, fmt.Errorf("finding a free port: %w", err)
}

// Keep writes a free port into a file, from which a service takes it at its start, as if it were that of its last life: nobody gets
// it by chance while the service is down. Folders on the way are made, for everybody to pass through.
func Keep(t testing.TB, file string) {
	t.Helper()
	free, err := Free()
	if err == nil {
		err = os.MkdirAll(filepath.Dir(file), 0o711)
	}
	if err == nil {
		err = os.WriteFile(file, []byte(strconv.Itoa(free)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}
