package kill

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cloudship/cloudship/e2e/rig"
	"github.com/cloudship/cloudship/lab"
	"github.com/cloudship/cloudship/lab/cloud"
)

var (
	program string       // the real one, built once
	kills   atomic.Int64 // all that were dealt
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// run runs the tests with everything below one folder, which goes away also when they are interrupted.
func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "cloudship-kill-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupted
		_ = os.RemoveAll(dir)
		os.Exit(130)
	}()
	flag.Parse()
	err = errors.Join(os.Setenv("TMPDIR", dir), flag.Set("test.parallel", "6")) // they mostly wait
	if err != nil {
		return 1, err
	}
	if program, _, err = rig.Build(context.Background()); err != nil {
		return 1, err
	}
	code = m.Run()
	fmt.Printf("%d kills\n", kills.Load())
	return code, nil
}

// voyage is one stack in a lab of its own, on paper.
type voyage struct {
	*testing.T
	rig  *rig.Rig
	lab  *lab.Lab
	vars []string // of the stack file, as flags
	log  []string // what was done, for a failure
}

// newVoyage starts a lab and a stack that nothing was done with.
func newVoyage(t *testing.T, faults cloud.Settings, environ ...string) *voyage {
	t.Helper()
	l, err := lab.Start(t.Context(), lab.Options{Faults: &faults})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	r, err := rig.New(program, "testdata/stack", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(r.Root) })
	r.Env = append(r.Env,
		"DIGITALOCEAN_API_URL="+l.URL(lab.DigitalOcean), "DIGITALOCEAN_TOKEN="+l.Token(), "DIGITALOCEAN_LIST_LAG=50ms",
		"DIGITALOCEAN_CHECKS_TAKE=150ms",
		"GOGC=off", "GOMEMLIMIT=512MiB", // a run is short
		"CLOUDSHIP_PAPER="+l.URL(lab.DigitalOcean), "CLOUDSHIP_PACE=5ms", "CLOUDSHIP_NEW_KEY=true", "CLOUDSHIP_AUTO_APPROVE=true")
	r.Env = append(r.Env, environ...)
	return &voyage{T: t, rig: r, lab: l}
}

// patience is how long one run of the program may take on a machine under load.
const patience = 3 * time.Minute

// run runs the program to its end.
func (v *voyage) run(args ...string) rig.Output {
	ctx, cancel := context.WithTimeout(v.Context(), patience)
	defer cancel()
	out := v.rig.Run(ctx, append(args, v.vars...)...)
	v.log = append(v.log, fmt.Sprintf("$ cloudship %s: exit %d\n%s%s", strings.Join(args, " "), out.Code, out.Stdout, out.Stderr))
	return out
}

// must runs the program and wants it to succeed.
func (v *voyage) must(args ...string) rig.Output {
	v.Helper()
	out := v.run(args...)
	if out.Code != 0 {
		v.fail("cloudship %s: exit %d", strings.Join(args, " "), out.Code)
	}
	return out
}

// fail tells what was done in the last few runs, and ends the test.
func (v *voyage) fail(format string, args ...any) {
	v.Helper()
	last := v.log[max(0, len(v.log)-4):]
	v.Fatalf(format+"\n%s\nthe cloud holds %v", append(args, strings.Join(last, "\n"), v.lab.Report().Counts)...)
}

// holds wants the cloud to hold exactly so much of what can be made.
func (v *voyage) holds(droplets, balancers, keys, firewalls, networks int) {
	v.Helper()
	have := v.lab.Report().Counts
	want := map[string]int{"droplets": droplets, "load_balancers": balancers, "ssh_keys": keys, "firewalls": firewalls}
	for kind, n := range want {
		if have[kind] != n {
			v.fail("%d %s, want %d", have[kind], kind, n)
		}
	}
	if n := len(v.networks()); n != networks {
		v.fail("%d networks, want %d", n, networks)
	}
}

// networks lists the VPCs of ours by name: the cloud has default ones of its own.
func (v *voyage) networks() []string {
	var names []string
	for _, part := range strings.Split(v.ask("/v2/vpcs?per_page=200"), `"name":"`)[1:] {
		if name, _, _ := strings.Cut(part, `"`); strings.Contains(name, ".network.") {
			names = append(names, name)
		}
	}
	return names
}

// address is where the load balancer answers.
func (v *voyage) address() string {
	v.Helper()
	return strings.TrimSpace(v.must("output", "address").Stdout)
}

func (v *voyage) ask(path string) string {
	request, err := http.NewRequestWithContext(v.Context(), http.MethodGet, v.lab.URL(lab.DigitalOcean)+path, nil)
	if err != nil {
		v.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+v.lab.Token())
	answer, err := http.DefaultClient.Do(request)
	for try := 1; err != nil && try < 20; try++ { // the cloud may lose one answer in ten
		answer, err = http.DefaultClient.Do(request)
	}
	if err != nil {
		v.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		v.Fatal(err)
	}
	return string(b)
}

