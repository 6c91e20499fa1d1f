package digitalocean_test

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/digitalocean/godo"

	"github.com/cloudship/cloudship/lab/cloud"
	"github.com/cloudship/cloudship/resource"
)

// behind are the servers that the balancer sends to.
func (h *harness) behind() []resource.Address {
	h.Helper()
	return h.list()[resource.MembersOf("www")].Spec.(*resource.MembersSpec).Servers
}

// send brings the members to some servers of group blue.
func (h *harness) send(indices ...int) {
	h.Helper()
	spec := &resource.MembersSpec{LoadBalancer: resource.LoadBalancer("www")}
	for _, i := range indices {
		spec.Servers = append(spec.Servers, resource.Server("blue", i))
	}
	h.eventually("members taken", func() bool {
		r := h.provider.Update(h.Context(), h.call(resource.MembersOf("www"), spec, "servers"))[0]
		if kind := resource.KindOf(r.Err); r.Err != nil && kind != resource.Busy {
			h.Fatal(r.Err)
		}
		return r.Err == nil
	})
	h.eventually("members as wanted", func() bool {
		return slices.Equal(h.behind(), spec.Servers) && h.list()[resource.MembersOf("www")].Ready
	})
}

func TestBusyBalancerIsBusy(t *testing.T) {
	h := start(t, func(s *cloud.Settings) { s.Timing.BalancerBusy = cloud.Duration(300 * time.Millisecond) })
	h.create(servers("blue", h.serverSpec("blue"), 0, 1))
	h.create(h.call(resource.LoadBalancer("www"), h.balancerSpec(2)))
	spec := &resource.MembersSpec{LoadBalancer: resource.LoadBalancer("www"), Servers: []resource.Address{resource.Server("blue", 0)}}
	if r := h.provider.Update(t.Context(), h.call(resource.MembersOf("www"), spec, "servers"))[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	spec.Servers = []resource.Address{resource.Server("blue", 0), resource.Server("blue", 1)}
	r := h.provider.Update(t.Context(), h.call(resource.MembersOf("www"), spec, "servers"))[0]
	if resource.KindOf(r.Err) != resource.Busy {
		t.Errorf("want busy, have %v", r.Err)
	}
	h.send(0, 1)
}

func TestMoreThanTenMembersGoByTag(t *testing.T) {
	h := start(t, func(s *cloud.Settings) { s.Timing.Tag = cloud.Duration(200 * time.Millisecond) })
	spec := h.serverSpec("blue")
	h.create(servers("blue", spec, upTo(10)...))
	h.create(servers("blue", spec, 10, 11))
	// Made for ten, it goes by id; the eleventh makes it go by tag, and nobody is lost meanwhile.
	h.create(h.call(resource.LoadBalancer("www"), h.balancerSpec(10)))
	h.send(upTo(10)...)
	lbs, _, err := h.client().LoadBalancers.List(t.Context(), nil)
	if err != nil || lbs[0].Tag != "" {
		t.Fatalf("%+v %v", lbs, err)
	}
	h.send(upTo(12)...)
	lbs, _, err = h.client().LoadBalancers.List(t.Context(), nil)
	if err != nil || lbs[0].Tag == "" || len(lbs[0].DropletIDs) != 12 {
		t.Fatalf("%+v %v", lbs, err)
	}
	h.send(0, 11)
	// An update of a balancer that goes by tag takes the tag along.
	lb := h.balancerSpec(12)
	lb.IdleTimeout = 120
	if r := h.provider.Update(t.Context(), h.call(resource.LoadBalancer("www"), lb, "idle_timeout"))[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	if have := h.behind(); len(have) != 2 {
		t.Errorf("after an update of the balancer: %v", have)
	}
}

func TestAttachPhaseRemovesNobody(t *testing.T) {
	h := start(t)
	h.create(servers("blue", h.serverSpec("blue"), 0, 1))
	h.create(h.call(resource.LoadBalancer("www"), h.balancerSpec(2)))
	h.send(0)
	c := h.call(resource.MembersOf("www"), &resource.MembersSpec{LoadBalancer: resource.LoadBalancer("www"), Servers: []resource.Address{resource.Server("blue", 1)}}, "servers")
	c.Phase = "attach"
	if r := h.provider.Update(t.Context(), c)[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	if have := h.behind(); len(have) != 2 {
		t.Errorf("after attach: %v", have)
	}
}

func TestForeignMemberIsLeftAlone(t *testing.T) {
	h := start(t)
	h.create(servers("blue", h.serverSpec("blue"), 0, 1))
	h.create(h.call(resource.LoadBalancer("www"), h.balancerSpec(2)))
	foreign, _, err := h.client().Droplets.Create(t.Context(), &godo.DropletCreateRequest{Name: "theirs", Region: "fra1", Size: "s-1vcpu-1gb", Image: godo.DropletCreateImage{Slug: "debian-12-x64"}})
	if err != nil {
		t.Fatal(err)
	}
	h.send(0)
	if _, err := h.client().LoadBalancers.AddDroplets(t.Context(), h.list()[resource.LoadBalancer("www")].ID, foreign.ID); err != nil {
		t.Fatal(err)
	}
	h.send(1)
	var ids []string
	for _, m := range h.list()[resource.MembersOf("www")].Facts.Members {
		ids = append(ids, m.ID)
	}
	if !slices.Contains(ids, strconv.Itoa(foreign.ID)) || len(ids) != 2 {
		t.Errorf("members: %v, want the foreign %d among two", ids, foreign.ID)
	}
}

// [0] to [1] at once: the new one joins, and the old one leaves when the new one's checks have had
// their time, but not before.
func TestNobodyLeavesWhileOnlyNewOnesWouldStay(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.create(servers("blue", h.serverSpec("blue"), 0, 1))
	lb := h.balancerSpec(2)
	lb.HealthCheck.Interval, lb.HealthCheck.Timeout, lb.HealthCheck.Healthy = 3, 3, 2
	h.create(h.call(resource.LoadBalancer("www"), lb))
	h.send(0)
	spec := &resource.MembersSpec{LoadBalancer: resource.LoadBalancer("www"), Servers: []resource.Address{resource.Server("blue", 1)}}
	began := time.Now()
	r := h.provider.Update(t.Context(), h.call(resource.MembersOf("www"), spec, "servers"))[0]
	if resource.KindOf(r.Err) != resource.Busy || len(h.behind()) != 2 {
		t.Errorf("want busy and both behind it, have %v, %v", r.Err, h.behind())
	}
	h.send(1)
	if took := time.Since(began); took < 9*time.Second {
		t.Errorf("the old one left after %s", took)
	}
}

// While a server is replaced, it is a member only by its new droplet; the old one stays behind the
// balancer until the checks of the new one have had their time, and is then deleted.
func TestOldGenerationStaysUntilItIsDeleted(t *testing.T) {
	h := start(t)
	spec := h.serverSpec("blue")
	h.create(servers("blue", spec, 0))
	h.create(h.call(resource.LoadBalancer("www"), h.balancerSpec(1)))
	h.send(0)
	next := servers("blue", spec, 0)
	next.Stack, next.Items[0].Mark.Generation = stack, 2
	if r := h.provider.Create(t.Context(), next)[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	peers := h.newest()
	members := peers[resource.MembersOf("www")]
	if have := members.Spec.(*resource.MembersSpec).Servers; len(have) != 0 || len(members.Facts.Members) != 1 {
		t.Errorf("with the old droplet behind it alone: %v, %v", have, members.Facts.Members)
	}
	want := &resource.MembersSpec{LoadBalancer: resource.LoadBalancer("www"), Servers: []resource.Address{resource.Server("blue", 0)}}
	c := resource.Call{Stack: stack, Peers: peers, Items: []resource.Item{{Mark: mark(resource.MembersOf("www")), Spec: want, Have: &members, Changed: []string{"servers"}}}}
	if r := h.provider.Update(t.Context(), c)[0]; r.Err != nil || len(r.Found.Facts.Members) != 2 || r.Found.Ready {
		t.Errorf("after the update: %+v", r)
	}
	members = h.newest()[resource.MembersOf("www")]
	if have := members.Spec.(*resource.MembersSpec).Servers; len(have) != 1 || members.Ready {
		t.Errorf("with both behind it: %v, ready %v", have, members.Ready)
	}
	c.Phase, c.Items[0].Have = "detach", &members
	if r := h.provider.Update(t.Context(), c)[0]; r.Err != nil || len(r.Found.Facts.Members) != 1 || r.Found.Facts.Members[0].ID != peers[resource.Server("blue", 0)].ID {
		t.Errorf("after they were detached: %+v", r)
	}
}

func TestMetricIsShownWhereItCanBeRead(t *testing.T) {
	h := start(t, func(s *cloud.Settings) { s.Timing.MetricEvery = cloud.Duration(100 * time.Millisecond) })
	h.create(servers("blue", h.serverSpec("blue"), 0))
	h.create(h.call(resource.LoadBalancer("www"), h.balancerSpec(1)))
	h.send(0)
	member := func() resource.Member { return h.list()[resource.MembersOf("www")].Facts.Members[0] }
	h.eventually("measured", func() bool { return member().Health != resource.HealthUnknown })
	if m := member(); m.Evidence == "" || m.Since.IsZero() {
		t.Errorf("%+v", m)
	}
	// Without it the health is unknown, and nothing else suffers.
	h.lab.Faults().Add(cloud.Rule{Path: "/v2/monitoring/**", Do: cloud.FailBefore, Status: 500})
	if m := member(); m.Health != resource.HealthUnknown {
		t.Errorf("without the metric: %+v", m)
	}
}

// newest is what is listed, of each address the newest generation.
func (h *harness) newest() map[resource.Address]resource.Found {
	h.Helper()
	l, err := h.provider.List(h.Context(), resource.Query{Stack: stack})
	if err != nil {
		h.Fatal(err)
	}
	found := map[resource.Address]resource.Found{}
	for _, f := range l.Found {
		if found[f.Mark.Address].Mark.Generation < f.Mark.Generation {
			found[f.Mark.Address] = f
		}
	}
	return found
}
