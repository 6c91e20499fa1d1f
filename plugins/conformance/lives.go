package conformance

import (
	"slices"
	"strings"
	"sync"

	"github.com/cloudship/cloudship/resource"
)

func schema(s *suite) {
	fresh := s.start(s.Source)
	schema, err := fresh.Schema(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	if schema.Name == "" || len(schema.Kinds) == 0 || len(schema.Credentials) == 0 {
		s.Errorf("schema lacks a name, kinds or credentials: %+v", schema)
	}
	if schema.Evidence != "balancer" && schema.Evidence != "probe" && slices.Contains(schema.Kinds, resource.KindMembers) {
		s.Errorf("evidence is %q, want balancer or probe", schema.Evidence)
	}
	if _, err := fresh.List(s.Context(), resource.Query{Stack: s.stack}); err == nil {
		s.Error("list before configure: want an error")
	}
}

func missingCredentials(s *suite) {
	source := s.Source
	source.LookupEnv = func(name string) (string, bool) {
		if slices.Contains(s.schema.Credentials, name) && !strings.HasSuffix(name, "_URL") {
			return "", false
		}
		return s.Source.LookupEnv(name)
	}
	err := s.start(source).Configure(s.Context(), s.Config)
	if resource.KindOf(err) != resource.Unauthorized {
		s.Fatalf("want unauthorized, have %v", err)
	}
	if hint := resource.HintOf(err); !slices.ContainsFunc(s.schema.Credentials, func(name string) bool { return strings.Contains(hint, name) }) {
		s.Errorf("the hint names none of %v: %q", s.schema.Credentials, hint)
	}
}

func catalogue(s *suite) {
	c, err := s.provider.Catalog(s.Context())
	if err != nil {
		s.Fatal(err)
	}
	if s.schema.Existing {
		if len(c.Sizes) == 0 {
			s.Error("no machines")
		}
		return // they are where they are, and have their system
	}
	if len(c.Sizes) == 0 || len(c.Regions) == 0 || len(c.Images) == 0 {
		s.Errorf("%d sizes, %d regions, %d images", len(c.Sizes), len(c.Regions), len(c.Images))
	}
	for _, size := range c.Sizes {
		if size.Price.Known && (size.Price.Monthly < 0 || size.Price.Currency == "") {
			s.Errorf("size %s: price %+v", size.Name, size.Price)
		}
	}
	if !slices.ContainsFunc(c.Images, func(i resource.Image) bool { return i.Neutral != "" }) {
		s.Error("no image has a neutral name")
	}
}

// subjects are the specs of the subject by address.
func (s *suite) subjects() map[resource.Address]resource.Spec {
	all := map[resource.Address]resource.Spec{}
	add := func(kind resource.Kind, a resource.Address, given bool, spec resource.Spec) {
		if s.serves(kind) && given {
			all[a] = resource.Clone(spec)
		}
	}
	add(resource.KindSSHKey, keyAddress, s.SSHKey != nil, s.SSHKey)
	add(resource.KindNetwork, networkAddress, s.Network != nil, s.Network)
	add(resource.KindServer, resource.Server(group, 0), s.Server != nil, s.Server)
	add(resource.KindFirewall, firewallAddress, s.Firewall != nil, s.Firewall)
	add(resource.KindLoadBalancer, balancerAddress, s.Balancer != nil, s.Balancer)
	return all
}

func resolveTwice(s *suite) {
	for a, spec := range s.subjects() {
		once := s.resolve(a, spec)
		twice := s.resolve(a, once)
		for i, field := range resource.Fields(twice) {
			if was := resource.Fields(once)[i]; string(was.Value) != string(field.Value) {
				s.Errorf("%s: %s is resolved to %s, and then to %s", a, field.Name, was.Value, field.Value)
			}
		}
	}
}

func unknownNames(s *suite) {
	a := resource.Server(group, 0)
	for field, spoil := range map[string]func(*resource.ServerSpec){
		"size":   func(spec *resource.ServerSpec) { spec.Size, spec.Need = spec.Size+"x", nil },
		"image":  func(spec *resource.ServerSpec) { spec.Image, spec.ImageID = spec.Image+"x", "" },
		"region": func(spec *resource.ServerSpec) { spec.Region += "x" },
	} {
		spec := s.server()
		spoil(spec)
		_, err := s.provider.Resolve(s.Context(), []resource.Wish{{Address: a, Spec: spec}})
		if resource.KindOf(err) != resource.Invalid {
			s.Errorf("%s: want invalid, have %v", field, err)
			continue
		}
		if !strings.Contains(err.Error(), field) {
			s.Errorf("the error does not name %s: %v", field, err)
		}
	}
}

// lives makes every kind in turn, each with what it names, and takes all away again.
func lives(s *suite) {
	order := []resource.Address{keyAddress, networkAddress, resource.Server(group, 0), firewallAddress, balancerAddress, membersAddress}
	subjects := s.subjects()
	if _, ok := subjects[balancerAddress]; ok && s.serves(resource.KindMembers) {
		subjects[membersAddress] = &resource.MembersSpec{LoadBalancer: balancerAddress, Servers: servers(1)}
	}
	wanted := map[resource.Address]resource.Spec{}
	for _, a := range order {
		spec, ok := subjects[a]
		if !ok {
			continue
		}
		s.wire(spec, subjects)
		spec = s.resolve(a, spec)
		wanted[a] = spec
		s.make(spec, a)
		have := s.of(a)
		if len(have) != 1 {
			s.Fatalf("%s is listed %d times", a, len(have))
		}
		s.same(have[0], spec)
		read, err := s.provider.Read(s.Context(), resource.Query{Stack: s.stack, Peers: s.peers()}, have[0])
		if err != nil || read.ID != have[0].ID || read.Mark != have[0].Mark {
			s.Errorf("read %s: %+v, %v", a, read, err)
		}
		s.same(read, spec)
		// An update that changes nothing succeeds, once and again.
		c := s.call(spec, a)
		s.do("update", s.provider.Update, c)
		s.do("update again", s.provider.Update, c)
	}
	s.ready(slices.Collect(keysOf(wanted))...)
	for _, a := range slices.Backward(order) {
		if _, ok := wanted[a]; ok && a != membersAddress {
			s.end(a)
		}
	}
	if left := s.list(); len(left) != 0 {
		s.Errorf("%d are left: %+v", len(left), left)
	}
}

func keysOf(m map[resource.Address]resource.Spec) func(func(resource.Address) bool) {
	return func(yield func(resource.Address) bool) {
		for a := range m {
			if !yield(a) {
				return
			}
		}
	}
}

// wire lets a spec name what the suite has made.
func (s *suite) wire(spec resource.Spec, subjects map[resource.Address]resource.Spec) {
	_, network := subjects[networkAddress]
	_, key := subjects[keyAddress]
	switch spec := spec.(type) {
	case *resource.ServerSpec:
		spec.Group = group
		if network {
			spec.Network = networkAddress
		}
		if key {
			spec.Keys = []resource.Address{keyAddress}
		}
	case *resource.FirewallSpec:
		spec.Groups = []string{group}
	case *resource.LoadBalancerSpec:
		if network {
			spec.Network = networkAddress
		}
	}
}

// end deletes a resource, deletes it again, and reads what is gone.
func (s *suite) end(a resource.Address) {
	s.Helper()
	c := s.delete(a)
	s.do("delete again", s.provider.Delete, c)
	s.eventually(a.String()+" read as gone", func() bool {
		_, err := s.provider.Read(s.Context(), resource.Query{Stack: s.stack}, *c.Items[0].Have)
		if err == nil || resource.KindOf(err) == resource.Busy {
			return false
		}
		if !resource.IsGone(err) {
			s.Fatalf("read of %s, which is gone: %v", a, err)
		}
		return true
	})
}

// delete deletes a resource until it is listed no more, and answers the call that did.
func (s *suite) delete(a resource.Address) resource.Call {
	s.Helper()
	have := s.of(a)
	if len(have) != 1 {
		s.Fatalf("%s is listed %d times", a, len(have))
	}
	c := resource.Call{Stack: s.stack, Peers: s.peers(), Items: []resource.Item{{Mark: s.mark(a), Have: &have[0]}}}
	s.do("delete", s.provider.Delete, c)
	s.eventually(a.String()+" gone", func() bool { return len(s.of(a)) == 0 })
	return c
}

func batch(s *suite) {
	n := max(s.schema.Batch[resource.KindServer], 1)
	addresses := servers(n)
	slices.Reverse(addresses)
	c := s.call(s.server(), addresses...)
	results := s.provider.Create(s.Context(), c)
	if len(results) != n {
		s.Fatalf("%d results for %d items", len(results), n)
	}
	ids := map[string]bool{}
	for i, r := range results {
		if r.Err != nil || r.Found == nil || r.Address != addresses[i] || r.Found.Mark != c.Items[i].Mark {
			s.Fatalf("result %d: %+v", i, r)
		}
		ids[r.Found.ID] = true
	}
	if len(ids) != n {
		s.Errorf("%d ids for %d servers", len(ids), n)
	}
	s.ready(addresses...)
	for _, f := range s.list() {
		if f.Mark.Address.Kind() == resource.KindServer && (f.Facts.PublicIP == "" || f.Created.IsZero()) {
			s.Errorf("a server that is ready has no address or no time: %+v", f)
		}
	}
}

// strangers looks with another stack's id, and with the name alone.
func strangers(s *suite) {
	s.make(s.server(), resource.Server(group, 0))
	other := randomStack()
	l, err := s.provider.List(s.Context(), resource.Query{Stack: other})
	if err != nil || len(l.Found) != 0 {
		s.Errorf("another stack sees %d of ours, %v", len(l.Found), err)
	}
	l, err = s.provider.List(s.Context(), resource.Query{Name: s.stack.Name()})
	if err != nil || !slices.ContainsFunc(l.Found, func(f resource.Found) bool { return f.Mark == s.mark(resource.Server(group, 0)) }) {
		s.Errorf("asked by the stack's name, %d are found and ours is not among them, %v", len(l.Found), err)
	}
}

func twins(s *suite) {
	spec, a := s.server(), resource.Server(group, 0)
	for range 2 {
		c := resource.Call{Stack: s.stack, Items: []resource.Item{{Mark: s.mark(a), Spec: spec}}}
		if r := s.provider.Create(s.Context(), c); r[0].Err != nil {
			s.Fatal(r[0].Err)
		}
	}
	if s.schema.Existing {
		if have := s.of(a); len(have) != 1 {
			s.Errorf("a machine that was taken twice is listed %d times", len(have))
		}
		return
	}
	s.eventually("both listed", func() bool { return len(s.of(a)) == 2 })
	both := s.of(a)
	if both[0].ID == both[1].ID {
		s.Errorf("both have the id %s", both[0].ID)
	}
}

func concurrent(s *suite) {
	const n = 8
	var working sync.WaitGroup
	for _, a := range servers(n) {
		spec := s.serverAt(a)
		working.Go(func() {
			c := resource.Call{Stack: s.stack, Items: []resource.Item{{Mark: s.mark(a), Spec: spec}}}
			if r := s.provider.Create(s.Context(), c); r[0].Err != nil {
				s.Errorf("create %s: %v", a, r[0].Err)
			}
		})
		working.Go(func() {
			if _, err := s.provider.List(s.Context(), resource.Query{Stack: s.stack}); err != nil {
				s.Errorf("list: %v", err)
			}
		})
	}
	working.Wait()
	s.ready(servers(n)...)
}
