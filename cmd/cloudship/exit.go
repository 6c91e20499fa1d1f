package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/cloudship/cloudship/engine"
	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/state"
)

// The exit codes. They are part of the interface: docs/cli.md has them, a test holds them.
const (
	exitDone         = 0
	exitError        = 1
	exitChanges      = 2 // plan --detailed-exitcode
	exitPolicy       = 3
	exitLocked       = 4
	exitStale        = 5
	exitHalfway      = 6 // run again
	exitSwitchedBack = 7
	exitPreflight    = 8
	exitRefused      = 9
	exitUsage        = 64
	exitInterrupted  = 130
	exitTerminated   = 143
)

// exitCodes is the table of docs/cli.md.
var exitCodes = []struct {
	code    int
	meaning string
}{
	{exitDone, "done, or nothing to do"},
	{exitError, "error"},
	{exitChanges, "the plan has changes (`plan --detailed-exitcode`)"},
	{exitPolicy, "refused by policy or budget"},
	{exitLocked, "somebody else holds the lock"},
	{exitStale, "the plan is stale: the world or the state has moved; nothing was changed"},
	{exitHalfway, "stopped half-way; run it again, it goes on from there"},
	{exitSwitchedBack, "the release was bad and was switched back"},
	{exitPreflight, "preflight failed: a key, credentials, limits; nothing was changed"},
	{exitRefused, "the release was bad and was not switched; the live group was not touched"},
	{exitUsage, "the command line cannot be meant"},
	{exitInterrupted, "interrupted (Ctrl-C); what ran was ended and saved"},
	{exitTerminated, "terminated (SIGTERM); what ran was ended and saved"},
}

// codeError is an error with an exit code of its own. Without a cause it is silent: all was said.
type codeError struct {
	code int
	err  error
}

func (e *codeError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *codeError) Unwrap() error { return e.err }

// usageError is a command line that cannot be meant.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// interruptedError is why a context ended: a signal.
type interruptedError struct{ signal os.Signal }

func (e *interruptedError) Error() string {
	if e.signal == os.Interrupt {
		return "interrupted"
	}
	return "ended by a signal: " + e.signal.String()
}

func (e *interruptedError) code() int {
	if s, ok := e.signal.(syscall.Signal); ok {
		return 128 + int(s)
	}
	return exitInterrupted
}

// codeOf gives the exit code that an error means.
func codeOf(ctx context.Context, err error) int {
	var own *codeError
	var usage *usageError
	var stale *engine.StaleError
	var others *engine.OthersError
	var bad *plan.BadRelease
	var data *plan.DataError
	var interrupted *interruptedError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &own):
		return own.code
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(context.Cause(ctx), &interrupted):
		return interrupted.code()
	case errors.Is(err, state.ErrLocked):
		return exitLocked
	case errors.As(err, &stale):
		return exitStale
	case errors.As(err, &data), errors.As(err, &others):
		return exitPolicy
	case errors.As(err, &bad):
		return exitRefused
	case errors.Is(err, engine.ErrPreflight), errors.Is(err, state.ErrNoKey), errors.Is(err, state.ErrWrongKey),
		resource.KindOf(err) == resource.Unauthorized:
		return exitPreflight
	}
	return exitError
}
