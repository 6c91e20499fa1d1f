package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/cloudship/cloudship/engine"
	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/state"
)

// The exit codes are part of the interface: scripts and pipelines decide on them.
func TestErrorsHaveTheirExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("anything"), 1},
		{&codeError{code: exitChanges}, 2},
		{fmt.Errorf("commit: %w", state.ErrLocked), 4},
		{fmt.Errorf("apply: %w", &engine.StaleError{Moved: []string{"a"}}), 5},
		{&codeError{code: exitHalfway}, 6},
		{&codeError{code: exitSwitchedBack}, 7},
		{fmt.Errorf("%w: quota", engine.ErrPreflight), 8},
		{fmt.Errorf("key: %w", state.ErrNoKey), 8},
		{fmt.Errorf("key: %w", state.ErrWrongKey), 8},
		{fmt.Errorf("provider: %w", &resource.Error{Kind: resource.Unauthorized}), 8},
		{&plan.BadRelease{Balancer: "www", Release: "r-1"}, 9},
		{&usageError{errors.New("--nonsense")}, 64},
	} {
		if got := codeOf(t.Context(), c.err); got != c.want {
			t.Errorf("%v: exit %d, want %d", c.err, got, c.want)
		}
	}
}

func TestAnInterruptDecidesTheExitCode(t *testing.T) {
	for signal, want := range map[syscall.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(&interruptedError{signal})
		if got := codeOf(ctx, fmt.Errorf("ask: %w", context.Canceled)); got != want {
			t.Errorf("%v: exit %d, want %d", signal, got, want)
		}
	}
}

func TestErrorsThatCameTogetherAreToldOneByOne(t *testing.T) {
	a, b := errors.New("a"), resource.WithHint(errors.New("b"), "do it")
	if got := apart(errors.Join(a, errors.Join(b))); len(got) != 2 || got[0] != a || hintOf(got[1]) != "do it" {
		t.Errorf("got %q", got)
	}
	whole := fmt.Errorf("both: %w, %w", a, b)
	if got := apart(whole); len(got) != 1 || got[0] != whole {
		t.Errorf("what was said about the whole is lost: %q", got)
	}
}
