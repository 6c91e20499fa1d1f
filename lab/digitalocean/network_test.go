package digitalocean_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudship/cloudship/lab/cloud"
	"github.com/digitalocean/godo"
	"golang.org/x/crypto/ssh"
)

func publicKey(t *testing.T) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k)))
}

func TestKeys(t *testing.T) {
	settings := cloud.Instant()
	settings.Limits.KeyLists = 2
	f := newFixture(t, settings)
	ctx := t.Context()
	line := publicKey(t)
	k := must[*godo.Key](t)(f.Keys.Create(ctx, &godo.KeyCreateRequest{Name: "mine", PublicKey: line + " me@here"}))
	parsed, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil || k.Fingerprint != ssh.FingerprintLegacyMD5(parsed) {
		t.Errorf("fingerprint %s, %v", k.Fingerprint, err)
	}
	_, _, err = f.Keys.Create(ctx, &godo.KeyCreateRequest{Name: "again", PublicKey: line})
	refused(t, "the same key again", err, 422)
	_, _, err = f.Keys.Create(ctx, &godo.KeyCreateRequest{Name: "bad", PublicKey: "ssh-rsa nonsense"})
	refused(t, "no key", err, 422)
	k = must[*godo.Key](t)(f.Keys.UpdateByFingerprint(ctx, k.Fingerprint, &godo.KeyUpdateRequest{Name: "ours"}))
	if got := must[*godo.Key](t)(f.Keys.GetByID(ctx, k.ID)); got.Name != "ours" {
		t.Errorf("name %s", got.Name)
	}
	must[[]godo.Key](t)(f.Keys.List(ctx, nil))
	must[[]godo.Key](t)(f.Keys.List(ctx, nil))
	_, answer, err := f.Keys.List(ctx, nil)
	refused(t, "a third list within a minute", err, 429)
	if answer.Header.Get("retry-after") == "" {
		t.Error("no retry-after")
	}
	must[*godo.Droplet](t)(f.Droplets.Create(ctx, &godo.DropletCreateRequest{
		Name: "web", Region: "nyc1", Size: "s-1vcpu-1gb", Image: godo.DropletCreateImage{Slug: "debian-12-x64"},
		SSHKeys: []godo.DropletCreateSSHKey{{Fingerprint: k.Fingerprint}}, Volumes: []godo.DropletCreateVolume{},
	}))
	if _, err := f.Keys.DeleteByID(ctx, k.ID); err != nil {
		t.Error(err)
	}
	_, _, err = f.Keys.GetByFingerprint(ctx, k.Fingerprint)
	refused(t, "a deleted key", err, 404)
}

func TestTags(t *testing.T) {
	f := newFixture(t, cloud.Instant())
	ctx := t.Context()
	must[*godo.Tag](t)(f.Tags.Create(ctx, &godo.TagCreateRequest{Name: "Cloudship:a-1"}))
	if again := must[*godo.Tag](t)(f.Tags.Create(ctx, &godo.TagCreateRequest{Name: "cloudship:A-1"})); again.Name != "Cloudship:a-1" {
		t.Errorf("the first spelling is lost: %s", again.Name)
	}
	_, _, err := f.Tags.Get(ctx, "cloudship:a-1")
	refused(t, "another spelling in the URL", err, 404)
	_, _, err = f.Tags.Create(ctx, &godo.TagCreateRequest{Name: "a.b"})
	refused(t, "a dot", err, 400)
	d := f.droplets(t, []string{"CLOUDSHIP:a-1", "new"}, "web")[0]
	if !slices.Equal(d.Tags, []string{"Cloudship:a-1", "new"}) {
		t.Errorf("tags %v", d.Tags)
	}
	resources := []godo.Resource{{ID: fmt.Sprint(d.ID), Type: godo.DropletResourceType}}
	_, err = f.Tags.TagResources(ctx, "absent", &godo.TagResourcesRequest{Resources: resources})
	refused(t, "an absent tag", err, 404)
	if _, err := f.Tags.UntagResources(ctx, "new", &godo.UntagResourcesRequest{Resources: resources}); err != nil {
		t.Error(err)
	}
	if list := must[[]godo.Tag](t)(f.Tags.List(ctx, nil)); len(list) != 2 || list[0].Resources.Count != 1 || list[1].Resources.Count != 0 {
		t.Errorf("tags: %+v", list)
	}
	if _, err := f.Tags.Delete(ctx, "Cloudship:a-1"); err != nil {
		t.Error(err)
	}
	if d := must[*godo.Droplet](t)(f.Droplets.Get(ctx, d.ID)); len(d.Tags) != 0 {
		t.Errorf("tags %v", d.Tags)
	}
}

