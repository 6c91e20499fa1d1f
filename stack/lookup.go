package stack

import "github.com/cloudship/cloudship/resource"

// Group is the group of a name, or nil.
func (s *Stack) Group(name string) *Group {
	return first(s.Groups, func(g *Group) bool { return g.Name == name })
}

// LoadBalancer is the load balancer of a name, or nil.
func (s *Stack) LoadBalancer(name string) *LoadBalancer {
	return first(s.LoadBalancers, func(b *LoadBalancer) bool { return b.Name == name })
}

// Template is the template of a name, or nil.
func (s *Stack) Template(name string) *Template {
	return first(s.Templates, func(t *Template) bool { return t.Name == name })
}

// Provider is the provider of an alias, or nil.
func (s *Stack) Provider(alias string) *Provider {
	return first(s.Providers, func(p *Provider) bool { return p.Alias == alias })
}

// Registry is the registry of a name, or nil.
func (s *Stack) Registry(name string) *Registry {
	return first(s.Registries, func(r *Registry) bool { return r.Name == name })
}

// Config is the provider block as its plugin takes it.
func (p *Provider) Config() resource.Config {
	return resource.Config{Alias: p.Alias, Values: p.Values}
}

// GroupsOf lists the groups that run a template.
func (s *Stack) GroupsOf(template string) []*Group {
	var groups []*Group
	for _, g := range s.Groups {
		if g.Template == template {
			groups = append(groups, g)
		}
	}
	return groups
}

// KeysOf lists the public keys of those who may log in to a group's servers, sorted.
func (s *Stack) KeysOf(g *Group) []string {
	var keys []string
	for _, k := range s.SSHKeys {
		for _, name := range g.Keys {
			if k.Name == name {
				keys = append(keys, k.PublicKey)
			}
		}
	}
	return sorted(keys)
}

func first[T any](list []*T, fits func(*T) bool) *T {
	for _, x := range list {
		if fits(x) {
			return x
		}
	}
	return nil
}
