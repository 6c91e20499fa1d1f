package digitalocean

import (
	"sync"
	"time"
)

// expected remembers what changes of members are to show until they do: a balancer that goes by
// tag learns of a change a while later, and sends traffic to a new member later still. It is safe
// for concurrent use.
type expected struct {
	mu      sync.Mutex
	changes map[string]change
	settled map[string]map[int]time.Time // by balancer and droplet, when its checks have had their time
}

// change is what was last done to a balancer's members.
type change struct {
	add, remove []int
	until       time.Time // the time that the checks of new members need
}

// note remembers the last change of a balancer's members.
func (e *expected) note(balancer string, c change) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.changes == nil {
		e.changes = map[string]change{}
	}
	e.changes[balancer] = c
}

// met reports whether the last change shows in the balancer's droplets and has had its time. Then
// it is forgotten.
func (e *expected) met(balancer string, droplets []int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	c, ok := e.changes[balancer]
	if !ok {
		return true
	}
	if len(missing(c.add, droplets)) > 0 || len(missing(c.remove, droplets)) < len(c.remove) || time.Now().Before(c.until) {
		return false
	}
	delete(e.changes, balancer)
	return true
}

// joined remembers until when droplets are new to a balancer.
func (e *expected) joined(balancer string, droplets []int, until time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.settled == nil {
		e.settled = map[string]map[int]time.Time{}
	}
	if e.settled[balancer] == nil {
		e.settled[balancer] = map[int]time.Time{}
	}
	for _, id := range droplets {
		e.settled[balancer][id] = until
	}
}

// settling is how long it takes until one of the droplets is no longer new to a balancer; 0 when
// one is not.
func (e *expected) settling(balancer string, droplets []int) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	least := time.Duration(-1)
	for _, id := range droplets {
		wait := max(time.Until(e.settled[balancer][id]), 0)
		if least < 0 || wait < least {
			least = wait
		}
	}
	return max(least, 0)
}
