package deploy

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/cloudship/cloudship/remote"
)

// machineOnDisk is the world's server: a folder of this machine, where commands run as whoever runs
// the tests.
type machineOnDisk struct {
	world *world
	root  string
}

func (m *machineOnDisk) change(what string, do func() error) error {
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	return act1(m.world, true, what, do)
}

func (m *machineOnDisk) Run(ctx context.Context, c remote.Command) (remote.Output, error) {
	var stdout, stderr bytes.Buffer
	err := m.Exec(ctx, c, bytes.NewReader(c.Stdin), &stdout, &stderr)
	return remote.Output{Stdout: stdout.Bytes(), Stderr: stderr.Bytes()}, err
}

func (m *machineOnDisk) Exec(ctx context.Context, c remote.Command, stdin io.Reader, stdout, stderr io.Writer) error {
	return m.change("run "+c.Name(), func() error { return onThisMachine(ctx, c, stdin, stdout, stderr) })
}

// onThisMachine runs a command here as a server does.
func onThisMachine(ctx context.Context, c remote.Command, stdin io.Reader, stdout, stderr io.Writer) error {
	argv := c.Argv
	if c.Script != "" {
		script := c.Script
		if os.Geteuid() != 0 {
			script = strings.ReplaceAll(script, "chown", ": chown")
		}
		argv = append([]string{"sh", "-euc", script, "sh"}, c.Argv...)
	}
	var told bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, io.MultiWriter(stderr, &told)
	cmd.Env = os.Environ()
	for name, value := range c.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return &remote.ExitError{Address: "here", Command: c.Name(), Code: exit.ExitCode(), Stderr: strings.TrimSpace(told.String())}
	}
	return err
}

func (m *machineOnDisk) ReadFile(_ context.Context, path string) ([]byte, error) {
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	if m.world.dead {
		return nil, errKilled
	}
	return os.ReadFile(path)
}

func (m *machineOnDisk) WriteFile(_ context.Context, path string, mode fs.FileMode, _ string, content []byte) error {
	return m.change("write "+filepath.Base(path), func() error {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		return os.WriteFile(path, content, mode)
	})
}

func (m *machineOnDisk) RemoveFile(_ context.Context, path string) error {
	return m.change("remove "+filepath.Base(path), func() error {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

func (m *machineOnDisk) ListDir(_ context.Context, path string) ([]string, error) {
	m.world.mu.Lock()
	defer m.world.mu.Unlock()
	if m.world.dead {
		return nil, errKilled
	}
	entries, err := os.ReadDir(path)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

func (m *machineOnDisk) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, address)
}
