package plan

import (
	"fmt"
	"slices"

	"github.com/cloudship/cloudship/resource"
)

// A rolling is how a group that is alone behind a balancer is updated: server by server, or, of a
// large group, a tenth at a time. Each wave leaves the members, gets its release, and comes back
// and is healthy before the next one leaves; servers that are replaced come in before the old ones
// go.
type rolling struct {
	m        *maker
	balancer string
	serving  []resource.Address
	before   *move // the end of the wave before
}

// members makes a move that sets a balancer's members to servers, after all such moves before it.
func (m *maker) members(balancer, detail, reason string, servers []resource.Address) *move {
	a := resource.MembersOf(balancer)
	found := m.in.Have.Records[a].Found
	found.Mark = m.mark(a)
	return &move{do: DoUpdate, provider: m.wants[a].Provider, detail: detail, reason: reason, item: resource.Item{
		Mark: found.Mark, Have: &found, Changed: []string{"servers"},
		Spec: &resource.MembersSpec{LoadBalancer: resource.LoadBalancer(balancer), Servers: servers}}}
}

// chain puts a move of members behind those that there are already: no two are made at a time.
func (m *maker) chain(balancer string, mv *move) {
	mv.need(m.tail[balancer], m.making[resource.LoadBalancer(balancer)])
	m.tail[balancer] = mv
	m.more = append(m.more, mv)
}

// mark is the mark that an address has once the plan's makings are done.
func (m *maker) mark(a resource.Address) resource.Mark {
	gen := 1
	if v := m.verdicts[a]; v != nil {
		gen = max(v.gen, 1)
	}
	return resource.Mark{Stack: m.in.Memory.Stack, Address: a, Generation: gen}
}

// serving lists the servers that a balancer sends to now; none when its members are to be made
// first.
func (m *maker) serving(balancer string) []resource.Address {
	v := m.verdicts[resource.MembersOf(balancer)]
	if v == nil || !v.exists || v.fresh() {
		return nil
	}
	if spec, ok := current(v.rec).(*resource.MembersSpec); ok {
		return spec.Servers
	}
	return nil
}

func without(list, leaving []resource.Address) []resource.Address {
	return slices.DeleteFunc(slices.Clone(list), func(x resource.Address) bool { return slices.Contains(leaving, x) })
}

// rolls updates each group that is alone behind a balancer. What is not in order goes first, all at
// once: as long as it is missing, none of the others may leave.
func (m *maker) rolls() {
	for _, b := range m.in.Balancers {
		if len(b.Groups) != 1 {
			continue
		}
		r := &rolling{m: m, balancer: b.Name, serving: m.serving(b.Name)}
		var first, rest []resource.Address
		for i := range m.groups[b.Groups[0]].Servers {
			switch server := resource.Server(b.Groups[0], i); {
			case r.ailing(server):
				first = append(first, server)
			case r.updated(server) || r.replaced(server):
				rest = append(rest, server)
			}
		}
		if len(rest) == 0 || len(r.serving) == 0 {
			continue
		}
		if len(first) > 0 {
			r.join(first)
		}
		if len(r.serving) < 2 {
			r.gap(rest[0])
			continue
		}
		for wave := range slices.Chunk(rest, max(1, m.groups[b.Groups[0]].Servers/10)) {
			r.wave(wave)
		}
		if last := m.making[resource.MembersOf(b.Name)]; last != nil {
			last.need(m.tail[b.Name], r.before)
		}
	}
}

// ailing reports whether a server does not serve now as it should, and is brought to that.
func (r *rolling) ailing(server resource.Address) bool {
	m := r.m
	if v := m.verdicts[server]; v == nil || v.act == Create || v.rec.Problem != "" || len(m.extra[server]) > 0 {
		return v != nil
	}
	for _, a := range []resource.Address{server, resource.DockerOn(server.Name, server.Index), resource.ReleaseOn(server.Name, server.Index)} {
		mv := m.making[a]
		if mv != nil && (mv.do == DoWait || mv.do == DoCreate && !m.verdicts[server].fresh() || slices.Contains(mv.item.Changed, Broken)) {
			return true
		}
	}
	return false
}

// updated reports whether a serving server gets a release.
func (r *rolling) updated(server resource.Address) bool {
	release := r.m.making[resource.ReleaseOn(server.Name, server.Index)]
	return release != nil && release.do == DoUpdate && slices.Contains(r.serving, server) && !r.m.verdicts[server].fresh()
}

