package rackspace_test

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cloudship/cloudship/lab/cloud"
	"github.com/cloudship/cloudship/resource"
)

// proven waits until the balancer has had time to check every member.
func (h *harness) proven() {
	h.Helper()
	h.eventually("members are healthy", func() bool {
		members := h.list()[membersAddress].Facts.Members
		return !slices.ContainsFunc(members, func(m resource.Member) bool { return m.Health != resource.Healthy })
	})
}

// nodes are the nodes of the balancer as the API shows them: "127.0.0.1:80 ENABLED".
func (h *harness) nodes() []string {
	h.Helper()
	var list []string
	for _, m := range h.list()[membersAddress].Facts.Members {
		condition := "ENABLED"
		if m.Draining {
			condition = "DRAINING"
		}
		list = append(list, fmt.Sprintf("%s %s", m.Server, condition))
	}
	return list
}

func TestSwitchOfMembers(t *testing.T) {
	h := start(t, func(s *cloud.Settings) { s.Timing.BalancerBusy = cloud.Duration(50 * time.Millisecond) })
	blue, green := h.servers("blue", 2), h.servers("green", 2)
	h.balancer(func(s *resource.LoadBalancerSpec) { s.Options = resource.Options{"drain": 1} })
	found := h.members("", blue...)
	if have := found.Spec.(*resource.MembersSpec).Servers; !slices.Equal(have, blue) {
		t.Errorf("members: %v", have)
	}
	for _, m := range found.Facts.Members {
		if m.Evidence != "balancer" || m.Health == resource.Unhealthy || m.ID == "" {
			t.Errorf("member: %+v", m)
		}
	}
	h.proven()
	h.lab.Calls().Reset()
	h.members("attach", append(slices.Clone(blue), green...)...)
	if n := h.calls(http.MethodPost, "/nodes"); n != 1 {
		t.Errorf("%d calls to add two nodes, want one", n)
	}
	h.proven()
	h.lab.Calls().Reset()
	began := time.Now()
	h.members("detach", green...)
	if took := time.Since(began); took < time.Second {
		t.Errorf("two nodes had %s to drain, want a second", took)
	}
	if puts, deletes := h.calls(http.MethodPut, "/nodes"), h.calls(http.MethodDelete, "/nodes"); puts != 1 || deletes != 1 {
		t.Errorf("%d calls to drain and %d to remove, want one each", puts, deletes)
	}
	if have := h.nodes(); strings.Join(have, ", ") != "group.green.server[0] ENABLED, group.green.server[1] ENABLED" {
		t.Errorf("nodes: %v", have)
	}
	// In the phase in which the new ones join, nobody leaves, whatever the spec says.
	h.members("attach", blue...)
	if have := h.nodes(); len(have) != 4 {
		t.Errorf("nodes: %v", have)
	}
}

// With the idle group on standby, a switch there and back is small changes of conditions.
func TestStandbyStaysAttached(t *testing.T) {
	h := start(t)
	blue, green := h.servers("blue", 1), h.servers("green", 1)
	h.balancer(func(s *resource.LoadBalancerSpec) { s.Options = resource.Options{"standby": "attached"} })
	h.members("", blue...)
	h.members("attach", blue[0], green[0])
	h.proven()
	found := h.members("detach", green...)
	if have := h.nodes(); strings.Join(have, ", ") != "group.blue.server[0] DRAINING, group.green.server[0] ENABLED" {
		t.Errorf("nodes: %v", have)
	}
	if have := found.Spec.(*resource.MembersSpec).Servers; !slices.Equal(have, green) {
		t.Errorf("members: %v", have)
	}
	h.lab.Calls().Reset()
	h.members("", blue...)
	changes := 0
	for _, c := range h.lab.Calls().All() {
		if c.Method != http.MethodGet {
			changes++
		}
	}
	if have := h.nodes(); changes != 1 || strings.Join(have, ", ") != "group.blue.server[0] ENABLED, group.green.server[0] DRAINING" {
		t.Errorf("the way back took %d changes: %v", changes, have)
	}
	// All of them go when members are deleted.
	if r := h.do(h.provider.Delete, h.call(membersAddress, nil)); r.Err != nil {
		t.Error(r.Err)
	}
	if have := h.nodes(); len(have) != 0 {
		t.Errorf("left: %v", have)
	}
}

