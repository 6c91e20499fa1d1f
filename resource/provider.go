package resource

import (
	"context"
	"encoding/json"
	"time"
)

// A Provider manages one cloud's resources. It runs in a process of its own (see package
// plugins); credentials are read from the environment there and never leave it.
type Provider interface {
	Driver

	// Schema describes the provider. It makes no call and works before Configure.
	Schema(ctx context.Context) (Schema, error)

	// Configure takes the provider block of the stack file (without credentials) and makes ready.
	// It is called once, before anything but Schema. Missing or refused credentials are an error
	// of kind Unauthorized whose hint names the environment variable.
	Configure(ctx context.Context, c Config) error

	// Catalog tells what can be had and what it costs. It is idempotent.
	Catalog(ctx context.Context) (Catalog, error)

	// Resolve completes specs: defaults, sizes and images by need to the cloud's own names,
	// prices. It changes nothing in the cloud. A wish that cannot be met is an error of kind
	// Invalid that names the address, the field and the nearest valid name. A Size or ImageID
	// that is already set is kept: the state froze it.
	Resolve(ctx context.Context, wants []Wish) ([]Resolved, error)

	// Preflight tells what would stop the wanted resources from being made: account limits,
	// token scopes, availability. It is idempotent; problems come back as errors, all of them.
	Preflight(ctx context.Context, p Forecast) []error

	// Retire removes what the provider keeps for a stack beside its resources (tags), where
	// nothing carries it any more. It is idempotent.
	Retire(ctx context.Context, stack StackID) error
}

// Schema is a provider's description of itself.
type Schema struct {
	Name        string               `json:"name"`
	Version     string               `json:"version,omitempty"`
	Config      []Attribute          `json:"config,omitempty"`  // of the provider block
	Options     map[Kind][]Attribute `json:"options,omitempty"` // of options blocks, per kind
	Kinds       []Kind               `json:"kinds"`
	Fixed       map[Kind][]string    `json:"fixed,omitempty"`         // fields that cannot be changed here, beyond those fixed everywhere
	Changeable  map[Kind][]string    `json:"changeable,omitempty"`    // fields fixed by default that can be changed here
	ListLag     time.Duration        `json:"list_lag"`                // how long lists may lag behind a create
	Batch       map[Kind]int         `json:"batch,omitempty"`         // most equal items in one create; 1 where absent
	DeleteByTag bool                 `json:"delete_by_tag,omitempty"` // Delete of many servers with Call.Tag removes by that tag as safely as design section 5 wants it
	Draining    bool                 `json:"draining,omitempty"`      // members can be drained by the balancer
	Evidence    string               `json:"evidence,omitempty"`      // who tells a member's health: "balancer", or "probe" where cloudship's own check must
	Existing    bool                 `json:"existing,omitempty"`      // its servers exist already: Create takes one and Delete lets it go; they are reached by Facts.Access
	Credentials []string             `json:"credentials,omitempty"`   // environment variables that are passed on to the plugin process
}

// Attribute is one setting of a provider or options block. Type is a cty type in its JSON form:
// "string", "number", "bool", ["list","string"].
type Attribute struct {
	Name     string          `json:"name"`
	Type     json.RawMessage `json:"type"`
	Required bool            `json:"required,omitempty"`
	Fixed    bool            `json:"fixed,omitempty"` // in options: a change replaces the resource
	Help     string          `json:"help,omitempty"`
}

// Config is a provider block as evaluated, without credentials.
type Config struct {
	Alias  string         `json:"alias"` // the block's label
	Values map[string]any `json:"values,omitempty"`
}

// Catalog is what a cloud offers.
type Catalog struct {
	Sizes   []Size   `json:"sizes,omitempty"`
	Regions []Region `json:"regions,omitempty"`
	Images  []Image  `json:"images,omitempty"`
	AsOf    string   `json:"as_of,omitempty"` // date of prices that do not come live from the cloud
}

// Size is one size of server.
type Size struct {
	Name     string   `json:"name"`
	CPUs     int      `json:"cpus"`
	MemoryMB int      `json:"memory_mb"`
	DiskGB   int      `json:"disk_gb"`
	Price    Price    `json:"price"`
	Regions  []string `json:"regions,omitempty"`
}

// Region is one place of a cloud.
type Region struct {
	Name      string `json:"name"`
	Title     string `json:"title,omitempty"`
	Available bool   `json:"available"`
}

// Image is one operating system image.
type Image struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Neutral string `json:"neutral,omitempty"` // "debian-12"
}

// Wish is a spec to be completed.
type Wish struct {
	Address Address `json:"address"`
	Spec    Spec    `json:"-"`
}

type wishJSON struct {
	Address Address         `json:"address"`
	Spec    json.RawMessage `json:"spec"`
}

// MarshalJSON writes the form on the wire.
func (w Wish) MarshalJSON() ([]byte, error) {
	spec, err := Encode(w.Spec)
	if err != nil {
		return nil, err
	}
	return json.Marshal(wishJSON{w.Address, spec})
}

// UnmarshalJSON reads it back.
func (w *Wish) UnmarshalJSON(b []byte) error {
	var j wishJSON
	if err := strict(b, &j); err != nil {
		return err
	}
	spec, err := Decode(j.Address.Kind(), j.Spec)
	*w = Wish{j.Address, spec}
	return err
}

// Resolved is a wish completed.
type Resolved struct {
	Wish
	Price Price  `json:"price"`          // of this one resource; zero and Known where it costs nothing
	Note  string `json:"note,omitempty"` // how a choice was made: "s-1vcpu-1gb: 1 CPU, 1 GB, 25 GB"
}

// MarshalJSON writes the form on the wire.
func (r Resolved) MarshalJSON() ([]byte, error) {
	w, err := json.Marshal(r.Wish)
	if err != nil {
		return nil, err
	}
	return json.Marshal(resolvedJSON{w, r.Price, r.Note})
}

// UnmarshalJSON reads it back.
func (r *Resolved) UnmarshalJSON(b []byte) error {
	var j resolvedJSON
	if err := strict(b, &j); err != nil {
		return err
	}
	r.Price, r.Note = j.Price, j.Note
	return json.Unmarshal(j.Wish, &r.Wish)
}

type resolvedJSON struct {
	Wish  json.RawMessage `json:"wish"`
	Price Price           `json:"price"`
	Note  string          `json:"note,omitempty"`
}

// Forecast is what a plan is about to do at one provider.
type Forecast struct {
	Stack   StackID `json:"stack"`
	Create  []Wish  `json:"create,omitempty"`
	Deletes int     `json:"deletes,omitempty"` // servers that go away in the same plan
	Have    int     `json:"have,omitempty"`    // servers of ours that are there
}
