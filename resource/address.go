package resource

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// An Address is a resource's name in its stack: group.blue.server[0], load_balancer.www,
// load_balancer.www.members, ssh_key.ann. It is comparable and can be a map's key.
type Address struct {
	Block string // the block of the stack file: group, load_balancer, ssh_key, network, firewall, certificate
	Name  string // the block's label
	Part  string // server, docker, release in a group; members, route at a load balancer; else empty
	Index int    // which of a group's servers; 0 where Part is not counted
}

// Label is what names in the stack file look like.
var Label = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// MaxLabel is the longest label, so that every mark fits into a DNS label of 63 bytes.
const MaxLabel = 40

var parts = map[string]map[string]bool{ // block -> part -> counted
	"group":         {"server": true, "docker": true, "release": true},
	"load_balancer": {"": false, "members": false, "route": false},
	"ssh_key":       {"": false},
	"network":       {"": false},
	"firewall":      {"": false},
	"certificate":   {"": false},
}

// Server is the address of server i of a group.
func Server(group string, i int) Address { return Address{"group", group, "server", i} }

// DockerOn is the address of Docker on server i of a group.
func DockerOn(group string, i int) Address { return Address{"group", group, "docker", i} }

// ReleaseOn is the address of the release on server i of a group.
func ReleaseOn(group string, i int) Address { return Address{"group", group, "release", i} }

// LoadBalancer is the address of a load balancer.
func LoadBalancer(name string) Address { return Address{Block: "load_balancer", Name: name} }

// CertificateNamed is the address of a certificate.
func CertificateNamed(name string) Address { return Address{Block: "certificate", Name: name} }

// MembersOf is the address of the members of a load balancer.
func MembersOf(name string) Address {
	return Address{Block: "load_balancer", Name: name, Part: "members"}
}

// RouteOf is the address of the route at a load balancer.
func RouteOf(name string) Address { return Address{Block: "load_balancer", Name: name, Part: "route"} }

// Kind is the kind of what the address names, or "" for an address that names nothing.
func (a Address) Kind() Kind {
	if a.Part != "" {
		return Kind(a.Part)
	}
	return Kind(a.Block)
}

// Counted reports whether the address has an index.
func (a Address) Counted() bool { return parts[a.Block][a.Part] }

// IsZero reports whether the address names nothing.
func (a Address) IsZero() bool { return a == Address{} }

// Valid reports what is wrong with an address, or nil.
func (a Address) Valid() error {
	known, ok := parts[a.Block]
	if !ok {
		return fmt.Errorf("address %q: unknown block %q", a.String(), a.Block)
	}
	counted, ok := known[a.Part]
	if !ok {
		return fmt.Errorf("address %q: a %s has no part %q", a.String(), a.Block, a.Part)
	}
	if !Label.MatchString(a.Name) || len(a.Name) > MaxLabel {
		return fmt.Errorf("address %q: %q is no label (a-z, 0-9 and -, a letter first, at most %d)", a.String(), a.Name, MaxLabel)
	}
	if a.Index < 0 || (!counted && a.Index != 0) {
		return fmt.Errorf("address %q: bad index", a.String())
	}
	return nil
}

func (a Address) String() string {
	if a.IsZero() {
		return ""
	}
	s := a.Block + "." + a.Name
	if a.Part != "" {
		s += "." + a.Part
	}
	if a.Counted() {
		s += "[" + strconv.Itoa(a.Index) + "]"
	}
	return s
}

// ParseAddress is the inverse of String.
func ParseAddress(s string) (Address, error) {
	var a Address
	body, index, indexed := strings.Cut(s, "[")
	if indexed {
		digits, ok := strings.CutSuffix(index, "]")
		n, err := strconv.Atoi(digits)
		if !ok || err != nil || n < 0 || strconv.Itoa(n) != digits {
			return a, fmt.Errorf("address %q: bad index", s)
		}
		a.Index = n
	}
	words := strings.Split(body, ".")
	if len(words) < 2 || len(words) > 3 {
		return Address{}, fmt.Errorf("address %q: want BLOCK.NAME or BLOCK.NAME.PART, as in group.blue.server[0]", s)
	}
	a.Block, a.Name = words[0], words[1]
	if len(words) == 3 {
		a.Part = words[2]
	}
	if err := a.Valid(); err != nil {
		return Address{}, err
	}
	if a.Counted() != indexed {
		return Address{}, fmt.Errorf("address %q: want an index exactly where things are counted, as in group.blue.server[0]", s)
	}
	return a, nil
}

// MarshalText makes an address a string in JSON, as value and as map key.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (a *Address) UnmarshalText(b []byte) error {
	if len(b) == 0 {
		*a = Address{}
		return nil
	}
	parsed, err := ParseAddress(string(b))
	if err != nil {
		return err
	}
	*a = parsed
	return nil
}

// Compare orders addresses: by block, name, part, then index as a number.
func (a Address) Compare(b Address) int {
	return cmp.Or(cmp.Compare(a.Block, b.Block), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Part, b.Part), cmp.Compare(a.Index, b.Index))
}
