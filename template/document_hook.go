package template

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Hook is a script or command that runs at events of a release.
type Hook struct {
	Name       string     `json:"name"` // unique in its service
	On         []Event    `json:"on,omitempty"`
	Where      Where      `json:"where"`
	Script     Text       `json:"script,omitempty"`  // text of a script; its first line may name an interpreter, else /bin/sh
	Command    []Text     `json:"command,omitempty"` // instead of Script; bound
	Args       []Argument `json:"args,omitempty"`    // bound
	Timeout    Duration   `json:"timeout"`
	Restart    bool       `json:"restart,omitempty"` // restart the container after success
	Reload     string     `json:"reload,omitempty"`  // signal for the container after success: SIGHUP
	User       string     `json:"user,omitempty"`
	WorkingDir string     `json:"working_dir,omitempty"`
	Privileged bool       `json:"privileged,omitempty"`
	PerReplica bool       `json:"per_replica,omitempty"` // at another service's event: in each container of the hook's service, rather than in one; at an own event: in the container that it happens to
}

// Where a hook runs.
type Where string

// Where hooks run.
const (
	InContainer Where = "container" // by exec in a container of the hook's service
	OnHost      Where = "host"      // on the server, over SSH
	OneOff      Where = "one-off"   // in a container of its own, made from the service, run to its end and removed
	// Beside these, "STACK/SERVICE": by exec in the containers of another stack's service that run on
	// the same server, such as a proxy that several stacks share.
)

var neighbourPattern = regexp.MustCompile(`^([a-z][a-z0-9-]*)/([A-Za-z0-9][A-Za-z0-9._-]*)$`)

// Neighbour is the other stack's service in whose containers a hook runs, where it is one.
func (w Where) Neighbour() (stack, service string, is bool) {
	m := neighbourPattern.FindStringSubmatch(string(w))
	if m == nil {
		return "", "", false
	}
	return m[1], m[2], true
}

// Outside reports whether a hook needs no container of its own service: it runs on the server, or in
// another stack's container.
func (w Where) Outside() bool {
	_, _, neighbour := w.Neighbour()
	return w == OnHost || neighbour
}

// Argument is handed to a hook: a named one as an environment variable, the others as positional
// arguments in their order. Once bound, a named argument is one value, whose repetitions over a
// cluster are joined by a space; a positional one has become as many as the cluster has containers.
type Argument struct {
	Name  string `json:"name,omitempty"`
	Value Text   `json:"value"`
}

// Event is when a hook runs: something that happens to its own service, or, with Service set, to
// another one. Its JSON form is text: "start", "scale_out:ruby", "release:before".
type Event struct {
	What    string
	Service string
}

// What happens to services.
const (
	OnCreate        = "create"         // a container was created and started for the first time
	OnStart         = "start"          // a container was started, also at create
	OnStop          = "stop"           // own: before a container stops; another's: after
	OnDestroy       = "destroy"        // own: before a container is removed; another's: after
	OnScaleOut      = "scale_out"      // containers were added, also by a rollout's new ones
	OnScaleIn       = "scale_in"       // containers were taken away, also by a rollout's old ones
	OnReleaseBefore = "release:before" // once per release, on one server of the idle group, before any other container of it starts
)

// Events lists what a hook can run on, in the order of the documentation.
func Events() []string {
	return []string{OnCreate, OnStart, OnStop, OnDestroy, OnScaleOut, OnScaleIn, OnReleaseBefore}
}

// String is the event as the template writes it.
func (e Event) String() string {
	if e.Service == "" {
		return e.What
	}
	return e.What + ":" + e.Service
}

// MarshalText makes an event a string in JSON.
func (e Event) MarshalText() ([]byte, error) { return []byte(e.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (e *Event) UnmarshalText(b []byte) error {
	parsed, err := ParseEvent(string(b))
	if err != nil {
		return err
	}
	*e = parsed
	return nil
}

// ParseEvent reads an event as the template writes it.
func ParseEvent(s string) (Event, error) {
	if s == OnReleaseBefore {
		return Event{What: s}, nil
	}
	what, service, other := strings.Cut(s, ":")
	if what == "release" || !slices.Contains(Events(), what) || other && service == "" {
		return Event{}, fmt.Errorf("event %q: want one of %s, or one of them with a service, as in scale_out:ruby", s, strings.Join(Events(), ", "))
	}
	return Event{What: what, Service: service}, nil
}

// HooksOn lists the hooks of a service that run when what happens to a service: to itself when
// other is empty.
func (s Service) HooksOn(what, other string) []Hook {
	var hooks []Hook
	for _, h := range s.Hooks {
		if slices.Contains(h.On, Event{what, other}) {
			hooks = append(hooks, h)
		}
	}
	return hooks
}

// Probe is a check of a container that cloudship itself makes, for images without a check of
// their own. Exactly one of HTTP, TCP and Command is set.
type Probe struct {
	HTTP        *HTTPProbe `json:"http,omitempty"`
	TCP         int        `json:"tcp,omitempty"`     // port in the container that must accept a connection
	Command     []Text     `json:"command,omitempty"` // run in the container, must exit 0
	Interval    Duration   `json:"interval"`
	Timeout     Duration   `json:"timeout"`
	Retries     int        `json:"retries"` // failures in a row until unhealthy
	StartPeriod Duration   `json:"start_period"`
}

// HTTPProbe is a request to a container's own address.
type HTTPProbe struct {
	Port     int    `json:"port"`
	Path     string `json:"path"`
	Host     string `json:"host,omitempty"`     // Host header
	Expect   int    `json:"expect,omitempty"`   // status; 0: any from 200 to 399
	Contains string `json:"contains,omitempty"` // text that the answer must hold
}

// Drain makes the health path of a service fail while requests are still served, and undoes it.
type Drain struct {
	Start *Hook `json:"start"`
	Stop  *Hook `json:"stop,omitempty"`
}

// Backup is how a service's data is saved and brought back.
type Backup struct {
	Run     *Hook `json:"run"`               // writes the backup to its standard output
	Restore *Hook `json:"restore,omitempty"` // reads it from its standard input
}