// Those who serve stay until somebody who takes over has proven healthy.
func TestNobodyLeavesForWhoIsDead(t *testing.T) {
	h := start(t)
	blue, green := h.servers("blue", 1), h.servers("green", 1)
	h.balancer()
	h.members("", blue...)
	h.proven()
	id := h.list()[green[0]].ID
	h.ask(http.MethodPost, "/iad/servers/v2/864207/servers/"+id+"/action", `{"os-stop":null}`)
	h.members("attach", blue[0], green[0])
	h.eventually("green is unhealthy", func() bool {
		members := h.list()[membersAddress].Facts.Members
		return len(members) == 2 && members[1].Health == resource.Unhealthy
	})
	done := make(chan resource.Result, 1)
	c := h.call(membersAddress, &resource.MembersSpec{LoadBalancer: lbAddress, Servers: green}, "servers")
	go func() { done <- h.provider.Update(t.Context(), c)[0] }()
	h.ask(http.MethodPost, "/iad/servers/v2/864207/servers/"+id+"/action", `{"os-start":null}`)
	r := <-done
	h.eventually("members are green", func() bool {
		if resource.KindOf(r.Err) == resource.Busy {
			r = h.provider.Update(t.Context(), c)[0]
		}
		return r.Err == nil
	})
	for _, call := range h.lab.Calls().All() { // blue was enabled until green came back
		if call.Method == http.MethodDelete && call.Status >= 300 {
			t.Errorf("%s %s: %d", call.Method, call.Path, call.Status)
		}
	}
	if have := h.nodes(); strings.Join(have, ", ") != "group.green.server[0] ENABLED" {
		t.Errorf("nodes: %v", have)
	}
}

// A change whose answer is lost is made once, whatever the core does then.
func TestLostAnswersOfMembers(t *testing.T) {
	h := start(t)
	all := h.servers("blue", 3)
	h.balancer()
	for _, test := range []struct {
		method string
		to     []resource.Address
	}{{http.MethodPost, all}, {http.MethodDelete, all[:1]}, {http.MethodPost, all[:2]}} {
		for _, do := range []string{cloud.LoseAnswer, cloud.FailAfter} {
			h.proven()
			h.lab.Faults().Add(cloud.Rule{Method: test.method, Path: "/rackspace/*/loadbalancers/v1.0/*/loadbalancers/*/nodes", Do: do, Count: 1})
			c := h.call(membersAddress, &resource.MembersSpec{LoadBalancer: lbAddress, Servers: test.to}, "servers")
			h.eventually("members as wanted", func() bool {
				r := h.provider.Update(t.Context(), c)[0]
				if kind := resource.KindOf(r.Err); r.Err != nil && kind != resource.Busy && kind != resource.Ambiguous && kind != resource.Unavailable {
					t.Fatalf("%s, %s: %v", test.method, do, r.Err)
				}
				return r.Err == nil
			})
			h.lab.Faults().Reset()
			if have := h.list()[membersAddress].Spec.(*resource.MembersSpec).Servers; !slices.Equal(have, test.to) || len(h.nodes()) != len(test.to) {
				t.Errorf("%s, %s: members %v, nodes %v", test.method, do, have, h.nodes())
			}
		}
	}
}

// An older load balancer changes one node at a time.
func TestWithoutBulkChanges(t *testing.T) {
	h := start(t)
	blue, green := h.servers("blue", 2), h.servers("green", 1)
	h.balancer(func(s *resource.LoadBalancerSpec) { s.Options = resource.Options{"standby": "attached"} })
	h.members("", blue[0], blue[1], green[0])
	h.proven()
	h.lab.Faults().Add(cloud.Rule{Method: "PUT", Path: "/rackspace/*/loadbalancers/v1.0/*/loadbalancers/*/nodes", Do: cloud.FailBefore, Status: 405})
	h.members("", green...)
	if have := strings.Join(h.nodes(), ", "); have != "group.blue.server[0] DRAINING, group.blue.server[1] DRAINING, group.green.server[0] ENABLED" {
		t.Errorf("nodes: %s", have)
	}
}

