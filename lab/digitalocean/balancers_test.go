package digitalocean_test

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/cloudship/cloudship/lab/cloud"
	"github.com/digitalocean/godo"
)

// port is one that nothing else on a machine is likely to listen on.
const port = 28480

func web() []godo.ForwardingRule {
	return []godo.ForwardingRule{{EntryProtocol: "http", EntryPort: port, TargetProtocol: "http", TargetPort: 80}}
}

// balancer creates a load balancer and answers it when it is active.
func (f *fixture) balancer(t *testing.T, r *godo.LoadBalancerRequest) *godo.LoadBalancer {
	t.Helper()
	lb := must[*godo.LoadBalancer](t)(f.LoadBalancers.Create(t.Context(), r))
	eventually(t, "the balancer is active", func() bool {
		got, _, err := f.LoadBalancers.Get(t.Context(), lb.ID)
		if err == nil {
			lb = got
		}
		return err == nil && lb.Status == "active"
	})
	return lb
}

func ids(droplets []godo.Droplet) []int {
	var all []int
	for _, d := range droplets {
		all = append(all, d.ID)
	}
	return all
}

// answers tells whether a balancer answers with this status.
func answers(lb *godo.LoadBalancer, status int) func() bool {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	return func() bool {
		r, err := client.Get(fmt.Sprintf("http://%s:%d/", lb.IP, port))
		if err != nil {
			return false
		}
		r.Body.Close()
		return r.StatusCode == status
	}
}

func TestBalancerLife(t *testing.T) {
	settings := cloud.Instant()
	settings.Timing.BalancerActive = cloud.Duration(100 * time.Millisecond)
	settings.Timing.BalancerBusy = cloud.Duration(100 * time.Millisecond)
	f := newFixture(t, settings)
	ctx := t.Context()
	d := f.droplets(t, nil, "a", "b", "c")
	lb := must[*godo.LoadBalancer](t)(f.LoadBalancers.Create(ctx, &godo.LoadBalancerRequest{
		Name: "www", Region: "nyc1", ForwardingRules: web(), DropletIDs: []int{d[0].ID},
	}))
	id := lb.ID
	if lb.Status != "new" || lb.IP != "" {
		t.Errorf("just made: %s %q", lb.Status, lb.IP)
	}
	if h := lb.HealthCheck; h.Protocol != "http" || h.Port != 80 || h.Path != "/" || h.CheckIntervalSeconds != 10 ||
		h.ResponseTimeoutSeconds != 5 || h.UnhealthyThreshold != 3 || h.HealthyThreshold != 5 {
		t.Errorf("default health check: %+v", h)
	}
	_, err := f.LoadBalancers.AddDroplets(ctx, lb.ID, d[1].ID)
	refused(t, "a change while it is new", err, 403)
	eventually(t, "active with an address", func() bool {
		lb, _, err = f.LoadBalancers.Get(ctx, id)
		return err == nil && lb.Status == "active" && lb.IP != ""
	})
	eventually(t, "200", answers(lb, 200))

	if _, err := f.LoadBalancers.AddDroplets(ctx, lb.ID, d[1].ID, d[2].ID, d[0].ID); err != nil {
		t.Fatal(err)
	}
	_, err = f.LoadBalancers.RemoveDroplets(ctx, lb.ID, d[0].ID)
	refused(t, "a change just after another", err, 403)
	eventually(t, "it is no longer busy", func() bool {
		_, err := f.LoadBalancers.RemoveDroplets(ctx, lb.ID, d[0].ID)
		return err == nil
	})
	if _, err := f.Droplets.Delete(ctx, d[1].ID); err != nil {
		t.Fatal(err)
	}
	lb = must[*godo.LoadBalancer](t)(f.LoadBalancers.Get(ctx, lb.ID))
	if !reflect.DeepEqual(lb.DropletIDs, []int{d[2].ID}) {
		t.Errorf("members %v, want %d alone", lb.DropletIDs, d[2].ID)
	}

	// A PUT that says little resets the rest.
	eventually(t, "a PUT is accepted", func() bool {
		lb, _, err = f.LoadBalancers.Update(ctx, id, &godo.LoadBalancerRequest{
			Name: "www", Region: "nyc1", ForwardingRules: web(), DropletIDs: []int{d[2].ID},
			HealthCheck: &godo.HealthCheck{Protocol: "tcp", Port: 81, CheckIntervalSeconds: 3},
		})
		return err == nil
	})
	if lb.HealthCheck.Protocol != "tcp" || lb.HealthCheck.Path != "" || lb.HealthCheck.CheckIntervalSeconds != 3 {
		t.Errorf("health check after PUT: %+v", lb.HealthCheck)
	}
	eventually(t, "another PUT is accepted", func() bool {
		lb, _, err = f.LoadBalancers.Update(ctx, id, &godo.LoadBalancerRequest{
			Name: "www", Region: "nyc1", ForwardingRules: web(), Tag: "nobody",
		})
		return err == nil
	})
	if lb.HealthCheck.Protocol != "http" || len(lb.DropletIDs) != 0 {
		t.Errorf("after a PUT without them: %+v, members %v", lb.HealthCheck, lb.DropletIDs)
	}
	eventually(t, "503 without members", answers(lb, 503))
	if _, err := f.LoadBalancers.Delete(ctx, lb.ID); err != nil {
		t.Fatal(err)
	}
	_, _, err = f.LoadBalancers.Get(ctx, lb.ID)
	refused(t, "a deleted balancer", err, 404)
}

