package rackspace_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cloudship/cloudship/lab/cloud"
	"github.com/cloudship/cloudship/resource"
)

// Every field of a balancer is changed alone, and found as it was wanted; its nodes stay.
func TestChangesOfABalancer(t *testing.T) {
	h := start(t, func(s *cloud.Settings) { s.Timing.BalancerBusy = cloud.Duration(20 * time.Millisecond) })
	servers := h.servers("blue", 2)
	spec := h.balancer()
	h.members("", servers...)
	for _, test := range []struct {
		field  string
		change func(*resource.LoadBalancerSpec)
	}{
		{"health_check", func(s *resource.LoadBalancerSpec) {
			s.HealthCheck.Path, s.HealthCheck.Healthy, s.HealthCheck.Unhealthy = "/up", 4, 5
		}},
		{"sticky", func(s *resource.LoadBalancerSpec) { s.Sticky = &resource.Sticky{Cookie: "mine", TTL: 60} }},
		{"sticky", func(s *resource.LoadBalancerSpec) { s.Sticky = nil }},
		{"idle_timeout", func(s *resource.LoadBalancerSpec) { s.IdleTimeout = 90 }},
		{"options", func(s *resource.LoadBalancerSpec) {
			s.Options = resource.Options{"algorithm": "least_connections", "standby": "attached", "drain": 5}
		}},
		{"options", func(s *resource.LoadBalancerSpec) { s.Options = nil }},
		{"listeners", func(s *resource.LoadBalancerSpec) { s.Listeners[0].Port = 8000 }},
		{"health_check", func(s *resource.LoadBalancerSpec) { s.HealthCheck.Protocol = "tcp" }},
		{"listeners", func(s *resource.LoadBalancerSpec) {
			s.Listeners[0] = resource.Listener{Name: "db", Protocol: "tcp", Port: 5432, TargetPort: 8080}
		}},
	} {
		test.change(spec)
		spec = h.resolve(lbAddress, spec).(*resource.LoadBalancerSpec)
		h.same(h.update(lbAddress, spec, test.field), spec)
		if have := h.nodes(); len(have) != 2 {
			t.Errorf("after %s the nodes are %v", test.field, have)
		}
		if r := h.provider.Update(t.Context(), h.call(lbAddress, spec, test.field))[0]; r.Err != nil {
			t.Errorf("%s once more: %v", test.field, r.Err)
		}
	}
}

// A new target port moves the nodes: new ones come before old ones go.
func TestNodesMoveToAnotherPort(t *testing.T) {
	h := start(t, func(s *cloud.Settings) { s.Timing.BalancerBusy = cloud.Duration(20 * time.Millisecond) })
	servers := h.servers("blue", 12)
	spec := h.balancer()
	h.members("", servers...)
	spec.Listeners[0].TargetPort, spec.HealthCheck.Port = 9090, 9090
	h.lab.Calls().Reset()
	found := h.update(lbAddress, spec, "listeners", "health_check")
	h.same(found, spec)
	if have := h.list()[membersAddress].Spec.(*resource.MembersSpec).Servers; len(have) != 12 || len(h.nodes()) != 12 {
		t.Errorf("members %v, nodes %v", have, h.nodes())
	}
	added, removed := 0, 0
	for _, c := range h.lab.Calls().All() {
		if !strings.HasSuffix(c.Path, "/nodes") || c.Status >= 300 {
			continue
		}
		switch c.Method {
		case http.MethodPost:
			added++
		case http.MethodDelete:
			removed++
		}
		if removed > 0 && added == 0 {
			t.Error("nodes went before others came")
		}
	}
	if added != 1 || removed != 2 {
		t.Errorf("%d calls to add and %d to remove, want one and two", added, removed)
	}
}

// keyPair makes a certificate and its key.
func keyPair(t *testing.T, address string) (chain, key string) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return certificate(t, address, private)
}

func certificate(t *testing.T, address string, private crypto.Signer) (chain, key string) {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "www"}, NotAfter: time.Now().Add(time.Hour), IsCA: true,
		BasicConstraintsValid: true, IPAddresses: []net.IP{net.ParseIP(address)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	b, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return "subject=www\n" + string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b}))
}

// secure is a listener with a certificate, and the call's secrets for it.
func secure(t *testing.T, digest string) (resource.Listener, map[string]string) {
	t.Helper()
	chain, key := keyPair(t, "127.0.0.1")
	return resource.Listener{Name: "https", Protocol: "https", Port: 443, TargetPort: 8080,
		Certificate: &resource.Certificate{Chain: chain, PrivateKey: &resource.Secret{Digest: digest}}}, map[string]string{digest: key}
}

