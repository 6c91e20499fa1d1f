package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"maps"
	"slices"

	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/resource"
)

// ErrPreflight says that something must be put right before anything is done.
var ErrPreflight = errors.New("preflight")

// PreflightError is what must be put right before anything is done: all of it. It is ErrPreflight.
type PreflightError struct {
	Problems []error
}

func (e *PreflightError) Error() string { return errors.Join(e.Problems...).Error() }

// Is makes it an ErrPreflight.
func (e *PreflightError) Is(target error) bool { return target == ErrPreflight }

// Unwrap gives the problems one by one.
func (e *PreflightError) Unwrap() []error { return e.Problems }

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
