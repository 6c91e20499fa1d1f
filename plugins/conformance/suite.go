package conformance

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudship/cloudship/plugins"
	"github.com/cloudship/cloudship/resource"
)

// suite is one test at work: a provider's process, and a stack of its own, which is swept at the
// end.
type suite struct {
	*testing.T
	Subject
	provider *plugins.Client
	schema   resource.Schema
	stack    resource.StackID
}

// Addresses that the suite gives to what it makes.
var (
	keyAddress      = resource.Address{Block: "ssh_key", Name: "ann"}
	networkAddress  = resource.Address{Block: "network", Name: "back"}
	firewallAddress = resource.Address{Block: "firewall", Name: "edge"}
	balancerAddress = resource.LoadBalancer("www")
	membersAddress  = resource.MembersOf("www")
)

const group = "blue"

func newSuite(t *testing.T, subject Subject) *suite {
	t.Helper()
	if subject.Patience == 0 {
		subject.Patience = time.Minute
	}
	s := &suite{T: t, Subject: subject, stack: randomStack()}
	s.provider = s.start(subject.Source)
	var err error
	if s.schema, err = s.provider.Schema(t.Context()); err != nil {
		t.Fatalf("schema: %v", err)
	}
	if err := s.provider.Configure(t.Context(), subject.Config); err != nil {
		t.Fatalf("configure: %v", err)
	}
	t.Cleanup(s.sweep)
	return s
}

func randomStack() resource.StackID {
	return resource.StackID("conformance-" + strings.ToLower(rand.Text()[:6]))
}

func (s *suite) start(source plugins.Source) *plugins.Client {
	s.Helper()
	c, err := plugins.Start(s.Context(), source)
	if err != nil {
		s.Fatalf("start: %v", err)
	}
	s.Cleanup(func() { _ = c.Close() })
	return c
}

// serves reports whether the provider has a kind and the subject something to try it with.
func (s *suite) serves(kind resource.Kind) bool { return slices.Contains(s.schema.Kinds, kind) }

// sweep deletes what the test has left of its stack, users of a thing before the thing.
func (s *suite) sweep() {
	s.reset()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.Context()), s.Patience)
	defer cancel()
	for _, kind := range []resource.Kind{resource.KindMembers, resource.KindLoadBalancer, resource.KindFirewall, resource.KindServer, resource.KindNetwork, resource.KindSSHKey} {
		for s.serves(kind) {
			listing, err := s.provider.List(ctx, resource.Query{Stack: s.stack, Only: []resource.Kind{kind}})
			if err != nil {
				s.Errorf("sweep %s: %v", kind, err)
				return
			}
			if len(listing.Found) == 0 || (kind == resource.KindMembers && s.emptied(ctx, listing)) {
				break
			}
			for _, f := range listing.Found {
				s.provider.Delete(ctx, resource.Call{Stack: s.stack, Items: []resource.Item{{Mark: f.Mark, Have: &f}}})
			}
			if !s.pause(ctx) {
				s.Errorf("sweep: %d of kind %s are left", len(listing.Found), kind)
				return
			}
		}
	}
	if err := s.provider.Retire(ctx, s.stack); err != nil {
		s.Errorf("retire: %v", err)
	}
	if err := s.provider.Retire(ctx, s.stack); err != nil {
		s.Errorf("retire again: %v", err)
	}
}

// emptied takes every member out; members are there as long as their balancer.
func (s *suite) emptied(ctx context.Context, listing resource.Listing) bool {
	for _, f := range listing.Found {
		s.provider.Delete(ctx, resource.Call{Stack: s.stack, Items: []resource.Item{{Mark: f.Mark, Have: &f}}})
	}
	return true
}

// pause waits a moment between two looks; it reports false when there is no more time.
func (s *suite) pause(ctx context.Context) bool {
	timer := time.NewTimer(s.Patience / 1000)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// eventually waits until something holds.
func (s *suite) eventually(what string, holds func() bool) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), s.Patience)
	defer cancel()
	for !holds() {
		if !s.pause(ctx) {
			s.Fatalf("%s: not within %s", what, s.Patience)
		}
	}
}

func (s *suite) mark(a resource.Address) resource.Mark {
	return resource.Mark{Stack: s.stack, Address: a, Generation: 1}
}

// list gives everything of the stack.
func (s *suite) list() []resource.Found {
	s.Helper()
	l, err := s.provider.List(s.Context(), resource.Query{Stack: s.stack})
	if err != nil {
		s.Fatalf("list: %v", err)
	}
	for _, f := range l.Found {
		if f.Mark.Stack != s.stack || f.ID == "" || f.Provider != s.Config.Alias {
			s.Errorf("listed without the stack's mark, an id or the provider's name: %+v", f)
		}
	}
	return l.Found
}

