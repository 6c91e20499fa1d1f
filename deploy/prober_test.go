package deploy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/resource"
)

func TestProbeURL(t *testing.T) {
	balancer := func(listeners ...resource.Listener) resource.Found {
		return resource.Found{Facts: resource.Facts{PublicIP: "192.0.2.7"}, Spec: &resource.LoadBalancerSpec{Listeners: listeners}}
	}
	plain, secure := resource.Listener{Name: "http", Protocol: "http", Port: 8080}, resource.Listener{Name: "tls", Protocol: "https", Port: 443}
	through := resource.Listener{Name: "pass", Protocol: "tcp", Port: 8443, TLSPassthrough: true}
	for _, c := range []struct {
		balancer resource.Found
		probe    resource.Probe
		url      string
	}{
		{balancer(plain, secure), resource.Probe{Path: "/x"}, "http://192.0.2.7:8080/x"},
		{balancer(plain, secure), resource.Probe{Listener: "tls", Host: "shop.example"}, "https://shop.example:443/"},
		{balancer(secure), resource.Probe{Path: "/"}, "https://192.0.2.7:443/"},
		{balancer(plain, through), resource.Probe{Listener: "pass"}, "https://192.0.2.7:8443/"},
		{resource.Found{Facts: resource.Facts{PublicIP: "2001:db8::1"}}, resource.Probe{}, "http://[2001:db8::1]:80/"},
	} {
		if url := probeURL(c.balancer, c.probe); url != c.url {
			t.Errorf("%+v is sent to %s, want %s", c.probe, url, c.url)
		}
	}
}

// site is a load balancer that answers as it is told.
type site struct {
	*httptest.Server
	status atomic.Int32
	asked  atomic.Int32
}

func newSite(t *testing.T) *site {
	s := &site{}
	s.status.Store(http.StatusOK)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		w.WriteHeader(int(s.status.Load()))
		_, _ = fmt.Fprintf(w, "hello from %s", r.Host)
	}))
	t.Cleanup(s.Close)
	return s
}

// switching is a switch through the site, with probes every few milliseconds.
func (s *site) switching(t *testing.T, phase string, probes ...resource.Probe) (resource.Call, resource.Item) {
	host, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	for i := range probes {
		probes[i].Interval, probes[i].Timeout = 5, 5000
	}
	spec := &resource.RouteSpec{LoadBalancer: resource.LoadBalancer("www"), Groups: []string{"blue", "green"}, Live: "green", Watch: 1, Probes: probes}
	mark := resource.Mark{Stack: "shop-aaaaaa", Address: resource.RouteOf("www"), Generation: 1}
	balancer := resource.Found{
		Mark: resource.Mark{Address: resource.LoadBalancer("www")}, Facts: resource.Facts{PublicIP: host},
		Spec: &resource.LoadBalancerSpec{Listeners: []resource.Listener{{Name: "http", Protocol: "http", Port: n, TargetPort: n}}},
	}
	return resource.Call{Stack: "shop-aaaaaa", Phase: phase, Peers: map[resource.Address]resource.Found{resource.LoadBalancer("www"): balancer}},
		resource.Item{Mark: mark, Spec: spec}
}

func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for !so() {
		if pause(ctx, time.Millisecond) != nil {
			t.Fatalf("%s: not so after a minute", what)
		}
	}
}

// TestProbesAreCountedThroughAllPhases goes through a switch of servers alone.
func TestProbesAreCountedThroughAllPhases(t *testing.T) {
	s := newSite(t)
	d := Open(Options{Stack: "shop-aaaaaa", Probe: true})
	defer d.Close()
	phase := func(name string) error {
		call, item := s.switching(t, name, resource.Probe{Path: "/", Expect: 200, Contains: "hello"})
		call.Items = []resource.Item{item}
		results := d.Update(t.Context(), call)
		if name != plan.PhaseUndo && results[0].Err == nil && results[0].Found.Spec.(*resource.RouteSpec).Live != "green" {
			t.Errorf("after %s it found %+v", name, results[0].Found)
		}
		return results[0].Err
	}
	for _, name := range []string{plan.PhaseTest, plan.PhaseGate, plan.PhaseCommit, plan.PhaseDrain} {
		if err := phase(name); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if p := d.routes.prober(resource.RouteOf("www")); p == nil {
		t.Fatal("nobody probes")
	}
	before := s.asked.Load()
	eventually(t, "it is asked between phases", func() bool { return s.asked.Load() > before+2 })
	s.status.Store(http.StatusBadGateway)
	if err := phase(plan.PhaseWatch); err == nil || !strings.Contains(err.Error(), "502") {
		t.Fatalf("watch: %v, want what was answered", err)
	}
	if p := d.routes.prober(resource.RouteOf("www")); p != nil {
		t.Error("it probes on after its end")
	}
	// What still goes to the bad group is not held against the good one.
	for _, name := range []string{plan.PhaseUndo, plan.PhaseGate, plan.PhaseCommit} {
		if err := phase(name); err != nil {
			t.Errorf("the way back: %s: %v", name, err)
		}
	}
}

func TestLiveThatFailedBeforeProvesNothing(t *testing.T) {
	s := newSite(t)
	s.status.Store(http.StatusServiceUnavailable)
	d := Open(Options{Stack: "shop-aaaaaa", Probe: true})
	defer d.Close()
	var lines []string
	for _, name := range []string{plan.PhaseTest, plan.PhaseGate, plan.PhaseCommit, plan.PhaseDrain, plan.PhaseWatch} {
		call, item := s.switching(t, name, resource.Probe{Path: "/"})
		call.Items, call.Progress = []resource.Item{item}, func(_ resource.Address, line string) { lines = append(lines, line) }
		if err := d.Update(t.Context(), call)[0].Err; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if all := strings.Join(lines, "\n"); !strings.Contains(all, "does not answer now") || !strings.Contains(all, "no way back to it") {
		t.Errorf("it says:\n%s", all)
	}
}

func TestWatchCanBeLeft(t *testing.T) {
	s := newSite(t)
	d := Open(Options{Stack: "shop-aaaaaa", Probe: true})
	defer d.Close()
	call, item := s.switching(t, plan.PhaseWatch, resource.Probe{Path: "/"})
	item.Spec.(*resource.RouteSpec).Watch = 3600
	call.Items = []resource.Item{item}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- d.Update(ctx, call)[0].Err }()
	eventually(t, "it is asked", func() bool { return s.asked.Load() > 0 })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it answers %v", err)
	}
}

func TestFromNowhereIsRefused(t *testing.T) {
	s := newSite(t)
	d := Open(Options{Stack: "shop-aaaaaa", Probe: true})
	defer d.Close()
	call, item := s.switching(t, plan.PhaseTest, resource.Probe{Path: "/"})
	call.Items = []resource.Item{item}
	s.Close()
	err := d.Update(t.Context(), call)[0].Err
	if err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("it answers %v", err)
	}
	off := Open(Options{Stack: "shop-aaaaaa"})
	defer off.Close()
	if err := off.Update(t.Context(), call)[0].Err; err != nil {
		t.Errorf("without probes: %v", err)
	}
}
