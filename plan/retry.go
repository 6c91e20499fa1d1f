package plan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// repeatable reports whether the same call may help an item that failed. What a create made is
// never made twice.
func (c *calling) repeatable(item resource.Item, r resource.Result) bool {
	if c.step.Do == DoCreate && r.Found != nil && r.Found.ID != "" && !hosted(item.Mark.Address.Kind()) {
		return false
	}
	switch resource.KindOf(r.Err) {
	case resource.Busy, resource.RateLimited, resource.Unavailable, resource.Ambiguous:
		return true
	}
	return false
}

// untilOf is when a rate limit ends, or zero.
func untilOf(err error) time.Time {
	var e *resource.Error
	if errors.As(err, &e) && e.Kind == resource.RateLimited {
		return e.Until
	}
	return time.Time{}
}

// pause waits before another try, and looks for what an ambiguous create may have made. It reports
// false when there is no other try.
func (c *calling) pause(why error) bool {
	kind := resource.KindOf(why)
	if kind == resource.Ambiguous && c.step.Do == DoCreate && c.step.Provider != "" {
		if err := c.lookForMade(why); err != nil {
			c.fail(c.left, err)
			return false
		}
		if len(c.left) == 0 {
			return false
		}
	}
	now := time.Now()
	if c.since.IsZero() || kind == resource.RateLimited {
		c.since = now
	}
	if now.Sub(c.since) > c.pace.Patience {
		c.fail(c.left, fmt.Errorf("after %d tries in %s: %w", c.tries, now.Sub(c.since).Round(time.Second), why))
		return false
	}
	delay := backoff(c.pace, c.tries)
	if until := time.Until(untilOf(why)); until > delay {
		delay = until
	}
	c.event(c.step, Event{What: Retrying, Line: fmt.Sprintf("again in %s: %s", delay.Round(time.Millisecond), why), Err: why, Elapsed: now.Sub(c.node.started)})
	if err := sleep(c.ctx, delay); err != nil {
		c.fail(c.left, err)
		return false
	}
	return true
}

// backoff is how long to wait after a number of tries.
func backoff(p Pace, tries int) time.Duration {
	d := p.RetryFirst
	for i := 1; i < tries && d < p.RetryMost; i++ {
		d *= 2
	}
	return min(d, p.RetryMost)
}

// sleep waits, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lookForMade looks for the marks of creates whose answer was lost, until the provider's lists can
// lag no more. What is found was made; what is not may be made again.
func (c *calling) lookForMade(why error) error {
	lag := c.world.Drivers.Clouds[c.step.Provider].Schema.ListLag
	end := time.Now().Add(lag)
	query := c.query(c.step.Provider, []resource.Kind{c.left[0].Mark.Address.Kind()})
	began := time.Now()
	for tries := 1; ; tries++ {
		last := !time.Now().Before(end)
		c.event(c.step, Event{What: Looking, Line: "the answer was lost: looking for what was made", Err: why, Elapsed: time.Since(c.node.started)})
		listing, err := c.list(c.ctx, c.step.Provider, query)
		switch {
		case err == nil:
			c.takeMade(listing)
			if len(c.left) == 0 || last {
				return nil
			}
		case c.ctx.Err() != nil:
			return c.ctx.Err()
		case errors.As(err, new(halt)):
			return err
		case time.Since(began) > c.pace.Patience:
			return fmt.Errorf("%w; and looking for what it made: %w", why, err)
		}
		delay := min(backoff(c.pace, tries), c.pace.PollMost)
		if until := time.Until(untilOf(err)); until > delay {
			delay = until
		}
		if err == nil {
			delay = min(delay, max(time.Until(end), 0))
		}
		if err := sleep(c.ctx, delay); err != nil {
			return err
		}
	}
}

// takeMade enters what a listing has of the items that are left.
func (c *calling) takeMade(listing resource.Listing) {
	made := map[resource.Mark]resource.Found{}
	for _, f := range listing.Found {
		made[f.Mark] = f
	}
	left := c.left[:0:0]
	for _, item := range c.left {
		f, ok := made[item.Mark]
		if !ok {
			left = append(left, item)
			continue
		}
		c.enter(item, resource.Result{Address: item.Mark.Address, Found: &f})
	}
	c.left = left
	c.changed()
}

// retireAt lets a driver remove what it keeps for the stack. It is idempotent, so it is asked again
// while that may help.
func (k *walk) retireAt(r retirer, s Step) error {
	began := time.Now()
	for tries := 1; ; tries++ {
		if err := k.may(); err != nil {
			return err
		}
		err := r.Retire(k.base, k.plan.Stack)
		kind := resource.KindOf(err)
		switch kind {
		case resource.Busy, resource.RateLimited, resource.Unavailable, resource.Ambiguous:
		default:
			return err
		}
		if kind != resource.RateLimited && time.Since(began) > k.pace.Patience {
			return err
		}
		delay := max(backoff(k.pace, tries), time.Until(untilOf(err)))
		k.event(s, Event{What: Retrying, Line: fmt.Sprintf("again in %s: %s", delay.Round(time.Millisecond), err), Err: err, Elapsed: time.Since(began)})
		if err := sleep(k.ctx, delay); err != nil {
			return err
		}
	}
}