func TestManyMembers(t *testing.T) {
	h := start(t)
	all := h.servers("blue", 26)
	h.balancer()
	h.members("", all[:25]...)
	h.proven()
	r := h.do(h.provider.Update, h.call(membersAddress, &resource.MembersSpec{LoadBalancer: lbAddress, Servers: all}, "servers"))
	if resource.KindOf(r.Err) != resource.Quota || !strings.Contains(r.Err.Error(), "Nodes must not exceed 25") {
		t.Errorf("26 nodes: %v", r.Err)
	}
	h.lab.Calls().Reset()
	h.members("", all[0])
	if n := h.calls(http.MethodDelete, "/nodes"); n != 3 {
		t.Errorf("%d calls to remove 24 nodes, want three", n)
	}
}

// What somebody else put behind the balancer stays; what a server of ours left behind goes.
func TestNodesOfOthers(t *testing.T) {
	h := start(t)
	servers := h.servers("blue", 2)
	h.balancer()
	h.members("", servers...)
	id := h.list()[lbAddress].ID
	h.ask(http.MethodPost, "/iad/loadbalancers/v1.0/864207/loadbalancers/"+id+"/nodes", `{"nodes":[{"address":"10.9.9.9","port":8080,"condition":"ENABLED"}]}`)
	h.ask(http.MethodDelete, "/iad/servers/v2/864207/servers/"+h.list()[servers[1]].ID, "")
	h.eventually("the server is gone", func() bool { return len(h.list(resource.KindServer)) == 1 })
	h.members("", servers[0])
	var left []string
	for _, m := range h.list()[membersAddress].Facts.Members {
		left = append(left, m.Server.String())
	}
	if !slices.Equal(left, []string{"", "group.blue.server[0]"}) {
		t.Errorf("left: %q", left)
	}
	// A server that is wanted to drain is no member and keeps its node.
	c := h.call(membersAddress, &resource.MembersSpec{LoadBalancer: lbAddress, Draining: servers[:1]}, "servers", "draining")
	found := h.done(h.provider.Update, c)
	if have := found.Spec.(*resource.MembersSpec).Servers; len(have) != 0 || !found.Facts.Members[1].Draining {
		t.Errorf("draining: %v, %+v", have, found.Facts.Members)
	}
}

// A balancer that is stuck is told with what it waits for, and nothing is harmed.
func TestAStuckBalancer(t *testing.T) {
	h := start(t)
	servers := h.servers("blue", 1)
	spec := h.balancer()
	s := h.lab.Faults().Settings()
	s.Timing.BalancerBusy = cloud.Duration(time.Hour)
	h.lab.Faults().Set(s)
	h.ask(http.MethodPut, "/iad/loadbalancers/v1.0/864207/loadbalancers/"+h.list()[lbAddress].ID, `{"loadBalancer":{"halfClosed":true}}`)
	c := h.call(membersAddress, &resource.MembersSpec{LoadBalancer: lbAddress, Servers: servers}, "servers")
	other := *spec
	other.IdleTimeout = 60
	results := make(chan error, 2)
	go func() { results <- h.provider.Update(t.Context(), c)[0].Err }()
	lb := h.call(lbAddress, &other, "idle_timeout")
	go func() { results <- h.provider.Update(t.Context(), lb)[0].Err }()
	for range 2 {
		if err := <-results; resource.KindOf(err) != resource.Busy || !strings.Contains(err.Error(), "PENDING_UPDATE and takes no change; then: ") {
			t.Errorf("want busy, have %v", err)
		}
	}
	if r := h.list()[lbAddress]; r.Ready || r.Facts.Status != "PENDING_UPDATE" {
		t.Errorf("balancer: ready %v, %s", r.Ready, r.Facts.Status)
	}
	h.lab.Faults().Reset()
	h.members("", servers...)
	if _, err := strconv.Atoi(h.list()[membersAddress].ID); err != nil {
		t.Error(err)
	}
}
