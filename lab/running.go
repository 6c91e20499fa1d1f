package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/cloudship/cloudship/lab/cloud"
	"github.com/gofrs/flock"
)

// Running is a lab that runs in another process.
type Running struct {
	dir     string
	options Options
	ready   ready
}

// Find finds the lab that runs with dir as its data folder. The error is an
// ErrNotRunning if there is none.
func Find(dir string) (*Running, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	r := &Running{dir: dir}
	if r.options, err = loadOptions(dir); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(filepath.Join(dir, readyFile))
	if errors.Is(err, fs.ErrNotExist) || err == nil && !held(dir) {
		return nil, fmt.Errorf("%s: %w", dir, ErrNotRunning)
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &r.ready); err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(dir, readyFile), err)
	}
	return r, nil
}

// held tells whether a process holds the folder's lock.
func held(dir string) bool {
	name := filepath.Join(dir, lockFile)
	if _, err := os.Stat(name); err != nil {
		return false
	}
	lock := flock.New(name)
	free, err := lock.TryLock()
	if free {
		lock.Unlock()
	}
	return err == nil && !free
}

// URL is where a provider's API is served.
func (r *Running) URL(provider string) string { return r.ready.URLs[provider] }

// Token is what DigitalOcean's API accepts.
func (r *Running) Token() string { return r.ready.Token }

// Env are the lines for a shell that point the ordinary providers at the lab.
func (r *Running) Env() string {
	var b strings.Builder
	variables := append(credentials(r.Token(), r.URL), [2]string{"CLOUDSHIP_LAB", r.dir})
	if r.options.Servers == Paper {
		variables = append(variables, [2]string{"CLOUDSHIP_PAPER", r.URL(DigitalOcean)}) // where paper servers are reached
	}
	for _, v := range variables {
		fmt.Fprintf(&b, "export %s=%s\n", v[0], quote(v[1]))
	}
	return b.String()
}

// quote makes s one word for a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// Report tells what the lab is and holds.
func (r *Running) Report(ctx context.Context) (Report, error) {
	var report Report
	return report, r.admin(ctx, http.MethodGet, "status", nil, &report)
}

// Faults are the settings in force.
func (r *Running) Faults(ctx context.Context) (cloud.Settings, error) {
	var s cloud.Settings
	return s, r.admin(ctx, http.MethodGet, "faults", nil, &s)
}

// SetFaults changes what change, a JSON object in the shape of cloud.Settings,
// names, and keeps the rest; it answers the settings in force then.
func (r *Running) SetFaults(ctx context.Context, change []byte) (cloud.Settings, error) {
	var s cloud.Settings
	return s, r.admin(ctx, http.MethodPut, "faults", change, &s)
}

// ResetFaults goes back to the settings that the lab was started with.
func (r *Running) ResetFaults(ctx context.Context) error {
	return r.admin(ctx, http.MethodDelete, "faults", nil, nil)
}

// Calls is the log of the calls to all APIs.
func (r *Running) Calls(ctx context.Context) (cloud.CallLog, error) {
	var log cloud.CallLog
	return log, r.admin(ctx, http.MethodGet, "calls", nil, &log)
}

// ResetCalls forgets all calls.
func (r *Running) ResetCalls(ctx context.Context) error {
	return r.admin(ctx, http.MethodPost, "calls/reset", nil, nil)
}

// Barrier waits up to wait until a call is held, and tells of it.
func (r *Running) Barrier(ctx context.Context, wait time.Duration) (cloud.BarrierState, error) {
	var s cloud.BarrierState
	return s, r.admin(ctx, http.MethodGet, "barrier?wait="+wait.String(), nil, &s)
}

// Release lets the held call go on.
func (r *Running) Release(ctx context.Context) error {
	return r.admin(ctx, http.MethodDelete, "barrier", nil, nil)
}

// admin calls one of the lab's own endpoints.
func (r *Running) admin(ctx context.Context, method, path string, body []byte, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, r.URL(DigitalOcean)+"/_lab/"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask the lab in %s: %w", r.dir, err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		return fmt.Errorf("ask the lab in %s: %w", r.dir, err)
	}
	if answer.StatusCode >= 300 {
		return fmt.Errorf("the lab in %s: %s", r.dir, strings.TrimSpace(string(b)))
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(b, into)
}

// stopPatience is how long a lab may take to end before it is killed.
const stopPatience = 30 * time.Second

// Stop ends the lab's process and waits until it has ended. The lab's servers
// and its data folder stay, so that it can be started again.
func (r *Running) Stop(ctx context.Context) error {
	process, err := os.FindProcess(r.ready.PID)
	if err == nil {
		err = process.Signal(syscall.SIGTERM)
	}
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop the lab in %s: %w", r.dir, err)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(stopPatience)
	defer late.Stop()
	for held(r.dir) {
		select {
		case <-tick.C:
		case <-late.C:
			if err := process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				return fmt.Errorf("stop the lab in %s: %w", r.dir, err)
			}
		case <-ctx.Done():
			return fmt.Errorf("stop the lab in %s: %w", r.dir, ctx.Err())
		}
	}
	return nil
}

// Down ends the lab in dir, if it runs, and removes everything that it made:
// its servers and what they need, and its data folder. Where there is no lab
// it does nothing.
func Down(ctx context.Context, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	r, err := Find(dir)
	switch {
	case err == nil:
		if err := r.Stop(ctx); err != nil {
			return err
		}
	case !errors.Is(err, ErrNotRunning):
		return err
	case !isLab(dir):
		return nil
	}
	o, err := loadOptions(dir)
	if err != nil {
		return err
	}
	if err := destroyHost(ctx, o); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// Logs copies the lab's log to w; with follow it goes on until ctx ends.
func Logs(ctx context.Context, dir string, w io.Writer, follow bool) error {
	f, err := os.Open(filepath.Join(dir, logFile))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", dir, ErrNotRunning)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := io.Copy(w, f); err != nil || !follow {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}