func TestBalancerGoesByTag(t *testing.T) {
	settings := cloud.Instant()
	settings.Timing.Tag = cloud.Duration(50 * time.Millisecond)
	f := newFixture(t, settings)
	ctx := t.Context()
	for i := range 2 {
		var names []string
		for j := range 8 {
			names = append(names, fmt.Sprintf("web-%d", i*8+j))
		}
		f.droplets(t, []string{"live"}, names...)
	}
	lb := f.balancer(t, &godo.LoadBalancerRequest{Name: "www", Region: "nyc1", ForwardingRules: web(), Tag: "live"})
	if len(lb.DropletIDs) != 16 || lb.Tag != "live" {
		t.Errorf("%d members by tag %q", len(lb.DropletIDs), lb.Tag)
	}
	_, err := f.LoadBalancers.AddDroplets(ctx, lb.ID, lb.DropletIDs[0])
	refused(t, "members by id beside a tag", err, 422)

	other := f.droplets(t, nil, "other")[0]
	resource := []godo.Resource{{ID: fmt.Sprint(other.ID), Type: godo.DropletResourceType}}
	if _, err := f.Tags.TagResources(ctx, "live", &godo.TagResourcesRequest{Resources: resource}); err != nil {
		t.Fatal(err)
	}
	lb = must[*godo.LoadBalancer](t)(f.LoadBalancers.Get(ctx, lb.ID))
	if slices.Contains(lb.DropletIDs, other.ID) {
		t.Error("the tag is looked at at once")
	}
	eventually(t, "the tagged droplet is a member", func() bool {
		lb, _, err := f.LoadBalancers.Get(ctx, lb.ID)
		return err == nil && slices.Contains(lb.DropletIDs, other.ID)
	})
	if _, err := f.Tags.UntagResources(ctx, "live", &godo.UntagResourcesRequest{Resources: resource}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is none any more", func() bool {
		lb, _, err := f.LoadBalancers.Get(ctx, lb.ID)
		return err == nil && !slices.Contains(lb.DropletIDs, other.ID)
	})
	if _, err := f.Droplets.DeleteByTag(ctx, "live"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "503 when all are gone", answers(lb, 503))
}

