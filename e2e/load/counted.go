package load

import (
	"sync"
	"time"
)

// counted is what a load has seen so far.
type counted struct {
	mu       sync.Mutex
	paused   bool
	sent     int
	failed   int
	failures []string // the first ones, for people
	versions map[string]int
	last     string
}

// count notes how a request ended, and which version answered it.
func (c *counted) count(version string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sent++
	if err != nil {
		c.failed++
		if len(c.failures) < 10 {
			c.failures = append(c.failures, time.Now().Format("15:04:05.000 ")+err.Error())
		}
		return
	}
	c.versions[version]++
	c.last = version
}

// Count tells what was sent and what failed so far, and the first failures.
func (c *counted) Count() (sent, failed int, failures []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent, c.failed, append([]string(nil), c.failures...)
}

// Version is the version that the newest answer said.
func (c *counted) Version() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}

func (c *counted) setPaused(paused bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paused = paused
}

func (c *counted) isPaused() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.paused
}
