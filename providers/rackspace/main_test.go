package rackspace_test

import (
	"context"
	"maps"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/cloudship/cloudship/lab"
	"github.com/cloudship/cloudship/lab/cloud"
	"github.com/cloudship/cloudship/plugins"
	"github.com/cloudship/cloudship/providers/rackspace"
	"github.com/cloudship/cloudship/resource"
)

var builtIn = plugins.BuiltIn{"rackspace": rackspace.New}

func TestMain(m *testing.M) {
	builtIn.ServeIfAsked()
	os.Exit(m.Run())
}

const stack = resource.StackID("shop-k3v9qd")

// publicKey is a user's key.
const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJT7ZQn3xDQTL4gmN0IWZ4d1sGBzPvVdrdsTGDPZMe0z"

// Addresses of what the tests make.
var (
	keyAddress     = resource.Address{Block: "ssh_key", Name: "ann"}
	lbAddress      = resource.LoadBalancer("www")
	membersAddress = resource.MembersOf("www")
)

// startCloud runs a lab on paper in which everything happens at once, unless the settings say
// otherwise.
func startCloud(t *testing.T, change ...func(*cloud.Settings)) *lab.Lab {
	t.Helper()
	settings := cloud.Instant()
	for _, c := range change {
		c(&settings)
	}
	l, err := lab.Start(t.Context(), lab.Options{Servers: lab.Paper, Faults: &settings})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// environment points the provider to a lab, with a list lag as short as the lab's.
func environment(l *lab.Lab) map[string]string {
	env := l.Environment()
	env["RACKSPACE_LIST_LAG"] = "1s"
	return env
}

// source starts the provider's process with nothing in its environment but this.
func source(t *testing.T, env map[string]string) plugins.Source {
	return plugins.Source{Name: "rackspace", Stderr: t.Output(), LookupEnv: func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	}}
}

// configure starts the provider's process and configures it.
func configure(t *testing.T, env map[string]string, values map[string]any) (*plugins.Client, error) {
	t.Helper()
	c, err := plugins.Start(t.Context(), source(t, env))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, c.Configure(t.Context(), resource.Config{Alias: "rackspace", Values: values})
}

// harness is a cloud on paper and the provider in a process of its own.
type harness struct {
	*testing.T
	lab      *lab.Lab
	provider *plugins.Client
}

// start makes a harness; its tests run beside each other, for most of them wait a lot.
func start(t *testing.T, change ...func(*cloud.Settings)) *harness {
	t.Helper()
	t.Parallel()
	l := startCloud(t, change...)
	c, err := configure(t, environment(l), nil)
	if err != nil {
		t.Fatal(err)
	}
	return &harness{T: t, lab: l, provider: c}
}

func mark(a resource.Address) resource.Mark {
	return resource.Mark{Stack: stack, Address: a, Generation: 1}
}

// resolve completes one spec.
func (h *harness) resolve(a resource.Address, spec resource.Spec) resource.Spec {
	h.Helper()
	r, err := h.provider.Resolve(h.Context(), []resource.Wish{{Address: a, Spec: spec}})
	if err != nil {
		h.Fatal(err)
	}
	return r[0].Spec
}

// list gives everything of the stack by address.
func (h *harness) list(only ...resource.Kind) map[resource.Address]resource.Found {
	h.Helper()
	l, err := h.provider.List(h.Context(), resource.Query{Stack: stack, Only: only})
	if err != nil {
		h.Fatal(err)
	}
	found := map[resource.Address]resource.Found{}
	for _, f := range l.Found {
		if other, twice := found[f.Mark.Address]; twice {
			h.Fatalf("%s is listed twice: %s and %s", f.Mark.Address, other.ID, f.ID)
		}
		found[f.Mark.Address] = f
	}
	return found
}

// call is a call about one resource.
func (h *harness) call(a resource.Address, spec resource.Spec, changed ...string) resource.Call {
	h.Helper()
	c := resource.Call{Stack: stack, Peers: h.list()}
	item := resource.Item{Mark: mark(a), Spec: spec, Changed: changed}
	if have, ok := c.Peers[a]; ok {
		item.Have = &have
	}
	c.Items = []resource.Item{item}
	return c
}

