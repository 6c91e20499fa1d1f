package template

import (
	"slices"
	"strings"
	"testing"
)

func TestData(t *testing.T) {
	for _, test := range []struct{ name, compose, want string }{
		{"a named volume", `app: { image: x, volumes: ["db:/db"] }`, "db=shop_db"},
		{"one that is only read", `app: { image: x, volumes: ["db:/db:ro"] }`, ""},
		{"scratch", `app: { image: x, volumes: ["cache:/cache"] }`, ""},
		{"one that is not on the server", `app: { image: x, volumes: ["far:/far"] }`, ""},
		{"one that somebody else made", `app: { image: x, volumes: ["old:/old"] }`, "old=old"},
		{"a service that is elsewhere", `app: { image: x, volumes: ["db:/db"], x-cloudship: { host: 1 } }`, ""},
		{"taken from another service", `app: { image: x, volumes_from: [data] }
  data: { image: x, command: "true", volumes: [/var/lib/db] }`, "data-var-lib-db=shop_data-var-lib-db"},
		{"a folder of a stateful service", `app: { image: x, volumes: ["/srv/db:/db"], x-cloudship: { stateful: true } }`, "app=/srv/db"},
		{"a folder of one that is not", `app: { image: x, volumes: ["/srv/db:/db"] }`, ""},
	} {
		r := mustRender(t, `
name: shop
services:
  `+test.compose+`
volumes:
  db: {}
  cache: { x-cloudship: { stateful: false } }
  far: { driver_opts: { type: nfs, o: "addr=10.0.0.1", device: ":/far" } }
  old: { external: true, name: old }
`).Release
		var have []string
		for _, d := range r.Data(0) {
			have = append(have, d.Name+"="+d.Place)
		}
		if text := strings.Join(have, " "); text != test.want {
			t.Errorf("%s: %q, want %q", test.name, text, test.want)
		}
	}
}

// TestWriters holds who counts as a writer of a volume that has a single one, and what that means
// for the order in which containers are renewed.
func TestWriters(t *testing.T) {
	const volume = "\nvolumes: { db: { x-cloudship: { stateful: single-writer } } }\n"
	for _, test := range []struct{ name, services, bad, stops string }{
		{"one", `app: { image: x, volumes: ["db:/db"] }`, "", "volume db has a single writer"},
		{"start-first is said", `app: { image: x, volumes: ["db:/db"], deploy: { update_config: { order: start-first } } }`, "", "volume db has a single writer"},
		{"a reader beside it", `app: { image: x, volumes: ["db:/db"] }
  web: { image: x, volumes: ["db:/db:ro"] }`, "", "volume db has a single writer"},
		{"two services", `app: { image: x, volumes: ["db:/db"] }
  web: { image: x, volumes: ["db:/db"] }`, "2 containers write to it (app, web)", ""},
		{"replicas", `app: { image: x, volumes: ["db:/db"], deploy: { replicas: 3 } }`, "3 containers write to it (app)", ""},
		{"a holder and its user", `app: { image: x, volumes_from: [data] }
  data: { image: x, command: ["true"], volumes: ["db:/db"] }`, "", "volume db has a single writer"},
		{"a holder that waits", `app: { image: x, volumes_from: [data] }
  data: { image: x, command: tail -f /dev/null, volumes: ["db:/db"] }`, "", "volume db has a single writer"},
		{"a holder and two users", `app: { image: x, volumes_from: [data] }
  web: { image: x, volumes_from: [data] }
  data: { image: x, command: "true", volumes: ["db:/db"] }`, "2 containers write to it (app, web)", ""},
		{"two users, one of which reads", `app: { image: x, volumes_from: [data] }
  web: { image: x, volumes_from: ["data:ro"] }
  data: { image: x, command: "true", volumes: ["db:/db"] }`, "", "volume db has a single writer"},
		{"taken from one that works", `app: { image: x, volumes_from: [data] }
  data: { image: x, volumes: ["db:/db"] }`, "2 containers write to it (app, data)", ""},
		{"taken twice over", `app: { image: x, volumes_from: [web] }
  web: { image: x, command: sleep infinity, volumes_from: [data] }
  data: { image: x, command: ["sh", "-c", "exit 0"], volumes: ["db:/db"] }`, "", "volume db has a single writer"},
		{"a command that writes", `app: { image: x, volumes_from: [data] }
  data: { image: x, command: ["sh", "-c", "echo hello > /db/x; sleep 1d"], volumes: ["db:/db"] }`, "2 containers write to it", ""},
		{"its own mount wins", `app: { image: x, volumes_from: [data], volumes: ["other:/db"] }
  data: { image: x, volumes: ["db:/db"] }`, "", "volume other has a single writer"},
	} {
		rendered, err := render(t, "services:\n  "+test.services+strings.Replace(volume, "db: {", "other: {}, db: {", 1), nil)
		switch {
		case test.bad != "":
			if err == nil || !strings.Contains(err.Error(), test.bad) {
				t.Errorf("%s: error %v, want %q", test.name, err, test.bad)
			}
		case err != nil:
			t.Errorf("%s: %v", test.name, err)
		default:
			if got := rendered.Release.StopFirst("app"); got != test.stops {
				t.Errorf("%s: stops first %q, want %q", test.name, got, test.stops)
			}
		}
	}
}

func TestContainerThatHoldsDataMayEnd(t *testing.T) {
	r := mustRender(t, `
services:
  app: { image: x, volumes_from: [data] }
  data: { image: x, command: "true", volumes: [/db] }
  idle: { image: x, command: "true" }
`)
	for name, want := range map[string]string{"data": "no", "app": "unless-stopped", "idle": "unless-stopped"} {
		if have := r.Release.Services[name].Restart.Policy; have != want {
			t.Errorf("%s: restart %s, want %s", name, have, want)
		}
	}
	r = mustRender(t, `services: { app: { image: x, volumes: [/scratch] } }`)
	if !slices.ContainsFunc(r.Warnings, func(d *Diagnostic) bool {
		return strings.Contains(d.Text(), "what is written to /scratch goes with each container")
	}) {
		t.Errorf("warnings %v", r.Warnings)
	}
}

func TestCheckScaleAndGroups(t *testing.T) {
	r := mustRender(t, `
services:
  app: { image: x, volumes: ["db:/db"] }
  web: { image: x }
  one: { image: x, x-cloudship: { stateful: true } }
volumes: { db: {} }
`).Release
	for _, test := range []struct {
		scale map[string]int
		want  int
	}{{nil, 0}, {map[string]int{"web": 3}, 0}, {map[string]int{"app": 2}, 1}, {map[string]int{"app": 1, "one": 2}, 1}, {map[string]int{"app": 0}, 0}} {
		if errs := r.CheckScale(test.scale); len(errs) != test.want {
			t.Errorf("scale %v: %v, want %d errors", test.scale, errs, test.want)
		}
	}
	if errs := r.CheckGroups([]string{"blue"}); len(errs) > 0 {
		t.Errorf("one group: %v", errs)
	}
	if errs := r.CheckGroups([]string{"green", "blue"}); len(errs) != 1 || !strings.Contains(errs[0].Error(), "groups blue and green") {
		t.Errorf("two groups: %v", errs)
	}
	r.Volumes["db"] = Volume{Name: "db", Stateful: SingleWriter, PerServer: true}
	if errs := r.CheckGroups([]string{"green", "blue"}); len(errs) > 0 {
		t.Errorf("two groups, meant: %v", errs)
	}
}
