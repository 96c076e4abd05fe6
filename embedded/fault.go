package embedded

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// hinted is an error that knows a way out, told by its Hint method on a line of its own.
type hinted struct {
	err  error
	hint string
}

func (h *hinted) Error() string { return h.err.Error() }
func (h *hinted) Unwrap() error { return h.err }

// Hint says what a person can do about the error.
func (h *hinted) Hint() string { return h.hint }

func withHint(hint string, format string, args ...any) error {
	return &hinted{err: fmt.Errorf(format, args...), hint: hint}
}

const (
	hintSpace    = "free some space on that disk, or choose another data directory"
	hintWritable = "choose a data directory that this user may write to"
)

// explain gives an error of the file system its hint; others pass unchanged.
func explain(err error) error {
	var known interface{ Hint() string }
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case isFull(err):
		return &hinted{err: err, hint: hintSpace}
	case errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.EROFS):
		return &hinted{err: err, hint: hintWritable}
	}
	return err
}

// isFull reports whether err says that a disk, a quota or a file size limit is used up. The text is looked at as well since
// PostgreSQL's and some libraries' errors carry nothing else.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG) ||
		strings.Contains(err.Error(), "No space left on device") || strings.Contains(err.Error(), "no space left on device")
}
