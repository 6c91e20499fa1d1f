package plan

import (
	"fmt"
	"slices"

	"github.com/cloudship/cloudship/resource"
)

// members makes a move that sets a balancer's members to servers.
func (m *maker) members(balancer string, servers []resource.Address) *move {
	a := resource.MembersOf(balancer)
	found := m.in.Have.Records[a].Found
	found.Mark = m.mark(a)
	return &move{do: DoUpdate, provider: m.wants[a].Provider, item: resource.Item{
		Mark: found.Mark, Have: &found, Changed: []string{"servers"},
		Spec: &resource.MembersSpec{LoadBalancer: resource.LoadBalancer(balancer), Servers: servers}}}
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
	for _, s := range []resource.Spec{v.rec.Found.Spec, v.rec.Want} {
		if spec, ok := s.(*resource.MembersSpec); ok && (s == v.rec.Want || slices.Contains(v.rec.Observed, "servers")) {
			return spec.Servers
		}
	}
	return nil
}

func without(list []resource.Address, a resource.Address) []resource.Address {
	return slices.DeleteFunc(slices.Clone(list), func(x resource.Address) bool { return x == a })
}

// rolls updates a group that is alone behind a balancer server by server: each leaves the members,
// gets its release, and comes back before the next one leaves.
func (m *maker) rolls() {
	for _, b := range m.in.Balancers {
		if len(b.Groups) != 1 {
			continue
		}
		serving := m.serving(b.Name)
		var before *move
		for i := range m.groups[b.Groups[0]].Servers {
			server := resource.Server(b.Groups[0], i)
			release := m.making[resource.ReleaseOn(b.Groups[0], i)]
			if release == nil || release.do != DoUpdate || !slices.Contains(serving, server) || m.verdicts[server].fresh() {
				continue
			}
			if len(serving) < 2 {
				m.notes = append(m.notes, fmt.Sprintf("group %s has one server: its new containers are started before the old ones stop; where a host port or a volume forbids that, there is a gap", b.Groups[0]))
				continue
			}
			before = m.roll(b.Name, server, release, serving, before)
		}
		if last := m.making[resource.MembersOf(b.Name)]; last != nil {
			last.need(before)
		}
	}
}

// roll draws one server's turn and answers the move that ends it.
func (m *maker) roll(balancer string, server resource.Address, release *move, serving []resource.Address, before *move) *move {
	out := m.members(balancer, without(serving, server))
	out.detail, out.reason = "without "+server.String(), "while its release is updated"
	out.need(before, m.making[resource.LoadBalancer(balancer)])
	in := m.members(balancer, slices.Clone(serving))
	in.detail, in.reason = "with "+server.String(), "its release is updated"
	in.need(release)
	release.need(out)
	if docker := m.making[resource.DockerOn(server.Name, server.Index)]; docker != nil {
		docker.need(out)
	}
	release.way = []Step{m.step(in)} // the old release still serves there
	m.more = append(m.more, out, in)
	return in
}

// leave takes a server out of the members that it is in, before it is deleted with nothing in its
// place yet; nil where it is in none.
func (m *maker) leave(server resource.Address) *move {
	for _, b := range m.in.Balancers {
		serving := m.serving(b.Name)
		if !slices.Contains(serving, server) {
			continue
		}
		out := m.members(b.Name, without(serving, server))
		out.detail, out.reason = "without "+server.String(), "it is deleted before the new one is made"
		m.more = append(m.more, out)
		return out
	}
	return nil
}
