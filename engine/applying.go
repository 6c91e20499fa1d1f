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
	"time"

	"github.com/cloudship/cloudship/deploy"
	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/stack"
	"github.com/cloudship/cloudship/state"
)

// Lock takes the stack's lock and reads the state anew, should it have moved. Who locks before
// planning applies what was planned, without being overtaken.
func (s *Session) Lock(ctx context.Context) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	head := s.lease.Head()
	if head.Snapshot == nil || s.head.Snapshot != nil && head.Snapshot.Serial == s.head.Snapshot.Serial {
		return nil
	}
	var memory resource.Memory
	if err := json.Unmarshal(head.Snapshot.Body, &memory); err != nil {
		return fmt.Errorf("state %s: %w", s.store.Name(), err)
	}
	s.head, s.id = head, resource.StackID(head.Snapshot.Stack)
	s.memory = memory
	return nil
}

// StaleError says that the world or the state is not what it was when a plan was made.
type StaleError struct {
	Moved []string // sentences
}

func (e *StaleError) Error() string {
	text := "the plan is stale"
	for _, m := range e.Moved {
		text += "\n  " + m
	}
	return text
}

// HintText says what to do.
func (e *StaleError) HintText() string { return "nothing was changed; plan again" }

// Adopt makes a saved plan the session's own: it takes the lock, and looks whether state and world
// are still those that the plan was made from. If not, the error is a *StaleError.
func (s *Session) Adopt(ctx context.Context, p *plan.Plan) error {
	if err := s.Lock(ctx); err != nil {
		return err
	}
	if s.serial() != p.Serial {
		return &StaleError{[]string{fmt.Sprintf("the state is at %s by now, the plan was made at %s", state.Serial(s.serial()), state.Serial(p.Serial))}}
	}
	if s.id == "" {
		s.id = p.Stack
		s.memory.Stack = s.id
	}
	if err := s.needKey(ctx); err != nil {
		return err
	}
	configs := map[string]providerConfig{}
	for alias, c := range p.Providers {
		plugin, _ := c.Values["plugin"].(string)
		configs[alias] = providerConfig{or(plugin, alias), c}
	}
	if err := s.openClouds(ctx, configs); err != nil {
		return err
	}
	if err := s.openHosts(); err != nil {
		return err
	}
	have, err := s.ask(ctx, s.Memory(), true, true)
	if err != nil {
		return err
	}
	s.have = have
	return moved(p.Seen, fingerprints(have))
}

// moved compares what was found when the plan was made with what is found now.
func moved(before, now map[resource.Address]string) error {
	var sentences []string
	all := maps.Clone(before)
	maps.Copy(all, now)
	for _, a := range slices.SortedFunc(maps.Keys(all), resource.Address.Compare) {
		was, had := before[a]
		is, has := now[a]
		switch {
		case had && !has:
			sentences = append(sentences, a.String()+" is gone")
		case !had && has:
			sentences = append(sentences, a.String()+" has come")
		case was != is:
			sentences = append(sentences, a.String()+" is not as it was")
		}
	}
	if len(sentences) > 0 {
		return &StaleError{sentences}
	}
	return nil
}

// keys derives the stack's SSH keys.
func (s *Session) keys() (remote.Keys, error) {
	return remote.NewKeys(s.key.Derive("ssh", 32), string(s.id))
}

// userData is what a batch of new servers is told by cloud-init.
func (s *Session) userData(_ context.Context, items []resource.Item) (string, error) {
	keys, err := s.keys()
	if err != nil {
		return "", err
	}
	mark := items[0].Mark
	var users []string
	if g := s.stack.Group(mark.Address.Name); g != nil {
		users = s.stack.KeysOf(g)
	}
	data, err := remote.UserData(keys.Bootstrap(deploy.BootstrapName(mark)), keys.Login(), users)
	s.options.Redactor.Add(data)
	return data, err
}

// callNeeds is how long the lease must hold for a call to be started.
const callNeeds = 30 * time.Second

