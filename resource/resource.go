// Package resource holds the words that every part of cloudship shares: addresses, kinds and
// their typed specs, marks, facts, errors, and the contracts of drivers and providers.
//
// It does no I/O and imports nothing of ours. A resource is anything that can be planned: a
// droplet as much as Docker on it, the release on that, and the route that makes it live. The
// stack file says what is wanted (a Spec for an Address), drivers say what is there (Found).
package resource

// Kind names what a resource is. The kind of an address follows from the address.
type Kind string

// The kinds, in the order in which they usually come into being.
const (
	KindSSHKey       Kind = "ssh_key"
	KindNetwork      Kind = "network"
	KindFirewall     Kind = "firewall"
	KindServer       Kind = "server"
	KindLoadBalancer Kind = "load_balancer"
	KindDocker       Kind = "docker"      // Docker on a server
	KindRelease      Kind = "release"     // a release on a server
	KindMembers      Kind = "members"     // which servers a load balancer sends to
	KindCertificate  Kind = "certificate" // a TLS certificate on a server, for its proxy
	KindRoute        Kind = "route"       // which group is live behind a load balancer
)

// Kinds lists every kind, in a fixed order.
func Kinds() []Kind {
	return []Kind{KindSSHKey, KindNetwork, KindFirewall, KindServer, KindLoadBalancer, KindDocker, KindRelease, KindCertificate, KindMembers, KindRoute}
}

// OnHost reports whether resources of the kind live on a server and are asked for over SSH,
// rather than in a cloud behind its API.
func (k Kind) OnHost() bool { return k == KindDocker || k == KindRelease || k == KindCertificate }

// Price is what something costs in a month. The zero Price with Known false means that nobody
// could tell; it is never printed as 0.
type Price struct {
	Monthly  float64 `json:"monthly"`
	Currency string  `json:"currency,omitempty"` // ISO 4217, "USD"
	Known    bool    `json:"known"`
	AsOf     string  `json:"as_of,omitempty"` // date of the price list, "2026-11-28"; empty when it came live from the cloud
}

// Plus adds two prices. The sum is known only when both are.
func (p Price) Plus(q Price) Price {
	sum := Price{Monthly: p.Monthly + q.Monthly, Currency: p.Currency, Known: p.Known && q.Known, AsOf: p.AsOf}
	if sum.Currency == "" {
		sum.Currency = q.Currency
	}
	if sum.AsOf == "" || (q.AsOf != "" && q.AsOf < sum.AsOf) {
		sum.AsOf = q.AsOf
	}
	return sum
}
