//go:build e2e

// Package e2e runs the real program against the lab's real servers, and says of each promise whether
// it is kept there. All tests share one lab.
package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/cloudship/cloudship/e2e/rig"
)

// The lab that all tests share, and what ends when the tests are interrupted.
var (
	lab  *rig.Rig
	base context.Context
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	base = ctx
	bin, err := os.MkdirTemp("", "cloudship-e2e-")
	if err != nil {
		return 1, err
	}
	defer func() { _ = os.RemoveAll(bin) }()
	program := filepath.Join(bin, "cloudship")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "../cmd/cloudship")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return 1, fmt.Errorf("build the program: %w", err)
	}
	lab, err = rig.New(program, quickstart, nil)
	if err != nil {
		return 1, err
	}
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Minute)
		defer cancel()
		if down := lab.Down(clean); down != nil && err == nil {
			err = down
		}
	}()
	if err := lab.Up(ctx, "containers"); err != nil {
		return 1, err
	}
	return m.Run(), nil
}
