package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/cloudship/cloudship/lab/cloud"
	"github.com/gofrs/flock"
)

// Files in the data folder of a lab in the background, beside stateFile.
const (
	optionsFile = "options.json" // how the lab was asked for; says that the folder is a lab's
	readyFile   = "ready.json"   // where it serves; there while it does
	lockFile    = "lock"         // held by its process
	logFile     = "lab.log"
)

// ErrNotRunning is the answer of those who need a lab that runs.
var ErrNotRunning = errors.New("no lab is running")

// kept are the options of a lab in the background.
type kept struct {
	Servers string          `json:"servers"`
	Listen  string          `json:"listen,omitempty"`
	Token   string          `json:"token,omitempty"`
	Faults  *cloud.Settings `json:"faults,omitempty"`
}

// ready is what the background process tells the others.
type ready struct {
	PID   int               `json:"pid"`
	URLs  map[string]string `json:"urls"`
	Token string            `json:"token"`
}

// Up starts a lab in the background with dir as its data folder, and returns
// when it serves. It runs this program again as "lab serve DIR", which must
// call Serve. A lab that runs there already is left alone.
func Up(ctx context.Context, dir string, o Options) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if r, err := Find(dir); err == nil {
		if have := r.options.Servers; o.Servers != "" && o.Servers != have {
			return fmt.Errorf("a lab in %s runs with its servers as %s", dir, have)
		}
		return nil
	}
	if err := prepare(dir, o); err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start the lab: %w", err)
	}
	log, err := os.OpenFile(filepath.Join(dir, logFile), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	process := exec.Command(program, "lab", "serve", dir)
	process.Stdout, process.Stderr = log, log
	process.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // it outlives this program and its terminal
	if err := process.Start(); err != nil {
		return fmt.Errorf("start the lab: %w", err)
	}
	return waitReady(ctx, dir, process)
}

// prepare makes the data folder, with the options in it.
func prepare(dir string, o Options) error {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 && !isLab(dir) {
		return fmt.Errorf("%s is not empty and no lab's folder", dir)
	}
	if err := os.Remove(filepath.Join(dir, readyFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // it was left by a lab that was killed
	}
	k := kept{Servers: o.Servers, Listen: o.Listen, Token: o.Token, Faults: o.Faults}
	if k.Servers == "" {
		k.Servers = Paper
	}
	return replaceJSON(filepath.Join(dir, optionsFile), k)
}

func isLab(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, optionsFile))
	return err == nil
}

// waitReady waits until the process serves, or has ended without.
func waitReady(ctx context.Context, dir string, process *exec.Cmd) error {
	ended := make(chan error, 1)
	go func() { ended <- process.Wait() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if r, err := Find(dir); err == nil && r.ready.PID == process.Process.Pid {
			return nil
		}
		select {
		case <-tick.C:
		case err := <-ended:
			return fmt.Errorf("the lab ended at once (%v): %s", err, lastLines(filepath.Join(dir, logFile), 5))
		case <-ctx.Done():
			process.Process.Signal(syscall.SIGTERM)
			return fmt.Errorf("start the lab: %w", ctx.Err())
		}
	}
}

// lastLines are the last n lines of a file, as far as it can be read.
func lastLines(name string, n int) string {
	b, _ := os.ReadFile(name)
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// lockPatience is longer than anyone needs to look whether the lock is held.
const lockPatience = time.Second

// Serve is the background process: it runs the lab whose data folder Up has
// prepared, until ctx ends or the process is asked to end.
func Serve(ctx context.Context, dir string) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	o, err := loadOptions(dir)
	if err != nil {
		return err
	}
	lock := flock.New(filepath.Join(dir, lockFile))
	patience, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	if held, err := lock.TryLockContext(patience, 10*time.Millisecond); err != nil || !held {
		return errors.Join(fmt.Errorf("another lab runs in %s", dir), err)
	}
	defer lock.Unlock()
	o.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	l, err := Start(ctx, o)
	if err != nil {
		return err
	}
	r := ready{PID: os.Getpid(), URLs: l.Report().URLs, Token: l.Token()}
	name := filepath.Join(dir, readyFile)
	if err := replaceJSON(name, r); err != nil {
		return errors.Join(err, l.Close())
	}
	o.Log.Info("lab is up", "servers", o.Servers, "url", l.URL(DigitalOcean))
	<-ctx.Done()
	err = errors.Join(os.Remove(name), l.Close())
	o.Log.Info("lab has ended", "error", err)
	return err
}

func loadOptions(dir string) (Options, error) {
	b, err := os.ReadFile(filepath.Join(dir, optionsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Options{}, fmt.Errorf("%s: %w", dir, ErrNotRunning)
	}
	if err != nil {
		return Options{}, err
	}
	var k kept
	if err := json.Unmarshal(b, &k); err != nil {
		return Options{}, fmt.Errorf("read the lab's options in %s: %w", dir, err)
	}
	return Options{Servers: k.Servers, Dir: dir, Listen: k.Listen, Token: k.Token, Faults: k.Faults}, nil
}

func replaceJSON(name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return replace(name, b)
}
