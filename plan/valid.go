package plan

import (
	"errors"
	"fmt"
)

// Valid reports what is wrong with a plan that came from a file, or nil: an unknown format, steps
// that need what is not there, calls without what they are about. Walk refuses such a plan.
func (p *Plan) Valid() error {
	if p.Format != Format {
		return fmt.Errorf("the plan has format %d, this program walks format %d", p.Format, Format)
	}
	seen := map[string]bool{}
	for _, s := range p.Steps {
		if seen[s.ID] {
			return fmt.Errorf("the plan is damaged: two steps are %q", s.ID)
		}
		for _, need := range s.Needs {
			if !seen[need] {
				return fmt.Errorf("the plan is damaged: %q needs %q, which is not before it", s.ID, need)
			}
		}
		seen[s.ID] = true
		if err := s.valid(); err != nil {
			return fmt.Errorf("the plan is damaged: step %q: %w", s.ID, err)
		}
	}
	return nil
}

func (s Step) valid() error {
	for _, back := range s.OnFailure {
		if err := back.valid(); err != nil {
			return fmt.Errorf("way back %q: %w", back.ID, err)
		}
	}
	if s.Do == DoRetire {
		return nil
	}
	if len(s.Items) == 0 {
		return errors.New("it is about nothing")
	}
	for _, item := range s.Items {
		if err := item.Mark.Address.Valid(); err != nil {
			return err
		}
		wants, has := item.Spec != nil, item.Have != nil
		switch {
		case s.Do == DoCreate && wants:
		case s.Do == DoUpdate && wants && has:
		case (s.Do == DoDelete || s.Do == DoWait) && has:
		default:
			return fmt.Errorf("%s: it is not complete", item.Mark.Address)
		}
	}
	return nil
}
