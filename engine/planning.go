package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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

// Request says what a plan is wanted for. The zero Request is `apply`.
type Request struct {
	Flags    plan.Flags         // switch, rollback, scale, again
	Targets  []resource.Address // nothing but these and what they rest on
	Replace  []resource.Address
	Destroy  bool
	NoClouds bool // plan from what is remembered of clouds
	NoHosts  bool // plan from what is remembered of hosts
}

// Plan asks the world and compares. It changes nothing, but for images that are built in the local
// engine.
func (s *Session) Plan(ctx context.Context, r Request) (*plan.Plan, error) {
	configs := s.blocks()
	if err := s.openClouds(ctx, configs); err != nil {
		return nil, err
	}
	if err := s.checkOptions(); err != nil {
		return nil, err
	}
	if err := s.settle(ctx); err != nil {
		return nil, err
	}
	memory := s.Memory()
	if err := s.openReleases(memory.Releases); err != nil {
		return nil, err
	}
	candidates := map[string]resource.ReleaseEntry{}
	var err error
	if wantsCandidates(r) {
		if candidates, err = s.candidates(ctx, r.Targets); err != nil {
			return nil, err
		}
	}
	if r.Flags.Rollback, err = s.resolveReleases(r.Flags.Rollback); err != nil {
		return nil, err
	}
	if err := s.checkScale(r.Flags.Scale); err != nil {
		return nil, err
	}
	groups, balancers := s.shape(candidates)
	var decision plan.Decision
	var wants []plan.Want
	if !r.Destroy {
		if decision, err = plan.Decide(plan.Situation{Memory: memory, Groups: groups, Balancers: balancers, Candidates: candidates, Flags: r.Flags}); err != nil {
			return nil, err
		}
		if wants, err = s.wants(ctx, decision.Intent, memory); err != nil {
			return nil, err
		}
	}
	costs := s.costs(ctx, memory)
	if err := s.openHosts(); err != nil {
		return nil, err
	}
	have, err := s.ask(ctx, memory, !r.NoClouds, !r.NoHosts)
	if err != nil {
		return nil, err
	}
	tell(wants, have, decision.Intent)
	p, err := plan.Make(plan.Input{
		Command: s.options.Command, Serial: s.serial(), Now: time.Now().UTC(), Nonce: nonce(), Memory: memory, Have: have, Wants: wants,
		Groups: groups, Balancers: balancers, Decision: decision, Schemas: s.schemas(), Releases: byID(candidates), Costs: costs,
		Providers: s.configs(configs), Targets: r.Targets, Replace: r.Replace, Destroy: r.Destroy,
	})
	if err != nil {
		return nil, err
	}
	s.have = have
	p.Stack = s.id
	p.Seen = fingerprints(have)
	if err := s.checkExternals(ctx, p, have); err != nil {
		return p, err
	}
	return p, s.preflight(ctx, p, have)
}

// wantsCandidates reports whether the files' releases matter to a request. A verb that moves routes
// or changes numbers releases nothing by the way.
func wantsCandidates(r Request) bool {
	return !r.Destroy && r.Flags.Move == nil && r.Flags.Rollback == nil && r.Flags.Scale == nil
}

func nonce() string { return string(newID("x"))[2:] }

func byID(candidates map[string]resource.ReleaseEntry) map[string]resource.ReleaseEntry {
	m := map[string]resource.ReleaseEntry{}
	for _, c := range candidates {
		m[c.ID] = c
	}
	return m
}

// ErrLostState says that there are things of this stack in a cloud, but no state that knows them.
var ErrLostState = errors.New("the state is lost")

// settle makes sure that the stack has an id and its key. A stack without a state is new only if
// no cloud holds anything under its name.
func (s *Session) settle(ctx context.Context) error {
	if s.id != "" {
		return s.needKey(ctx)
	}
	for _, alias := range slices.Sorted(maps.Keys(s.clouds)) {
		listing, err := s.patientList(ctx, alias)
		if err != nil {
			return fmt.Errorf("look whether stack %s exists at %s: %w", s.stack.Name, alias, err)
		}
		if len(listing.Found) > 0 {
			f := listing.Found[0]
			return resource.WithHint(
				fmt.Errorf("%w: there is no state for stack %s, but %s holds %d things of it, such as %s (%s)", ErrLostState, s.stack.Name, alias, len(listing.Found), f.Mark.Address, f.ID),
				"bring the state folder back, or run 'cloudship state rebuild'")
		}
	}
	if err := s.needKey(ctx); err != nil {
		return err
	}
	s.id = newID(s.stack.Name)
	s.memory.Stack = s.id
	return nil
}

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
	return wants, nil
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

// fingerprints is a digest of what was found of each address: whether the world has moved since a
// plan was made shows by it.
func fingerprints(have plan.Have) map[resource.Address]string {
	seen := map[resource.Address]string{}
	for a, r := range have.Records {
		b, err := json.Marshal(struct {
			ID, Broken, Problem string
			Spec                resource.Spec
			Observed            []string
			Announced           bool
		}{r.ID, r.Broken, r.Problem, r.Found.Spec, r.Observed, r.Announced})
		if err != nil {
			continue
		}
		sum := sha256.Sum256(b)
		seen[a] = hex.EncodeToString(sum[:8])
	}
	return seen
}

// preflight asks the providers what would stop the plan. All problems come back together.
func (s *Session) preflight(ctx context.Context, p *plan.Plan, have plan.Have) error {
	forecasts := map[string]*resource.Forecast{}
	for alias := range s.clouds {
		forecasts[alias] = &resource.Forecast{Stack: s.id}
	}
	for _, r := range have.Records {
		if f := forecasts[r.Provider]; f != nil && r.Mark.Address.Kind() == resource.KindServer && !r.Announced {
			f.Have++
		}
	}
	for _, step := range p.Steps {
		f := forecasts[step.Provider]
		if f == nil {
			continue
		}
		for _, item := range step.Items {
			switch {
			case step.Do == plan.DoCreate:
				f.Create = append(f.Create, resource.Wish{Address: item.Mark.Address, Spec: item.Spec})
			case step.Do == plan.DoDelete && item.Mark.Address.Kind() == resource.KindServer:
				f.Deletes++
			}
		}
	}
	var errs []error
	for _, alias := range slices.Sorted(maps.Keys(forecasts)) {
		if len(forecasts[alias].Create) == 0 {
			continue
		}
		for _, err := range s.patientPreflight(ctx, alias, *forecasts[alias]) {
			errs = append(errs, s.Explain(err))
		}
	}
	if len(errs) > 0 {
		return &PreflightError{errs}
	}
	return nil
}
