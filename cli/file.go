package cli

import (
	"fmt"
	"io"
	"os"
)

// Bounds of the files that are read whole: a path may name a device that never ends.
const (
	// maxSecretBytes is far beyond any password, certificate chain or list of services.
	maxSecretBytes = 1 << 20
	// maxConfigBytes is room for some 200,000 targets; more belong into more than one prober.
	maxConfigBytes = 16 << 20
)

// readBounded is os.ReadFile for a file of at most so many bytes.
func readBounded(path string, maxBytes int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxBytes+1))
	if err == nil && int64(len(text)) > maxBytes {
		return nil, fmt.Errorf("it has more than %d bytes", maxBytes)
	}
	return text, err
}
