package digitalocean_test

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/cloudship/cloudship/lab"
	"github.com/cloudship/cloudship/lab/cloud"
	"github.com/cloudship/cloudship/plugins"
	"github.com/cloudship/cloudship/providers/digitalocean"
	"github.com/cloudship/cloudship/resource"
)

var builtIn = plugins.BuiltIn{"digitalocean": digitalocean.New}

func TestMain(m *testing.M) {
	builtIn.ServeIfAsked()
	os.Exit(m.Run())
}

const stack = resource.StackID("shop-k3v9qd")

// publicKey is a user's key.
const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJT7ZQn3xDQTL4gmN0IWZ4d1sGBzPvVdrdsTGDPZMe0z"

// harness is a cloud on paper and the provider in a process of its own.
type harness struct {
	*testing.T
	lab      *lab.Lab
	provider *plugins.Client
}

// startCloud runs a lab in which everything happens at once, unless the settings say otherwise.
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
	return map[string]string{"DIGITALOCEAN_TOKEN": l.Token(), "DIGITALOCEAN_API_URL": l.URL(lab.DigitalOcean), "DIGITALOCEAN_LIST_LAG": "1s"}
}

// source starts the provider's process with nothing in its environment but this.
func source(t *testing.T, env map[string]string) plugins.Source {
	return plugins.Source{Name: "digitalocean", Stderr: t.Output(), LookupEnv: func(name string) (string, bool) {
		v, ok := env[name]
		return v, ok
	}}
}

func start(t *testing.T, change ...func(*cloud.Settings)) *harness {
	t.Helper()
	l := startCloud(t, change...)
	c, err := plugins.Start(t.Context(), source(t, environment(l)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Configure(t.Context(), resource.Config{Alias: "digitalocean", Values: map[string]any{"region": "fra1"}}); err != nil {
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

// create makes resources and waits until they are ready.
func (h *harness) create(c resource.Call) {
	h.Helper()
	c.Stack = stack
	if c.Peers == nil {
		c.Peers = h.list()
	}
	var addresses []resource.Address
	for _, r := range h.provider.Create(h.Context(), c) {
		if r.Err != nil {
			h.Fatalf("create %s: %v", r.Address, r.Err)
		}
		addresses = append(addresses, r.Address)
	}
	h.eventually("ready", func() bool {
		found := h.list()
		return !slices.ContainsFunc(addresses, func(a resource.Address) bool { return !found[a].Ready })
	})
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
			h.Fatalf("not %s within a minute", what)
		case <-tick.C:
		}
	}
}