// Whom a kill hits.
type victim int

const (
	both victim = iota
	cloudship
	plugin
	victims = iota
)

func (v victim) String() string { return [...]string{"both", "cloudship", "the plugin"}[v] }

// A blow is one kill: whom it hits, and at which call.
type blow struct {
	who    victim
	method string // of the call
	nth    int    // of the calls with that method
	point  string
}

// strike runs the program, holds the call of a blow, kills, and lets the world go on. It reports
// false when the run ended before such a call: then it went through undisturbed.
func (v *voyage) strike(b blow, args ...string) bool {
	v.Helper()
	v.lab.Faults().Set(withRule(v.lab.Faults().Settings(), cloud.Rule{Do: cloud.Hold, Method: b.method, Nth: b.nth, Point: b.point}))
	defer v.lab.Faults().Reset()
	ctx, cancel := context.WithTimeout(v.Context(), patience)
	defer cancel()
	cmd := v.rig.Command(ctx, append(args, v.vars...)...)
	var output tail
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		v.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	reached := make(chan cloud.Held, 1)
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		if held, err := v.lab.Barrier().Wait(waiting); err == nil {
			reached <- held
		}
	}()
	select {
	case err := <-ended:
		v.log = append(v.log, fmt.Sprintf("$ cloudship %s, not killed at %s %d (%v):\n%s", strings.Join(args, " "), b.method, b.nth, err, output.String()))
		if err != nil {
			v.fail("cloudship %s ended with %v before its %s %d", strings.Join(args, " "), err, b.method, b.nth)
		}
		return false
	case held := <-reached:
		pid := cmd.Process.Pid
		v.log = append(v.log, fmt.Sprintf("$ cloudship %s, %s killed at %s %d, %s, of %s: %s", strings.Join(args, " "), b.who, b.method, b.nth, b.point, held.Call.Provider, held.Call.Path))
		v.kill(pid, b.who)
		if b.point != cloud.AfterAnswer && !(b.who == plugin && held.Call.Provider == lab.Hosts) {
			v.left(held.Call.N)
		}
	}
	v.lab.Faults().Reset()
	select {
	case <-ended:
	case <-ctx.Done():
		v.fail("it did not end within %s:\n%s", patience, output.String())
	}
	v.log[len(v.log)-1] += ":\n" + output.String()
	return true
}

func withRule(s cloud.Settings, r cloud.Rule) cloud.Settings {
	s.Rules = append([]cloud.Rule{r}, s.Rules...)
	return s
}

// kill ends the victims at once.
func (v *voyage) kill(pid int, who victim) {
	victims := []int{}
	if who != plugin {
		victims = append(victims, pid)
	}
	if who != cloudship {
		victims = append(victims, children(pid)...)
	}
	kills.Add(1)
	for _, p := range victims {
		if err := syscall.Kill(p, syscall.SIGKILL); err != nil && err != syscall.ESRCH {
			v.Fatal(err)
		}
	}
}

// children are the processes that a process started and that have not ended.
func children(pid int) []int {
	var list []int
	names, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended meanwhile
		}
		// PID (NAME) STATE PARENT ...; a name may hold anything.
		_, rest, _ := strings.Cut(string(b[max(0, bytes.LastIndexByte(b, ')')):]), " ")
		fields := strings.Fields(rest)
		child, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		if err == nil && len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			list = append(list, child)
		}
	}
	return list
}

// left waits until the world has noticed that the client of a call is gone.
func (v *voyage) left(n int) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.After(time.Minute)
	for {
		for _, call := range v.lab.Calls().All() {
			if call.N == n && call.Took > 0 {
				return
			}
		}
		select {
		case <-tick.C:
		case <-late:
			v.Fatalf("the client of call %d never left", n)
		}
	}
}

// tail keeps what a process says.
type tail struct {
	mu sync.Mutex
	b  strings.Builder
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(b)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// witness asks the load balancer all the time: the live group must never be without a member.
type witness struct {
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	sent   int
	failed []string
}

func watch(url string) *witness {
	ctx, cancel := context.WithCancel(context.Background())
	w := &witness{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		client := &http.Client{Timeout: 30 * time.Second}
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			answer, err := client.Get(url)
			status := ""
			if err == nil {
				_, _ = io.Copy(io.Discard, answer.Body)
				_ = answer.Body.Close()
				status = answer.Status
			}
			w.mu.Lock()
			w.sent++
			if err != nil || answer.StatusCode != http.StatusOK {
				w.failed = append(w.failed, fmt.Sprintf("%s %s %v", time.Now().Format("15:04:05.000"), status, err))
			}
			w.mu.Unlock()
		}
	}()
	return w
}

// saw tells what was asked and what failed since the last time.
func (w *witness) saw() (sent int, failed []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	failed, w.failed = w.failed, nil
	return w.sent, failed
}

func (w *witness) stop() {
	w.cancel()
	<-w.done
}
