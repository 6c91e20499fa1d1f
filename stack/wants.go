package stack

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// Selection is an intent's part in what is wanted.
type Selection struct {
	Live     map[string]string         // load balancer to live group; the first of its groups where absent
	Releases map[string]string         // group to the release that it is to run; no release resource where absent
	Scale    map[string]map[string]int // template to replicas per service; wins over the file's
	Digest   func(secret string) string
}

// Wanted is a resource that the stack file and an intent want.
type Wanted struct {
	Address  resource.Address
	Spec     resource.Spec
	Provider string             // alias; empty for kinds on hosts and routes
	Needs    []resource.Address // what must be there before; each is wanted too
	Place    string             // "cloudship.hcl:12"
}

// Wants gives every resource that the stack wants, sorted by address. It is pure. Digest names
// secrets (the private keys of certificates) by keyed digest; it may be nil where there are none.
func Wants(s *Stack, sel Selection) ([]Wanted, error) {
	var wanted []Wanted
	for _, k := range s.SSHKeys {
		wanted = append(wanted, Wanted{Address: resource.Address{Block: "ssh_key", Name: k.Name}, Spec: &resource.SSHKeySpec{PublicKey: k.PublicKey}, Provider: k.Provider, Place: k.Place})
	}
	for _, n := range s.Networks {
		spec := &resource.NetworkSpec{Region: n.Region, IPRange: n.IPRange, Options: n.Options}
		wanted = append(wanted, Wanted{Address: network(n.Name), Spec: spec, Provider: n.Provider, Place: n.Place})
	}
	for _, f := range s.Firewalls {
		spec := &resource.FirewallSpec{Groups: sorted(f.Groups), Inbound: f.Inbound, Outbound: f.Outbound, Options: f.Options}
		wanted = append(wanted, Wanted{Address: resource.Address{Block: "firewall", Name: f.Name}, Spec: spec, Provider: f.Provider, Place: f.Place})
	}
	for _, g := range s.Groups {
		wanted = append(wanted, s.wantGroup(g, sel)...)
	}
	for _, b := range s.LoadBalancers {
		more, err := s.wantBalancer(b, sel)
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, more...)
	}
	for _, c := range s.Certificates {
		wanted = append(wanted, s.wantCertificate(c, sel))
	}
	for i, w := range wanted {
		wanted[i].Spec, wanted[i].Needs = resource.Clone(w.Spec), needsOf(w)
	}
	slices.SortFunc(wanted, func(a, b Wanted) int { return a.Address.Compare(b.Address) })
	return wanted, nil
}

func network(name string) resource.Address {
	if name == "" {
		return resource.Address{}
	}
	return resource.Address{Block: "network", Name: name}
}

// needsOf are what a wanted resource needs: what its spec names, and what was put there, once each.
func needsOf(w Wanted) []resource.Address {
	needs := slices.Concat(w.Needs, resource.Refs(w.Spec))
	slices.SortFunc(needs, resource.Address.Compare)
	return slices.DeleteFunc(slices.Compact(needs), func(a resource.Address) bool { return a == w.Address })
}

// wantGroup gives a group's servers, and Docker and the release on each.
func (s *Stack) wantGroup(g *Group, sel Selection) []Wanted {
	var wanted []Wanted
	var keys, rests []resource.Address
	for _, k := range s.SSHKeys {
		if k.Provider == g.Provider && slices.Contains(g.Keys, k.Name) {
			keys = append(keys, resource.Address{Block: "ssh_key", Name: k.Name})
		}
	}
	for _, late := range s.LateOf(g.Template) {
		if !late.Address.IsZero() {
			rests = append(rests, late.Address)
		}
	}
	userKeys := s.KeysOf(g)
	release, scale := sel.Releases[g.Name], s.scaleOf(g, sel)
	for i := range g.Servers {
		server := resource.Server(g.Name, i)
		spec := &resource.ServerSpec{
			Group: g.Name, Region: g.Region, Size: g.Size, Need: g.Need, Image: g.Image, Network: network(g.Network), Keys: keys, Options: g.Options,
		}
		wanted = append(wanted, Wanted{Address: server, Spec: spec, Provider: g.Provider, Place: g.Place})
		if g.Template == "" {
			continue
		}
		docker := resource.DockerOn(g.Name, i)
		wanted = append(wanted, Wanted{Address: docker, Spec: &resource.DockerSpec{Server: server, Keys: userKeys, Package: g.Docker, Log: s.Journal(), Stats: s.sampling()}, Place: g.Place})
		if release == "" {
			continue
		}
		wanted = append(wanted, Wanted{Address: resource.ReleaseOn(g.Name, i), Place: g.Place, Needs: rests, Spec: &resource.ReleaseSpec{
			Server: server, Docker: docker, Template: g.Template, Release: release, Scale: scale,
		}})
	}
	return wanted
}

