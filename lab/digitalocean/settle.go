package digitalocean

import (
	"context"
	"time"
)

// Run lets things happen in their time until ctx ends: actions are completed,
// balancers learn of their members, health is sampled.
func (a *API) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		woken := false
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-a.wake:
			woken = true // something changed, perhaps a server
		}
		a.mu.Lock()
		a.dirty = a.dirty || woken
		now := time.Now().UTC()
		a.settle(now)
		next := a.due(now)
		a.mu.Unlock()
		timer.Reset(next)
	}
}

// settle lets everything happen that is due; the API is locked.
func (a *API) settle(now time.Time) {
	for _, x := range a.open {
		if !now.Before(x.Due) {
			a.finish(now, x)
		}
	}
	for _, lb := range a.state.Balancers.All {
		a.settleBalancer(now, lb)
	}
}

func (a *API) finish(now time.Time, x *action) {
	switch x.ResourceType {
	case "droplet":
		a.finishDroplet(now, x)
	case "volume":
		a.finishVolume(now, x)
	case "reserved_ip":
		a.finishReservedIP(now, x)
	}
}

// longestNap is how long Run sleeps at most when nothing is known to be due:
// what else happens wakes it.
const longestNap = time.Minute

// due is how long from now the next thing is due.
func (a *API) due(now time.Time) time.Duration {
	next := now.Add(longestNap)
	sooner := func(t time.Time) {
		if !t.IsZero() && t.After(now) && t.Before(next) {
			next = t
		}
	}
	for _, x := range a.open {
		sooner(x.Due)
	}
	for _, lb := range a.state.Balancers.All {
		sooner(lb.ActiveAt)
		sooner(lb.LookAt)
		sooner(lb.PushAt)
		sooner(lb.sampleAt)
	}
	return next.Sub(now)
}