func TestFirewalls(t *testing.T) {
	settings := cloud.Instant()
	settings.Timing.Firewall = cloud.Duration(100 * time.Millisecond)
	f := newFixture(t, settings)
	ctx := t.Context()
	d := f.droplets(t, []string{"web"}, "a", "b")
	request := func() *godo.FirewallRequest {
		return &godo.FirewallRequest{
			Name:          "www",
			InboundRules:  []godo.InboundRule{{Protocol: "tcp", PortRange: "22", Sources: &godo.Sources{Addresses: []string{"0.0.0.0/0"}}}},
			OutboundRules: []godo.OutboundRule{{Protocol: "tcp", PortRange: "1-65535", Destinations: &godo.Destinations{Addresses: []string{"0.0.0.0/0", "::/0"}}}},
			DropletIDs:    []int{d[0].ID}, Tags: []string{"web"},
		}
	}
	w := must[*godo.Firewall](t)(f.Firewalls.Create(ctx, request()))
	if w.Status != "waiting" || len(w.PendingChanges) != 1 {
		t.Errorf("just made: %s %v", w.Status, w.PendingChanges)
	}
	_, _, err := f.Firewalls.Create(ctx, request())
	refused(t, "the same name again", err, 409)
	eventually(t, "the firewall is in force", func() bool {
		w, _, err := f.Firewalls.Get(ctx, w.ID)
		return err == nil && w.Status == "succeeded" && len(w.PendingChanges) == 0
	})
	for what, change := range map[string]func(*godo.FirewallRequest){
		"no rules":     func(r *godo.FirewallRequest) { r.InboundRules, r.OutboundRules = nil, nil },
		"no such tag":  func(r *godo.FirewallRequest) { r.Tags = []string{"absent"} },
		"no droplet":   func(r *godo.FirewallRequest) { r.DropletIDs = []int{1} },
		"bad protocol": func(r *godo.FirewallRequest) { r.InboundRules[0].Protocol = "gre" },
		"bad ports":    func(r *godo.FirewallRequest) { r.InboundRules[0].PortRange = "x" },
		"no sources":   func(r *godo.FirewallRequest) { r.InboundRules[0].Sources = nil },
		"bad name":     func(r *godo.FirewallRequest) { r.Name = "-" },
	} {
		r := request()
		r.Name = "other"
		change(r)
		_, _, err := f.Firewalls.Create(ctx, r)
		refused(t, what, err, 422)
	}
	for what, err := range map[string]error{
		"add droplet": second(f.Firewalls.AddDroplets(ctx, w.ID, d[1].ID)),
		"remove tag":  second(f.Firewalls.RemoveTags(ctx, w.ID, "web")),
		"add rule": second(f.Firewalls.AddRules(ctx, w.ID, &godo.FirewallRulesRequest{
			InboundRules: []godo.InboundRule{{Protocol: "icmp", PortRange: "0", Sources: &godo.Sources{Tags: []string{"web"}}}},
		})),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	w = must[*godo.Firewall](t)(f.Firewalls.Get(ctx, w.ID))
	if len(w.DropletIDs) != 2 || len(w.Tags) != 0 || len(w.InboundRules) != 2 {
		t.Errorf("after its changes: %+v", w)
	}
	if list := must[[]godo.Firewall](t)(f.Firewalls.ListByDroplet(ctx, d[1].ID, nil)); len(list) != 1 {
		t.Errorf("firewalls of a droplet: %v", list)
	}
	if w := must[*godo.Firewall](t)(f.Firewalls.Update(ctx, w.ID, request())); len(w.DropletIDs) != 1 || len(w.InboundRules) != 1 {
		t.Errorf("after a PUT: %+v", w)
	}
	if _, err := f.Firewalls.Delete(ctx, w.ID); err != nil {
		t.Error(err)
	}
}

// second is the error of a call that answers nothing else.
func second(_ *godo.Response, err error) error { return err }

func TestNetworks(t *testing.T) {
	settings := cloud.Instant()
	settings.Timing.ServerGone = cloud.Duration(100 * time.Millisecond)
	f := newFixture(t, settings)
	ctx := t.Context()
	first := must[*godo.VPC](t)(f.VPCs.Create(ctx, &godo.VPCCreateRequest{Name: "first", RegionSlug: "ams3", IPRange: "10.10.0.0/20"}))
	if !first.Default {
		t.Error("the first network of a region is not its default")
	}
	_, err := f.VPCs.Delete(ctx, first.ID)
	refused(t, "the default network", err, 403)
	v := must[*godo.VPC](t)(f.VPCs.Create(ctx, &godo.VPCCreateRequest{Name: "mine", RegionSlug: "ams3"}))
	for what, r := range map[string]*godo.VPCCreateRequest{
		"the same name":      {Name: "mine", RegionSlug: "ams3"},
		"an overlap":         {Name: "other", RegionSlug: "ams3", IPRange: "10.10.8.0/24"},
		"a public range":     {Name: "other", RegionSlug: "ams3", IPRange: "8.8.0.0/24"},
		"too large a range":  {Name: "other", RegionSlug: "ams3", IPRange: "10.0.0.0/8"},
		"an unknown region":  {Name: "other", RegionSlug: "moon1"},
		"a name with spaces": {Name: "o ther", RegionSlug: "ams3"},
	} {
		_, _, err := f.VPCs.Create(ctx, r)
		refused(t, what, err, 422)
	}
	d := must[*godo.Droplet](t)(f.Droplets.Create(ctx, &godo.DropletCreateRequest{
		Name: "web", Region: "ams3", Size: "s-1vcpu-1gb", Image: godo.DropletCreateImage{Slug: "debian-12-x64"}, VPCUUID: v.ID,
		SSHKeys: []godo.DropletCreateSSHKey{}, Volumes: []godo.DropletCreateVolume{},
	}))
	members := must[[]*godo.VPCMember](t)(f.VPCs.ListMembers(ctx, v.ID, nil, nil))
	if len(members) != 1 || members[0].URN != fmt.Sprintf("do:droplet:%d", d.ID) {
		t.Errorf("members: %v", members)
	}
	_, err = f.VPCs.Delete(ctx, v.ID)
	refused(t, "a network with a droplet", err, 409)
	if _, err := f.Droplets.Delete(ctx, d.ID); err != nil {
		t.Fatal(err)
	}
	_, err = f.VPCs.Delete(ctx, v.ID)
	refused(t, "a network just after its droplet", err, 409)
	v = must[*godo.VPC](t)(f.VPCs.Update(ctx, v.ID, &godo.VPCUpdateRequest{Name: "renamed", Description: "new"}))
	if v.Name != "renamed" || v.Description != "new" {
		t.Errorf("updated: %+v", v)
	}
	eventually(t, "the network can be deleted", func() bool { return second(f.VPCs.Delete(ctx, v.ID)) == nil })
}