// replaced reports whether a serving server is replaced by a new one that is made first.
func (r *rolling) replaced(server resource.Address) bool {
	return r.m.verdicts[server] != nil && r.m.verdicts[server].act == Replace && slices.Contains(r.serving, server) && !r.m.deletedFirst(server)
}

// join draws the wave of those that do not serve yet.
func (r *rolling) join(servers []resource.Address) {
	r.serving = append(without(r.serving, servers), servers...)
	slices.SortFunc(r.serving, resource.Address.Compare)
	back := r.m.members(r.balancer, "with "+nameAll(servers), "it is in order again", slices.Clone(r.serving))
	r.comesBack(back, servers)
}

// wave draws one wave of those that serve.
func (r *rolling) wave(servers []resource.Address) {
	m := r.m
	updated := slices.DeleteFunc(slices.Clone(servers), func(a resource.Address) bool { return !r.updated(a) })
	back := m.members(r.balancer, "with "+nameAll(servers), "its update is done", slices.Clone(r.serving))
	if len(updated) > 0 {
		out := m.members(r.balancer, "without "+nameAll(updated), "while it is updated", without(r.serving, updated))
		out.need(r.before)
		m.chain(r.balancer, out)
		for _, server := range updated {
			release := m.making[resource.ReleaseOn(server.Name, server.Index)]
			release.need(out)
			release.way = []Step{m.step(back)} // the old release still serves there
			if docker := m.making[resource.DockerOn(server.Name, server.Index)]; docker != nil {
				docker.need(out)
			}
		}
	}
	r.comesBack(back, servers)
}

// comesBack ends a wave: its servers come in when they are done, and are healthy before anything
// else.
func (r *rolling) comesBack(back *move, servers []resource.Address) {
	m := r.m
	anchors := m.anchors()
	for _, server := range servers {
		if r.replaced(server) {
			m.making[server].need(r.before)
		}
		for _, a := range []resource.Address{server, resource.DockerOn(server.Name, server.Index), resource.ReleaseOn(server.Name, server.Index)} {
			if m.verdicts[a] != nil {
				back.need(anchors(a)...)
			}
		}
	}
	m.chain(r.balancer, back)
	r.before = r.gate(nameAll(servers), back)
	for _, server := range servers {
		m.settledIn[server] = r.before
	}
}

// gate waits until every server of the group is healthy again.
func (r *rolling) gate(names string, after *move) *move {
	a := resource.RouteOf(r.balancer)
	want, ok := r.m.wants[a]
	if v := r.m.verdicts[a]; !ok || !v.exists || v.fresh() {
		return after
	}
	found := r.m.in.Have.Records[a].Found
	gate := &move{do: DoUpdate, phase: PhaseGate, detail: "healthy with " + names, reason: "before the next one leaves",
		item: resource.Item{Mark: found.Mark, Spec: want.Spec, Have: &found}}
	gate.need(after)
	r.m.more = append(r.m.more, gate)
	if last := r.m.making[a]; last != nil {
		last.need(gate)
	}
	return gate
}

// gap says what a group of one server can't do without.
func (r *rolling) gap(server resource.Address) {
	note := "group %s has one server: its new containers are started before the old ones stop; where a host port or a volume forbids that, there is a gap"
	if r.replaced(server) {
		note = "group %s has one server: until load_balancer.%s has found the new one healthy there may be a gap"
		r.m.notes = append(r.m.notes, fmt.Sprintf(note, server.Name, r.balancer))
		return
	}
	r.m.notes = append(r.m.notes, fmt.Sprintf(note, server.Name))
}

// nameAll names servers of one group.
func nameAll(servers []resource.Address) string {
	var indexes []int
	for _, s := range servers {
		indexes = append(indexes, s.Index)
	}
	return Range(servers[0], indexes)
}

// leave takes a server out of the members that it is in, before it is deleted with nothing in its
// place yet; nil where it is in none.
func (m *maker) leave(server resource.Address) *move {
	for _, b := range m.in.Balancers {
		serving := m.serving(b.Name)
		if !slices.Contains(serving, server) {
			continue
		}
		m.left[b.Name] = append(m.left[b.Name], server)
		out := m.members(b.Name, "without "+nameAll(m.left[b.Name]), "it is deleted before the new one is made", without(serving, m.left[b.Name]))
		m.chain(b.Name, out)
		if last := m.making[resource.MembersOf(b.Name)]; last != nil {
			last.need(out)
		}
		return out
	}
	return nil
}
