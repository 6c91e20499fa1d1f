// Package fleet measures the program on many servers at once, on paper: how long it takes, how much
// memory, and how many API calls, beside what no program could do better.
package fleet

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cloudship/cloudship/e2e/rig"
	"github.com/cloudship/cloudship/lab"
	"github.com/cloudship/cloudship/lab/cloud"
)

// Cloud is how the cloud of a measurement behaves.
type Cloud struct {
	Latency time.Duration // of every call
	Active  time.Duration // from a server's creation until it is active
	Burst   int           // calls in any window; 0: no limit
	Window  time.Duration // of the burst limit; 0: a minute
}

// Usual is the cloud that the issue and the tests name.
var Usual = Cloud{Latency: 50 * time.Millisecond, Active: 2 * time.Second}

// What providers allow, and the program does at a time.
const (
	batch    = 10  // droplets made in a call
	parallel = 10  // calls at a time
	page     = 200 // droplets listed in a call
	tagged   = 250 // droplets tagged in a call
)

// Cost is what one run of the program took.
type Cost struct {
	Took    time.Duration
	Memory  int64 // most resident bytes, of the program without its plugin
	Calls   int
	Refused int // of the calls, for their rate
}

func (c Cost) String() string {
	return fmt.Sprintf("%6.1f s, %4d calls (%d refused), %4d MB", c.Took.Seconds(), c.Calls, c.Refused, c.Memory>>20)
}

// Voyage is the life of one fleet.
type Voyage struct {
	Servers              int
	Cloud                Cloud
	Apply, Plan, Destroy Cost
}

// FewestCalls is how many calls a first apply needs at least.
func (v *Voyage) FewestCalls() int {
	calls := 1 + // the account, for its limits
		5 + // is there anything of ours: keys, networks, servers, firewalls, balancers
		3 + // sizes, regions, images
		1 + 1 + 1 + // key, firewall, balancer
		2 + // tags that mark stack and group
		rounded(v.Servers, batch) + // the servers
		rounded(v.Servers, page) + 1 // they and the balancer are active
	if v.Servers > 10 { // a balancer takes no more by their ids
		return calls + 1 + rounded(v.Servers, tagged)
	}
	return calls + 1
}

// rounded is how many times n goes into a number, rounded up.
func rounded(number, n int) int { return (number + n - 1) / n }

// Bound is how long a first apply takes at least: what must come one after the other, the time to
// active, and what a burst limit holds back.
func (v *Voyage) Bound() time.Duration {
	// account; lists and catalogue; key and tags; servers; list; members
	rounds := 3 + rounded(rounded(v.Servers, batch), parallel) + 2
	bound := time.Duration(rounds)*v.Cloud.Latency + v.Cloud.Active
	if v.Cloud.Burst > 0 {
		window := v.Cloud.Window
		if window == 0 {
			window = time.Minute
		}
		bound = max(bound, time.Duration((v.FewestCalls()-1)/v.Cloud.Burst)*window)
	}
	return bound
}

// Sail makes a fleet, plans it again, and destroys it. Every run must succeed.
func Sail(ctx context.Context, program string, servers int, c Cloud) (*Voyage, error) {
	v := &Voyage{Servers: servers, Cloud: c}
	settings := cloud.Instant()
	settings.Timing.Latency, settings.Timing.ServerActive = cloud.Duration(c.Latency), cloud.Duration(c.Active)
	settings.Timing.BalancerActive = settings.Timing.ServerActive
	settings.Limits.Burst, settings.Limits.BurstWindow = c.Burst, cloud.Duration(c.Window)
	settings.Limits.KeyLists = 10
	l, err := lab.Start(ctx, lab.Options{Faults: &settings})
	if err != nil {
		return nil, err
	}
	defer func() { _ = l.Close() }()
	r, err := rig.New(program, "testdata/stack", io.Discard)
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(r.Root) }()
	r.Env = append(r.Env, "DIGITALOCEAN_API_URL="+l.URL(lab.DigitalOcean), "DIGITALOCEAN_TOKEN="+l.Token(),
		"CLOUDSHIP_NEW_KEY=true", "CLOUDSHIP_AUTO_APPROVE=true", "CLOUDSHIP_VAR_servers="+strconv.Itoa(servers))
	for _, step := range []struct {
		cost *Cost
		left int // droplets afterwards
		args []string
	}{
		{&v.Apply, servers, []string{"apply"}},
		{&v.Plan, servers, []string{"plan", "--detailed-exitcode"}},
		{&v.Destroy, 0, []string{"destroy"}},
	} {
		if *step.cost, err = measure(ctx, r, l, step.args...); err != nil {
			return v, err
		}
		if n := l.Report().Counts["droplets"]; n != step.left {
			return v, fmt.Errorf("%d droplets after %s, want %d", n, step.args[0], step.left)
		}
	}
	return v, nil
}

// measure runs the program once.
func measure(ctx context.Context, r *rig.Rig, l *lab.Lab, args ...string) (Cost, error) {
	l.Calls().Reset()
	cmd := r.Command(ctx, args...)
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	began := time.Now()
	err := cmd.Run()
	c := Cost{Took: time.Since(began), Calls: l.Calls().Len()}
	for _, call := range l.Calls().All() {
		if call.Status == http.StatusTooManyRequests {
			c.Refused++
		}
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		c.Memory = usage.Maxrss << 10
	}
	if err != nil {
		text := output.String()
		return c, fmt.Errorf("cloudship %s: %w\n%s", strings.Join(args, " "), err, text[max(0, len(text)-4000):])
	}
	return c, nil
}
