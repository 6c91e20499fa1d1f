package digitalocean_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/digitalocean/godo"

	"github.com/cloudship/cloudship/lab"
	"github.com/cloudship/cloudship/lab/cloud"
	"github.com/cloudship/cloudship/plugins"
	"github.com/cloudship/cloudship/resource"
)

// client is an ordinary client of the harness's cloud, for doing things behind our back.
func (h *harness) client() *godo.Client {
	h.Helper()
	c, err := godo.New(&http.Client{Transport: authorized(h.lab.Token())}, godo.SetBaseURL(h.lab.URL(lab.DigitalOcean)+"/"))
	if err != nil {
		h.Fatal(err)
	}
	return c
}

type authorized string

func (token authorized) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(token))
	return http.DefaultTransport.RoundTrip(r)
}

// calls counts the API calls that something makes.
func (h *harness) calls(do func()) int {
	h.lab.Calls().Reset()
	do()
	return h.lab.Calls().Len()
}

func TestAThousandServersCostFewCalls(t *testing.T) {
	h := start(t)
	spec := h.serverSpec("blue")
	lb := h.balancerSpec(1000)
	made := h.calls(func() {
		work := make(chan []int, 100)
		for part := range slices.Chunk(upTo(1000), 10) {
			work <- part
		}
		close(work)
		done := make(chan error)
		for range 10 {
			go func() {
				var failed error
				for part := range work {
					c := servers("blue", spec, part...)
					c.Stack = stack
					for _, r := range h.provider.Create(t.Context(), c) {
						if r.Err != nil {
							failed = r.Err
						}
					}
				}
				done <- failed
			}()
		}
		for range 10 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	})
	if made != 100 {
		t.Errorf("creating a thousand servers took %d calls", made)
	}
	h.create(h.call(resource.LoadBalancer("www"), lb))
	var all []resource.Address
	for i := range 1000 {
		all = append(all, resource.Server("blue", i))
	}
	c := h.call(resource.MembersOf("www"), &resource.MembersSpec{LoadBalancer: resource.LoadBalancer("www"), Servers: all}, "servers")
	if n := h.calls(func() {
		if r := h.provider.Update(t.Context(), c); r[0].Err != nil {
			t.Fatal(r[0].Err)
		}
	}); n > 10 {
		t.Errorf("attaching a thousand servers took %d calls", n)
	}
	h.eventually("all members", func() bool {
		return len(h.list()[resource.MembersOf("www")].Spec.(*resource.MembersSpec).Servers) == 1000
	})
	if n := h.calls(func() { h.list() }); n > 10 {
		t.Errorf("a list took %d calls", n)
	}
	remove := resource.Call{Stack: stack, Tag: "cloudship:" + string(stack) + ":delete-a1b2c3"}
	for a, f := range h.list(resource.KindServer) {
		remove.Items = append(remove.Items, resource.Item{Mark: mark(a), Have: &f})
	}
	if n := h.calls(func() {
		for _, r := range h.provider.Delete(t.Context(), remove) {
			if r.Err != nil {
				t.Fatal(r.Err)
			}
		}
	}); n > 20 {
		t.Errorf("deleting a thousand servers took %d calls", n)
	}
	if left := h.list(resource.KindServer); len(left) != 0 {
		t.Errorf("%d are left", len(left))
	}
}

