package deploy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/resource"
)

// routes is the part of the driver for routes: the phases of a switch that are no call to a cloud.
// Which phase comes when, and what a failure leads to, stands in the plan.
type routes struct {
	hosts   *Hosts
	options Options
	mu      sync.Mutex
	probing map[resource.Address]*prober // from a switch's first phase to its end
	back    map[resource.Address]bool    // routes on their way back to the group before
}

// put does one phase of a switch, or, without a phase, writes down which group is live.
func (d *routes) put(ctx context.Context, c resource.Call, item resource.Item, spec *resource.RouteSpec) (*resource.Found, error) {
	s, err := d.switching(c, item, spec)
	if err != nil {
		return nil, err
	}
	switch c.Phase {
	case plan.PhaseTest:
		err = d.test(ctx, s)
	case plan.PhaseGate:
		err = d.gate(ctx, s)
	case plan.PhaseDrain:
		err = d.drain(ctx, s)
	case plan.PhaseWatch:
		err = d.watch(ctx, s)
	case plan.PhaseUndo:
		err = d.undo(ctx, s)
	case plan.PhaseCommit, "":
		err = d.commit(ctx, s)
	default:
		return nil, fmt.Errorf("unknown phase %q of a switch", c.Phase)
	}
	if err != nil {
		d.stopProbing(item.Mark.Address)
		return nil, err
	}
	found := &resource.Found{Mark: item.Mark, ID: string(item.Mark.Stack), Spec: spec, Observed: []string{"load_balancer", "live"}, Ready: true}
	if p := d.prober(item.Mark.Address); p != nil {
		sent, failed, _ := p.count()
		found.Facts.Extra = map[string]string{"requests": fmt.Sprint(sent), "failed": fmt.Sprint(failed)}
	}
	if c.Phase == plan.PhaseWatch {
		d.stopProbing(item.Mark.Address)
	}
	return found, nil
}

// switching is what the phases of one switch need to know.
type switching struct {
	call     resource.Call
	address  resource.Address
	spec     *resource.RouteSpec
	balancer resource.Found
	check    resource.HealthCheck
	port     int              // of the balancer's first listener on its members
	new, old []resource.Found // servers, by index
	oldGroup string
}

func (s *switching) say(format string, args ...any) {
	s.call.Say(s.address, fmt.Sprintf(format, args...))
}

// switching collects it from the call.
func (d *routes) switching(c resource.Call, item resource.Item, spec *resource.RouteSpec) (*switching, error) {
	s := &switching{call: c, address: item.Mark.Address, spec: spec}
	balancer, ok := c.Peers[spec.LoadBalancer]
	if !ok {
		return nil, fmt.Errorf("%s: its balancer %s is not known", s.address, spec.LoadBalancer)
	}
	s.balancer = balancer
	if lb, ok := balancer.Spec.(*resource.LoadBalancerSpec); ok {
		s.check = lb.HealthCheck
		if len(lb.Listeners) > 0 {
			s.port = lb.Listeners[0].TargetPort
		}
	}
	if s.check.Port == 0 {
		s.check.Port = s.port
	}
	for _, group := range spec.Groups {
		if group != spec.Live {
			s.oldGroup = group
		}
	}
	s.new, s.old = serversOf(c.Peers, spec.Live), serversOf(c.Peers, s.oldGroup)
	return s, nil
}

func serversOf(peers map[resource.Address]resource.Found, group string) []resource.Found {
	var list []resource.Found
	for _, a := range slices.SortedFunc(maps.Keys(peers), resource.Address.Compare) {
		if a.Kind() == resource.KindServer && a.Name == group {
			list = append(list, peers[a])
		}
	}
	return list
}

// commit writes the route's last commit to every server, so that a lost state finds out which
// group is live. That one of the live group has it is enough.
func (d *routes) commit(ctx context.Context, s *switching) error {
	now := time.Now().UTC()
	note := resource.RouteCommit{Route: s.address, Live: s.spec.Live, Release: s.spec.Release, Bad: s.spec.Bad, Serial: now.UnixMilli(), At: now}
	for _, peer := range s.call.Peers { // clocks differ from machine to machine
		if before := peer.Facts.RouteCommit; before != nil && before.Route == s.address {
			note.Serial = max(note.Serial, before.Serial+1)
		}
	}
	written := 0
	var problems []error
	for _, server := range slices.Concat(s.new, s.old) {
		err := d.note(ctx, s, server, note)
		if err == nil {
			written++
			continue
		}
		problems = append(problems, err)
		s.say("%s does not take note of the commit: %v", server.Mark.Address, err)
	}
	if written == 0 && len(problems) > 0 && d.manages(s) {
		return fmt.Errorf("no server takes note of the commit: %w", errors.Join(problems...))
	}
	if s.call.Phase == plan.PhaseCommit {
		d.goesBack(s.address, false)
		s.say("%s is live", s.spec.Live)
	}
	return nil
}

// manages reports whether we reach the servers at all: a group without a template is servers alone.
func (d *routes) manages(s *switching) bool {
	for a := range s.call.Peers {
		if a.Kind() == resource.KindDocker {
			return true
		}
	}
	return false
}

func (d *routes) note(ctx context.Context, s *switching, server resource.Found, note resource.RouteCommit) error {
	a := server.Mark.Address
	docker, ok := s.call.Peers[resource.DockerOn(a.Name, a.Index)]
	if !ok {
		return nil
	}
	host, err := d.hosts.Reach(ctx, server, docker.Facts.Enrolled, nil)
	if err != nil {
		return err
	}
	return d.hosts.folder(host).write(ctx, note, "route-"+s.address.Name+".json")
}

// undo makes the group that the traffic goes back to take it: its draining ends. What the other one
// does is its own affair by now.
func (d *routes) undo(ctx context.Context, s *switching) error {
	d.stopProbing(s.address)
	d.goesBack(s.address, true)
	if err := d.undrain(ctx, s, s.old); err != nil {
		s.say("ending the drain of %s: %v", s.oldGroup, err)
	}
	return d.undrain(ctx, s, s.new)
}

// goesBack notes that a route is on its way back, or has arrived.
func (d *routes) goesBack(route resource.Address, back bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.back == nil {
		d.back = map[resource.Address]bool{}
	}
	d.back[route] = back
}
