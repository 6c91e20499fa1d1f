package rackspace

import (
	"net/http"
	"sync"
	"time"

	"github.com/cloudship/cloudship/lab/cloud"
)

// rate is how many calls with a method a service takes in a while.
type rate struct {
	most   int
	within time.Duration
}

// documented are the rates that Rackspace documents.
var documented = map[service]map[string][]rate{
	compute: {
		http.MethodGet:  {{1000, time.Minute}},
		http.MethodPost: {{100, time.Minute}},
	},
	loadBalancers: {
		http.MethodGet:    {{10, time.Second}, {600, time.Minute}},
		http.MethodPost:   {{5, time.Second}, {300, time.Minute}},
		http.MethodPut:    {{10, time.Second}, {600, time.Minute}},
		http.MethodDelete: {{5, time.Second}, {300, time.Minute}},
	},
}

// rates counts the calls of an account.
type rates struct {
	mu      sync.Mutex
	windows map[service]map[string][]*cloud.Window
}

// windowsOf are the windows of a service's method.
func (r *rates) windowsOf(s service, method string, n int) []*cloud.Window {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.windows == nil {
		r.windows = map[service]map[string][]*cloud.Window{}
	}
	if r.windows[s] == nil {
		r.windows[s] = map[string][]*cloud.Window{}
	}
	for len(r.windows[s][method]) < n {
		r.windows[s][method] = append(r.windows[s][method], &cloud.Window{})
	}
	return r.windows[s][method]
}

// limit counts a call against the documented rates, where the lab's account is
// limited at all: its bound for bursts is another cloud's and says only whether.
func (a *API) limit(c *call) error {
	if a.Faults.Limits().Burst == 0 {
		return nil
	}
	list := documented[c.service][c.Method]
	for i, w := range a.rates.windowsOf(c.service, c.Method, len(list)) {
		if _, reset, ok := w.Take(c.now, list[i].most, list[i].within); !ok {
			return &Error{Status: http.StatusRequestEntityTooLarge, RetryAfter: max(reset.Sub(c.now), time.Millisecond)}
		}
	}
	return nil
}