// do makes a call with one item, again and again while it is busy, and answers what came of it.
func (h *harness) do(what func(context.Context, resource.Call) []resource.Result, c resource.Call) resource.Result {
	h.Helper()
	var r resource.Result
	h.eventually("call no longer busy", func() bool {
		r = what(h.Context(), c)[0]
		return resource.KindOf(r.Err) != resource.Busy
	})
	return r
}

// done makes a call that must succeed, and waits until its resource is ready.
func (h *harness) done(what func(context.Context, resource.Call) []resource.Result, c resource.Call) resource.Found {
	h.Helper()
	if r := h.do(what, c); r.Err != nil {
		h.Fatalf("%s: %v", r.Address, r.Err)
	}
	a := c.Items[0].Mark.Address
	h.eventually(a.String()+" ready", func() bool { return h.list()[a].Ready })
	return h.list()[a]
}

func (h *harness) create(a resource.Address, spec resource.Spec) resource.Found {
	h.Helper()
	return h.done(h.provider.Create, h.call(a, spec))
}

func (h *harness) update(a resource.Address, spec resource.Spec, changed ...string) resource.Found {
	h.Helper()
	return h.done(h.provider.Update, h.call(a, spec, changed...))
}

// servers makes n servers of a group.
func (h *harness) servers(group string, n int) []resource.Address {
	h.Helper()
	spec := h.resolve(resource.Server(group, 0), &resource.ServerSpec{Group: group, Need: &resource.Need{CPUs: 1}, Image: "debian-12"})
	var all []resource.Address
	for i := range n {
		h.create(resource.Server(group, i), spec)
		all = append(all, resource.Server(group, i))
	}
	return all
}

// balancer makes a load balancer that is checked often.
func (h *harness) balancer(change ...func(*resource.LoadBalancerSpec)) *resource.LoadBalancerSpec {
	h.Helper()
	spec := &resource.LoadBalancerSpec{
		Listeners:   []resource.Listener{{Name: "http", Protocol: "http", Port: 80, TargetPort: 8080}},
		HealthCheck: resource.HealthCheck{Interval: 1, Timeout: 1, Unhealthy: 1}, Options: resource.Options{"drain": 0},
	}
	for _, c := range change {
		c(spec)
	}
	spec = h.resolve(lbAddress, spec).(*resource.LoadBalancerSpec)
	h.create(lbAddress, spec)
	return spec
}

// members brings the members of the balancer to servers.
func (h *harness) members(phase string, servers ...resource.Address) resource.Found {
	h.Helper()
	c := h.call(membersAddress, &resource.MembersSpec{LoadBalancer: lbAddress, Servers: servers}, "servers")
	c.Phase = phase
	return h.done(h.provider.Update, c)
}

// same checks that what was observed of a resource is what was wanted.
func (h *harness) same(f resource.Found, want resource.Spec) {
	h.Helper()
	wanted := map[string]string{}
	for _, field := range resource.Fields(want) {
		wanted[field.Name] = string(field.Value)
	}
	for _, field := range resource.Fields(f.Spec) {
		if slices.Contains(f.Observed, field.Name) && string(field.Value) != wanted[field.Name] {
			h.Errorf("%s: %s: want %s, found %s", f.Mark.Address, field.Name, wanted[field.Name], field.Value)
		}
	}
}

// calls counts the lab's calls by method and the end of their path since the last reset.
func (h *harness) calls(method string, path string) int {
	n := 0
	for _, c := range h.lab.Calls().All() {
		if c.Method == method && len(c.Path) >= len(path) && c.Path[len(c.Path)-len(path):] == path {
			n++
		}
	}
	return n
}

// with is a copy of an environment with other values.
func with(env map[string]string, change map[string]string) map[string]string {
	env = maps.Clone(env)
	for name, value := range change {
		if value == "" {
			delete(env, name)
			continue
		}
		env[name] = value
	}
	return env
}

// eventually waits until something holds.
func (h *harness) eventually(what string, holds func() bool) {
	h.Helper()
	ctx, cancel := context.WithTimeout(h.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			h.Fatalf("not within a minute: %s", what)
		case <-tick.C:
		}
	}
}
