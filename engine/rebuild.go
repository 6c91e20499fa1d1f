package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/stack"
	"github.com/cloudship/cloudship/state"
)

// Rebuild makes a lost state anew from what bears this stack's marks in every provider and on the
// hosts. It refuses where there is a state. Afterwards a plan is empty, unless something is amiss.
func (s *Session) Rebuild(ctx context.Context) (resource.Memory, error) {
	if s.head.Snapshot != nil {
		return resource.Memory{}, resource.WithHint(fmt.Errorf("there is a state at %s already (snapshot %s)", s.store.Name(), s.head.Snapshot.Serial),
			"'cloudship plan' compares it with the world; move it away first, should it be of no use")
	}
	if err := s.Lock(ctx); err != nil {
		return resource.Memory{}, err
	}
	if err := s.openClouds(ctx, s.blocks()); err != nil {
		return resource.Memory{}, err
	}
	found, err := s.search(ctx)
	if err != nil {
		return resource.Memory{}, err
	}
	s.options.MakeKey = false // another key would open nothing
	if err := s.needKey(ctx); err != nil {
		return resource.Memory{}, err
	}
	memory := resource.Memory{Stack: s.id, Records: map[resource.Address]resource.Record{}, Releases: map[string]resource.ReleaseEntry{}}
	for _, f := range found {
		remember(&memory, f)
	}
	s.memory = memory
	if err := s.rebuildHosts(ctx, &memory); err != nil {
		return memory, err
	}
	s.rebuildRoutes(&memory)
	memory.Providers = s.configs(s.blocks())
	s.memory = memory
	if err := s.lease.Use(string(s.id), s.key); err != nil {
		return memory, err
	}
	if err := s.lease.CommitClosing(ctx, s.source("")); err != nil {
		return memory, fmt.Errorf("commit to the state: %w", err)
	}
	return memory, nil
}

// search lists all that bears a mark of this stack's name, and settles the id.
func (s *Session) search(ctx context.Context) ([]resource.Found, error) {
	var found []resource.Found
	ids := map[resource.StackID]bool{}
	for _, alias := range slices.Sorted(maps.Keys(s.clouds)) {
		listing, err := s.patientList(ctx, alias)
		if err != nil {
			return nil, fmt.Errorf("provider %s: %w", alias, err)
		}
		if len(listing.Unknown) > 0 {
			return nil, fmt.Errorf("provider %s: %s could not be asked: %s", alias, listing.Unknown[0].Address, listing.Unknown[0].Reason)
		}
		for _, f := range listing.Found {
			f.Provider = alias
			ids[f.Mark.Stack] = true
			found = append(found, f)
		}
	}
	switch len(ids) {
	case 0:
		return nil, resource.WithHint(fmt.Errorf("no provider has anything of stack %s", s.stack.Name), "there is nothing to rebuild: 'cloudship apply' makes it new")
	case 1:
		for id := range ids {
			s.id = id
		}
		return found, nil
	}
	return nil, resource.WithHint(fmt.Errorf("several stacks bear the name %s: %v", s.stack.Name, slices.Sorted(maps.Keys(ids))),
		"remove what is not wanted in the provider's console; a stack's things bear its id in their names and tags")
}

// remember enters a thing that was found; of several with one address the newest generation that
// works counts, the others are on their way out.
func remember(m *resource.Memory, f resource.Found) {
	a := f.Mark.Address
	record := resource.Record{Found: f} // what it was brought to is not known beyond what was observed
	old, ok := m.Records[a]
	switch {
	case !ok:
		m.Records[a] = record
	case better(f, old.Found):
		m.Records[a] = record
		m.Extra = append(m.Extra, old)
	default:
		m.Extra = append(m.Extra, record)
	}
}

func better(f, than resource.Found) bool {
	if (f.Problem == "") != (than.Problem == "") {
		return f.Problem == ""
	}
	if f.Mark.Generation != than.Mark.Generation {
		return f.Mark.Generation > than.Mark.Generation
	}
	return f.Created.Before(than.Created)
}

