package backup_test

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"path/filepath"
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
	c.Dir, c.Stdin, c.Stdout, c.Stderr = s.home, stdin, stdout, stderr
	c.WaitDelay = time.Second
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	err := c.Run()
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

func openShell(t *testing.T, shell *localShell, folder string) backup.Target {
	t.Helper()
	target, err := backup.OpenShell(shell, folder, "ssh://vault/"+folder)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func TestShellTarget(t *testing.T) {
	targettest.Run(t, 1<<20, func(t *testing.T) backup.Target {
		return openShell(t, &localShell{home: t.TempDir()}, "~/my backups/'x'")
	})
}

func TestShellTargetInAnAbsoluteFolder(t *testing.T) {
	targettest.Run(t, 1<<20, func(t *testing.T) backup.Target {
		return openShell(t, &localShell{home: "/"}, filepath.Join(t.TempDir(), "deep", "er"))
	})
}
