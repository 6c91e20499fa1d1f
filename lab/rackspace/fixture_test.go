package rackspace_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudship/cloudship/lab/balancer"
	"github.com/cloudship/cloudship/lab/cloud"
	"github.com/cloudship/cloudship/lab/machine"
	"github.com/cloudship/cloudship/lab/rackspace"
)

// fixture is the API over servers on paper, and a client with a token.
type fixture struct {
	*testing.T
	faults *cloud.Faults
	url    string
	token  string
	at     map[string]string // where services are, by name, in the home region
	host   *machine.Paper
	api    *rackspace.API
	stop   func() // the cloud ends; it may be called more than once
}

func newFixture(t *testing.T, change ...func(*cloud.Settings)) *fixture {
	t.Helper()
	return newFixtureOver(t, nil, change...)
}

// newFixtureOver has balancers that start makes; nil means on paper.
func newFixtureOver(t *testing.T, start cloud.StartBalancer, change ...func(*cloud.Settings)) *fixture {
	t.Helper()
	settings := cloud.Instant()
	for _, c := range change {
		c(&settings)
	}
	ctx, cancel := context.WithCancel(context.Background())
	log := slog.New(slog.DiscardHandler)
	f := &fixture{T: t, faults: cloud.NewFaults(settings), host: machine.NewPaper(), at: map[string]string{}}
	changed := func() { f.api.Wake() }
	servers := cloud.NewServers(ctx, f.host, changed, log)
	if start == nil {
		start = func(ctx context.Context, c balancer.Config, log *slog.Logger) (balancer.Balancer, error) {
			return balancer.NewPaper(ctx, c, f.host.Running, log)
		}
	}
	balancers := cloud.NewBalancers(ctx, start, changed, log)
	addresses, err := cloud.NewLoopback(ctx, 6000)
	if err != nil {
		t.Fatal(err)
	}
	f.api = rackspace.New(rackspace.Options{
		Prefix: "/rackspace", Username: "lab", APIKey: "secret", Faults: f.faults, Servers: servers, Balancers: balancers, Addresses: addresses,
	})
	var running sync.WaitGroup
	running.Go(func() { f.api.Run(ctx) })
	gate := cloud.NewGate(ctx, f.faults)
	server := httptest.NewServer(gate.Wrap("rackspace", f.api, rackspace.Fail))
	f.stop = sync.OnceFunc(func() {
		server.Close()
		cancel()
		running.Wait()
		balancers.Close()
		servers.Wait()
		addresses.Close()
	})
	t.Cleanup(f.stop)
	f.url = server.URL + "/rackspace"
	f.login(t)
	return f
}

// object is any JSON object.
type object = map[string]any

// answer is what a call was answered.
type answer struct {
	status int
	header http.Header
	body   object
	text   string
}

// send makes a call and reads its answer; body is sent as JSON unless it is
// nil.
func (f *fixture) send(method, url string, body any) answer {
	f.Helper()
	var b []byte
	if body != nil {
		var err error
		if b, err = json.Marshal(body); err != nil {
			f.Fatal(err)
		}
	}
	r, err := http.NewRequestWithContext(f.Context(), method, url, bytes.NewReader(b))
	if err != nil {
		f.Fatal(err)
	}
	r.Header.Set("X-Auth-Token", f.token)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		f.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		f.Fatal(err)
	}
	a := answer{status: response.StatusCode, header: response.Header, text: string(text)}
	if len(text) > 0 && json.Unmarshal(text, &a.body) != nil && strings.HasPrefix(response.Header.Get("Content-Type"), "application/json") {
		f.Errorf("%s %s: no JSON: %s", method, url, text)
	}
	return a
}

// want makes a call that must be answered with a status.
func (f *fixture) want(status int, method, url string, body any) answer {
	f.Helper()
	a := f.send(method, url, body)
	if a.status != status {
		f.Fatalf("%s %s: status %d, want %d: %s", method, url, a.status, status, a.text)
	}
	return a
}

// refused makes a call that must be answered with a status and with words.
func (f *fixture) refused(status int, words, method, url string, body any) answer {
	f.Helper()
	a := f.want(status, method, url, body)
	if !strings.Contains(a.text, words) {
		f.Errorf("%s %s: %q lacks %q", method, url, a.text, words)
	}
	return a
}

// login gets a token, and finds the services.
func (f *fixture) login(t *testing.T) {
	t.Helper()
	a := f.want(200, "POST", f.url+"/identity/v2.0/tokens", object{"auth": object{
		"RAX-KSKEY:apiKeyCredentials": object{"username": "lab", "apiKey": "secret"}, "tenantId": rackspace.Tenant}})
	f.token = get[string](t, a.body, "access", "token", "id")
	for _, s := range get[[]any](t, a.body, "access", "serviceCatalog") {
		for _, e := range get[[]any](t, s, "endpoints") {
			if region, _ := e.(object)["region"].(string); region == "IAD" {
				f.at[get[string](t, s, "name")] = get[string](t, e, "publicURL")
			}
		}
	}
}

// compute and balancers are where those services are, with a path.
func (f *fixture) compute(path string) string   { return f.at["cloudServersOpenStack"] + path }
func (f *fixture) balancers(path string) string { return f.at["cloudLoadBalancers"] + path }

// get finds a value inside of objects and lists.
func get[V any](t *testing.T, v any, path ...any) V {
	t.Helper()
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := v.(object)
			v = m[step]
		case int:
			list, _ := v.([]any)
			if step >= len(list) {
				t.Fatalf("no element %d in %v", step, list)
			}
			v = list[step]
		}
	}
	found, ok := v.(V)
	if !ok {
		t.Fatalf("at %v there is %T %v", path, v, v)
	}
	return found
}

func (f *fixture) eventually(what string, holds func() bool) {
	f.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(time.Minute)
	for !holds() {
		select {
		case <-tick.C:
		case <-late:
			f.Fatal("never happened: ", what)
		}
	}
}

const (
	debian = "6c6b4c9c-0f5f-4a0b-9a0e-d12b00c0de12"
	rsaKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJT7ZQn3xDQTL4gmN0IWZ4d1sGBzPvVdrdsTGDPZMe0z"
)

// server makes a server and answers its id; it may not be active yet.
func (f *fixture) server(change ...func(object)) string {
	f.Helper()
	r := object{"name": "web", "imageRef": debian, "flavorRef": "general1-1"}
	for _, c := range change {
		c(r)
	}
	return get[string](f.T, f.want(202, "POST", f.compute("/servers"), object{"server": r}).body, "server", "id")
}

// active waits until a server is, and answers it.
func (f *fixture) active(id string) object {
	f.Helper()
	var s object
	f.eventually("server is active", func() bool {
		s = get[object](f.T, f.want(200, "GET", f.compute("/servers/"+id), nil).body, "server")
		return s["status"] == "ACTIVE"
	})
	return s
}