func TestDeleteByTagSparesStrangers(t *testing.T) {
	h := start(t)
	spec := h.serverSpec("blue")
	h.create(servers("blue", spec, 0, 1, 2))
	tag := "cloudship:" + string(stack) + ":delete-a1b2c3"
	found := h.list(resource.KindServer)
	// Somebody has put the tag on a server that is to stay.
	if _, _, err := h.client().Tags.Create(t.Context(), &godo.TagCreateRequest{Name: tag}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.client().Tags.TagResources(t.Context(), tag, &godo.TagResourcesRequest{
		Resources: []godo.Resource{{ID: found[resource.Server("blue", 2)].ID, Type: godo.DropletResourceType}}}); err != nil {
		t.Fatal(err)
	}
	c := resource.Call{Stack: stack, Tag: tag}
	for i := range 2 {
		f := found[resource.Server("blue", i)]
		c.Items = append(c.Items, resource.Item{Mark: f.Mark, Have: &f})
	}
	for _, r := range h.provider.Delete(t.Context(), c) {
		if r.Err != nil {
			t.Error(r.Err)
		}
	}
	// The same call again, when some are gone: by tag as well.
	c.Tag += "2"
	if n := h.calls(func() {
		for _, r := range h.provider.Delete(t.Context(), c) {
			if r.Err != nil {
				t.Error(r.Err)
			}
		}
	}); n > 7 {
		t.Errorf("deleting again took %d calls", n)
	}
	left := h.list(resource.KindServer)
	if _, ok := left[resource.Server("blue", 2)]; !ok || len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}

func TestSwitchedOffServerIsBrokenAndMended(t *testing.T) {
	h := start(t)
	h.create(servers("blue", h.serverSpec("blue"), 0))
	a := resource.Server("blue", 0)
	id := 0
	if _, err := fmt.Sscan(h.list()[a].ID, &id); err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.client().DropletActions.PowerOff(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	h.eventually("off", func() bool { return h.list()[a].Facts.Status == "off" })
	if off := h.list()[a]; off.Ready || off.Broken == "" || off.Problem != "" {
		t.Errorf("a server that is off: %+v", off)
	}
	for range 2 { // the second time it is on already
		if r := h.provider.Update(t.Context(), h.call(a, h.serverSpec("blue"), "broken")); r[0].Err != nil && resource.KindOf(r[0].Err) != resource.Busy {
			t.Fatal(r[0].Err)
		}
		h.eventually("on again", func() bool { return h.list()[a].Ready })
	}
}

func TestKeyOfAnotherIsAConflictAndOursIsTaken(t *testing.T) {
	h := start(t)
	if len(h.list()) != 0 {
		t.Error("an empty stack has something")
	}
	if _, _, err := h.client().Keys.Create(t.Context(), &godo.KeyCreateRequest{Name: "ann's laptop", PublicKey: publicKey + " ann@laptop"}); err != nil {
		t.Fatal(err)
	}
	a := resource.Address{Block: "ssh_key", Name: "ann"}
	spec := &resource.SSHKeySpec{PublicKey: publicKey}
	r := h.provider.Create(t.Context(), h.call(a, spec))[0]
	if resource.KindOf(r.Err) != resource.Conflict || !strings.Contains(resource.HintOf(r.Err), "ann's laptop") {
		t.Errorf("%v, hint %q", r.Err, resource.HintOf(r.Err))
	}
	keys, _, err := h.client().Keys.List(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := h.client().Keys.UpdateByID(t.Context(), keys[0].ID, &godo.KeyUpdateRequest{Name: mark(a).Encode()}); err != nil {
		t.Fatal(err)
	}
	if r := h.provider.Create(t.Context(), h.call(a, spec))[0]; r.Err != nil || r.Found.ID != fmt.Sprint(keys[0].ID) {
		t.Errorf("our own key: %+v", r)
	}
}

func TestPreflightCountsTheWholeAccount(t *testing.T) {
	h := start(t, func(s *cloud.Settings) { s.Limits.Servers = 5 })
	spec := h.serverSpec("blue")
	h.create(servers("blue", spec, 0, 1, 2))
	forecast := func(n, deletes int) resource.Forecast {
		f := resource.Forecast{Stack: stack, Deletes: deletes, Have: 3}
		for i := range n {
			f.Create = append(f.Create, resource.Wish{Address: resource.Server("green", i), Spec: spec})
		}
		return f
	}
	if problems := h.provider.Preflight(t.Context(), forecast(2, 0)); len(problems) != 0 {
		t.Errorf("two more fit: %v", problems)
	}
	problems := h.provider.Preflight(t.Context(), forecast(3, 0))
	if len(problems) != 1 || resource.KindOf(problems[0]) != resource.Quota || resource.HintOf(problems[0]) == "" {
		t.Errorf("three more are too many: %v", problems)
	}
	r := h.provider.Create(t.Context(), func() resource.Call { c := servers("green", spec, 0, 1, 2); c.Stack = stack; return c }())
	if resource.KindOf(r[0].Err) != resource.Quota {
		t.Errorf("create beyond the limit: %v", r[0].Err)
	}
}

func TestSizesAreChosenByNeed(t *testing.T) {
	h := start(t)
	a := resource.Server("blue", 0)
	for _, c := range []struct {
		need resource.Need
		want string
	}{
		{resource.Need{}, "s-1vcpu-512mb-10gb"},
		{resource.Need{CPUs: 1, MemoryMB: 1024}, "s-1vcpu-1gb"},
		{resource.Need{CPUs: 2, MemoryMB: 4096}, "s-2vcpu-4gb"},
		{resource.Need{DiskGB: 100}, "s-4vcpu-8gb"},
	} {
		r, err := h.provider.Resolve(t.Context(), []resource.Wish{{Address: a, Spec: &resource.ServerSpec{Need: &c.need, Image: "ubuntu-24.04"}}})
		if err != nil {
			t.Fatal(err)
		}
		spec := r[0].Spec.(*resource.ServerSpec)
		if spec.Size != c.want || spec.ImageID != "ubuntu-24-04-x64" || spec.Image != "ubuntu-24.04" || spec.Region != "fra1" || !r[0].Price.Known {
			t.Errorf("%+v: %+v, %+v", c.need, spec, r[0].Price)
		}
	}
	// What the state froze stays, even when it is not offered any more.
	frozen := &resource.ServerSpec{Size: "s-old", Need: &resource.Need{CPUs: 1}, Image: "debian-12", ImageID: "debian-12-x64", Region: "fra1"}
	r, err := h.provider.Resolve(t.Context(), []resource.Wish{{Address: a, Spec: frozen}})
	if err != nil || r[0].Spec.(*resource.ServerSpec).Size != "s-old" || r[0].Price.Known {
		t.Errorf("frozen size: %+v %v", r, err)
	}
	_, err = h.provider.Resolve(t.Context(), []resource.Wish{{Address: a, Spec: &resource.ServerSpec{Size: "s-1vcpu-1g", Image: "debian-12"}}})
	if resource.KindOf(err) != resource.Invalid || !strings.Contains(err.Error(), `did you mean "s-1vcpu-1gb"?`) {
		t.Errorf("size with a typo: %v", err)
	}
	_, err = h.provider.Resolve(t.Context(), []resource.Wish{{Address: a, Spec: &resource.ServerSpec{Image: "debain-12"}}})
	if resource.KindOf(err) != resource.Invalid || !strings.Contains(err.Error(), `did you mean "debian-12"?`) {
		t.Errorf("image with a typo: %v", err)
	}
}

func TestWrongTokenIsToldAtConfigure(t *testing.T) {
	l := startCloud(t)
	env := environment(l)
	env["DIGITALOCEAN_TOKEN"] = "dop_v1_wrong"
	c, err := plugins.Start(t.Context(), source(t, env))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	err = c.Configure(t.Context(), resource.Config{Alias: "digitalocean"})
	if resource.KindOf(err) != resource.Unauthorized || !strings.Contains(resource.HintOf(err), "DIGITALOCEAN_TOKEN") || strings.Contains(err.Error(), "wrong") {
		t.Errorf("%v, hint %q", err, resource.HintOf(err))
	}
	env["DIGITALOCEAN_ACCESS_TOKEN"] = l.Token()
	delete(env, "DIGITALOCEAN_TOKEN")
	c2, err := plugins.Start(t.Context(), source(t, env))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c2.Close() })
	if err := c2.Configure(t.Context(), resource.Config{Alias: "digitalocean"}); err != nil {
		t.Errorf("the other variable's token: %v", err)
	}
}

func TestBurstLimitIsNotFelt(t *testing.T) {
	t.Parallel()
	h := start(t, func(s *cloud.Settings) {
		s.Limits.Burst = 20
		s.Limits.BurstWindow = cloud.Duration(2 * time.Second)
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	done := make(chan error)
	for range 10 {
		go func() {
			var failed error
			for range 6 {
				if _, err := h.provider.List(ctx, resource.Query{Stack: stack, Only: []resource.Kind{resource.KindServer}}); err != nil {
					failed = err
				}
			}
			done <- failed
		}()
	}
	for range 10 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
