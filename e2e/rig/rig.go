// Package rig sets the real program up for demonstrations and end-to-end tests: a copy of an
// example, a lab, and an environment in which nothing outside one folder is written.
package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Rig is one stack's folder, one lab, and the program that works on them.
type Rig struct {
	Program string // the program under test
	Root    string // everything is below it
	Dir     string // the stack's folder
	Lab     string // the lab's data folder
	Source  string // the repository
	Env     []string
	Out     io.Writer // what the program says, while it says it; nil: nowhere
}

// New makes a rig in a fresh folder with a copy of an example. The lab is not started.
func New(program, example string, out io.Writer) (*Rig, error) {
	root, err := os.MkdirTemp("", "cloudship-rig-")
	if err != nil {
		return nil, err
	}
	source, err := filepath.Abs(filepath.Join(example, "..", ".."))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(root))
	}
	r := &Rig{Source: source, Program: program, Root: root, Dir: filepath.Join(root, "stack"), Lab: filepath.Join(root, "lab"), Out: out}
	if err := os.CopyFS(r.Dir, os.DirFS(example)); err != nil {
		return nil, errors.Join(err, os.RemoveAll(root))
	}
	r.Env = []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + filepath.Join(root, "home"),
		"XDG_CONFIG_HOME=" + filepath.Join(root, "config"),
		"XDG_CACHE_HOME=" + filepath.Join(root, "cache"),
		"TMPDIR=" + filepath.Join(root, "tmp"),
		"CI=true",
	}
	for _, name := range []string{"DOCKER_HOST", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"} {
		if v, ok := os.LookupEnv(name); ok {
			r.Env = append(r.Env, name+"="+v)
		}
	}
	for _, dir := range []string{"home", "config", "cache", "tmp"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o700); err != nil {
			return nil, errors.Join(err, os.RemoveAll(root))
		}
	}
	return r, nil
}

// Up starts the lab and points the program at it.
func (r *Rig) Up(ctx context.Context, servers string) error {
	if out := r.Run(ctx, "lab", "up", "--lab", r.Lab, "--servers", servers); out.Err != nil {
		return out.Err
	}
	return r.Attach(ctx)
}

// Attach points the program at the lab that runs.
func (r *Rig) Attach(ctx context.Context) error {
	unheard := *r
	unheard.Out = nil // it has a token in it
	out := unheard.Run(ctx, "lab", "env", "--lab", r.Lab)
	if out.Err != nil {
		return out.Err
	}
	for _, line := range strings.Split(out.Stdout, "\n") {
		if pair, ok := strings.CutPrefix(line, "export "); ok {
			name, value, _ := strings.Cut(pair, "=")
			r.Env = append(r.Env, name+"="+strings.Trim(value, `'"`))
		}
	}
	return nil
}

// Down ends the lab and removes everything, whatever is left of it.
func (r *Rig) Down(ctx context.Context) error {
	out := r.Run(ctx, "lab", "down", "--lab", r.Lab)
	if _, err := os.Stat(r.Lab); errors.Is(err, fs.ErrNotExist) {
		out.Err = nil
	}
	return errors.Join(out.Err, os.RemoveAll(r.Root))
}

// Output is how a run of the program ended.
type Output struct {
	Stdout, Stderr string
	Code           int
	Err            error // set for every code but 0
}

// Run runs the program to its end. When ctx ends it is interrupted, and given time to save.
func (r *Rig) Run(ctx context.Context, args ...string) Output {
	cmd := r.Command(ctx, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = r.tee(&stdout), r.tee(&stderr)
	err := cmd.Run()
	out := Output{Stdout: stdout.String(), Stderr: stderr.String(), Code: cmd.ProcessState.ExitCode()}
	if err != nil {
		out.Err = fmt.Errorf("cloudship %s: %w\n%s", strings.Join(args, " "), err, lastLines(out.Stderr, 30))
	}
	return out
}

// Command is a run of the program that the caller starts.
func (r *Rig) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, r.Program, args...)
	cmd.Dir, cmd.Env = r.Dir, r.Env
	// In a group of its own: an interrupt at the terminal reaches it once, through ctx.
	cmd.SysProcAttr = ownGroup()
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 2 * time.Minute
	return cmd
}

func (r *Rig) tee(to *bytes.Buffer) io.Writer {
	if r.Out == nil {
		return to
	}
	return io.MultiWriter(to, &locked{w: r.Out})
}

// locked keeps the writes of two streams apart.
type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return strings.Join(lines, "\n")
}
