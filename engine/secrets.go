package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/redact"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/state"
)

// keepSecrets remembers values by their digests, for the calls that carry them, and has the
// sensitive ones kept out of all output.
func (s *Session) keepSecrets(values map[string]string, sensitive []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(s.secrets, values)
	for _, digest := range sensitive {
		if v, ok := values[digest]; ok {
			s.sensitive[digest] = true
			s.options.Redactor.Add(v)
		}
	}
}

func (s *Session) secretValues() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.secrets)
}

// openReleases opens the sealed values of the releases that are remembered.
func (s *Session) openReleases(entries map[string]resource.ReleaseEntry) error {
	for _, id := range slices.Sorted(maps.Keys(entries)) {
		entry := entries[id]
		if entry.Sealed == "" {
			continue
		}
		var values map[string]string
		if err := s.open(entry.Sealed, &values); err != nil {
			return fmt.Errorf("release %s: its secrets: %w", id, err)
		}
		s.keepSecrets(values, entry.Sensitive)
	}
	return nil
}

// sealedPlan is what a saved plan has sealed: all that its apply needs and that nobody may read.
type sealedPlan struct {
	Secrets   map[string]string          `json:"secrets,omitempty"`   // values by digest
	Sensitive []string                   `json:"sensitive,omitempty"` // digests of those that may be in no output
	Values    map[string]json.RawMessage `json:"values,omitempty"`    // of the stack file's variables
}

// SealPlan puts the secrets that a plan's calls need into it, sealed, and the variables that it was
// made with, so that it can be saved and applied by who knows neither.
func (s *Session) SealPlan(p *plan.Plan) error {
	values, err := s.stack.Values()
	if err != nil {
		return err
	}
	s.mu.Lock()
	content := sealedPlan{Secrets: maps.Clone(s.secrets), Sensitive: slices.Sorted(maps.Keys(s.sensitive)), Values: values}
	s.mu.Unlock()
	p.Sealed, err = s.seal(content)
	return err
}

// OpenPlan opens the stack that a saved plan is of, with the variables that it was made with. Adopt
// comes next.
func OpenPlan(ctx context.Context, o Options, p *plan.Plan) (*Session, error) {
	if p.Sealed == "" {
		return Open(ctx, o)
	}
	if o.Redactor == nil {
		o.Redactor = redact.New()
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("open stack: %w", err)
	}
	ring, err := keyring(dir, o.Environ)
	if err != nil {
		return nil, err
	}
	key, err := ring.Load(string(p.Stack), p.Stack.Name())
	if err != nil {
		return nil, err
	}
	o.Redactor.Add(key.Secret())
	var content sealedPlan
	if err := key.For(string(p.Stack)).Open(p.Sealed, &content); err != nil {
		return nil, errors.Join(state.ErrWrongKey, fmt.Errorf("the plan's secrets: %w", err))
	}
	o.Values = content.Values
	s, err := Open(ctx, o)
	if err != nil {
		return nil, err
	}
	s.keepSecrets(content.Secrets, content.Sensitive)
	return s, nil
}

// keyring is where the keys of a stack are looked for.
func keyring(dir string, environ []string) (state.Keyring, error) {
	ring, err := state.DefaultKeyring(dir)
	if err != nil {
		return ring, err
	}
	if v, ok := lookup(environ, "CLOUDSHIP_KEY"); ok {
		ring.Env = v
	}
	return ring, nil
}