// of gives what is listed for an address.
func (s *suite) of(a resource.Address) []resource.Found {
	s.Helper()
	return slices.DeleteFunc(s.list(), func(f resource.Found) bool { return f.Mark.Address != a })
}

// peers is everything of the stack by address.
func (s *suite) peers() map[resource.Address]resource.Found {
	s.Helper()
	peers := map[resource.Address]resource.Found{}
	for _, f := range s.list() {
		peers[f.Mark.Address] = f
	}
	return peers
}

// call is a call for equal resources.
func (s *suite) call(spec resource.Spec, addresses ...resource.Address) resource.Call {
	s.Helper()
	c := resource.Call{Stack: s.stack, Peers: s.peers()}
	for _, a := range addresses {
		item := resource.Item{Mark: s.mark(a), Spec: spec}
		if have, ok := c.Peers[a]; ok {
			item.Have = &have
		}
		c.Items = append(c.Items, item)
	}
	return c
}

// resolve completes a spec.
func (s *suite) resolve(a resource.Address, spec resource.Spec) resource.Spec {
	s.Helper()
	r, err := s.provider.Resolve(s.Context(), []resource.Wish{{Address: a, Spec: spec}})
	if err != nil {
		s.Fatalf("resolve %s: %v", a, err)
	}
	if len(r) != 1 || r[0].Address != a {
		s.Fatalf("resolve %s: answered with %d", a, len(r))
	}
	return r[0].Spec
}

// make creates resources and waits until they are ready. A busy or unavailable answer is tried
// again, as the core does.
func (s *suite) make(spec resource.Spec, addresses ...resource.Address) {
	s.Helper()
	s.do("create", s.provider.Create, s.call(spec, addresses...))
	s.ready(addresses...)
}

// do makes a changing call and repeats it while it is refused for the moment.
func (s *suite) do(what string, do func(context.Context, resource.Call) []resource.Result, c resource.Call) {
	s.Helper()
	s.eventually(what, func() bool {
		results := do(s.Context(), c)
		if len(results) != len(c.Items) {
			s.Fatalf("%s: %d results for %d items", what, len(results), len(c.Items))
		}
		var again []resource.Item
		for i, r := range results {
			switch kind := resource.KindOf(r.Err); {
			case r.Address != c.Items[i].Mark.Address:
				s.Fatalf("%s: result %d is for %s, want %s", what, i, r.Address, c.Items[i].Mark.Address)
			case kind == resource.Busy || kind == resource.Unavailable:
				again = append(again, c.Items[i])
			case r.Err != nil:
				s.Fatalf("%s %s: %v", what, r.Address, r.Err)
			}
		}
		c.Items = again
		return len(again) == 0
	})
}

// ready waits until resources are listed, once each, and ready.
func (s *suite) ready(addresses ...resource.Address) {
	s.Helper()
	s.eventually(fmt.Sprintf("%v ready", addresses), func() bool {
		count := map[resource.Address]int{}
		for _, f := range s.list() {
			if f.Problem != "" {
				s.Fatalf("%s: %s", f.Mark.Address, f.Problem)
			}
			if f.Ready {
				count[f.Mark.Address]++
			}
		}
		return !slices.ContainsFunc(addresses, func(a resource.Address) bool { return count[a] != 1 })
	})
}

// servers are the addresses of the first n servers.
func servers(n int) []resource.Address {
	var list []resource.Address
	for i := range n {
		list = append(list, resource.Server(group, i))
	}
	return list
}

// server is the subject's first server, resolved.
func (s *suite) server() *resource.ServerSpec {
	s.Helper()
	return s.serverAt(resource.Server(group, 0))
}

// serverAt is one of the subject's servers, resolved. In a cloud all are equal.
func (s *suite) serverAt(a resource.Address) *resource.ServerSpec {
	s.Helper()
	spec := resource.Clone(s.Server).(*resource.ServerSpec)
	spec.Group = group
	return s.resolve(a, spec).(*resource.ServerSpec)
}

// same checks that what was observed of a resource is what was wanted of it.
func (s *suite) same(f resource.Found, want resource.Spec) {
	s.Helper()
	if f.Spec == nil {
		return
	}
	wanted := map[string]string{}
	for _, field := range resource.Fields(want) {
		wanted[field.Name] = string(field.Value)
	}
	for _, field := range resource.Fields(f.Spec) {
		left := wanted[field.Name] == "" && field.Mode == resource.ModeFixed // left to the provider
		if slices.Contains(f.Observed, field.Name) && !left && string(field.Value) != wanted[field.Name] {
			s.Errorf("%s: %s: wanted %s, found %s: a second plan would not be empty", f.Mark.Address, field.Name, wanted[field.Name], field.Value)
		}
	}
}
