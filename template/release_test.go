package template

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// render renders a Compose file given as text.
func render(t testing.TB, compose string, inputs map[string]Input) (*Rendered, error) {
	t.Helper()
	o := unpack(t, &txtar.Archive{Files: []txtar.File{{Name: "compose.yaml", Data: []byte(compose)}}})
	maps.Copy(o.Inputs, inputs)
	return Render(t.Context(), o)
}

func mustRender(t testing.TB, compose string) *Rendered {
	t.Helper()
	rendered, err := render(t, compose, nil)
	if err != nil {
		t.Fatal(err)
	}
	return rendered
}

const small = `
services:
  web:
    image: nginx:1
    deploy: { replicas: 2 }
    environment: { A: b }
    networks: [front]
networks:
  front: {}
`

func TestIDAndHash(t *testing.T) {
	base := mustRender(t, small)
	baseHash, err := base.Release.Hash(base.Release.Services["web"])
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name             string
		old, new         string
		sameID, sameHash bool
	}{
		{"nothing", "", "", true, true},
		{"replicas", "replicas: 2", "replicas: 3", true, true},
		{"image", "nginx:1", "nginx:2", false, false},
		{"variable", "A: b", "A: c", false, false},
		{"network", "front: {}", "front: { internal: true }", false, false},
		{"update order", "deploy: {", "deploy: { update_config: { order: stop-first },", false, true},
		{"probe", "networks: [front]", "networks: [front]\n    x-cloudship: { probe: { tcp: 80 } }", false, true},
		{"order of keys", "image: nginx:1\n    deploy: { replicas: 2 }", "deploy: { replicas: 2 }\n    image: nginx:1", true, true},
		{"comment", "services:", "# remark\nservices:", true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			other := mustRender(t, strings.Replace(small, test.old, test.new, 1))
			hash, err := other.Release.Hash(other.Release.Services["web"])
			if err != nil {
				t.Fatal(err)
			}
			if (other.ID == base.ID) != test.sameID {
				t.Errorf("ids %s and %s, want same: %v", base.ID, other.ID, test.sameID)
			}
			if (hash == baseHash) != test.sameHash {
				t.Errorf("hashes %s and %s, want same: %v", baseHash, hash, test.sameHash)
			}
		})
	}
}