// Apply walks a plan that was made under this session's lock, or adopted. The state is committed as
// it goes, and closed at the end, whatever happened.
func (s *Session) Apply(ctx context.Context, p *plan.Plan) (plan.Result, error) {
	if err := s.Allowed(p); err != nil {
		return plan.Result{}, err
	}
	if err := s.Lock(ctx); err != nil {
		return plan.Result{}, err
	}
	if s.serial() != p.Serial {
		return plan.Result{}, &StaleError{[]string{"somebody else applied meanwhile"}}
	}
	if err := plan.Spare(p, p.Data); err != nil {
		return plan.Result{}, err
	}
	if err := s.lease.Use(string(s.id), s.key); err != nil {
		return plan.Result{}, err
	}
	digest := planDigest(p)
	source := s.source(digest)
	s.ledger = plan.NewLedger(s.memory, s.have, state.DefaultActor())
	s.ledger.Begin(p)
	if err := s.lease.Commit(ctx, source); err != nil {
		return plan.Result{}, fmt.Errorf("commit to the state: %w", err)
	}
	result := plan.Walk(ctx, p, plan.World{
		Drivers:  s.drivers(),
		Ledger:   s.ledger,
		Secrets:  s.secretValues(),
		UserData: s.userData,
		Commit:   func(ctx context.Context) error { return s.lease.Commit(ctx, source) },
		Changed:  func() { s.lease.Note(source) },
		May:      s.may,
		Event:    s.options.Event,
		Parallel: s.options.Parallel,
		Pace:     s.options.Pace,
	})
	return result, s.finish(context.WithoutCancel(ctx), p, result, source)
}

// may refuses calls that could outlive the lease.
func (s *Session) may() error {
	if s.lease.Left() < callNeeds {
		return state.ErrLeaseLost
	}
	return nil
}

// finish commits the closing snapshot and prunes the ones in between.
func (s *Session) finish(ctx context.Context, p *plan.Plan, result plan.Result, source state.Source) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := s.remember(); err != nil {
		s.warn("outputs: %v", err)
	}
	s.ledger.Edit(forgetReleases)
	if err := s.lease.CommitClosing(ctx, source); err != nil {
		return errors.Join(result.Err, fmt.Errorf("commit to the state: %w", err))
	}
	s.head = s.lease.Head()
	if _, err := s.lease.Prune(ctx); err != nil {
		s.warn("pruning the state's history: %v", err)
	}
	return result.Err
}

// remember evaluates the outputs into the memory.
func (s *Session) remember() error {
	outputs, err := s.Outputs()
	if err != nil {
		return err
	}
	kept := map[string]resource.Output{}
	for _, o := range outputs {
		if o.Value == nil {
			continue
		}
		out := resource.Output{Sensitive: o.Sensitive}
		if o.Sensitive {
			if out.Sealed, err = s.seal(o.Value); err != nil {
				return err
			}
		} else {
			out.Value = o.Value
		}
		kept[o.Name] = out
	}
	s.ledger.Edit(func(m *resource.Memory) { m.Outputs = kept })
	return nil
}

// forgetReleases drops the releases that no group runs and no server keeps: they cannot be brought
// back any more.
func forgetReleases(m *resource.Memory) {
	wanted := map[string]bool{}
	for _, id := range m.Intent.Releases {
		wanted[id] = true
	}
	for _, w := range m.Intent.Switch {
		wanted[w.Release] = true
	}
	for _, r := range m.Records {
		for _, id := range r.Facts.Kept {
			wanted[id] = true
		}
		if spec, ok := r.Found.Spec.(*resource.ReleaseSpec); ok {
			wanted[spec.Release] = true
		}
	}
	maps.DeleteFunc(m.Releases, func(id string, _ resource.ReleaseEntry) bool { return !wanted[id] })
}

// Outputs evaluates the output blocks with what is known.
func (s *Session) Outputs() ([]stack.Output, error) {
	facts := stack.Facts{Found: map[resource.Address]resource.Found{}}
	for a, r := range s.Memory().Records {
		facts.Found[a] = r.Found
	}
	outputs, diags := s.stack.Outputs(facts)
	if diags.HasErrors() {
		return nil, diags
	}
	return outputs, nil
}

func planDigest(p *plan.Plan) string {
	b, err := json.Marshal(p)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