func TestTLS(t *testing.T) {
	h := start(t, func(s *cloud.Settings) {
		s.Timing.BalancerBusy, s.Timing.BalancerActive = cloud.Duration(20*time.Millisecond), cloud.Duration(100*time.Millisecond)
	})
	https, secrets := secure(t, "digest-one")
	spec := h.resolve(lbAddress, &resource.LoadBalancerSpec{Listeners: []resource.Listener{{Name: "http", Protocol: "http", Port: 80, TargetPort: 8080}, https},
		HealthCheck: resource.HealthCheck{Path: "/up"}}).(*resource.LoadBalancerSpec)
	c := h.call(lbAddress, spec)
	c.Secrets = secrets
	// A create cannot say TLS: what it makes is whole all the same.
	h.same(h.done(h.provider.Create, c), spec)

	update := func(secrets map[string]string, changed ...string) {
		t.Helper()
		spec = h.resolve(lbAddress, spec).(*resource.LoadBalancerSpec)
		c := h.call(lbAddress, spec, changed...)
		c.Secrets = secrets
		h.same(h.done(h.provider.Update, c), spec)
	}
	spec.RedirectHTTP = true
	update(nil, "redirect_http") // the certificate stays, but only secure traffic is let in now
}

func TestTLSChanges(t *testing.T) {
	h := start(t, func(s *cloud.Settings) { s.Timing.BalancerBusy = cloud.Duration(20 * time.Millisecond) })
	https, secrets := secure(t, "digest-one")
	spec := h.balancer()
	bring := func(secrets map[string]string, changed ...string) resource.Result {
		t.Helper()
		spec = h.resolve(lbAddress, spec).(*resource.LoadBalancerSpec)
		c := h.call(lbAddress, spec, changed...)
		c.Secrets = secrets
		return h.do(h.provider.Update, c)
	}
	good := func(what string, r resource.Result) {
		t.Helper()
		if r.Err != nil {
			t.Fatalf("%s: %v", what, r.Err)
		}
		h.eventually(what+": ready", func() bool { return h.list()[lbAddress].Ready })
		h.same(h.list()[lbAddress], spec)
	}
	plain := spec.Listeners[0]
	spec.Listeners = []resource.Listener{plain, https}
	if r := bring(nil, "listeners"); resource.KindOf(r.Err) != resource.Invalid || !strings.Contains(r.Err.Error(), "private key") {
		t.Errorf("without the key: %v", r.Err)
	}
	good("TLS", bring(secrets, "listeners"))
	spec.RedirectHTTP = true
	good("redirect", bring(secrets, "redirect_http"))
	other, secrets := secure(t, "digest-two")
	spec.Listeners = []resource.Listener{plain, other}
	good("another certificate", bring(secrets, "listeners"))
	spec.RedirectHTTP, spec.Listeners = false, []resource.Listener{other}
	good("https alone", bring(secrets, "redirect_http", "listeners"))
	spec.Listeners = []resource.Listener{plain}
	good("http alone", bring(nil, "listeners"))
	if _, err := tls.X509KeyPair([]byte(other.Certificate.Chain), []byte(secrets["digest-two"])); err != nil {
		t.Error(err)
	}
	for _, f := range h.list() {
		if b, err := f.MarshalJSON(); err != nil || strings.Contains(string(b), "PRIVATE KEY") {
			t.Errorf("%s: %v %s", f.Mark.Address, err, b)
		}
	}
}

