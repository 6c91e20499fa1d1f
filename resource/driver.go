package resource

import (
	"context"
	"encoding/json"
)

// A Driver reads, creates, updates and deletes resources of some kinds. A provider plugin is a
// driver, so is the one for Docker. All methods may be called concurrently, but never two at a
// time for one address.
//
// Waiting, retry and batching are the core's: a driver makes its calls once, maps what it was
// answered to the error kinds of this package, and never repeats a create.
type Driver interface {
	// List returns every resource of the stack that the driver can see, in as few calls as
	// possible. It is idempotent and changes nothing. What could not be asked is named in
	// Unknown and is not absent. An error means that the whole answer is unusable.
	List(ctx context.Context, q Query) (Listing, error)

	// Read returns one resource anew. It is idempotent. A resource that is surely gone is an
	// error of kind Gone.
	Read(ctx context.Context, q Query, have Found) (Found, error)

	// Create makes what the call's items want and answers, per item and in their order, as soon
	// as ids are known; List tells when they are ready. It is not idempotent: the core calls it
	// again only after a look for the mark, and the mark is set in the very request that creates.
	// A driver that made something and then failed returns it with the error.
	Create(ctx context.Context, c Call) []Result

	// Update brings Have to Spec where Changed says they differ. It is idempotent. What nobody
	// asked to change stays as it was found. A resource that is gone is an error of kind Gone.
	Update(ctx context.Context, c Call) []Result

	// Delete removes the resources. It is idempotent: what is gone already is a success.
	Delete(ctx context.Context, c Call) []Result
}

// Query asks about the resources of a stack.
type Query struct {
	Stack StackID           `json:"stack,omitempty"`
	Name  string            `json:"name,omitempty"`  // instead of Stack, when the state is lost: of all stacks of this name
	Peers map[Address]Found `json:"peers,omitempty"` // what the question rests on: servers for kinds on hosts
	Only  []Kind            `json:"only,omitempty"`  // empty: all kinds
}

// Wants reports whether the query asks for what bears the mark.
func (q Query) Wants(m Mark) bool {
	if q.Stack == "" {
		return m.Stack.Name() == q.Name
	}
	return m.Stack == q.Stack
}

// Listing is what List found.
type Listing struct {
	Found   []Found   `json:"found"`
	Unknown []Unknown `json:"unknown,omitempty"`
}

// Unknown is something that could not be asked.
type Unknown struct {
	Address Address `json:"address"`
	Reason  string  `json:"reason"`
}

// Call is one request to a driver: a single item, or a batch of equal ones whose specs differ in
// nothing.
type Call struct {
	Stack    StackID                 `json:"stack"`
	Items    []Item                  `json:"items"`
	Phase    string                  `json:"phase,omitempty"`     // which phase of a switch a route's update is
	Peers    map[Address]Found       `json:"peers,omitempty"`     // the facts of every address that the specs name
	Releases map[string]ReleaseEntry `json:"releases,omitempty"`  // the releases that the specs name, whole, so that hosts can keep them
	Secrets  map[string]string       `json:"secrets,omitempty"`   // values by digest; never stored, never logged
	UserData string                  `json:"user_data,omitempty"` // for servers; holds a private key, so it is a secret as well
	Tag      string                  `json:"tag,omitempty"`       // for a delete of many: see Schema.DeleteByTag

	// Progress is told what goes on, a line at a time. It may be nil. It does not cross the wire
	// as data: the plugin protocol streams it.
	Progress func(Address, string) `json:"-"`
}

// Say tells the call's progress, if anybody listens.
func (c Call) Say(a Address, line string) {
	if c.Progress != nil {
		c.Progress(a, line)
	}
}

// Item is one resource of a call.
type Item struct {
	Mark    Mark
	Spec    Spec     // wanted; nil for a delete
	Have    *Found   // nil for a create
	Changed []string // for an update: the fields in which Spec differs from Have
}

type itemJSON struct {
	Mark    Mark            `json:"mark"`
	Spec    json.RawMessage `json:"spec,omitempty"`
	Have    *Found          `json:"have,omitempty"`
	Changed []string        `json:"changed,omitempty"`
}

// MarshalJSON writes the form on the wire.
func (i Item) MarshalJSON() ([]byte, error) {
	j := itemJSON{Mark: i.Mark, Have: i.Have, Changed: i.Changed}
	if i.Spec != nil {
		spec, err := Encode(i.Spec)
		if err != nil {
			return nil, err
		}
		j.Spec = spec
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads it back; the spec's kind follows from the address.
func (i *Item) UnmarshalJSON(b []byte) error {
	var j itemJSON
	if err := strict(b, &j); err != nil {
		return err
	}
	*i = Item{Mark: j.Mark, Have: j.Have, Changed: j.Changed}
	if len(j.Spec) > 0 && string(j.Spec) != "null" {
		spec, err := Decode(j.Mark.Address.Kind(), j.Spec)
		if err != nil {
			return err
		}
		i.Spec = spec
	}
	return nil
}

// Result answers for one item. Found may be set beside Err: then something was made before it
// failed, and must not be lost.
type Result struct {
	Address Address `json:"address"`
	Found   *Found  `json:"found,omitempty"`
	Err     error   `json:"-"`
}

// Fail answers a whole call with one error.
func Fail(c Call, err error) []Result {
	results := make([]Result, len(c.Items))
	for i, item := range c.Items {
		results[i] = Result{Address: item.Mark.Address, Err: err}
	}
	return results
}
