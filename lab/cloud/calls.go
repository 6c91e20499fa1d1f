package cloud

import (
	"slices"
	"sync"
	"time"
)

// Call is one call to a cloud's API.
type Call struct {
	N        int       `json:"n"` // numbered from 1 since the last reset
	Provider string    `json:"provider"`
	Method   string    `json:"method"`
	Path     string    `json:"path"`
	Query    string    `json:"query,omitempty"`
	Status   int       `json:"status"` // 0 while open, or if no answer was given
	Start    time.Time `json:"start"`
	Took     Duration  `json:"took"`
	Fault    string    `json:"fault,omitempty"` // what a rule did to it
}

// Calls is the log of all calls since it was reset. It is safe for concurrent
// use.
type Calls struct {
	mu      sync.Mutex
	all     []*Call
	dropped int
}

// keepCalls bounds the log; older calls are counted and no longer told.
const keepCalls = 100_000

// All answers the calls in their order.
func (c *Calls) All() []Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Call, len(c.all))
	for i, call := range c.all {
		all[i] = *call
	}
	return all
}

// Len is how many calls there were.
func (c *Calls) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.dropped + len(c.all)
}

// Reset forgets all calls.
func (c *Calls) Reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.all, c.dropped = nil, 0
}

func (c *Calls) begin(call Call) *Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.all) >= keepCalls {
		c.all = slices.Delete(c.all, 0, keepCalls/10)
		c.dropped += keepCalls / 10
	}
	call.N = c.dropped + len(c.all) + 1
	c.all = append(c.all, &call)
	return &call
}

// end notes how a call ended; the call may have been forgotten by then.
func (c *Calls) end(call *Call, status int, fault string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	call.Status, call.Fault = status, fault
	call.Took = Duration(time.Since(call.Start))
}
