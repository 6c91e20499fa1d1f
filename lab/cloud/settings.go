package cloud

import (
	"slices"
	"sync"
	"time"
)

// Duration is a time.Duration written as "1.5s" in JSON.
type Duration time.Duration

// MarshalText writes the duration as time.Duration does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// Timing is how long things take in the cloud. Zero means at once.
type Timing struct {
	// Latency is added to every call, before its effect.
	Latency Duration `json:"latency"`
	// ServerActive is from a server's creation until it is active.
	ServerActive Duration `json:"server_active"`
	// ServerAction is how long an action on a server, volume or address runs.
	ServerAction Duration `json:"server_action"`
	// ServerGone is how long a deleted server is still shown.
	ServerGone Duration `json:"server_gone"`
	// BalancerActive is from a balancer's creation until it is active.
	BalancerActive Duration `json:"balancer_active"`
	// BalancerBusy is how long a balancer refuses another change after one.
	BalancerBusy Duration `json:"balancer_busy"`
	// Attach is how long a change of members takes to reach the listeners.
	Attach Duration `json:"attach"`
	// Tag is how long a change of tags takes to reach what goes by tag.
	Tag Duration `json:"tag"`
	// Firewall is how long a change of a firewall is pending.
	Firewall Duration `json:"firewall"`
	// NotFound is how long a new thing answers 404 when asked for by its id.
	NotFound Duration `json:"not_found"`
	// Token is how long an access token is good, where the API gives them out;
	// a day if zero.
	Token Duration `json:"token,omitzero"`
	// ListLag is how long lists lack what is new and show what is gone.
	ListLag Duration `json:"list_lag"`
	// MetricEvery is the interval at which health is sampled, MetricDelay how
	// long a sample takes to show.
	MetricEvery Duration `json:"metric_every"`
	MetricDelay Duration `json:"metric_delay"`
}

// Limits are what an account may do. Zero means no limit.
type Limits struct {
	Hour        int      `json:"hour"`         // calls in any hour
	Burst       int      `json:"burst"`        // calls in any burst window
	BurstWindow Duration `json:"burst_window"` // a minute if zero
	KeyLists    int      `json:"key_lists"`    // lists of SSH keys in a minute
	Servers     int      `json:"servers"`      // servers that may exist
}

// Settings are everything about the cloud that can be changed while it runs.
type Settings struct {
	Timing Timing `json:"timing"`
	Limits Limits `json:"limits"`
	Rules  []Rule `json:"rules"`
}

// Realistic are the settings of a cloud as its documents describe it, with the
// minutes of a real one made seconds.
func Realistic() Settings {
	second := Duration(time.Second)
	return Settings{
		Timing: Timing{
			ServerActive: 2 * second, ServerAction: second, ServerGone: second,
			BalancerActive: 3 * second, BalancerBusy: second / 2,
			Attach: second / 2, Tag: second, Firewall: second / 2,
			MetricEvery: 5 * second, MetricDelay: 10 * second,
		},
		Limits: Limits{Hour: 5000, Burst: 250, BurstWindow: Duration(time.Minute), KeyLists: 10, Servers: 25},
	}
}

// Instant are the settings of a cloud in which everything is done at once and
// as often as one likes.
func Instant() Settings {
	return Settings{Timing: Timing{MetricEvery: Duration(time.Second)}}
}

// Faults holds the settings in force and decides which rules hit a call. It is
// safe for concurrent use.
type Faults struct {
	mu       sync.Mutex
	start    Settings
	settings Settings
	rules    []*armed
	barrier  *Barrier
}

// NewFaults makes Faults with the settings to start from, which are also those
// that Reset goes back to.
func NewFaults(s Settings) *Faults {
	f := &Faults{start: s, barrier: newBarrier()}
	f.Set(s)
	return f
}

// Settings answers the settings in force.
func (f *Faults) Settings() Settings {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.settings
	s.Rules = slices.Clone(s.Rules)
	return s
}

// Set replaces the settings; the rules count from their beginning again. What
// is held at the barrier is let go.
func (f *Faults) Set(s Settings) {
	f.barrier.Rearm()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settings = s
	f.rules = nil
	for _, r := range s.Rules {
		f.rules = append(f.rules, arm(r))
	}
}

// Add adds rules to those in force, which go on counting.
func (f *Faults) Add(rules ...Rule) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.settings.Rules = append(slices.Clone(f.settings.Rules), rules...)
	for _, r := range rules {
		f.rules = append(f.rules, arm(r))
	}
}

// Reset goes back to the settings the lab was started with.
func (f *Faults) Reset() { f.Set(f.start) }

// Timing is how long things take now.
func (f *Faults) Timing() Timing {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.settings.Timing
}

// Limits are the limits in force.
func (f *Faults) Limits() Limits {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.settings.Limits
}

// Barrier is where a Hold rule holds its call.
func (f *Faults) Barrier() *Barrier { return f.barrier }

// hits answers the rules that hit this call, in their order.
func (f *Faults) hits(provider, method, path string) []Rule {
	f.mu.Lock()
	defer f.mu.Unlock()
	var hits []Rule
	for _, a := range f.rules {
		if a.hit(provider, method, path) {
			hits = append(hits, a.Rule)
		}
	}
	return hits
}
