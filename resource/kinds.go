package resource

// Options are a provider's own extras, from an options block that only that provider reads:
// strings, numbers, booleans, and lists and maps of them.
type Options map[string]any

// A Secret names a secret value by keyed digest. The value itself is never in a spec: it travels
// with a call, in Call.Secrets, under Digest.
type Secret struct {
	Digest string `json:"digest"` // HMAC of the value under the stack's sealing key
}

// SSHKeySpec is a user's public key, known to a cloud by name.
type SSHKeySpec struct {
	PublicKey string `json:"public_key,omitempty" plan:"fixed"` // one line as in authorized_keys, without comment
}

// NetworkSpec is a private network.
type NetworkSpec struct {
	Region  string  `json:"region,omitempty" plan:"fixed"`
	IPRange string  `json:"ip_range,omitempty" plan:"fixed"` // CIDR; empty: the provider chooses
	Options Options `json:"options,omitempty"`
}

// FirewallSpec says which traffic reaches the servers of groups. No rule in a direction means
// that nothing passes in that direction.
type FirewallSpec struct {
	Groups   []string       `json:"groups,omitempty"`
	Inbound  []FirewallRule `json:"inbound,omitempty"`
	Outbound []FirewallRule `json:"outbound,omitempty"`
	Options  Options        `json:"options,omitempty"`
}

// FirewallRule lets traffic pass.
type FirewallRule struct {
	Protocol      string    `json:"protocol"`                 // tcp, udp, icmp
	Ports         string    `json:"ports,omitempty"`          // "80", "8000-9000", "all"; empty for icmp
	Addresses     []string  `json:"addresses,omitempty"`      // CIDRs of the other side
	Groups        []string  `json:"groups,omitempty"`         // groups as the other side
	LoadBalancers []Address `json:"load_balancers,omitempty"` // balancers as the other side (inbound only)
}

// Need is a size by what it must have, as the stack file asked for it.
type Need struct {
	CPUs     int `json:"cpus,omitempty"`
	MemoryMB int `json:"memory_mb,omitempty"`
	DiskGB   int `json:"disk_gb,omitempty"`
}

// ServerSpec is one server.
type ServerSpec struct {
	Group   string    `json:"group,omitempty" plan:"fixed"`
	Region  string    `json:"region,omitempty" plan:"fixed"`
	Size    string    `json:"size,omitempty" plan:"fixed"`  // the cloud's own name; filled by Resolve from Need
	Need    *Need     `json:"need,omitempty" plan:"memo"`   // what Size was chosen for
	Image   string    `json:"image,omitempty" plan:"fixed"` // neutral ("debian-12") or the cloud's own name
	ImageID string    `json:"image_id,omitempty" plan:"memo"`
	Network Address   `json:"network,omitzero" plan:"fixed"`
	Keys    []Address `json:"keys,omitempty" plan:"initial"` // ssh_key resources known to the cloud
	Options Options   `json:"options,omitempty" plan:"fixed"`
	Access  *Access   `json:"access,omitempty" plan:"memo"` // of a server that exists already; filled by Resolve
}

// LoadBalancerSpec is a provider's load balancer without its members.
type LoadBalancerSpec struct {
	Region        string      `json:"region,omitempty" plan:"fixed"`
	Network       Address     `json:"network,omitzero" plan:"fixed"`
	Listeners     []Listener  `json:"listeners,omitempty"`
	HealthCheck   HealthCheck `json:"health_check,omitzero"`
	Sticky        *Sticky     `json:"sticky,omitempty"`
	RedirectHTTP  bool        `json:"redirect_http,omitempty"`
	ProxyProtocol bool        `json:"proxy_protocol,omitempty"`
	IdleTimeout   int         `json:"idle_timeout,omitempty"` // seconds; 0: the provider's default
	MaxMembers    int         `json:"max_members,omitempty" plan:"memo"`
	Options       Options     `json:"options,omitempty"`
}

// Listener is one port that a load balancer answers on. Its name is the stack file's own; no cloud
// keeps it, so it is not compared.
type Listener struct {
	Name           string       `json:"name,omitempty" plan:"memo"`
	Protocol       string       `json:"protocol"` // http, https, http2, tcp
	Port           int          `json:"port"`
	TargetProtocol string       `json:"target_protocol"` // http, https, http2, tcp
	TargetPort     int          `json:"target_port"`
	TLSPassthrough bool         `json:"tls_passthrough,omitempty"`
	Certificate    *Certificate `json:"certificate,omitempty"`
}

// Certificate is what a listener answers TLS with: one that the cloud keeps, by name, or one
// from files whose private key travels as a secret.
type Certificate struct {
	Name       string  `json:"name,omitempty"`        // the name of a certificate that exists in the cloud
	Chain      string  `json:"chain,omitempty"`       // PEM, leaf first
	PrivateKey *Secret `json:"private_key,omitempty"` // PEM, by digest
}

