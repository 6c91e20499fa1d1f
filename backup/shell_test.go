package backup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cloudship/cloudship/backup"
	"github.com/cloudship/cloudship/backup/targettest"
)

// localShell runs scripts with a shell of this machine, in a folder that plays the home.
type localShell struct {
	argv []string // of the shell, up to where the script goes; nil is sh -euc
	home string

	mu  sync.Mutex
	cut func(n int) (after int64, kill bool) // of the nth command: its stdin ends after so many bytes; and its answer is lost
	n   int

	arrive int64 // of its input only so many bytes arrive, if not 0
}

var errLost = errors.New("the connection was lost")

func (s *localShell) Run(ctx context.Context, script string, args []string, stdin io.Reader, stdout, stderr io.Writer) (int, error) {
	s.mu.Lock()
	n := s.n
	s.n++
	s.mu.Unlock()
	lost := false
	if s.cut != nil {
		if after, kill := s.cut(n); kill {
			stdin, lost = io.LimitReader(stdin, after), true
		}
	}
	argv := s.argv
	if argv == nil {
		argv = []string{"sh", "-euc"}
	}
	argv = append(append([]string{}, argv...), script, "sh")
	c := exec.CommandContext(ctx, argv[0], append(argv[1:], args...)...)
	c.Dir, c.Stdout, c.Stderr = s.home, stdout, stderr
	c.WaitDelay = time.Second
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	err := s.run(c, stdin)
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return -1, ctx.Err()
	case lost:
		return -1, errLost
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode(), nil
	}
	return 0, err
}

// run gives the command its input as an SSH session does: what goes wrong with it is seen over there
// as its end alone, and nobody waits for it.
func (s *localShell) run(c *exec.Cmd, stdin io.Reader) error {
	pipe, err := c.StdinPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	go func() {
		if s.arrive > 0 {
			_, _ = io.CopyN(pipe, stdin, s.arrive)
			_, _ = io.Copy(io.Discard, stdin)
		} else {
			_, _ = io.Copy(pipe, stdin)
		}
		_ = pipe.Close()
	}()
	return c.Wait()
}

func openShell(t *testing.T, shell *localShell, folder string) backup.Target {
	t.Helper()
	target, err := backup.OpenShell(shell, folder, "ssh://vault/"+folder)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func TestShellTarget(t *testing.T) {
	t.Parallel()
	targettest.Run(t, 1<<20, func(t *testing.T) backup.Target {
		return openShell(t, &localShell{home: t.TempDir()}, "~/my backups/'x'")
	})
}

func TestShellTargetInAnAbsoluteFolder(t *testing.T) {
	t.Parallel()
	targettest.Run(t, 1<<20, func(t *testing.T) backup.Target {
		return openShell(t, &localShell{home: "/"}, filepath.Join(t.TempDir(), "deep", "er"))
	})
}

// TestF9AConnectionThatIsLostLeavesNothing cuts each command of a write over SSH: its input ends at a
// byte, which over there looks like the content's end, and its answer is lost.
func TestF9AConnectionThatIsLostLeavesNothing(t *testing.T) {
	t.Parallel()
	commands := 0
	counting := &localShell{home: t.TempDir(), cut: func(n int) (int64, bool) { commands = max(commands, n+1); return 0, false }}
	write(t, storeOn(t, openShell(t, counting, "b"), night), strings.Repeat("x", 300_000))
	if commands < 8 {
		t.Fatalf("a write has %d commands", commands)
	}
	for at := range commands {
		for _, after := range []int64{0, 200, 299_999, 1 << 40} {
			home := t.TempDir()
			folder := filepath.Join(home, "b")
			earlier := write(t, storeOn(t, openFolder(t, folder), night.Add(-time.Hour)), "earlier")
			shell := &localShell{home: home, cut: func(n int) (int64, bool) { return after, n >= at }}
			_, err := storeOn(t, openShell(t, shell, "b"), night).Write(t.Context(), draft(t), content(bytes.Repeat([]byte("x"), 300_000)))
			cutWrite(t, fmt.Sprintf("command %d, after %d bytes", at, after), folder, earlier, err)
		}
	}
}

// TestShellNamesNoFileOfAnotherSize has bytes lost on the way without anybody noticing.
func TestShellNamesNoFileOfAnotherSize(t *testing.T) {
	target := openShell(t, &localShell{home: t.TempDir(), arrive: 100}, "b")
	err := target.Put(t.Context(), "shop/db/a", strings.NewReader(strings.Repeat("x", 1000)))
	if err == nil || !strings.Contains(err.Error(), "100 of 1000 bytes arrived") {
		t.Errorf("have %v", err)
	}
	if objects, err := target.List(t.Context(), "shop"); err != nil || len(objects) > 0 {
		t.Errorf("have %v, %v", objects, err)
	}
	if err := target.Put(t.Context(), "shop/db/a", strings.NewReader(strings.Repeat("x", 100))); err != nil {
		t.Errorf("one that arrived: %v", err)
	}
}

// TestShellTellsWhatIsWrong has the machine refuse.
func TestShellTellsWhatIsWrong(t *testing.T) {
	ctx := t.Context()
	t.Run("a file is in the way", func(t *testing.T) {
		home := t.TempDir()
		if err := os.WriteFile(filepath.Join(home, "b"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		target := openShell(t, &localShell{home: home}, "b")
		if err := target.Put(ctx, "shop/db/a", strings.NewReader("x")); err == nil || !strings.Contains(err.Error(), "b") {
			t.Errorf("put: %v", err)
		}
	})
	t.Run("denied", func(t *testing.T) {
		target := openShell(t, &localShell{home: "/"}, "/proc/backups") // where not even root makes folders
		err := target.Put(ctx, "shop/db/a", strings.NewReader("x"))
		if err == nil || errors.Is(err, backup.ErrUnreachable) {
			t.Errorf("put: %v", err)
		}
	})
	t.Run("no shell", func(t *testing.T) {
		target := openShell(t, &localShell{home: "/", argv: []string{"/nothing/sh"}}, "b")
		if err := target.Put(ctx, "shop/db/a", strings.NewReader("x")); !errors.Is(err, backup.ErrUnreachable) {
			t.Errorf("put: %v", err)
		}
	})
	t.Run("a shell that takes no script", func(t *testing.T) { // a login of scp alone answers anything with its own words
		target := openShell(t, &localShell{home: "/", argv: []string{"echo", "This service allows sftp connections only."}}, "b")
		if _, err := target.List(ctx, "shop"); err == nil {
			t.Error("a greeting was taken for a listing")
		}
		if err := target.Put(ctx, "shop/db/a", strings.NewReader(strings.Repeat("x", 1<<20))); err == nil {
			t.Log("a put was believed: the store lists what it put")
		}
		if _, err := storeOn(t, target, night).Write(ctx, draft(t), content([]byte("x"))); err == nil {
			t.Error("a backup was believed")
		}
	})
	t.Run("no path", func(t *testing.T) {
		for _, path := range []string{"", "a\nb", "a\x00b"} {
			if _, err := backup.OpenShell(&localShell{}, path, "x"); err == nil {
				t.Errorf("%q was taken", path)
			}
		}
	})
}