// rebuildHosts asks every server what is on it, and what releases it keeps.
func (s *Session) rebuildHosts(ctx context.Context, m *resource.Memory) error {
	if !s.manages() {
		return nil
	}
	if err := s.openHosts(); err != nil {
		return err
	}
	peers := map[resource.Address]resource.Found{}
	for a, r := range m.Records {
		if g := s.stack.Group(a.Name); a.Kind() == resource.KindServer && g != nil && g.Template != "" {
			peers[a] = r.Found
		}
	}
	listing, err := s.hosts.List(ctx, resource.Query{Stack: s.id, Peers: peers})
	if err != nil {
		return err
	}
	if len(listing.Unknown) > 0 {
		u := listing.Unknown[0]
		return resource.WithHint(fmt.Errorf("%s cannot be asked: %s", u.Address, u.Reason), "the key must be this stack's own; a server that is gone for good can be removed in its cloud first")
	}
	for _, f := range listing.Found {
		remember(m, f)
	}
	for a, server := range peers {
		docker, ok := m.Records[resource.DockerOn(a.Name, a.Index)]
		if !ok {
			continue
		}
		entries, err := s.hosts.Kept(ctx, server, docker.Facts.Enrolled)
		if err != nil {
			return fmt.Errorf("%s: the releases that it keeps: %w", a, err)
		}
		for _, e := range entries {
			m.Releases[e.ID] = e
		}
	}
	return s.openReleases(m.Releases)
}

// manages reports whether the stack has anything on its servers.
func (s *Session) manages() bool {
	return slices.ContainsFunc(s.stack.Templates, func(t *stack.Template) bool { return len(s.stack.GroupsOf(t.Name)) > 0 })
}

// rebuildRoutes finds out which groups are live: by the newest commit that a server took note of,
// else by the members that the balancer has.
func (s *Session) rebuildRoutes(m *resource.Memory) {
	m.Intent = resource.Intent{Live: map[string]string{}, Releases: map[string]string{}, Bad: map[string][]string{}}
	for a, r := range m.Records {
		if spec, ok := r.Found.Spec.(*resource.ReleaseSpec); ok {
			m.Intent.Releases[a.Name] = spec.Release
			s.rebuildScale(m, spec)
		}
	}
	for _, b := range s.stack.LoadBalancers {
		if _, ok := m.Records[resource.LoadBalancer(b.Name)]; !ok {
			continue
		}
		route := resource.RouteOf(b.Name)
		var newest *resource.RouteCommit
		for _, r := range m.Records {
			if c := r.Facts.RouteCommit; c != nil && c.Route == route && (newest == nil || c.Serial > newest.Serial) {
				newest = c
			}
		}
		live := ""
		if newest != nil {
			live = newest.Live
			m.Intent.Bad[b.Name] = newest.Bad
		} else if members, ok := m.Records[resource.MembersOf(b.Name)]; ok && len(members.Facts.Members) > 0 {
			live = members.Facts.Members[0].Server.Name
		}
		if live == "" {
			continue // never set up to the end: apply goes on from there
		}
		m.Intent.Live[b.Name] = live
		spec := &resource.RouteSpec{LoadBalancer: resource.LoadBalancer(b.Name), Groups: b.Groups, Live: live, Release: m.Intent.Releases[live]}
		remember(m, resource.Found{Mark: resource.Mark{Stack: s.id, Address: route, Generation: 1}, ID: string(s.id), Spec: spec, Observed: []string{"load_balancer", "live"}, Ready: true})
	}
}

// rebuildScale finds out which replicas were wished for by scale: those that run otherwise than the
// stack file says.
func (s *Session) rebuildScale(m *resource.Memory, spec *resource.ReleaseSpec) {
	t := s.stack.Template(spec.Template)
	for service, n := range spec.Scale {
		if t != nil {
			if file, ok := t.Scale[service]; ok && file == n {
				continue
			}
		}
		if m.Intent.Scale == nil {
			m.Intent.Scale = map[string]map[string]int{}
		}
		if m.Intent.Scale[spec.Template] == nil {
			m.Intent.Scale[spec.Template] = map[string]int{}
		}
		m.Intent.Scale[spec.Template][service] = n
	}
}

// History is what the state remembers of who did what.
func (s *Session) History(ctx context.Context) (state.History, error) {
	return state.ReadHistory(ctx, s.store)
}