// What Rackspace cannot be is told at plan, with what to write instead.
func TestWishesThatCannotBeMet(t *testing.T) {
	h := start(t)
	http80 := resource.Listener{Name: "http", Protocol: "http", Port: 80}
	https, _ := secure(t, "digest")
	lb := func(change func(*resource.LoadBalancerSpec)) resource.Spec {
		spec := &resource.LoadBalancerSpec{Listeners: []resource.Listener{http80}}
		change(spec)
		return spec
	}
	server := func(change func(*resource.ServerSpec)) resource.Spec {
		spec := &resource.ServerSpec{Group: "blue", Image: "debian-12"}
		change(spec)
		return spec
	}
	network := resource.Address{Block: "network", Name: "back"}
	elliptic, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	curved, _ := certificate(t, "127.0.0.1", elliptic)
	for _, test := range []struct {
		name  string
		spec  resource.Spec
		words string // in the error and its hint
	}{
		{"firewall", &resource.FirewallSpec{}, "no firewall"},
		{"network", &resource.NetworkSpec{}, "ServiceNet"},
		{"server in a network", server(func(s *resource.ServerSpec) { s.Network = network }), "ServiceNet"},
		{"unknown size", server(func(s *resource.ServerSpec) { s.Size = "general-4" }), `did you mean "general1-4"?`},
		{"size without a disk", server(func(s *resource.ServerSpec) { s.Size = "compute1-4" }), "starts from an image"},
		{"huge need", server(func(s *resource.ServerSpec) { s.Need = &resource.Need{CPUs: 500} }), "ask for less"},
		{"unknown image", server(func(s *resource.ServerSpec) { s.Image = "debian-21" }), `did you mean "debian-11"?`},
		{"no image", server(func(s *resource.ServerSpec) { s.Image = "" }), "debian-12"},
		{"another region", server(func(s *resource.ServerSpec) { s.Region = "ORD" }), "add a provider block"},
		{"unknown option", server(func(s *resource.ServerSpec) { s.Options = resource.Options{"ipv6": true} }), "no option"},
		{"two ports", lb(func(s *resource.LoadBalancerSpec) {
			s.Listeners = append(s.Listeners, resource.Listener{Name: "more", Protocol: "http", Port: 81})
		}), "make another load_balancer block"},
		{"tcp beside TLS", lb(func(s *resource.LoadBalancerSpec) {
			s.Listeners = []resource.Listener{{Name: "db", Protocol: "tcp", Port: 5432}, https}
		}), "do not go together"},
		{"two target ports", lb(func(s *resource.LoadBalancerSpec) { s.Listeners = []resource.Listener{http80, https} }), "different ports"},
		{"HTTP/2", lb(func(s *resource.LoadBalancerSpec) { s.Listeners[0].Protocol = "http2" }), `want protocol = "https"`},
		{"certificate by name", lb(func(s *resource.LoadBalancerSpec) {
			s.Listeners = []resource.Listener{{Name: "https", Protocol: "https", Port: 443, Certificate: &resource.Certificate{Name: "mine"}}}
		}), "from files"},
		{"certificate that is none", lb(func(s *resource.LoadBalancerSpec) {
			s.Listeners = []resource.Listener{{Name: "https", Protocol: "https", Port: 443, Certificate: &resource.Certificate{Chain: "?"}}}
		}), "no certificate in PEM"},
		{"certificate without RSA", lb(func(s *resource.LoadBalancerSpec) {
			s.Listeners = []resource.Listener{{Name: "https", Protocol: "https", Port: 443, Certificate: &resource.Certificate{Chain: curved}}}
		}), "RSA keys only"},
		{"TLS to the servers", lb(func(s *resource.LoadBalancerSpec) { s.Listeners[0].TargetProtocol = "https" }), "cannot turn http into https"},
		{"redirect to nothing", lb(func(s *resource.LoadBalancerSpec) { s.RedirectHTTP = true }), "nothing to redirect to"},
		{"PROXY protocol", lb(func(s *resource.LoadBalancerSpec) { s.ProxyProtocol = true }), "X-Forwarded-For"},
		{"check of another port", lb(func(s *resource.LoadBalancerSpec) { s.HealthCheck.Port = 81 }), "leave it out"},
		{"check of another protocol", lb(func(s *resource.LoadBalancerSpec) { s.HealthCheck.Protocol = "https" }), `want protocol = "tcp"`},
		{"rare checks", lb(func(s *resource.LoadBalancerSpec) { s.HealthCheck.Interval = 4000 }), "takes 1 to 3600"},
		{"short time-out", lb(func(s *resource.LoadBalancerSpec) { s.IdleTimeout = 10 }), "takes 30 to 120"},
		{"unknown balancer option", lb(func(s *resource.LoadBalancerSpec) { s.Options = resource.Options{"standbye": "attached"} }), `did you mean "standby"?`},
		{"unknown algorithm", lb(func(s *resource.LoadBalancerSpec) { s.Options = resource.Options{"algorithm": "round"} }), "ROUND_ROBIN"},
		{"unknown standby", lb(func(s *resource.LoadBalancerSpec) { s.Options = resource.Options{"standby": "off"} }), `want "attached"`},
		{"long drain", lb(func(s *resource.LoadBalancerSpec) { s.Options = resource.Options{"drain": 1.5} }), "whole number"},
		{"in a network", lb(func(s *resource.LoadBalancerSpec) { s.Network = network }), "ServiceNet"},
	} {
		a := map[resource.Kind]resource.Address{resource.KindServer: resource.Server("blue", 0), resource.KindLoadBalancer: lbAddress,
			resource.KindFirewall: {Block: "firewall", Name: "edge"}, resource.KindNetwork: network}[test.spec.Kind()]
		_, err := h.provider.Resolve(t.Context(), []resource.Wish{{Address: a, Spec: test.spec}})
		if resource.KindOf(err) != resource.Invalid {
			t.Errorf("%s: want invalid, have %v", test.name, err)
			continue
		}
		if said := err.Error() + " " + resource.HintOf(err); !strings.Contains(said, test.words) {
			t.Errorf("%s: %q lacks %q", test.name, said, test.words)
		}
	}
}