// HealthCheck is how a load balancer decides whether a member gets traffic.
type HealthCheck struct {
	Protocol  string `json:"protocol,omitempty"` // http, https, tcp
	Port      int    `json:"port,omitempty"`
	Path      string `json:"path,omitempty"`
	Interval  int    `json:"interval,omitempty"` // seconds between checks
	Timeout   int    `json:"timeout,omitempty"`  // seconds for an answer
	Healthy   int    `json:"healthy,omitempty"`  // passes in a row until a member gets traffic
	Unhealthy int    `json:"unhealthy,omitempty"`
}

// Sticky keeps a client at one member by a cookie.
type Sticky struct {
	Cookie string `json:"cookie,omitempty"`
	TTL    int    `json:"ttl,omitempty"` // seconds
}

// MembersSpec says which servers a load balancer sends to. Draining members keep their open
// connections and get no new ones, where the provider can do that (Schema.Draining).
type MembersSpec struct {
	LoadBalancer Address   `json:"load_balancer,omitzero" plan:"fixed"`
	Servers      []Address `json:"servers,omitempty"`
	Draining     []Address `json:"draining,omitempty"`
}

// DockerSpec is a server made ready for releases: our host key, the users' keys, Docker.
type DockerSpec struct {
	Server  Address   `json:"server,omitzero" plan:"fixed"`
	Keys    []string  `json:"keys,omitempty"`                // users' public keys in authorized_keys, sorted
	Package string    `json:"package,omitempty" plan:"memo"` // "distribution" or "docker": where a missing Docker comes from
	Log     *Journal  `json:"log,omitempty"`                 // what its journal keeps of what containers print; nil: it is left as it is
	Stats   *Sampling `json:"stats,omitempty"`               // nil: the server measures nothing
}

// Journal bounds what a server's journal keeps, which outlives the containers.
type Journal struct {
	KeepMB int `json:"keep_mb"`
	MaxAge int `json:"max_age,omitempty"` // seconds; 0: only KeepMB bounds it
}

// Sampling is what a server measures of itself, without anything that stays running.
type Sampling struct {
	History    int64  `json:"history,omitempty"`    // seconds that samples are kept on the server; 0: none are taken
	Every      int64  `json:"every,omitempty"`      // seconds between samples
	Prometheus int    `json:"prometheus,omitempty"` // the port that Prometheus may ask; 0: it may not
	Listen     string `json:"listen,omitempty"`     // on which address: an IP, or "private"
}

// ReleaseSpec is a release on a server.
type ReleaseSpec struct {
	Server   Address        `json:"server,omitzero" plan:"fixed"`
	Docker   Address        `json:"docker,omitzero" plan:"fixed"`
	Template string         `json:"template,omitempty"`
	Release  string         `json:"release,omitempty"`              // the id; the release itself travels in Call.Releases
	Scale    map[string]int `json:"scale,omitempty"`                // replicas per service of the whole group, where they differ from the document's
	Prepared bool           `json:"prepared,omitempty" plan:"memo"` // what runs once per release has run, on some server of the stack
}

// RouteSpec says which group a load balancer's traffic goes to. Only Live and Release are
// compared; the rest is how a switch is done.
type RouteSpec struct {
	LoadBalancer Address    `json:"load_balancer,omitzero" plan:"fixed"`
	Groups       []string   `json:"groups,omitempty" plan:"memo"`
	Live         string     `json:"live,omitempty"`
	Release      string     `json:"release,omitempty" plan:"memo"` // what the live group runs
	Test         [][]string `json:"test,omitempty" plan:"memo"`    // commands that must succeed before the attachment
	Bad          []string   `json:"bad,omitempty" plan:"memo"`     // releases that were switched or rolled back from
	Watch        int        `json:"watch,omitempty" plan:"memo"`   // seconds
	Probes       []Probe    `json:"probes,omitempty" plan:"memo"`
}

// Probe is a request through the load balancer that must succeed during a switch.
type Probe struct {
	Path      string `json:"path"`
	Expect    int    `json:"expect,omitempty"` // status; 0: any below 500
	Contains  string `json:"contains,omitempty"`
	Host      string `json:"host,omitempty"` // Host header
	Listener  string `json:"listener,omitempty"`
	MaxFailed int    `json:"max_failed,omitempty"`
	Interval  int    `json:"interval,omitempty"` // milliseconds; 0: 500
	Timeout   int    `json:"timeout,omitempty"`  // milliseconds; 0: 5000
}

// Kind of the spec.
func (*SSHKeySpec) Kind() Kind       { return KindSSHKey }
func (*NetworkSpec) Kind() Kind      { return KindNetwork }      // Kind of the spec.
func (*FirewallSpec) Kind() Kind     { return KindFirewall }     // Kind of the spec.
func (*ServerSpec) Kind() Kind       { return KindServer }       // Kind of the spec.
func (*LoadBalancerSpec) Kind() Kind { return KindLoadBalancer } // Kind of the spec.
func (*MembersSpec) Kind() Kind      { return KindMembers }      // Kind of the spec.
func (*DockerSpec) Kind() Kind       { return KindDocker }       // Kind of the spec.
func (*ReleaseSpec) Kind() Kind      { return KindRelease }      // Kind of the spec.
func (*RouteSpec) Kind() Kind        { return KindRoute }        // Kind of the spec.
