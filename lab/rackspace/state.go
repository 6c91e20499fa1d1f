package rackspace

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/cloudship/cloudship/lab/cloud"
)

// state is everything that the cloud holds; it is saved as it is.
type state struct {
	LastID    int // numbers are given out above it
	Tokens    map[string]token
	Servers   cloud.Table[string, *server]
	Keypairs  cloud.Table[string, *keypair] // by region and name
	Balancers cloud.Table[int, *loadBalancer]
	UserData  map[string]string // by digest: servers share it
}

// firstID makes numbers look like Rackspace's.
const firstID = 700_000

func (a *API) nextID() int {
	a.state.LastID++
	return a.state.LastID
}

// Snapshot answers the state for Restore, or nil if nothing changed since the
// last one.
func (a *API) Snapshot() ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.dirty {
		return nil, nil
	}
	b, err := json.Marshal(&a.state)
	if err != nil {
		return nil, fmt.Errorf("save Rackspace's state: %w", err)
	}
	a.dirty = false
	return b, nil
}

// Restore takes up the state of an earlier process, nil if it left none.
// Servers must know their machines by now; those that are missing are made
// again, and those that no server has, because that process was killed before
// it could save, are deleted.
func (a *API) Restore(b []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if b != nil {
		if err := json.Unmarshal(b, &a.state); err != nil {
			return fmt.Errorf("read Rackspace's state: %w", err)
		}
	}
	has := map[string]bool{}
	for _, s := range a.state.Servers.All {
		has[s.machine()] = true
		if _, ok, _ := a.Servers.Find(s.machine()); !ok && s.Spoiled == nil {
			a.Servers.Create(a.spec(s))
		}
	}
	for _, m := range a.Servers.All() {
		if m.Labels[providerLabel] == provider && !has[m.ID] {
			a.Servers.Delete(m.ID)
		}
	}
	for _, lb := range a.state.Balancers.All {
		if lb.Deleted.IsZero() {
			a.Addresses.Keep(lb.address())
		}
		lb.pushed = false
	}
	a.Wake()
	return nil
}

// Counts tells how many resources of each kind there are.
func (a *API) Counts() map[string]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	balancers := 0
	for _, lb := range a.state.Balancers.All {
		if lb.Deleted.IsZero() {
			balancers++
		}
	}
	return map[string]int{"servers": a.state.Servers.Len(), "keypairs": a.state.Keypairs.Len(), "loadbalancers": balancers}
}

// settle lets everything happen that is due; the API is locked.
func (a *API) settle(now time.Time) {
	for _, lb := range a.state.Balancers.All {
		a.settleBalancer(now, lb)
	}
}

// longestNap is how long Run sleeps at most when nothing is known to be due:
// what else happens wakes it.
const longestNap = time.Minute

// due is how long from now the next thing is due.
func (a *API) due(now time.Time) time.Duration {
	next := now.Add(longestNap)
	for _, lb := range a.state.Balancers.All {
		if lb.PushAt.After(now) && lb.PushAt.Before(next) {
			next = lb.PushAt
		}
	}
	return next.Sub(now)
}

func durationOf(d cloud.Duration) time.Duration { return time.Duration(d) }