func TestBalancersThatAreRefused(t *testing.T) {
	f := newFixture(t, cloud.Instant())
	ctx := t.Context()
	var names []string
	for i := range 10 {
		names = append(names, fmt.Sprintf("web-%d", i))
	}
	all := ids(append(f.droplets(t, nil, names...), f.droplets(t, nil, "web-10")...))
	good := func() *godo.LoadBalancerRequest {
		return &godo.LoadBalancerRequest{Name: "www", Region: "nyc1", ForwardingRules: web(), DropletIDs: all[:10]}
	}
	for what, change := range map[string]func(*godo.LoadBalancerRequest){
		"eleven droplets by id": func(r *godo.LoadBalancerRequest) { r.DropletIDs = all },
		"unknown droplet":       func(r *godo.LoadBalancerRequest) { r.DropletIDs = []int{7} },
		"tag and ids":           func(r *godo.LoadBalancerRequest) { r.Tag = "live" },
		"no rules":              func(r *godo.LoadBalancerRequest) { r.ForwardingRules = nil },
		"reserved port":         func(r *godo.LoadBalancerRequest) { r.ForwardingRules[0].EntryPort = 50053 },
		"no certificate":        func(r *godo.LoadBalancerRequest) { r.ForwardingRules[0].EntryProtocol = "https" },
		"other region":          func(r *godo.LoadBalancerRequest) { r.Region = "ams3" },
		"no region":             func(r *godo.LoadBalancerRequest) { r.Region = "" },
		"short interval": func(r *godo.LoadBalancerRequest) {
			r.HealthCheck = &godo.HealthCheck{Protocol: "http", CheckIntervalSeconds: 2}
		},
		"path for tcp": func(r *godo.LoadBalancerRequest) { r.HealthCheck = &godo.HealthCheck{Protocol: "tcp", Path: "/"} },
		"both sizes": func(r *godo.LoadBalancerRequest) {
			r.SizeSlug, r.SizeUnit = "lb-small", 1
		},
		"redirect without https": func(r *godo.LoadBalancerRequest) { r.RedirectHttpToHttps = true },
		"cookie without a name":  func(r *godo.LoadBalancerRequest) { r.StickySessions = &godo.StickySessions{Type: "cookies"} },
	} {
		r := good()
		change(r)
		_, _, err := f.LoadBalancers.Create(ctx, r)
		refused(t, what, err, 422)
	}
	lb := f.balancer(t, good())
	_, err := f.LoadBalancers.AddDroplets(ctx, lb.ID, all[10])
	refused(t, "an eleventh droplet", err, 422)
	if _, err := f.LoadBalancers.AddDroplets(ctx, lb.ID, all[9]); err != nil {
		t.Errorf("a droplet that is a member already: %v", err)
	}
	if _, err := f.LoadBalancers.AddForwardingRules(ctx, lb.ID, godo.ForwardingRule{
		EntryProtocol: "tcp", EntryPort: port + 1, TargetProtocol: "tcp", TargetPort: 22,
	}); err != nil {
		t.Error(err)
	}
	_, err = f.LoadBalancers.RemoveForwardingRules(ctx, lb.ID, must[*godo.LoadBalancer](t)(f.LoadBalancers.Get(ctx, lb.ID)).ForwardingRules...)
	refused(t, "no rules left", err, 422)
}

func TestHealthMetric(t *testing.T) {
	settings := cloud.Instant()
	settings.Timing.MetricEvery = cloud.Duration(100 * time.Millisecond)
	f := newFixture(t, settings)
	ctx := t.Context()
	d := f.droplets(t, nil, "up", "down")
	if _, _, err := f.DropletActions.PowerOff(ctx, d[1].ID); err != nil {
		t.Fatal(err)
	}
	lb := f.balancer(t, &godo.LoadBalancerRequest{Name: "www", Region: "nyc1", ForwardingRules: web(), DropletIDs: ids(d)})
	metric := func() map[string]string {
		answer, _, err := f.Monitoring.GetLoadBalancerDropletsHealthChecks(ctx, &godo.LoadBalancerMetricsRequest{
			LoadBalancerID: lb.ID, Start: time.Now().Add(-time.Hour), End: time.Now().Add(time.Hour),
		})
		if err != nil {
			t.Fatal(err)
		}
		last := map[string]string{}
		for _, s := range answer.Data.Result {
			last[string(s.Metric["droplet_id"])] = fmt.Sprint(s.Values[len(s.Values)-1].Value)
		}
		return last
	}
	eventually(t, "the metric tells up from down", func() bool {
		return reflect.DeepEqual(metric(), map[string]string{fmt.Sprint(d[0].ID): "1", fmt.Sprint(d[1].ID): "0"})
	})
	settings.Timing.MetricDelay = cloud.Duration(time.Hour)
	f.faults.Set(settings)
	if m := metric(); len(m) != 0 {
		t.Errorf("the metric is not delayed: %v", m)
	}
}
