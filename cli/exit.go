package cli

import "errors"

// The exit codes; there are no others.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitDown   = 3
	// exitIncompatible is far from the others, as that of buf, so that a script tells "it may not follow" from "it could not be checked".
	exitIncompatible = 100
)

// usageError is an error of the person who typed the command; it ends with code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// errSomethingDown ends a command that did its work and found a target down, or something else amiss.
var errSomethingDown = errors.New("something is down")

// errIncompatible ends a command that found, and printed, why a schema may not follow those before it.
var errIncompatible = errors.New("incompatible schemas")

// isResult reports whether err only stands for what a command has printed as its result.
func isResult(err error) bool {
	return errors.Is(err, errSomethingDown) || errors.Is(err, errIncompatible)
}

// hintedError adds what to do to what is wrong.
type hintedError struct {
	error
	hint string
}

func (e *hintedError) Unwrap() error { return e.error }

// Hint says what to do.
func (e *hintedError) Hint() string { return e.hint }

func withHint(err error, hint string) error { return &hintedError{err, hint} }

// hintOf returns the hint of the first error in the chain that has one, or nothing.
func hintOf(err error) string {
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		return hinted.Hint()
	}
	return ""
}

// exitCode is the exit code that an error of a command means.
func exitCode(err error) int {
	var usage usageError
	var config *ConfigError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errSomethingDown):
		return exitDown
	case errors.Is(err, errIncompatible):
		return exitIncompatible
	case errors.As(err, &usage), errors.As(err, &config):
		return exitUsage
	}
	return exitFailed
}
