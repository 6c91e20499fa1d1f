package digitalocean_test

import (
	"testing"

	"github.com/cloudship/cloudship/resource"
)

// servers is a call for the servers of a group.
func servers(group string, spec resource.Spec, indices ...int) resource.Call {
	var c resource.Call
	for _, i := range indices {
		c.Items = append(c.Items, resource.Item{Mark: mark(resource.Server(group, i)), Spec: spec})
	}
	return c
}

func upTo(n int) []int {
	var list []int
	for i := range n {
		list = append(list, i)
	}
	return list
}

// serverSpec is a small server, resolved.
func (h *harness) serverSpec(group string) *resource.ServerSpec {
	h.Helper()
	return h.resolve(resource.Server(group, 0), &resource.ServerSpec{Group: group, Need: &resource.Need{CPUs: 1, MemoryMB: 1024}, Image: "debian-12"}).(*resource.ServerSpec)
}

// balancerSpec is a plain load balancer, resolved.
func (h *harness) balancerSpec(most int) *resource.LoadBalancerSpec {
	h.Helper()
	return h.resolve(resource.LoadBalancer("www"), &resource.LoadBalancerSpec{
		Listeners: []resource.Listener{{Name: "http", Port: 80}}, MaxMembers: most,
	}).(*resource.LoadBalancerSpec)
}

func TestWholeStack(t *testing.T) {
	h := start(t)
	key := resource.Address{Block: "ssh_key", Name: "ann"}
	network := resource.Address{Block: "network", Name: "back"}
	h.create(h.call(key, &resource.SSHKeySpec{PublicKey: publicKey}))
	h.create(h.call(network, h.resolve(network, &resource.NetworkSpec{})))
	spec := h.serverSpec("blue")
	spec.Network, spec.Keys = network, []resource.Address{key}
	h.create(servers("blue", spec, 0, 1))
	lb := h.balancerSpec(2)
	lb.Network = network
	h.create(h.call(resource.LoadBalancer("www"), lb))
	members := &resource.MembersSpec{LoadBalancer: resource.LoadBalancer("www"), Servers: []resource.Address{resource.Server("blue", 0), resource.Server("blue", 1)}}
	h.create(h.call(resource.MembersOf("www"), members))

	found := h.list()
	if len(found) != 6 {
		t.Errorf("want 6 resources, have %d", len(found))
	}
	for a, want := range map[resource.Address]resource.Spec{key: &resource.SSHKeySpec{PublicKey: publicKey}, resource.Server("blue", 1): spec,
		resource.LoadBalancer("www"): lb, resource.MembersOf("www"): members} {
		h.same(found[a], want)
	}
}

// same checks that what was observed of a resource is what was wanted.
func (h *harness) same(f resource.Found, want resource.Spec) {
	h.Helper()
	observed := map[string]bool{}
	for _, name := range f.Observed {
		observed[name] = true
	}
	wanted := resource.Fields(want)
	for i, field := range resource.Fields(f.Spec) {
		if observed[field.Name] && string(field.Value) != string(wanted[i].Value) {
			h.Errorf("%s: %s: want %s, found %s", f.Mark.Address, field.Name, wanted[i].Value, field.Value)
		}
	}
}
