package rackspace_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/cloudship/cloudship/lab/balancer"
)

// backend is a server that says its name; at /slow it does so when it is let.
type backend struct {
	*httptest.Server
	arrived, free chan struct{}
}

func newBackend(t *testing.T, name string) *backend {
	t.Helper()
	b := &backend{arrived: make(chan struct{}, 1), free: make(chan struct{})}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			b.arrived <- struct{}{}
			select {
			case <-b.free:
			case <-r.Context().Done():
				return
			}
		}
		io.WriteString(w, name)
	}))
	t.Cleanup(b.Close)
	return b
}

// node is a node for a backend.
func (b *backend) node(t *testing.T, kind string) object {
	t.Helper()
	host, port, err := net.SplitHostPort(b.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return object{"address": host, "port": n, "condition": "ENABLED", "type": kind}
}

// says asks for a path through a load balancer.
func says(lb object, path string) (string, error) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	vip := lb["virtualIps"].([]any)[0].(object)
	r, err := client.Get(fmt.Sprintf("http://%s:%v%s", vip["address"], lb["port"], path))
	if err != nil {
		return "", err
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	return string(b), err
}

// A node that drains finishes what it has and gets nothing new; one that is
// disabled is cut off; a secondary one serves while no primary one is healthy.
func TestTrafficObeysConditionsAndTypes(t *testing.T) {
	f := newFixtureOver(t, balancer.New)
	at := f.balancer(func(r object) {
		r["algorithm"] = "ROUND_ROBIN"
		r["healthMonitor"] = object{"type": "CONNECT", "delay": 1, "timeout": 5, "attemptsBeforeDeactivation": 1}
	})
	lb := f.settled(at)
	a, b := newBackend(t, "a"), newBackend(t, "b")
	made := f.want(202, "POST", at+"/nodes", object{"nodes": []object{a.node(t, "PRIMARY"), b.node(t, "SECONDARY")}})
	id := func(i int) float64 { return get[float64](t, made.body, "nodes", i, "id") }
	until := func(want string) {
		t.Helper()
		f.eventually(want+" answers", func() bool { have, err := says(lb, "/"); return err == nil && have == want })
	}
	until("a")

	result := make(chan string, 1)
	ask := func() {
		have, err := says(lb, "/slow")
		if err != nil {
			have = "cut off"
		}
		result <- have
	}
	go ask()
	<-a.arrived
	f.want(202, "PUT", at+"/nodes", object{"nodes": []object{{"id": id(1), "type": "PRIMARY"}, {"id": id(0), "condition": "DRAINING"}}})
	until("b")
	for range 4 {
		if have, err := says(lb, "/"); have != "b" {
			t.Errorf("while a drains, %q answers (%v)", have, err)
		}
	}
	close(a.free)
	if have := <-result; have != "a" {
		t.Errorf("the open request was answered by %q", have)
	}

	go ask()
	<-b.arrived
	f.want(202, "PUT", at+"/nodes", object{"nodes": []object{{"id": id(0), "condition": "ENABLED"}, {"id": id(1), "condition": "DISABLED"}}})
	if have := <-result; have == "b" {
		t.Error("a disabled node finished its request")
	}
	until("a")

	f.want(202, "PUT", at+"/nodes", object{"nodes": []object{{"id": id(1), "condition": "ENABLED", "type": "SECONDARY"}}})
	until("a")
	a.CloseClientConnections()
	a.Listener.Close()
	until("b")
}
