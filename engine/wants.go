package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/stack"
	"github.com/cloudship/cloudship/template"
)

// shape is what Decide and Make need to know of the stack file's groups and balancers.
func (s *Session) shape(candidates map[string]resource.ReleaseEntry) ([]plan.Group, []plan.Balancer) {
	var groups []plan.Group
	for _, g := range s.stack.Groups {
		groups = append(groups, plan.Group{Name: g.Name, Template: g.Template, Provider: g.Provider, Servers: g.Servers, Data: s.holdsData(g.Template, candidates)})
	}
	groups = append(groups, s.leftGroups()...)
	var balancers []plan.Balancer
	for _, b := range s.stack.LoadBalancers {
		route := resource.RouteSpec{LoadBalancer: resource.LoadBalancer(b.Name), Groups: b.Groups, Test: b.Switch.Test, Watch: int(b.Switch.Watch / time.Second), Probes: b.Switch.Probes}
		balancers = append(balancers, plan.Balancer{Name: b.Name, Provider: b.Provider, Groups: b.Groups, Route: route, Drain: s.drains(b.Groups, candidates)})
	}
	return groups, balancers
}

// leftGroups are groups that are remembered, but no longer in the file: what they hold must be known
// before they are removed.
func (s *Session) leftGroups() []plan.Group {
	memory, left := s.Memory(), map[string]plan.Group{}
	for a, r := range memory.Records {
		if a.Block != "group" || s.stack.Group(a.Name) != nil {
			continue
		}
		g := left[a.Name]
		g.Name, g.Provider = a.Name, or(g.Provider, r.Provider)
		if spec, ok := r.Found.Spec.(*resource.ReleaseSpec); ok {
			g.Template = spec.Template
			if document, err := template.Decode(memory.Releases[spec.Release].Document); err == nil {
				g.Data = g.Data || keepsData(document)
			}
		}
		left[a.Name] = g
	}
	return slices.SortedFunc(maps.Values(left), func(x, y plan.Group) int { return strings.Compare(x.Name, y.Name) })
}

// wants gives the wanted resources, complete: what the state froze copied in, all else resolved by
// the providers, with prices.
func (s *Session) wants(ctx context.Context, intent resource.Intent, memory resource.Memory) ([]plan.Want, error) {
	wanted, err := stack.Wants(s.stack, stack.Selection{
		Live: intent.Live, Releases: intent.Releases, Scale: intent.Scale,
		Digest: func(secret string) string {
			digest := s.key.Digest("certificate", secret)
			s.keepSecrets(map[string]string{digest: secret}, []string{digest})
			return digest
		},
	})
	if err != nil {
		return nil, err
	}
	var wants []plan.Want
	wishes := map[string][]resource.Wish{}
	for _, w := range wanted {
		if old := memory.Records[w.Address]; old.Provider == w.Provider {
			freeze(w.Spec, old) // another cloud has other names
		}
		wants = append(wants, plan.Want{Address: w.Address, Spec: w.Spec, Provider: w.Provider, Needs: w.Needs, Place: w.Place, Price: resource.Price{Known: true}})
		if w.Provider != "" {
			wishes[w.Provider] = append(wishes[w.Provider], resource.Wish{Address: w.Address, Spec: w.Spec})
		}
	}
	resolved, err := s.resolve(ctx, wishes)
	if err != nil {
		return nil, err
	}
	for i, w := range wants {
		if r, ok := resolved[w.Address]; ok {
			wants[i].Spec, wants[i].Price, wants[i].Note = r.Spec, r.Price, r.Note
		}
	}
	return wants, oncePerMachine(wants)
}

// freeze copies the choices of earlier plans into a wanted spec, where the wish is still the same.
func freeze(want resource.Spec, record resource.Record) {
	w, ok := want.(*resource.ServerSpec)
	if !ok {
		if lb, ok := want.(*resource.LoadBalancerSpec); ok {
			if old, ok := last(record).(*resource.LoadBalancerSpec); ok && lb.Region == "" {
				lb.Region = old.Region
			}
		}
		return
	}
	old, ok := last(record).(*resource.ServerSpec)
	if !ok {
		return
	}
	if w.Region == "" {
		w.Region = old.Region
	}
	// A state that was rebuilt knows a size, but not what it was chosen for.
	if w.Size == "" && w.Need != nil && (old.Need == nil || *w.Need == *old.Need) {
		w.Size = old.Size
	}
	if w.Image == old.Image {
		w.ImageID = old.ImageID
	}
}

// last is what a resource was last brought to, or, where the state was lost, what was seen of it.
func last(record resource.Record) resource.Spec {
	if record.Want == nil {
		return record.Found.Spec
	}
	return record.Want
}

// resolve lets each provider complete its specs. Errors get the place in the stack file.
func (s *Session) resolve(ctx context.Context, wishes map[string][]resource.Wish) (map[resource.Address]resource.Resolved, error) {
	resolved := map[resource.Address]resource.Resolved{}
	var errs []error
	for _, alias := range slices.Sorted(maps.Keys(wishes)) {
		c := s.clouds[alias]
		if c == nil {
			return nil, fmt.Errorf("provider %s is not configured", alias)
		}
		answers, err := s.patientResolve(ctx, alias, wishes[alias])
		if err != nil {
			errs = append(errs, s.Explain(err))
			continue
		}
		for _, r := range answers {
			resolved[r.Address] = r
		}
	}
	return resolved, errors.Join(errs...)
}

// costs prices what is there now. What cannot be priced is unknown, never 0.
func (s *Session) costs(ctx context.Context, memory resource.Memory) map[resource.Address]resource.Price {
	costs := map[resource.Address]resource.Price{}
	wishes := map[string][]resource.Wish{}
	for a, r := range memory.Records {
		if spec := last(r); spec != nil && r.Provider != "" && s.clouds[r.Provider] != nil {
			wishes[r.Provider] = append(wishes[r.Provider], resource.Wish{Address: a, Spec: spec})
		}
	}
	for alias, list := range wishes {
		slices.SortFunc(list, func(a, b resource.Wish) int { return a.Address.Compare(b.Address) })
		answers, err := s.patientResolve(ctx, alias, list)
		if err != nil {
			continue
		}
		for _, r := range answers {
			costs[r.Address] = r.Price
		}
	}
	return costs
}

// configs are the provider blocks as they are remembered.
func (s *Session) configs(blocks map[string]providerConfig) map[string]resource.Config {
	configs := map[string]resource.Config{}
	for alias, b := range blocks {
		c := b.config
		if b.plugin != alias {
			c.Values = maps.Clone(c.Values)
			if c.Values == nil {
				c.Values = map[string]any{}
			}
			c.Values["plugin"] = b.plugin
		}
		configs[alias] = c
	}
	return configs
}
