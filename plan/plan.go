// Package plan compares what is wanted with what is there, orders the difference into steps, and
// walks them. Make is pure: the same input gives the same plan. A Plan is plain data, complete, and
// saved as it is; Walk does what it says and decides nothing.
package plan

import (
	"encoding/json"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// Format is the version of the saved plan.
const Format = 1

// Plan is the ordered steps that take what was found to what is wanted. Only Steps, Settled,
// Forget, Releases and Intent steer the walk; all else is for showing.
type Plan struct {
	Format    int                              `json:"format"`
	Stack     resource.StackID                 `json:"stack"`
	Serial    int64                            `json:"serial"` // the state's head that it was made from
	Made      time.Time                        `json:"made"`
	Command   string                           `json:"command"`           // apply, apply --switch, switch, rollback, destroy, scale
	Changes   []Change                         `json:"changes,omitempty"` // one per address that something happens to, sorted
	Drift     []Change                         `json:"drift,omitempty"`   // what changed behind our back, whether or not a step mends it
	Deferred  []Deferral                       `json:"deferred,omitempty"`
	Unknown   []resource.Unknown               `json:"unknown,omitempty"` // could not be asked: last known kept, nothing planned on it
	Notes     []string                         `json:"notes,omitempty"`   // gaps, choices, warnings: sentences for the reader
	Others    []string                         `json:"others,omitempty"`  // other stacks that live on servers which it deletes: sentences
	Steps     []Step                           `json:"steps,omitempty"`
	Settled   []resource.Item                  `json:"settled,omitempty"` // wants that are remembered without a call: memo fields, what was found again
	Forget    []resource.Mark                  `json:"forget,omitempty"`  // announced by an earlier run, surely not there, and not wanted any more
	Intent    resource.Intent                  `json:"intent"`            // in force when the walk begins; the phases of a switch then move Live and Switch
	Releases  map[string]resource.ReleaseEntry `json:"releases,omitempty"`
	Providers map[string]resource.Config       `json:"providers,omitempty"` // by alias, the provider blocks as evaluated
	Prices    Prices                           `json:"prices"`
	Sealed    string                           `json:"sealed,omitempty"` // the secrets that its calls need, sealed under the stack's key
	Destroy   bool                             `json:"destroy,omitempty"`
	Data      []Data                           `json:"data,omitempty"` // what is lost with the servers that it deletes
	Seen      map[resource.Address]string      `json:"seen,omitempty"` // digest of what was found of each address: tells whether the world moved
}

// Empty reports whether there is nothing to do.
func (p *Plan) Empty() bool { return len(p.Steps) == 0 }

// Prices is what the stack costs a month, before and after.
type Prices struct {
	Before  resource.Price `json:"before"`
	After   resource.Price `json:"after"`
	Unknown []string       `json:"unknown,omitempty"` // addresses or sizes that nobody could price
}

// Action is what happens to a resource; its rune is its mark in the printed plan.
type Action string

// The actions.
const (
	Create  Action = "+"
	Update  Action = "~"
	Replace Action = "±"
	Delete  Action = "-"
	Switch  Action = "⇄" // of a route
	Keep    Action = " "
)

// Change is what happens to one address, for showing.
type Change struct {
	Address  resource.Address `json:"address"`
	Action   Action           `json:"action"`
	Reason   string           `json:"reason,omitempty"` // "group.blue.server[0] is new", "gone in the cloud"
	Fields   []FieldChange    `json:"fields,omitempty"`
	Provider string           `json:"provider,omitempty"`
	Before   *resource.Price  `json:"before,omitempty"`
	After    *resource.Price  `json:"after,omitempty"`
	Note     string           `json:"note,omitempty"`
}

// FieldChange is one field's difference. Values are JSON, never secret.
type FieldChange struct {
	Name   string          `json:"name"`
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
	Fixed  bool            `json:"fixed,omitempty"` // it is why the resource is replaced
	Drift  bool            `json:"drift,omitempty"` // it was changed behind our back
}

// Deferral is a change that the files want of the live group and that waits until the group is
// idle.
type Deferral struct {
	Address resource.Address `json:"address"`
	Reason  string           `json:"reason"`
	Fields  []FieldChange    `json:"fields,omitempty"`
}

// Do is what a step calls.
type Do string

// What steps do.
const (
	DoCreate Do = "create" // Driver.Create, then wait until Ready
	DoUpdate Do = "update" // Driver.Update, then wait until Ready
	DoDelete Do = "delete" // Driver.Delete, then wait until it is not listed
	DoWait   Do = "wait"   // no call: what was made earlier is waited for until Ready
	DoRetire Do = "retire" // Provider.Retire: the stack's tags, when nothing is left
)

// The phases of a switch, in their order. Each is committed to the state before its first call.
const (
	PhaseTest   = "test"   // route: the user's tests and direct checks of the idle group; a failure harms nothing
	PhaseAttach = "attach" // members: old and new
	PhaseGate   = "gate"   // route: wait until the new group is healthy by the provider's evidence, probing
	PhaseCommit = "commit" // route: the new group is live from here on; written to every host
	PhaseDrain  = "drain"  // route: the old group's health path fails while it still serves
	PhaseDetach = "detach" // members: new only
	PhaseWatch  = "watch"  // route: probes for the watch window
	PhaseUndo   = "undo"   // members and route: back to the old group before the commit
)

// Outcome is how a plan ends when a step of a switch fails.
type Outcome string

// The outcomes.
const (
	Refused      Outcome = "refused"       // not switched; exit 9
	SwitchedBack Outcome = "switched back" // exit 7
)

// Step is one call, or one batch of equal ones. Steps form a graph by Needs and are listed in an
// order that respects it.
type Step struct {
	ID        string           `json:"id"` // "create group.blue.server[0..9]": unique in the plan, stable
	Do        Do               `json:"do"`
	Phase     string           `json:"phase,omitempty"`
	Provider  string           `json:"provider,omitempty"` // alias; empty for kinds on hosts and routes
	Items     []resource.Item  `json:"items"`
	Needs     []string         `json:"needs,omitempty"` // ids of steps that must have succeeded
	Reason    string           `json:"reason,omitempty"`
	Releases  []string         `json:"releases,omitempty"`   // documents that the call carries
	Secrets   []string         `json:"secrets,omitempty"`    // digests of the values that the call carries
	Tag       string           `json:"tag,omitempty"`        // of a delete of many by tag
	OnFailure []Step           `json:"on_failure,omitempty"` // the way back, in order; done when this step fails
	Outcome   Outcome          `json:"outcome,omitempty"`    // what the failure of this step means
	Switch    *resource.Switch `json:"switch,omitempty"`     // of a phase: committed to the state before the call
	Deadline  time.Duration    `json:"deadline,omitempty"`   // how long its readiness is waited for; 0: the kind's default
}
