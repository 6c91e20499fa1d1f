package engine

import (
	"errors"
	"strings"
	"testing"

	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

func TestPortsCollide(t *testing.T) {
	for _, test := range []struct {
		want template.Port
		held string
		is   bool
	}{
		{template.Port{Published: 80, Protocol: "tcp"}, "80/tcp", true},
		{template.Port{Published: 80}, "80/tcp", true},
		{template.Port{Published: 80, Protocol: "tcp"}, "127.0.0.1:80/tcp", true},
		{template.Port{Published: 80, Protocol: "tcp", HostIP: "127.0.0.1"}, "80/tcp", true},
		{template.Port{Published: 80, Protocol: "tcp", HostIP: "127.0.0.1"}, "127.0.0.1:80/tcp", true},
		{template.Port{Published: 80, Protocol: "tcp", HostIP: "0.0.0.0"}, "10.0.0.1:80/tcp", true},
		{template.Port{Published: 80, Protocol: "tcp", HostIP: "::1"}, "[::1]:80/tcp", true},
		{template.Port{Published: 80, Protocol: "tcp", HostIP: "127.0.0.1"}, "10.0.0.1:80/tcp", false},
		{template.Port{Published: 80, Protocol: "tcp"}, "80/udp", false},
		{template.Port{Published: 80, Protocol: "tcp"}, "8080/tcp", false},
		{template.Port{Published: 80, Protocol: "tcp"}, "", false},
	} {
		if is := collides(test.want, test.held); is != test.is {
			t.Errorf("%+v beside %q: %v", test.want, test.held, is)
		}
	}
}

func TestPortThatAnotherHasIsNamedWithWhoHasIt(t *testing.T) {
	release := &template.Release{Services: map[string]template.Service{
		"proxy": {Replicas: 1, Ports: []template.Port{{Target: 80, Published: 80, Protocol: "tcp"}, {Target: 81, Published: 81, Protocol: "tcp"}, {Target: 82, Protocol: "tcp"}}},
	}}
	neighbours := []resource.Neighbour{
		{Container: "edge-proxy-1", Stack: "edge-aaaaaa", Ports: []string{"80/tcp"}}, {Process: "apache2", Ports: []string{"81/tcp"}},
	}
	errs := taken(resource.ReleaseOn("web", 0), release, 0, neighbours)
	text := errors.Join(errs...).Error()
	for _, want := range []string{"port 80/tcp", "container edge-proxy-1 of stack edge", "port 81/tcp", "process apache2", "group.web.release[0]"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q: %s", want, text)
		}
	}
	if len(errs) != 2 || resource.HintOf(errs[0]) == "" {
		t.Errorf("%d errors: %v", len(errs), errs)
	}
}

func TestOthersAreWarnedOfOnlyWhereTheServerGoes(t *testing.T) {
	a := resource.Server("web", 0)
	mark := func(a resource.Address) resource.Mark {
		return resource.Mark{Stack: "edge-aaaaaa", Address: a, Generation: 1}
	}
	docker := resource.Found{Mark: mark(resource.DockerOn("web", 0)), Facts: resource.Facts{Host: &resource.HostFacts{Neighbours: []resource.Neighbour{
		{Container: "shop-app-1", Stack: "shop-bbbbbb"}, {Container: "shop-app-2", Stack: "shop-bbbbbb"}, {Container: "somebody's", Ports: []string{"9000/tcp"}},
	}}}}
	have := plan.Have{Records: map[resource.Address]resource.Record{docker.Mark.Address: {Found: docker}}}
	deletes := func(provider string, generation int) *plan.Plan {
		m := mark(a)
		m.Generation = generation
		return &plan.Plan{Steps: []plan.Step{{Do: plan.DoDelete, Provider: provider, Items: []resource.Item{{Mark: m}}}}}
	}
	schemas := map[string]resource.Schema{"cloud": {}, "mine": {Existing: true}}
	if have := others(deletes("cloud", 1), have, schemas); len(have) != 1 || !strings.Contains(have[0], "stack shop has 2 containers") {
		t.Errorf("a server that is deleted: %q", have)
	}
	if have := others(deletes("mine", 1), have, schemas); len(have) != 0 {
		t.Errorf("a machine that is let go: %q", have)
	}
	if have := others(deletes("cloud", 2), have, schemas); len(have) != 0 {
		t.Errorf("another generation: %q", have)
	}
	s := &Session{}
	refused := &OthersError{}
	if err := s.Allowed(&plan.Plan{Others: []string{"x"}}); !errors.As(err, &refused) || !strings.Contains(resource.HintOf(err), "--with-others") {
		t.Errorf("not refused: %v", err)
	}
	s.options.WithOthers = true
	if err := s.Allowed(&plan.Plan{Others: []string{"x"}}); err != nil {
		t.Errorf("refused although it was said: %v", err)
	}
}

func TestAccessToAMachineHoldsItsKeyAlone(t *testing.T) {
	access := existingAccess(resource.Access{Address: "10.0.0.8:2222", User: "deploy", HostKey: "ssh-ed25519 AAAAb",
		Jump: &resource.Access{Address: "203.0.113.7", HostKey: "ssh-ed25519 AAAAa"}}, "web-0.server.g1.shop-k3v9qd", "/home/ann/.ssh/id")
	if access.Address != "10.0.0.8" || access.Port != "2222" || access.User != "deploy" || access.Identity != "/home/ann/.ssh/id" || len(access.Login) > 0 {
		t.Errorf("%+v", access)
	}
	if want := "web-0.server.g1.shop-k3v9qd ssh-ed25519 AAAAb\nweb-0.server.g1.shop-k3v9qd.jump ssh-ed25519 AAAAa\n"; string(access.KnownHosts) != want {
		t.Errorf("known hosts %q, want %q", access.KnownHosts, want)
	}
	if access.Jump == nil || access.Jump.User != "root" || access.Jump.Address != "203.0.113.7" || access.Jump.Port != "" {
		t.Errorf("jump %+v", access.Jump)
	}
}

func TestMachineIsOneServerOfAStack(t *testing.T) {
	want := func(i int, address string) plan.Want {
		return plan.Want{Address: resource.Server("web", i), Spec: &resource.ServerSpec{Access: &resource.Access{Address: address}}}
	}
	if err := oncePerMachine([]plan.Want{want(0, "a"), want(1, "b"), {Address: resource.Server("web", 2), Spec: &resource.ServerSpec{}}}); err != nil {
		t.Error(err)
	}
	if err := oncePerMachine([]plan.Want{want(0, "a"), want(1, "a")}); err == nil || resource.HintOf(err) == "" {
		t.Errorf("one machine twice: %v", err)
	}
}
