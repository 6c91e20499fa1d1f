package rackspace_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cloudship/cloudship/lab/balancer"
	"github.com/cloudship/cloudship/lab/cloud"
	"github.com/cloudship/cloudship/lab/machine"
	"github.com/cloudship/cloudship/lab/rackspace"
)

func TestTheCloudOutlivesItsProcess(t *testing.T) {
	f := newFixture(t)
	id := f.server(func(r object) { r["metadata"] = object{"a": "1"} })
	before := f.active(id)
	at := f.balancer()
	lb := f.settled(at)
	f.want(200, "POST", f.compute("/os-keypairs"), object{"keypair": object{"name": "ann", "public_key": rsaKey}})
	b, err := f.api.Snapshot()
	if err != nil || b == nil {
		t.Fatal(string(b), err)
	}
	if again, err := f.api.Snapshot(); again != nil || err != nil {
		t.Errorf("nothing changed, and there is a snapshot: %v", err)
	}
	counts := f.api.Counts()
	if counts["servers"] != 1 || counts["loadbalancers"] != 1 || counts["keypairs"] != 1 {
		t.Errorf("counts: %v", counts)
	}

	f.stop()
	next := newFixture(t)
	token := f.token
	if err := next.api.Restore(b); err != nil {
		t.Fatal(err)
	}
	next.token = token // still good
	after := next.active(id)
	if get[string](t, after, "metadata", "a") != "1" || get[string](t, after, "name") != get[string](t, before, "name") {
		t.Errorf("after: %v", after)
	}
	restored := next.settled(strings.Replace(at, f.url, next.url, 1))
	if get[string](t, restored, "virtualIps", 0, "address") != get[string](t, lb, "virtualIps", 0, "address") {
		t.Errorf("after: %v", restored)
	}
	if err := next.api.Restore([]byte("{")); err == nil {
		t.Error("a state that is none was taken up")
	}
}

func FuzzRequests(f *testing.F) {
	for _, seed := range [][3]string{
		{"POST", "/identity/v2.0/tokens", `{"auth":{"RAX-KSKEY:apiKeyCredentials":{"username":"lab","apiKey":"secret"}}}`},
		{"POST", "/iad/servers/v2/864207/servers", `{"server":{"name":"a","imageRef":"6c6b4c9c-0f5f-4a0b-9a0e-d12b00c0de12","flavorRef":"2"}}`},
		{"GET", "/iad/servers/v2/864207/servers/detail?limit=-1&name=[", ``},
		{"POST", "/iad/loadbalancers/v1.0/864207/loadbalancers", `{"loadBalancer":{"name":"a","protocol":"HTTP","virtualIps":[{"type":"PUBLIC"}],"nodes":[{}]}}`},
		{"PUT", "/iad/loadbalancers/v1.0/864207/loadbalancers/700004/nodes", `{"nodes":[{"id":1,"condition":"ENABLED"}]}`},
		{"DELETE", "/iad/loadbalancers/v1.0/864207/loadbalancers?id=1&id=x", ``},
		{"PUT", "/iad/loadbalancers/v1.0/864207/loadbalancers/700004/ssltermination", `{"sslTermination":{"certificate":"x","privatekey":"y"}}`},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.Cleanup(cancel)
	log, host := slog.New(slog.DiscardHandler), machine.NewPaper()
	addresses, err := cloud.NewLoopback(ctx, 6200)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { addresses.Close() })
	servers := cloud.NewServers(ctx, host, func() {}, log)
	balancers := cloud.NewBalancers(ctx, func(ctx context.Context, c balancer.Config, log *slog.Logger) (balancer.Balancer, error) {
		return balancer.NewPaper(ctx, balancer.Config{ID: c.ID, Address: c.Address}, host.Running, log)
	}, func() {}, log)
	f.Cleanup(balancers.Close)
	api := rackspace.New(rackspace.Options{
		Username: "lab", APIKey: "secret", Faults: cloud.NewFaults(cloud.Instant()), Servers: servers, Balancers: balancers, Addresses: addresses,
	})
	if err := api.Restore([]byte(`{"LastID":700000,"Tokens":{"t":{"Made":"2999-01-01T00:00:00Z"}},"UserData":{}}`)); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, target, body string) {
		r, err := http.NewRequestWithContext(t.Context(), method, "http://lab"+target, bytes.NewReader([]byte(body)))
		if err != nil {
			return
		}
		r.Header.Set("X-Auth-Token", "t")
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		if w.Code >= 500 {
			t.Errorf("%s %s: %d %s", method, target, w.Code, w.Body)
		}
	})
}
