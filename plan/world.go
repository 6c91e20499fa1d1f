package plan

import (
	"context"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// Cloud is a configured provider.
type Cloud struct {
	Driver resource.Driver
	Schema resource.Schema
}

// Drivers are who can be asked and called.
type Drivers struct {
	Clouds map[string]Cloud // by provider alias
	Hosts  resource.Driver  // docker, release and route; nil where no group has a template
}

// World is what Walk acts on. The functions are never called two at a time; nil ones are not
// called.
type World struct {
	Drivers  Drivers
	Ledger   *Ledger
	Secrets  map[string]string // values by digest
	UserData func(ctx context.Context, items []resource.Item) (string, error)

	// Commit makes the ledger's memory durable before it returns: the walk calls it before
	// creates, before each phase of a switch and before a delete by tag. An error stops the walk.
	Commit func(ctx context.Context) error

	// Changed tells that the ledger has changed; the caller commits when convenient.
	Changed func()

	// May is asked before every call; an error (a lost lease) stops the walk from starting more.
	May func() error

	// Event is told what goes on.
	Event func(Event)

	Parallel int  // calls in flight at most; 0: 10
	Pace     Pace // zero: DefaultPace
}

// Pace is how fast the walk asks again.
type Pace struct {
	PollFirst  time.Duration // from a create's answer to the first look at its readiness
	PollMost   time.Duration // the interval grows up to this
	RetryFirst time.Duration // before the second try of a busy or unavailable call
	RetryMost  time.Duration
	Patience   time.Duration // how long a busy or unavailable call is tried again; rate limits do not count
	Ready      time.Duration // how long readiness is waited for, where the step does not say
}

// DefaultPace is the pace against real clouds.
var DefaultPace = Pace{
	PollFirst: time.Second, PollMost: 5 * time.Second,
	RetryFirst: time.Second, RetryMost: 30 * time.Second,
	Patience: 10 * time.Minute, Ready: 15 * time.Minute,
}

// Happening is what an Event tells.
type Happening string

// What happens to a step.
const (
	Started  Happening = "started"  // its call is being made
	Progress Happening = "progress" // a line from the driver
	Waiting  Happening = "waiting"  // answered, not ready yet
	Retrying Happening = "retrying" // busy, rate limited, unavailable: tried again
	Done     Happening = "done"
	Failed   Happening = "failed"
	Skipped  Happening = "skipped" // it rests on something that failed
	Looking  Happening = "looking" // refresh: an announced create is looked for, or what vanished is confirmed
)

// Event is one thing that goes on during Refresh or Walk.
type Event struct {
	At       time.Time
	What     Happening
	Step     string // the step's id; empty during Refresh
	Do       Do
	Phase    string
	Provider string
	Address  resource.Address // zero where the step as a whole is meant
	Count    int              // items of the step
	Line     string           // for a reader
	Elapsed  time.Duration    // since the step started
	Err      error
}

// StepError is why a step failed.
type StepError struct {
	Step    string
	Do      Do
	Phase   string
	Address resource.Address
	Err     error
}

// Result is how a walk ended.
type Result struct {
	Done        []string    // steps
	Failed      []StepError // in the order in which they failed; steps that only followed are not here
	Skipped     []string    // steps that were never started, or were left
	Outcome     Outcome     // Refused or SwitchedBack when a release was bad
	Interrupted bool        // the context ended, or May or Commit said no, before all was done
	Err         error       // why the walk stopped early: the commit's or May's error
}
