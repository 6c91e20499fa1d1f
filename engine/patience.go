package engine

import (
	"context"
	"errors"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// askTimes is how often something is asked that the other side could not answer for a moment.
const askTimes = 5

// patiently asks a provider something that changes nothing, and asks again where the answer was
// lost, or the other side busy or out of order for a moment. A rate limit is waited for.
func (s *Session) patiently(ctx context.Context, ask func() error) error {
	delay := s.options.Pace.RetryFirst
	for try := 1; ; try++ {
		err := ask()
		wait := delay
		switch resource.KindOf(err) {
		case resource.RateLimited:
			try--
			if e := (*resource.Error)(nil); errors.As(err, &e) && time.Until(e.Until) > wait {
				wait = time.Until(e.Until)
			}
		case resource.Unavailable, resource.Ambiguous, resource.Busy:
			if try >= askTimes {
				return err
			}
			delay = min(2*delay, s.options.Pace.RetryMost)
		default:
			return err
		}
		s.say("again in %s: %v", wait.Round(time.Millisecond), err)
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}

// patientList lists everything of a stack's name.
func (s *Session) patientList(ctx context.Context, alias string) (listing resource.Listing, err error) {
	err = s.patiently(ctx, func() error {
		listing, err = s.clouds[alias].client.List(ctx, resource.Query{Name: s.stack.Name})
		return err
	})
	return listing, err
}

// patientResolve completes specs.
func (s *Session) patientResolve(ctx context.Context, alias string, wishes []resource.Wish) (resolved []resource.Resolved, err error) {
	err = s.patiently(ctx, func() error {
		resolved, err = s.clouds[alias].client.Resolve(ctx, wishes)
		return err
	})
	return resolved, err
}

// patientPreflight asks what would stop a plan. Only a problem of asking is asked again.
func (s *Session) patientPreflight(ctx context.Context, alias string, f resource.Forecast) (problems []error) {
	_ = s.patiently(ctx, func() error {
		problems = s.clouds[alias].client.Preflight(ctx, f)
		for _, err := range problems {
			switch resource.KindOf(err) {
			case resource.RateLimited, resource.Unavailable, resource.Ambiguous, resource.Busy:
				return err
			}
		}
		return nil
	})
	return problems
}
