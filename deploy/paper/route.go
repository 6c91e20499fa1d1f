package paper

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// switching is what the phases of one switch need to know.
type switching struct {
	call     resource.Call
	address  resource.Address
	spec     *resource.RouteSpec
	new, old []resource.Found // servers
}

// putRoute does one phase of a switch, or, without a phase, writes down which group is live.
func (d *Driver) putRoute(ctx context.Context, c resource.Call, item resource.Item, spec *resource.RouteSpec) (*resource.Found, error) {
	s := &switching{call: c, address: item.Mark.Address, spec: spec}
	for _, a := range slices.SortedFunc(maps.Keys(c.Peers), resource.Address.Compare) {
		switch {
		case a.Kind() != resource.KindServer:
		case a.Name == spec.Live:
			s.new = append(s.new, c.Peers[a])
		case slices.Contains(spec.Groups, a.Name):
			s.old = append(s.old, c.Peers[a])
		}
	}
	var err error
	switch c.Phase {
	case plan.PhaseTest:
		err = d.test(ctx, s)
	case plan.PhaseGate:
		err = d.gate(ctx, s)
	case plan.PhaseWatch:
		err = d.watch(ctx, s)
	case plan.PhaseCommit, "":
		err = d.commit(ctx, s)
	case plan.PhaseDrain, plan.PhaseUndo:
	default:
		err = fmt.Errorf("unknown phase %q of a switch", c.Phase)
	}
	if err != nil {
		return nil, err
	}
	return &resource.Found{Mark: item.Mark, ID: string(item.Mark.Stack), Spec: spec, Observed: []string{"load_balancer", "live"}, Ready: true}, nil
}

// test looks at the idle group, and runs the user's commands.
func (d *Driver) test(ctx context.Context, s *switching) error {
	down := d.probe(ctx, s) != nil
	d.mu.Lock()
	d.down[s.address] = down
	d.mu.Unlock()
	if err := d.healthy(ctx, s, "test"); err != nil {
		return err
	}
	for _, argv := range s.spec.Test {
		if len(s.new) == 0 {
			break
		}
		command := exec.CommandContext(ctx, argv[0], argv[1:]...)
		command.Dir = d.options.Dir
		command.Env = append(slices.Clone(d.options.Environ),
			"CLOUDSHIP_TEST_URL="+d.hosts.url+"/"+s.new[0].Facts.PublicIP, "CLOUDSHIP_GROUP="+s.spec.Live, "CLOUDSHIP_RELEASE="+s.spec.Release)
		out, err := command.CombinedOutput()
		for line := range strings.Lines(string(out)) {
			s.call.Say(s.address, strings.TrimRight(line, "\n"))
		}
		if err != nil {
			return fmt.Errorf("test %q of %s: %w", strings.Join(argv, " "), s.spec.Live, err)
		}
	}
	return nil
}

// gate wants the new group healthy, and the probes through the balancer to succeed.
func (d *Driver) gate(ctx context.Context, s *switching) error {
	if err := d.healthy(ctx, s, plan.PhaseGate); err != nil {
		return err
	}
	err := d.probe(ctx, s)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down[s.address] {
		return nil // it did not answer before either
	}
	return err
}

// healthy looks at every server of the group that is switched to.
func (d *Driver) healthy(ctx context.Context, s *switching, phase string) error {
	for _, server := range s.new {
		found, err := d.look(ctx, server)
		if err != nil {
			return err
		}
		for _, f := range found {
			if f.Broken != "" {
				return fmt.Errorf("%s is not healthy: %s", server.Mark.Address, f.Broken)
			}
		}
		fails, err := d.fails(ctx, server)
		if err == nil && fails == phase {
			err = fmt.Errorf("%s is not healthy: on paper, label %s=%s", server.Mark.Address, Fails, phase)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fails is where the release on a server is to fail, or "".
func (d *Driver) fails(ctx context.Context, server resource.Found) (string, error) {
	files, err := d.hosts.on(server).read(ctx)
	if err != nil {
		return "", err
	}
	var now current
	if ok, err := files.get(currentFile, &now); err != nil || !ok {
		return "", err
	}
	for _, k := range files.kept() {
		if k.Entry.ID != now.Release {
			continue
		}
		document, err := template.Decode(k.Entry.Document)
		if err != nil {
			return "", err
		}
		for _, service := range document.Services {
			if at := service.Labels[Fails]; at != "" {
				return at, nil
			}
		}
	}
	return "", nil
}

// commit writes the route's last commit to every server, so that a lost state finds out which
// group is live. That one has it is enough.
func (d *Driver) commit(ctx context.Context, s *switching) error {
	now := time.Now().UTC()
	note := resource.RouteCommit{Route: s.address, Live: s.spec.Live, Release: s.spec.Release, Serial: now.UnixMilli(), At: now}
	written, managed := 0, false
	var problems []error
	for _, server := range slices.Concat(s.new, s.old) {
		a := server.Mark.Address
		if _, ok := s.call.Peers[resource.DockerOn(a.Name, a.Index)]; !ok {
			continue
		}
		managed = true
		if err := d.hosts.on(server).write(ctx, routes+s.address.Name+".json", note); err != nil {
			problems = append(problems, err)
			continue
		}
		written++
	}
	if managed && written == 0 {
		return errors.Join(problems...)
	}
	return nil
}

// watch probes through the balancer for the watch window. A release that is to fail here stops
// answering first.
func (d *Driver) watch(ctx context.Context, s *switching) error {
	for _, server := range s.new {
		fails, err := d.fails(ctx, server)
		if err != nil {
			return err
		}
		if fails == plan.PhaseWatch {
			if err := d.hosts.on(server).write(ctx, downFile, "on paper: label "+Fails); err != nil {
				return err
			}
		}
	}
	end := time.Now().Add(time.Duration(s.spec.Watch) * time.Second)
	for {
		if err := d.probe(ctx, s); err != nil {
			return err
		}
		left := time.Until(end)
		if left <= 0 {
			return nil
		}
		if err := pause(ctx, min(left, 100*time.Millisecond)); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// probe sends each of the user's probes once through the balancer's listener.
func (d *Driver) probe(ctx context.Context, s *switching) error {
	balancer := s.call.Peers[s.spec.LoadBalancer]
	lb, ok := balancer.Spec.(*resource.LoadBalancerSpec)
	if !d.options.Probe || !ok || len(lb.Listeners) == 0 {
		return nil
	}
	for _, one := range s.spec.Probes {
		place := "http://" + net.JoinHostPort(balancer.Facts.PublicIP, strconv.Itoa(lb.Listeners[0].Port)) + one.Path
		if err := ask(ctx, place, one.Expect); err != nil {
			return fmt.Errorf("probe through %s: %w", s.address.Name, err)
		}
	}
	return nil
}

func ask(ctx context.Context, place string, expect int) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, place, nil)
	if err != nil {
		return err
	}
	request.Close = true
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	_ = answer.Body.Close()
	if answer.StatusCode >= 500 || expect != 0 && answer.StatusCode != expect {
		return fmt.Errorf("GET %s: %s", place, answer.Status)
	}
	return nil
}