// scaleOf are the replicas that a group's template is given: the intent's over the file's.
func (s *Stack) scaleOf(g *Group, sel Selection) map[string]int {
	t := s.Template(g.Template)
	if t == nil || len(t.Scale)+len(sel.Scale[g.Template]) == 0 {
		return nil
	}
	scale := map[string]int{}
	maps.Copy(scale, t.Scale)
	maps.Copy(scale, sel.Scale[g.Template])
	return scale
}

// wantBalancer gives a load balancer, its members and its route.
func (s *Stack) wantBalancer(b *LoadBalancer, sel Selection) ([]Wanted, error) {
	live := cmp.Or(sel.Live[b.Name], b.Groups[0])
	if !slices.Contains(b.Groups, live) {
		return nil, resource.WithHint(fmt.Errorf("%s: load balancer %s: its live group %q is not among its groups any more", b.Place, b.Name, live),
			fmt.Sprintf("put %q back, switch to another group with 'cloudship switch', then take it away", live))
	}
	spec := &resource.LoadBalancerSpec{
		Region: b.Region, Network: network(b.Network), HealthCheck: b.HealthCheck, Sticky: b.Sticky, RedirectHTTP: b.RedirectHTTP,
		ProxyProtocol: b.ProxyProtocol, IdleTimeout: b.IdleTimeout, Options: b.Options,
	}
	for _, l := range b.Listeners {
		listener := l.Listener
		if l.PrivateKey.Text != "" {
			if sel.Digest == nil {
				return nil, fmt.Errorf("%s: load balancer %s: listener %s: its private key cannot be named without a sealing key", b.Place, b.Name, l.Name)
			}
			certificate := *l.Certificate
			certificate.PrivateKey = &resource.Secret{Digest: sel.Digest(l.PrivateKey.Text)}
			listener.Certificate = &certificate
		}
		spec.Listeners = append(spec.Listeners, listener)
	}
	for _, name := range b.Groups {
		g := s.Group(name)
		spec.Region = cmp.Or(spec.Region, g.Region)
		spec.MaxMembers += g.Servers
	}
	address, members := resource.LoadBalancer(b.Name), &resource.MembersSpec{LoadBalancer: resource.LoadBalancer(b.Name)}
	var releases []resource.Address
	group := s.Group(live)
	for i := range group.Servers {
		members.Servers = append(members.Servers, resource.Server(live, i))
		if group.Template != "" && sel.Releases[live] != "" {
			releases = append(releases, resource.ReleaseOn(live, i))
		}
	}
	route := &resource.RouteSpec{
		LoadBalancer: address, Groups: slices.Clone(b.Groups), Live: live, Release: sel.Releases[live],
		Test: b.Switch.Test, Watch: int((b.Switch.Watch + time.Second - 1) / time.Second), Probes: b.Switch.Probes,
	}
	return []Wanted{
		{Address: address, Spec: spec, Provider: b.Provider, Place: b.Place},
		{Address: resource.MembersOf(b.Name), Spec: members, Provider: b.Provider, Needs: releases, Place: b.Place},
		{Address: resource.RouteOf(b.Name), Spec: route, Needs: []resource.Address{resource.MembersOf(b.Name)}, Place: b.Place},
	}, nil
}

func sorted(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}