func TestPrices(t *testing.T) {
	h := start(t)
	for size, known := range map[string]bool{"general1-1": true, "general1-8": true, "io1-15": false, "2": false} {
		r, err := h.provider.Resolve(t.Context(), []resource.Wish{{Address: resource.Server("blue", 0), Spec: &resource.ServerSpec{Size: size, Image: "ubuntu-24.04"}}})
		if err != nil {
			t.Fatal(err)
		}
		p := r[0].Price
		if p.Known != known || known && (p.Monthly <= 0 || p.AsOf == "" || p.Currency != "USD") {
			t.Errorf("%s: %+v", size, p)
		}
		if !known && !strings.Contains(r[0].Note, "price is not known") {
			t.Errorf("%s: %q", size, r[0].Note)
		}
	}
	c, err := h.provider.Catalog(t.Context())
	if err != nil || c.AsOf == "" || len(c.Regions) != 5 {
		t.Errorf("catalogue as of %q with %d regions, %v", c.AsOf, len(c.Regions), err)
	}
}

func TestLimitsOfBalancers(t *testing.T) {
	h := start(t)
	spec := h.balancer()
	spec.MaxMembers = 30
	problems := h.provider.Preflight(t.Context(), resource.Forecast{Stack: stack, Create: []resource.Wish{{Address: resource.LoadBalancer("two"), Spec: spec}}})
	if len(problems) != 1 || resource.KindOf(problems[0]) != resource.Quota || !strings.Contains(problems[0].Error(), "may have 25 nodes, and 30 servers") {
		t.Errorf("preflight: %v", problems)
	}
}

// Most balancers in ERROR are healed by Rackspace: at first there is hope.
func TestBalancersThatGoWrong(t *testing.T) {
	h := start(t)
	h.lab.Faults().Add(cloud.Rule{Method: "POST", Path: "/rackspace/*/loadbalancers/**", Do: cloud.Spoil, Count: 1})
	spec := h.resolve(lbAddress, &resource.LoadBalancerSpec{Listeners: []resource.Listener{{Name: "http", Port: 80}}})
	if r := h.provider.Create(t.Context(), h.call(lbAddress, spec))[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	h.eventually("in ERROR", func() bool { return h.list()[lbAddress].Facts.Status == "ERROR" })
	if f := h.list()[lbAddress]; f.Ready || f.Problem != "" {
		t.Errorf("at first: ready %v, problem %q", f.Ready, f.Problem)
	}
}

func TestBalancersThatAreGone(t *testing.T) {
	h := start(t)
	spec := h.balancer()
	have := h.list()[lbAddress]
	h.ask(http.MethodDelete, "/iad/loadbalancers/v1.0/864207/loadbalancers/"+have.ID, "")
	if _, there := h.list()[lbAddress]; there {
		t.Error("one that is deleted is listed")
	}
	c := h.call(lbAddress, nil)
	c.Items[0].Have = &have
	if r := h.provider.Delete(t.Context(), c)[0]; r.Err != nil {
		t.Errorf("deleting it again: %v", r.Err)
	}
	members := h.call(membersAddress, nil)
	members.Items[0].Have = &have
	if r := h.provider.Delete(t.Context(), members)[0]; r.Err != nil {
		t.Errorf("deleting its members: %v", r.Err)
	}
	if r := h.provider.Update(t.Context(), resource.Call{Stack: stack, Items: []resource.Item{{Mark: mark(lbAddress), Spec: spec, Have: &have, Changed: []string{"idle_timeout"}}}})[0]; !resource.IsGone(r.Err) {
		t.Errorf("changing it: %v", r.Err)
	}
}
