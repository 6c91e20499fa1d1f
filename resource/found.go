package resource

import (
	"encoding/json"
	"time"
)

// Found is a resource as a driver sees it.
type Found struct {
	Mark     Mark      // whose it is; a thing without our mark is never listed
	Provider string    // the provider's name in the stack file; empty for kinds on hosts and routes
	ID       string    // the cloud's own id
	Spec     Spec      // as far as Observed says; nil when nothing was observed
	Observed []string  // the fields of Spec that were really seen; all others are unknown, not unset
	Facts    Facts     // what only the outside can tell
	Ready    bool      // in working order: what rests on it may start
	Problem  string    // why it will never be ready by itself, in the provider's words; empty while there is hope
	Broken   string    // what is out of order and an Update with Changed ["broken"] would mend: "powered off", "app-2 is missing"
	Created  time.Time // by the cloud's clock; zero when it does not tell
}

type foundJSON struct {
	Mark     Mark            `json:"mark"`
	Provider string          `json:"provider,omitempty"`
	ID       string          `json:"id,omitempty"`
	Spec     json.RawMessage `json:"spec,omitempty"`
	Observed []string        `json:"observed,omitempty"`
	Facts    Facts           `json:"facts,omitzero"`
	Ready    bool            `json:"ready,omitempty"`
	Problem  string          `json:"problem,omitempty"`
	Broken   string          `json:"broken,omitempty"`
	Created  time.Time       `json:"created,omitzero"`
}

// MarshalJSON writes the one form that state, plan and wire share.
func (f Found) MarshalJSON() ([]byte, error) {
	j := foundJSON{Mark: f.Mark, Provider: f.Provider, ID: f.ID, Observed: f.Observed, Facts: f.Facts, Ready: f.Ready, Problem: f.Problem, Broken: f.Broken, Created: f.Created}
	if f.Spec != nil {
		spec, err := Encode(f.Spec)
		if err != nil {
			return nil, err
		}
		j.Spec = spec
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads it back; the spec's kind follows from the address.
func (f *Found) UnmarshalJSON(b []byte) error {
	var j foundJSON
	if err := strict(b, &j); err != nil {
		return err
	}
	*f = Found{Mark: j.Mark, Provider: j.Provider, ID: j.ID, Observed: j.Observed, Facts: j.Facts, Ready: j.Ready, Problem: j.Problem, Broken: j.Broken, Created: j.Created}
	if len(j.Spec) > 0 && string(j.Spec) != "null" {
		spec, err := Decode(j.Mark.Address.Kind(), j.Spec)
		if err != nil {
			return err
		}
		f.Spec = spec
	}
	return nil
}

// Facts is what is found out about a resource and was never wanted: addresses, ids, health.
type Facts struct {
	Status      string            `json:"status,omitempty"` // the provider's own word
	PublicIP    string            `json:"public_ip,omitempty"`
	PrivateIP   string            `json:"private_ip,omitempty"`
	Access      *Access           `json:"access,omitempty"`     // of a server that existed before: how it is reached
	Members     []Member          `json:"members,omitempty"`    // of members
	Containers  []Container       `json:"containers,omitempty"` // of a release
	Enrolled    bool              `json:"enrolled,omitempty"`   // docker: only our host certificate is accepted from now on
	Host        *HostFacts        `json:"host,omitempty"`       // of docker
	Kept        []string          `json:"kept,omitempty"`       // releases that a host keeps, newest first
	Prepared    []string          `json:"prepared,omitempty"`   // releases whose release:before hooks have run on a host
	RouteCommit *RouteCommit      `json:"route_commit,omitempty"`
	Certificate *CertificateFacts `json:"certificate,omitempty"`
	Extra       map[string]string `json:"extra,omitempty"` // a driver's own notes to itself
}

// HostFacts describes a server from inside.
type HostFacts struct {
	Distribution  string `json:"distribution,omitempty"` // "debian 12"
	CPUs          int    `json:"cpus,omitempty"`
	MemoryMB      int    `json:"memory_mb,omitempty"`
	DockerVersion string `json:"docker_version,omitempty"`
	APIVersion    string `json:"api_version,omitempty"`

	Volumes []Volume `json:"volumes,omitempty"` // the stack's, used or not; nil also where Docker could not be asked

	Neighbours []Neighbour `json:"neighbours,omitempty"` // what others have in the engine
}

// Neighbour is a container in a server's engine that is not this stack's, or a process there that
// holds ports.
type Neighbour struct {
	Container string   `json:"container,omitempty"`
	Process   string   `json:"process,omitempty"`
	Stack     StackID  `json:"stack,omitempty"` // whose it is; empty for one that cloudship did not make
	Ports     []string `json:"ports,omitempty"` // the host ports that it holds: "80/tcp", "127.0.0.1:8080/tcp"
}

// Access is how a server that existed before it was taken is reached over SSH. Who logs in with
// which key is the user's own business and is kept nowhere.
type Access struct {
	Address string  `json:"address"`        // a name or an IP, with a port when it is not 22
	User    string  `json:"user,omitempty"` // root, or one who may sudo; empty is root
	HostKey string  `json:"host_key"`       // the only one that is accepted, ever: "ssh-ed25519 AAAA..."
	Jump    *Access `json:"jump,omitempty"` // the host through which this one is reached
}

// Volume is a named volume of a stack on a server.
type Volume struct {
	Name string `json:"name"`          // the engine's own
	Key  string `json:"key,omitempty"` // in the Compose file
}

// Health is what is known of a member.
type Health string

// What is known of a member's health.
const (
	Healthy       Health = "healthy"
	Unhealthy     Health = "unhealthy"
	HealthUnknown Health = "unknown"
)

// Member is one server behind a load balancer.
type Member struct {
	Server   Address   `json:"server"`
	ID       string    `json:"id,omitempty"` // the node's or droplet's id
	Draining bool      `json:"draining,omitempty"`
	Health   Health    `json:"health"`
	Evidence string    `json:"evidence,omitempty"` // who says so
	Since    time.Time `json:"since,omitzero"`
}

// Container is one container of a release.
type Container struct {
	Service   string         `json:"service"`
	Number    int            `json:"number"` // replica, from 1
	Name      string         `json:"name"`
	ID        string         `json:"id"`
	Release   string         `json:"release,omitempty"`
	State     string         `json:"state"`            // running, exited, ...
	Health    Health         `json:"health,omitempty"` // by healthcheck or probe
	PrivateIP string         `json:"private_ip,omitempty"`
	Ports     map[string]int `json:"ports,omitempty"`  // "9292/tcp" to host port
	Config    string         `json:"config,omitempty"` // digest of what it was made from
}

// RouteCommit is a route's last commit as every host keeps it, so that a lost state finds out
// which group is live.
type RouteCommit struct {
	Route   Address   `json:"route"`
	Live    string    `json:"live"`
	Release string    `json:"release,omitempty"`
	Serial  int64     `json:"serial"` // the highest wins
	At      time.Time `json:"at"`
	Bad     []string  `json:"bad,omitempty"` // releases that were switched or rolled back from
}
