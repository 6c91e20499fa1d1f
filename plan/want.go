package plan

import (
	"time"

	"github.com/cloudship/cloudship/resource"
)

// A Want is one wanted resource: its spec complete (resolved, frozen choices copied in).
//
// What rests on what follows from the addresses that the spec names; two more edges are known to
// Make: the members rest on the releases of the servers that they name, and things that live on
// another (docker and release on a server, members and route at a balancer) rest on it.
type Want struct {
	Address  resource.Address
	Spec     resource.Spec
	Provider string             // alias of the provider block; empty for kinds on hosts and routes
	Needs    []resource.Address // further addresses that must be in order first
	Price    resource.Price     // a month, of this one; zero with Known where it costs nothing
	Note     string             // how a choice was made: "s-1vcpu-1gb: 1 CPU, 1 GB, 25 GB"
	Place    string             // file:line of its block
}

// A Group is what Decide and Make need to know of a group.
type Group struct {
	Name     string
	Template string // empty: servers alone
	Provider string
	Servers  int
	Data     bool // its servers hold data: none is replaced or removed unless it, or all of its data, is named
}

// A Balancer is what Decide and Make need to know of a load balancer.
type Balancer struct {
	Name     string
	Provider string
	Groups   []string           // one or two; the first is live until a switch says otherwise
	Route    resource.RouteSpec // how a switch is done: Groups, Test, Watch, Probes (Live and Release are filled in)
	Drain    bool               // the template has x-cloudship.drain; without it the plan says that open requests may be cut
}

// Have is what there is: what was observed, laid over what is remembered.
type Have struct {
	Records map[resource.Address]resource.Record // of each address the one that counts; an Announced one was looked for and not seen
	Extra   []resource.Record                    // older generations and duplicates, each to be deleted
	Gone    map[resource.Address]resource.Record // remembered, and surely not there any more
	Unknown map[resource.Address]string          // could not be asked, and why; Records keeps the last known
	Blind   map[string]error                     // providers (by alias) whose List failed: all of theirs is unknown
}

// Input is all that a plan is made from.
type Input struct {
	Command   string
	Serial    int64
	Now       time.Time
	Nonce     string // a few random letters and digits; names the tag of a delete of many
	Memory    resource.Memory
	Have      Have
	Wants     []Want // made from Decision.Intent; ignored when Destroy
	Groups    []Group
	Balancers []Balancer
	Decision  Decision
	Schemas   map[string]resource.Schema          // by provider alias
	Releases  map[string]resource.ReleaseEntry    // candidates; those of Memory are known anyway
	Costs     map[resource.Address]resource.Price // what is there now, a month, where it differs from the wants' prices
	Providers map[string]resource.Config          // by alias, kept in the plan
	Targets   []resource.Address                  // nothing but these and what they rest on; empty: everything
	Replace   []resource.Address                  // replaced although nothing asks for it
	Destroy   bool                                // everything goes; Wants and Decision are not looked at

	Data        []Data   // what the servers hold, as far as is known; that of servers that are gone, too
	DestroyData []string // names of data that may be lost
}

// Flags are the user's wishes of the moment.
type Flags struct {
	Switch   bool                      // apply --switch: every pair whose live group lacks the candidate
	Move     map[string]bool           // the verb switch: these balancers, to whatever their idle group runs
	Rollback map[string]string         // the verb rollback: balancer to a release, "" for the one that was live before
	Again    bool                      // also a release that went bad before
	Scale    map[string]map[string]int // template to replicas per service; 0 replicas in a service is a wish, too
}

// Situation is what Decide decides from.
type Situation struct {
	Memory     resource.Memory // as read; Intent, Records of routes, Releases
	Groups     []Group
	Balancers  []Balancer
	Candidates map[string]resource.ReleaseEntry // by template; one that is missing leaves the releases as they are
	Flags      Flags
}

// Decision is what is to be: which release each group runs, which routes move.
type Decision struct {
	Intent   resource.Intent            // the wants are made from it; Live is still the group switched from
	Switches map[string]resource.Switch // balancer to its switch; Phase is where one under way goes on, else ""
	Deferred []Deferral
	Notes    []string
}
