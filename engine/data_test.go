package engine

import (
	"testing"

	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/stack"
	"github.com/cloudship/cloudship/template"
)

func TestBacksUp(t *testing.T) {
	document := &template.Release{Services: map[string]template.Service{
		"app":  {Mounts: []template.Mount{{Type: template.MountService, Source: "data"}}},
		"data": {Mounts: []template.Mount{{Type: template.MountVolume, Source: "db", Target: "/db"}}},
	}}
	d := plan.Data{Name: "db", Server: resource.Mark{Address: resource.Server("shop", 0)}}
	for _, test := range []struct {
		block stack.Backup
		want  bool
	}{
		{stack.Backup{Group: "shop", Volume: "db"}, true},
		{stack.Backup{Group: "shop", Volume: "other"}, false},
		{stack.Backup{Group: "blog", Volume: "db"}, false},
		{stack.Backup{Group: "shop", Service: "app"}, true}, // by volumes_from
		{stack.Backup{Group: "shop", Service: "proxy"}, false},
	} {
		if have := backsUp(&test.block, d, document); have != test.want {
			t.Errorf("%+v: %t, want %t", test.block, have, test.want)
		}
	}
}

// TestHeldData holds which volumes of a server count: those that its release writes, and those that
// an earlier one left; and what that rests on where the server was not asked.
func TestHeldData(t *testing.T) {
	release := &template.Release{Format: template.Format, Services: map[string]template.Service{"app": {Mounts: []template.Mount{
		{Type: template.MountVolume, Source: "db", Target: "/db"}, {Type: template.MountVolume, Source: "cache", Target: "/cache"},
	}}}, Volumes: map[string]template.Volume{"db": {Name: "shop_db", Stateful: template.SingleWriter}, "cache": {Name: "shop_cache", Stateful: template.Scratch}}}
	document, err := release.Encode()
	if err != nil {
		t.Fatal(err)
	}
	releases := map[string]resource.ReleaseEntry{"r-1": {ID: "r-1", Document: document}}
	server := resource.Mark{Address: resource.Server("shop", 0), Generation: 1}
	rec := resource.Record{Found: resource.Found{Spec: &resource.ReleaseSpec{Release: "r-1"}}}
	on := func(volumes ...resource.Volume) resource.Record {
		return resource.Record{Found: resource.Found{Facts: resource.Facts{Host: &resource.HostFacts{Volumes: append([]resource.Volume{}, volumes...)}}}}
	}
	db, cache, old := resource.Volume{Name: "shop_db", Key: "db"}, resource.Volume{Name: "shop_cache", Key: "cache"}, resource.Volume{Name: "shop_old", Key: "old"}
	for _, test := range []struct {
		name string
		h    holder
		want string
	}{
		{"asked", holder{docker: on(db, cache), release: rec, sure: true}, "db "},
		{"asked, and it is not there yet", holder{docker: on(cache), release: rec, sure: true}, ""},
		{"not asked, remembered from before the first release", holder{docker: on(), release: rec}, "db "},
		{"never asked", holder{release: rec}, "db "},
		{"left by an earlier release", holder{docker: on(db, old), release: rec, sure: true}, "db old "},
		{"no release came to its end", holder{docker: on(db), sure: true}, "db "},
		{"a new server", holder{docker: on(), sure: true}, ""},
	} {
		have := ""
		for _, d := range test.h.data(server, releases) {
			have += d.Name + " "
		}
		if have != test.want {
			t.Errorf("%s: %q, want %q", test.name, have, test.want)
		}
	}
}
