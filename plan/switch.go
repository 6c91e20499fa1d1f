package plan

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cloudship/cloudship/resource"
)

// The phases in their order, there and back.
var (
	forward = []string{PhaseTest, PhaseAttach, PhaseGate, PhaseCommit, PhaseDrain, PhaseDetach, PhaseWatch}
	wayBack = []string{PhaseUndo, PhaseAttach, PhaseGate, PhaseCommit, PhaseDetach}
)

// remaining lists the phases that a switch has before it.
func remaining(s resource.Switch) []string {
	list := forward
	if s.Back {
		list = wayBack
	}
	if s.Committed() {
		if i := slices.Index(list, s.Phase); i >= 0 {
			return list[i:]
		}
		return list[len(list)-1:]
	}
	return list
}

// underWay reports whether a balancer's members and route are in the hands of a switch that is
// being finished, so that ordinary updates of them have no place.
func (m *maker) underWay(a resource.Address) bool {
	if k := a.Kind(); k != resource.KindMembers && k != resource.KindRoute {
		return false
	}
	s, ok := m.in.Decision.Switches[a.Name]
	return ok && s.Phase != ""
}

// switches draws the phases of every switch, one after the other, after all that the new group
// needs.
func (m *maker) switches() {
	anchors := m.anchors()
	for _, name := range slices.Sorted(maps.Keys(m.in.Decision.Switches)) {
		s := m.in.Decision.Switches[name]
		if m.verdicts[resource.RouteOf(name)] == nil {
			continue
		}
		if why := m.cannotSwitch(s); why != "" {
			m.held = append(m.held, Deferral{Address: resource.RouteOf(name), Reason: why})
			continue
		}
		t := &turn{m: m, balancer: name, s: s, old: m.serversOf(s.From), new: m.serversOf(s.To)}
		var before *move
		for _, phase := range remaining(s) {
			mv := t.move(phase)
			if before == nil {
				m.afterAll(mv, name, s.To, anchors)
				mv.need(m.tail[name])
			} else {
				mv.need(before)
			}
			if !s.Back {
				mv.way, mv.outcome = t.failure(phase)
			}
			m.phases[name] = append(m.phases[name], mv)
			before = mv
		}
		m.more = append(m.more, m.phases[name]...)
	}
	for _, b := range m.in.Balancers {
		if _, moves := m.phases[b.Name]; moves && !b.Drain {
			m.notes = append(m.notes, fmt.Sprintf("load_balancer.%s: the template has no x-cloudship.drain: requests that are open when the old group is detached may be cut", b.Name))
		}
	}
}

// cannotSwitch tells why a switch can't start, or "".
func (m *maker) cannotSwitch(s resource.Switch) string {
	if s.Phase != "" {
		return ""
	}
	for _, a := range m.order {
		if a.Block == "group" && a.Name == s.To && m.verdicts[a].unknown != "" {
			return fmt.Sprintf("no switch to group %s: %s could not be asked: %s", s.To, a, m.verdicts[a].unknown)
		}
	}
	return ""
}

// afterAll lets a move wait for everything that a group and its balancer need.
func (m *maker) afterAll(mv *move, balancer, group string, anchors func(resource.Address) []*move) {
	for _, a := range m.order {
		if a.Block == "group" && a.Name == group || a.Block == "load_balancer" && a.Name == balancer {
			mv.need(anchors(a)...)
		}
	}
}

// serversOf lists a group's wanted servers.
func (m *maker) serversOf(group string) []resource.Address {
	var list []resource.Address
	for a := range m.wants {
		if a.Kind() == resource.KindServer && a.Name == group {
			list = append(list, a)
		}
	}
	slices.SortFunc(list, resource.Address.Compare)
	return list
}

// A turn is one switch being drawn.
type turn struct {
	m        *maker
	balancer string
	s        resource.Switch
	old, new []resource.Address
}

// back is the same switch the other way round.
func (t *turn) back() *turn {
	return &turn{m: t.m, balancer: t.balancer, old: t.new, new: t.old,
		s: resource.Switch{From: t.s.To, To: t.s.From, Release: t.m.in.Decision.Intent.Releases[t.s.From], Back: true}}
}

// move is one phase.
func (t *turn) move(phase string) *move {
	var mv *move
	switch phase {
	case PhaseAttach:
		mv = t.m.members(t.balancer, "", "", slices.Concat(t.old, t.new))
	case PhaseDetach:
		mv = t.m.members(t.balancer, "", "", slices.Clone(t.new))
	default:
		mv = t.route()
	}
	return t.as(mv, phase)
}

func (t *turn) as(mv *move, phase string) *move {
	s := t.s
	s.Phase = phase
	mv.phase, mv.turn = phase, &s
	return mv
}

// route makes a move of the route: its spec has the group switched to, what it has the other.
func (t *turn) route() *move {
	a := resource.RouteOf(t.balancer)
	want, _ := t.m.wants[a].Spec.(*resource.RouteSpec)
	to, from := *want, *want
	to.Live, to.Release, to.Bad = t.s.To, t.s.Release, t.bad()
	from.Live, from.Release = t.s.From, t.m.in.Decision.Intent.Releases[t.s.From]
	found := t.m.in.Have.Records[a].Found
	found.Mark, found.Spec, found.Observed = t.m.mark(a), &from, []string{"live"}
	return &move{do: DoUpdate, item: resource.Item{Mark: found.Mark, Spec: &to, Have: &found, Changed: []string{"live"}}}
}

// bad lists the releases that are refused once this turn has been taken.
func (t *turn) bad() []string {
	intent := t.m.in.Decision.Intent
	list := slices.DeleteFunc(slices.Clone(intent.Bad[t.balancer]), func(id string) bool { return id == t.s.Release })
	if left := intent.Releases[t.s.From]; left != t.s.Release && left != "" && (t.s.Back || t.m.in.Command == "rollback") {
		list = union(list, []string{left})
	}
	return list
}

// undo sets the members back to the group that is live, where a phase before the commit fails.
func (t *turn) undo() Step {
	return t.m.step(t.as(t.m.members(t.balancer, "", "", slices.Clone(t.old)), PhaseUndo))
}

// failure is the way back from a phase, and what that means.
func (t *turn) failure(phase string) ([]Step, Outcome) {
	switch phase {
	case PhaseTest:
		return nil, Refused
	case PhaseAttach, PhaseGate:
		return []Step{t.undo()}, Refused
	case PhaseDrain, PhaseDetach, PhaseWatch:
		back := t.back()
		var way []Step
		for _, phase := range wayBack {
			mv := back.move(phase)
			if phase == PhaseAttach || phase == PhaseGate {
				mv.way = []Step{back.undo()} // the old group is no better: the new one stays live
			}
			way = append(way, t.m.step(mv))
		}
		return way, SwitchedBack
	}
	return nil, ""
}
