package conformance

import (
	"slices"

	"github.com/cloudship/cloudship/resource"
)

// behind makes a balancer with some servers, of which the first few are its members. It reports
// false where the provider has none.
func (s *suite) behind(n, members int) bool {
	s.Helper()
	if !s.serves(resource.KindMembers) || s.Balancer == nil {
		return false
	}
	s.make(s.server(), servers(n)...)
	s.make(s.resolve(balancerAddress, resource.Clone(s.Balancer)), balancerAddress)
	s.send("create", "", servers(members)...)
	return true
}

// send brings the members to some servers, and waits until they are.
func (s *suite) send(what, phase string, to ...resource.Address) {
	s.Helper()
	c := s.call(&resource.MembersSpec{LoadBalancer: balancerAddress, Servers: to}, membersAddress)
	c.Phase = phase
	c.Items[0].Changed = []string{"servers"}
	do := s.provider.Update
	if what == "create" {
		do = s.provider.Create
	}
	s.do(what, do, c)
	s.eventually("members as wanted", func() bool { return slices.Equal(s.members(), to) })
	s.ready(membersAddress)
}

// members are the servers behind the balancer.
func (s *suite) members() []resource.Address {
	s.Helper()
	have := s.of(membersAddress)
	if len(have) != 1 {
		s.Fatalf("members are listed %d times", len(have))
	}
	return have[0].Spec.(*resource.MembersSpec).Servers
}

func membership(s *suite) {
	if !s.behind(3, 2) {
		return
	}
	before := s.of(balancerAddress)[0]
	three := servers(3)
	s.send("update", "", three...)
	s.send("update", "", three...)
	s.send("update", "", three[1], three[2])
	s.send("update", "")
	s.send("update", "", three[0], three[1])
	for _, m := range s.of(membersAddress)[0].Facts.Members {
		if m.Server.IsZero() || m.ID == "" || m.Health == "" {
			s.Errorf("member without server, id or health: %+v", m)
		}
		if s.schema.Evidence == "balancer" && m.Health == resource.HealthUnknown {
			s.Logf("the balancer is the evidence, and %s is unknown to it", m.Server)
		}
	}
	after := s.of(balancerAddress)[0]
	s.same(after, before.Spec)
}

func updateKeepsMembers(s *suite) {
	if !s.behind(2, 2) {
		return
	}
	spec := resource.Clone(s.resolve(balancerAddress, resource.Clone(s.Balancer))).(*resource.LoadBalancerSpec)
	was := *spec
	spec.HealthCheck.Interval += 2
	c := s.call(spec, balancerAddress)
	c.Items[0].Changed = []string{"health_check"}
	s.do("update", s.provider.Update, c)
	s.eventually("balancer updated", func() bool {
		return s.of(balancerAddress)[0].Spec.(*resource.LoadBalancerSpec).HealthCheck.Interval == spec.HealthCheck.Interval
	})
	s.same(s.of(balancerAddress)[0], spec)
	if have := s.members(); !slices.Equal(have, servers(2)) {
		s.Errorf("after the update the members are %v", have)
	}
	// What Changed does not name stays as it was found, whatever the spec says of it.
	other := was
	other.Listeners = nil
	other.HealthCheck.Interval = was.HealthCheck.Interval
	c = s.call(&other, balancerAddress)
	c.Items[0].Changed = []string{"health_check"}
	s.do("update", s.provider.Update, c)
	s.eventually("balancer updated back", func() bool {
		return s.of(balancerAddress)[0].Spec.(*resource.LoadBalancerSpec).HealthCheck.Interval == was.HealthCheck.Interval
	})
	s.same(s.of(balancerAddress)[0], &was)
}

// deleteByTag deletes many servers with a tag, where the provider can; one that is not named must
// live on.
func deleteByTag(s *suite) {
	const n = 4
	for part := range slices.Chunk(servers(n), max(s.schema.Batch[resource.KindServer], 1)) {
		s.make(s.serverAt(part[0]), part...)
	}
	c := s.call(nil, servers(n-1)...)
	c.Tag = "cloudship:" + string(s.stack) + ":delete-x1y2z3"
	s.do("delete", s.provider.Delete, c)
	s.eventually("all but one gone", func() bool { return len(s.list()) == 1 })
	if left := s.list(); left[0].Mark.Address != resource.Server(group, n-1) {
		s.Errorf("%s is left", left[0].Mark.Address)
	}
	s.do("delete again", s.provider.Delete, c)
	s.ready(resource.Server(group, n-1))
}
