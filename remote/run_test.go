package remote

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestRunTellsTheExitCodeAndTheLastLines(t *testing.T) {
	h, _ := dialed(t)
	out, err := h.Run(t.Context(), Script("echo seen; echo 'no such thing' >&2; exit 3"))
	var exit *ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("want an ExitError, got %v", err)
	}
	if exit.Code != 3 || exit.Stderr != "no such thing" || string(out.Stdout) != "seen\n" {
		t.Errorf("got %+v, stdout %q", exit, out.Stdout)
	}
}

func TestRunTellsTheSignal(t *testing.T) {
	h, _ := dialed(t)
	_, err := h.Run(t.Context(), Script("kill -KILL $PPID"))
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Signal != "KILL" {
		t.Errorf("want killed by KILL, got %v", err)
	}
}

func TestRunFeedsStdinAndEnv(t *testing.T) {
	h, _ := dialed(t)
	c := Script(`cat; printf %s "$NAME"`).WithStdin([]byte("secret "))
	c.Env = map[string]string{"NAME": "it's $HOME"}
	out, err := h.Run(t.Context(), c)
	if err != nil || string(out.Stdout) != "secret it's $HOME" {
		t.Errorf("got %q, %v", out.Stdout, err)
	}
}

// A command that reads nothing of a large input ends all the same.
func TestRunEndsWhenTheCommandLeavesItsInput(t *testing.T) {
	h, _ := dialed(t)
	c := Argv("true").WithStdin(make([]byte, 8<<20))
	if _, err := h.Run(t.Context(), c); err != nil {
		t.Error(err)
	}
}

func TestRunIsKilledWithItsContext(t *testing.T) {
	h, _ := dialed(t)
	ctx, cancel := context.WithCancel(t.Context())
	err := h.Stream(ctx, Script("echo begun; exec sleep 3600"), func(line string) {
		if line == "begun" {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("want context.Canceled, got %v", err)
	}
	if _, err := h.Run(t.Context(), Argv("true")); err != nil {
		t.Errorf("the connection did not outlast it: %v", err)
	}
}

func TestRunSaysThatTheLineDropped(t *testing.T) {
	h, s := dialed(t)
	err := h.Stream(t.Context(), Script("echo begun; exec sleep 3600"), func(string) { s.drop() })
	if !errors.Is(err, ErrClosed) {
		t.Errorf("want ErrClosed, got %v", err)
	}
	select {
	case <-h.Done():
	case <-time.After(time.Minute):
		t.Error("Done does not tell it")
	}
	if _, err := h.Run(t.Context(), Argv("true")); !errors.Is(err, ErrClosed) {
		t.Errorf("want ErrClosed afterwards, got %v", err)
	}
}

func TestRunManyAtATime(t *testing.T) {
	h, _ := dialed(t)
	results := make(chan error)
	for range 3 * maxSessions {
		go func() {
			_, err := h.Run(t.Context(), Argv("true"))
			results <- err
		}()
	}
	for range 3 * maxSessions {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

func TestStreamGivesWholeLines(t *testing.T) {
	h, _ := dialed(t)
	var lines []string
	err := h.Stream(t.Context(), Script(`printf 'a\nb'; printf 'c\r\n'; printf 'no end'`), func(line string) {
		lines = append(lines, line)
	})
	if got := strings.Join(lines, "|"); err != nil || got != "a|bc|no end" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestRunRefusesANulByte(t *testing.T) {
	h, _ := dialed(t)
	if _, err := h.Run(t.Context(), Argv("echo", "a\x00b")); err == nil {
		t.Error("a NUL byte was sent")
	}
}
