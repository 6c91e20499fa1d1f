package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/resource"
)

// Request says what a plan is wanted for. The zero Request is `apply`.
type Request struct {
	Flags    plan.Flags         // switch, rollback, scale, again
	Targets  []resource.Address // nothing but these and what they rest on
	Replace  []resource.Address
	Destroy  bool
	NoClouds bool // plan from what is remembered of clouds
	NoHosts  bool // plan from what is remembered of hosts
	Renew    bool // the targets are certificates, and nothing is released by the way
	Force    bool // of Renew: also those that are not due

	DestroyData []string // names of data that may be lost: of volumes in the Compose file, with a group where that is not clear
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
	if err := s.checkCertificates(candidates); err != nil {
		return nil, err
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
	held := s.held(have, !r.NoHosts)
	if len(held) > 0 && (r.Destroy || len(r.Replace)+len(r.DestroyData)+len(have.Gone) > 0) {
		held = s.dated(ctx, held, have)
	}
	if !r.Destroy {
		decision.Notes = append(decision.Notes, unused(wants, have, releasesOf(memory, candidates))...)
	}
	renewing(r, wants, have, time.Now().UTC())
	p, err := plan.Make(plan.Input{
		Command: s.options.Command, Serial: s.serial(), Now: time.Now().UTC(), Nonce: nonce(), Memory: memory, Have: have, Wants: wants,
		Groups: groups, Balancers: balancers, Decision: decision, Schemas: s.schemas(), Releases: byID(candidates), Costs: costs,
		Providers: s.configs(configs), Targets: r.Targets, Replace: r.Replace, Destroy: r.Destroy,
		Data: held, DestroyData: r.DestroyData,
	})
	if err != nil {
		return nil, err
	}
	s.have = have
	if !r.Destroy && !r.NoClouds {
		s.warnOfBackups(ctx)
	}
	p.Stack = s.id
	p.Seen = fingerprints(have)
	p.Others = others(p, have, s.schemas())
	return p, s.vet(ctx, p, have, held)
}

// vet says why a plan that was made is not to be done: it would lose data that nobody named, or what
// it rests on is not there.
func (s *Session) vet(ctx context.Context, p *plan.Plan, have plan.Have, held []plan.Data) error {
	if err := plan.Spare(p, held); err != nil {
		return err
	}
	s.noteNames(ctx, p, have)
	if err := s.checkExternals(ctx, p, have); err != nil {
		return err
	}
	if err := s.preflight(ctx, p, have); err != nil {
		return err
	}
	return s.checkPorts(ctx, p, have)
}

// wantsCandidates reports whether the files' releases matter to a request. A verb that moves routes
// or changes numbers releases nothing by the way.
func wantsCandidates(r Request) bool {
	return !r.Destroy && !r.Renew && r.Flags.Move == nil && r.Flags.Rollback == nil && r.Flags.Scale == nil
}

func nonce() string { return string(newID("x"))[2:] }

func byID(candidates map[string]resource.ReleaseEntry) map[string]resource.ReleaseEntry {
	m := map[string]resource.ReleaseEntry{}
	for _, c := range candidates {
		m[c.ID] = c
	}
	return m
}

// releasesOf are the releases that are remembered, and the candidates.
func releasesOf(memory resource.Memory, candidates map[string]resource.ReleaseEntry) map[string]resource.ReleaseEntry {
	all := maps.Clone(memory.Releases)
	if all == nil {
		all = map[string]resource.ReleaseEntry{}
	}
	maps.Copy(all, byID(candidates))
	return all
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