func TestIDFollowsTheDigestNotTheTag(t *testing.T) {
	id := func(tag, digest string) string {
		r := mustRender(t, strings.ReplaceAll(small, "nginx:1", "nginx:"+tag)).Release
		s := r.Services["web"]
		s.Image.Digest, s.Image.Source = digest, FromRegistry
		r.Services["web"] = s
		id, err := r.ID()
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	if a, b := id("1", "sha256:aa"), id("latest", "sha256:aa"); a != b {
		t.Errorf("one digest under two tags: %s and %s", a, b)
	}
	if a, b := id("1", "sha256:aa"), id("1", "sha256:bb"); a == b {
		t.Errorf("two digests under one tag: both %s", a)
	}
}

func TestRequestsAreMadeOncePerImage(t *testing.T) {
	o := unpack(t, txtar.Parse([]byte(`
-- compose.yaml --
services:
  web: { build: ., image: app }
  worker: { image: app }
  again: { build: ., image: app }
  cron: { image: "app:latest" }
  db: { image: postgres }
`)))
	var got []string
	o.Images = func(_ context.Context, r ImageRequest) (Image, error) {
		got = append(got, fmt.Sprintf("%s build=%v for %s", r.Name, r.Build != nil, strings.Join(r.Services, " ")))
		return Image{Digest: "sha256:aa", Source: FromBuild}, nil
	}
	rendered, err := Render(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"docker.io/library/app:latest build=true for again cron web worker", "docker.io/library/postgres:latest build=false for db"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if ref := rendered.Images["worker"]; ref != "docker.io/library/app@sha256:aa" {
		t.Errorf("worker runs %s", ref)
	}
	o.Images = func(context.Context, ImageRequest) (Image, error) { return Image{}, errors.New("no such image") }
	if _, err := Render(t.Context(), o); err == nil || !strings.Contains(err.Error(), "of service again, cron, web, worker: no such image") {
		t.Errorf("got %v", err)
	}
}

func TestImageReference(t *testing.T) {
	for name, want := range map[string]string{
		"docker.io/library/ruby:3.3":     "docker.io/library/ruby@sha256:aa",
		"registry:5000/app":              "registry:5000/app@sha256:aa",
		"registry:5000/app:1@sha256:bb":  "registry:5000/app@sha256:aa",
		"docker.io/library/ruby@sha2:xx": "docker.io/library/ruby@sha256:aa",
	} {
		if got := (Image{Name: name, Digest: "sha256:aa"}).Reference(); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
}

func TestOrderAndNeeds(t *testing.T) {
	r := mustRender(t, `
services:
  a: { image: a, depends_on: [c] }
  b: { image: b, environment: { X: "{{ a | container_name }}" } }
  c: { image: c, network_mode: "service:d" }
  d: { image: d }
  e: { image: e, volumes_from: [b], environment: { X: "{{ b | env_X }}", H: "{{ b | host_ip }}" } }
`).Release
	order, err := r.Order()
	if err != nil || strings.Join(order, "") != "dcabe" {
		t.Errorf("order %v, %v, want d c a b e", order, err)
	}
	if needs := r.Needs("e"); !slices.Equal(needs, []string{"a", "b"}) {
		t.Errorf("e needs %v, want a (through b's variable) and b", needs)
	}
	if d := r.Dependents("a"); !slices.Equal(d, []string{"b", "e"}) {
		t.Errorf("dependents of a: %v, want b and e", d)
	}
}

func TestStopFirst(t *testing.T) {
	for _, test := range []struct{ service, want string }{
		{`ports: ["80:80"]`, "host port 80 is fixed"},
		{`ports: ["80"]`, ""},
		{`ports: ["8000-8010:80"]`, ""},
		{`volumes: ["data:/d"]`, "volume data has a single writer"},
		{`volumes: ["data:/d:ro"]`, ""},
		{`container_name: xy`, "container_name is fixed"},
		{`deploy: { update_config: { order: stop-first } }`, "deploy.update_config.order says so"},
		{`x-cloudship: { stateful: true }`, "the service is stateful with a single writer"},
		{`x-cloudship: { stateful: shared }`, ""},
		{`networks: { default: { ipv4_address: 10.0.0.2 } }`, "its address in network default is fixed"},
	} {
		r := mustRender(t, "services:\n  web:\n    image: x\n    "+test.service+"\nvolumes: { data: {} }\n").Release
		if got := r.StopFirst("web"); got != test.want {
			t.Errorf("%s: got %q, want %q", test.service, got, test.want)
		}
	}
}

func TestCheckServers(t *testing.T) {
	for _, test := range []struct {
		service, volume string
		count, want     int
	}{
		{`volumes: ["data:/d"]`, "{}", 1, 0},
		{`volumes: ["data:/d"]`, "{}", 2, 1},
		{`volumes: ["data:/d:ro"]`, "{}", 2, 0},
		{`volumes: ["data:/d"]`, "{ x-cloudship: { per_server: true } }", 2, 0},
		{"volumes: [\"data:/d\"]\n    x-cloudship: { host: 0 }", "{}", 2, 0},
		{"volumes: [\"data:/d\"]\n    x-cloudship: { host: [0, host2] }", "{}", 2, 1},
		{`x-cloudship: { stateful: true }`, "{}", 3, 1},
		{`x-cloudship: { host: 2 }`, "{}", 2, 1},
		{`x-cloudship: { host: 1 }`, "{}", 2, 0},
		{"depends_on: [far]\n    x-cloudship: { host: 1 }\n  far: { image: x, x-cloudship: { host: 0 } }", "{}", 2, 1},
		{"depends_on: [far]\n    x-cloudship: { host: 0 }\n  far: { image: x, x-cloudship: { host: 0 } }", "{}", 2, 0},
		{`x-cloudship: { stateful: true, per_server: true }`, "{}", 3, 0},
	} {
		r := mustRender(t, "services:\n  web:\n    image: x\n    "+test.service+"\nvolumes: { data: "+test.volume+" }\n").Release
		if errs := r.CheckServers(test.count); len(errs) != test.want {
			t.Errorf("%s, %s on %d servers: got %v, want %d errors", test.service, test.volume, test.count, errs, test.want)
		}
	}
}

func TestP30ThePlanRefusesMoreMemoryThanAServerHas(t *testing.T) {
	r := mustRender(t, `
services:
  ruby:
    image: ruby
    deploy: { replicas: 3, resources: { reservations: { memory: 600M } } }
  worker:
    image: ruby
    mem_reservation: 300m
    x-cloudship: { host: 1 }
`).Release
	for _, test := range []struct {
		index, serverMB int
		scale           map[string]int
		ok              bool
	}{
		{0, 2048, nil, true},
		{0, 1024, nil, false},
		{0, 0, nil, true},
		{1, 2048, nil, false},
		{0, 2048, map[string]int{"ruby": 4}, false},
		{0, 1024, map[string]int{"ruby": 1}, true},
	} {
		err := r.CheckMemory(test.index, test.serverMB, test.scale)
		if (err == nil) != test.ok {
			t.Errorf("server %d of %d MB with %v: %v, want ok: %v", test.index, test.serverMB, test.scale, err, test.ok)
		}
	}
	if err := r.CheckMemory(0, 1024, nil); err == nil || !strings.Contains(err.Error(), "ruby 3 x 600 MB") {
		t.Errorf("the sum is not told: %v", err)
	}
}

func TestEventsReadBack(t *testing.T) {
	for _, s := range append(Events(), "scale_out:ruby", "start:a-b", "destroy:x") {
		e, err := ParseEvent(s)
		if err != nil || e.String() != s {
			t.Errorf("%s: got %q, %v", s, e, err)
		}
	}
	for _, s := range []string{"", "release", "release:after", "scale_out:", "boot", "boot:x"} {
		if e, err := ParseEvent(s); err == nil {
			t.Errorf("%q: got %v, want an error", s, e)
		}
	}
}

func TestDecodeRefusesOtherFormats(t *testing.T) {
	if _, err := Decode([]byte(`{"format": 2}`)); err == nil || !strings.Contains(err.Error(), "format 2") {
		t.Errorf("got %v", err)
	}
	if _, err := Decode([]byte(`{`)); err == nil {
		t.Error("a torn document was read")
	}
}
