package digitalocean_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cloudship/cloudship/lab/cloud"
	"github.com/digitalocean/godo"
)

// make creates droplets and answers them as soon as they are active.
func (f *fixture) droplets(t *testing.T, tags []string, names ...string) []godo.Droplet {
	t.Helper()
	made := must[[]godo.Droplet](t)(f.Droplets.CreateMultiple(t.Context(), &godo.DropletMultiCreateRequest{
		Names: names, Region: "nyc1", Size: "s-1vcpu-1gb", Image: godo.DropletCreateImage{Slug: "debian-12-x64"}, Tags: tags,
		SSHKeys: []godo.DropletCreateSSHKey{},
	}))
	for i := range made {
		eventually(t, made[i].Name+" is active", func() bool {
			d, _, err := f.Droplets.Get(t.Context(), made[i].ID)
			if err == nil {
				made[i] = *d
			}
			return err == nil && d.Status == "active" && !d.Locked
		})
	}
	return made
}

func TestDropletLife(t *testing.T) {
	settings := cloud.Instant()
	settings.Timing.ServerActive = cloud.Duration(100 * time.Millisecond)
	settings.Timing.ServerAction = cloud.Duration(50 * time.Millisecond)
	settings.Timing.ServerGone = cloud.Duration(100 * time.Millisecond)
	f := newFixture(t, settings)
	ctx := t.Context()
	d, answer, err := f.Droplets.Create(ctx, &godo.DropletCreateRequest{
		Name: "web", Region: "nyc", Size: "s-1vcpu-1gb", Image: godo.DropletCreateImage{Slug: "debian-12-x64"},
		UserData: "#cloud-config\n", Tags: []string{"a:b"}, IPv6: true,
		SSHKeys: []godo.DropletCreateSSHKey{}, Volumes: []godo.DropletCreateVolume{},
	})
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusAccepted || d.Status != "new" || !d.Locked || len(d.Networks.V4) != 0 {
		t.Errorf("just made: %d %s locked=%v %v", answer.StatusCode, d.Status, d.Locked, d.Networks)
	}
	if len(answer.Links.Actions) != 1 || answer.Links.Actions[0].Rel != "create" {
		t.Fatalf("links: %+v", answer.Links)
	}
	_, _, err = f.DropletActions.PowerOff(ctx, d.ID)
	refused(t, "action on a locked droplet", err, 422)
	eventually(t, "the create action is completed", func() bool {
		x, _, err := f.DropletActions.GetByURI(ctx, answer.Links.Actions[0].HREF)
		return err == nil && x.Status == "completed" && x.CompletedAt != nil && x.ResourceID == d.ID
	})
	d = must[*godo.Droplet](t)(f.Droplets.Get(ctx, d.ID))
	public, _ := d.PublicIPv4()
	private, _ := d.PrivateIPv4()
	v6, _ := d.PublicIPv6()
	if d.Status != "active" || d.Locked || public == "" || private == "" || public == private || v6 == "" {
		t.Errorf("active: %s locked=%v %s %s %s", d.Status, d.Locked, public, private, v6)
	}

	act := func(what string, x *godo.Action, _ *godo.Response, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		eventually(t, what, func() bool {
			x, _, err := f.Actions.Get(ctx, x.ID)
			return err == nil && x.Status == "completed"
		})
	}
	_, _, err = f.DropletActions.Resize(ctx, d.ID, "s-2vcpu-4gb", true)
	refused(t, "resize while it runs", err, 422)
	x, r, err := f.DropletActions.PowerOff(ctx, d.ID)
	act("power off", x, r, err)
	x, r, err = f.DropletActions.Resize(ctx, d.ID, "s-2vcpu-4gb", true)
	act("resize", x, r, err)
	x, r, err = f.DropletActions.Rename(ctx, d.ID, "www")
	act("rename", x, r, err)
	d = must[*godo.Droplet](t)(f.Droplets.Get(ctx, d.ID))
	if d.Status != "off" || d.SizeSlug != "s-2vcpu-4gb" || d.Disk != 80 || d.Name != "www" {
		t.Errorf("after its actions: %s %s %d GB %s", d.Status, d.SizeSlug, d.Disk, d.Name)
	}
	x, r, err = f.DropletActions.PowerOn(ctx, d.ID)
	act("power on", x, r, err)
	if all := must[[]godo.Action](t)(f.Droplets.Actions(ctx, d.ID, nil)); len(all) != 5 || all[0].Type != "power_on" {
		t.Errorf("actions: %v", all)
	}

	if _, err := f.Droplets.Delete(ctx, d.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Droplets.Delete(ctx, d.ID); err == nil {
		t.Error("it was deleted twice")
	}
	if shown, _, err := f.Droplets.Get(ctx, d.ID); err != nil || shown.Status != "active" {
		t.Errorf("it is not shown for a while: %v", err)
	}
	eventually(t, "it is gone", func() bool {
		_, answer, _ := f.Droplets.Get(ctx, d.ID)
		return answer != nil && answer.StatusCode == 404
	})
}

func TestDropletsAreListedByPages(t *testing.T) {
	f := newFixture(t, cloud.Instant())
	ctx := t.Context()
	for i := range 25 {
		names := make([]string, 10)
		for j := range names {
			names[j] = fmt.Sprintf("web-%d", i*10+j)
		}
		f.droplets(t, []string{"Web"}, names...)
	}
	seen := map[int]bool{}
	for n := 1; ; n++ {
		list, answer, err := f.Droplets.ListByTag(ctx, "web", &godo.ListOptions{Page: n, PerPage: 200})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range list {
			seen[d.ID] = true
		}
		if answer.Meta.Total != 250 {
			t.Errorf("total %d", answer.Meta.Total)
		}
		if answer.Links.IsLastPage() {
			if n != 2 {
				t.Errorf("%d pages, want 2", n)
			}
			break
		}
	}
	if len(seen) != 250 {
		t.Errorf("%d droplets, want 250", len(seen))
	}
	if list := must[[]godo.Droplet](t)(f.Droplets.ListByName(ctx, "WEB-7", nil)); len(list) != 1 || list[0].Name != "web-7" {
		t.Errorf("by name: %v", list)
	}
	if list := must[[]godo.Droplet](t)(f.Droplets.ListWithGPUs(ctx, nil)); len(list) != 0 {
		t.Errorf("with GPUs: %v", list)
	}
	_, _, err := f.Droplets.List(ctx, &godo.ListOptions{PerPage: 201})
	refused(t, "too large a page", err, 422)
	if tag := must[*godo.Tag](t)(f.Tags.Get(ctx, "Web")); tag.Resources.Droplets.Count != 250 {
		t.Errorf("tag: %+v", tag.Resources.Droplets)
	}
	if _, err := f.Droplets.DeleteByTag(ctx, "web"); err != nil {
		t.Error(err)
	}
	if list := must[[]godo.Droplet](t)(f.Droplets.List(ctx, nil)); len(list) != 0 {
		t.Errorf("%d droplets after they were deleted by tag", len(list))
	}
}

func TestDropletsThatAreRefused(t *testing.T) {
	settings := cloud.Instant()
	settings.Limits.Servers = 12
	f := newFixture(t, settings)
	ctx := t.Context()
	good := func() *godo.DropletMultiCreateRequest {
		return &godo.DropletMultiCreateRequest{
			Names: []string{"web"}, Region: "nyc1", Size: "s-1vcpu-1gb", Image: godo.DropletCreateImage{Slug: "debian-12-x64"},
		}
	}
	eleven := strings.Split(strings.Repeat("web ", 11), " ")[:11]
	for what, change := range map[string]func(*godo.DropletMultiCreateRequest){
		"eleven at once":     func(r *godo.DropletMultiCreateRequest) { r.Names = eleven },
		"underscore in name": func(r *godo.DropletMultiCreateRequest) { r.Names = []string{"web_1"} },
		"long name":          func(r *godo.DropletMultiCreateRequest) { r.Names = []string{strings.Repeat("x", 256)} },
		"unknown size":       func(r *godo.DropletMultiCreateRequest) { r.Size = "huge" },
		"unknown region":     func(r *godo.DropletMultiCreateRequest) { r.Region = "moon1" },
		"unknown image":      func(r *godo.DropletMultiCreateRequest) { r.Image.Slug = "minix" },
		"unknown key":        func(r *godo.DropletMultiCreateRequest) { r.SSHKeys = []godo.DropletCreateSSHKey{{ID: 7}} },
		"unknown network":    func(r *godo.DropletMultiCreateRequest) { r.VPCUUID = "7" },
		"much user data":     func(r *godo.DropletMultiCreateRequest) { r.UserData = strings.Repeat("x", 64<<10+1) },
		"bad tag":            func(r *godo.DropletMultiCreateRequest) { r.Tags = []string{"a.b"} },
	} {
		r := good()
		change(r)
		_, _, err := f.Droplets.CreateMultiple(ctx, r)
		refused(t, what, err, 422)
	}
	f.droplets(t, nil, eleven[:10]...)
	_, _, err := f.Droplets.CreateMultiple(ctx, &godo.DropletMultiCreateRequest{
		Names: eleven[:3], Region: "nyc1", Size: "s-1vcpu-1gb", Image: godo.DropletCreateImage{Slug: "debian-12-x64"},
	})
	refused(t, "beyond the account's limit", err, 422)
	if a := must[*godo.Account](t)(f.Account.Get(ctx)); a.DropletLimit != 12 {
		t.Errorf("droplet limit %d", a.DropletLimit)
	}
	_, _, err = f.Droplets.Get(ctx, 1)
	refused(t, "unknown droplet", err, 404)
}

func TestAWorldThatLags(t *testing.T) {
	settings := cloud.Instant()
	settings.Timing.ListLag = cloud.Duration(time.Hour)
	settings.Timing.NotFound = cloud.Duration(time.Hour)
	f := newFixture(t, settings)
	ctx := t.Context()
	d := must[*godo.Droplet](t)(f.Droplets.Create(ctx, &godo.DropletCreateRequest{
		Name: "web", Region: "nyc1", Size: "s-1vcpu-1gb", Image: godo.DropletCreateImage{ID: 155133621},
		SSHKeys: []godo.DropletCreateSSHKey{}, Volumes: []godo.DropletCreateVolume{}, Tags: []string{},
	}))
	if list := must[[]godo.Droplet](t)(f.Droplets.List(ctx, nil)); len(list) != 0 {
		t.Error("the list does not lag")
	}
	_, _, err := f.Droplets.Get(ctx, d.ID)
	refused(t, "just after create", err, 404)
	f.faults.Set(cloud.Instant())
	if list := must[[]godo.Droplet](t)(f.Droplets.List(ctx, nil)); len(list) != 1 {
		t.Error("the list does not catch up")
	}
	must[*godo.Droplet](t)(f.Droplets.Get(ctx, d.ID))
}

func TestRateLimits(t *testing.T) {
	settings := cloud.Instant()
	settings.Limits = cloud.Limits{Hour: 6, Burst: 3, BurstWindow: cloud.Duration(200 * time.Millisecond)}
	f := newFixture(t, settings)
	ctx := t.Context()
	get := func() *http.Response {
		_, answer, _ := f.Account.Get(ctx)
		return answer.Response
	}
	for left := 5; left > 2; left-- {
		if r := get(); r.StatusCode != 200 || r.Header.Get("ratelimit-remaining") != fmt.Sprint(left) || r.Header.Get("ratelimit-limit") != "6" {
			t.Errorf("%d: headers %v", r.StatusCode, r.Header)
		}
	}
	r := get()
	if r.StatusCode != 429 || r.Header.Get("retry-after") != "1" || r.Header.Get("ratelimit-remaining") != "0" {
		t.Errorf("beyond the burst limit: %d, headers %v", r.StatusCode, r.Header)
	}
	eventually(t, "the burst is over", func() bool { return get().StatusCode == 200 })
	eventually(t, "the hour's calls are used up", func() bool {
		r = get()
		return r.StatusCode == 429 && r.Header.Get("retry-after") == ""
	})
	if r.Header.Get("ratelimit-reset") == "" {
		t.Errorf("beyond the hour's limit: headers %v", r.Header)
	}
}
