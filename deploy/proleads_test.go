package deploy

import (
	"context"
	"encoding/base64"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// After every change of a cluster's number its proxy sends to the containers that there are, and
// something serves all the time.
func TestP16ScaleOutAndIn(t *testing.T) {
	w := newWorld(t)
	release := render(t, strings.ReplaceAll(shop, "replicas: 3", "replicas: 2"), map[string]string{"VERSION": "v1"})
	w.rolled(target{release: release})
	w.runs("app", "v1", 2)
	first := w.of("app")
	w.check = w.serves
	for _, n := range []int{4, 2} {
		w.rolled(target{release: release, scale: map[string]int{"app": n}})
		w.runs("app", "v1", n)
		w.told()
		for i, c := range w.of("app")[:2] {
			if c.ID != first[i].ID {
				t.Errorf("scaled to %d, %s is another container", n, c.Name)
			}
		}
	}
	for _, err := range w.broken {
		t.Error(err)
	}
}

// All external services that a server cannot reach are named, with where they were looked for.
func TestP20AnUnreachableServiceIsNamed(t *testing.T) {
	w := newWorld(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	if err := reachable(t.Context(), w, map[string]string{"redis": listener.Addr().String()}); err != nil {
		t.Errorf("what listens is not reached: %v", err)
	}
	err = reachable(t.Context(), w, map[string]string{"redis": listener.Addr().String(), "mongodb": nobody})
	if err == nil || !strings.Contains(err.Error(), "external mongodb ("+nobody+")") || strings.Contains(err.Error(), "redis") {
		t.Errorf("%v, want mongodb alone to be named", err)
	}
}

const withCertificate = `
name: shop
services:
  app:
    image: app
    healthcheck: { test: [CMD, ask] }
  proxy:
    image: proxy
    healthcheck: { test: [CMD, ask] }
    configs: [{ source: upstreams, target: /upstreams }]
    secrets: [{ source: tls, target: /etc/nginx/tls/key.pem, mode: 0600 }]
configs: { upstreams: { content: "{{ app | container_private_ip }}" } }
secrets: { tls: { environment: KEY } }
`

// A certificate's key lies on the server for its owner alone and in no document; a new one comes
// without an end of service.
func TestP27ACertificatesKeyIsTheOwnersAlone(t *testing.T) {
	w := newWorld(t)
	for _, key := range []string{"planted-first-key", "planted-second-key"} {
		release, secrets := sealed(t, withCertificate, "KEY", key)
		document, err := release.Encode()
		if err != nil || strings.Contains(string(document), "planted") {
			t.Fatalf("the release holds the key: %s, %v", document, err)
		}
		w.rolled(target{release: release, secrets: secrets})
		w.check = w.serves
		if have := w.keys(); len(have) != 1 || have[0] != key {
			t.Errorf("on the server are %q, want %q", have, key)
		}
	}
	for _, err := range w.broken {
		t.Error(err)
	}
}

// sealed renders a Compose text with one sensitive value.
func sealed(t *testing.T, compose, name, value string) (*template.Release, map[string]string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte(compose), 0o600); err != nil {
		t.Fatal(err)
	}
	rendered, err := template.Render(t.Context(), template.Options{
		Name: "shop", Dir: dir, Images: pinned, Inputs: map[string]template.Input{name: {Value: value, Sensitive: true}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return rendered.Release, rendered.Secrets
}

// keys are the contents of all mounted keys on the server, each of which wants mode 0600; that one
// is in a file of another name is an error.
func (w *world) keys() []string {
	w.t.Helper()
	var keys []string
	for _, name := range w.files() {
		path := filepath.Join(w.root, name)
		b, err := os.ReadFile(path)
		if err != nil {
			w.t.Fatal(err)
		}
		if filepath.Base(name) != "key.pem" {
			if strings.Contains(string(b), "planted") {
				w.t.Errorf("a key is in %s", name)
			}
			continue
		}
		keys = append(keys, string(b))
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			w.t.Errorf("%s has mode %v, want 0600 (%v)", name, info.Mode().Perm(), err)
		}
	}
	return keys
}

// A private registry's credentials go with the one request that pulls, and are on the server
// nowhere; a wrong password is told as such.
func TestP29CredentialsGoWithThePullAlone(t *testing.T) {
	w := newWorld(t)
	const right = "planted-password"
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1.41/images/", func(rw http.ResponseWriter, _ *http.Request) {
		http.Error(rw, `{"message": "no such image"}`, http.StatusNotFound)
	})
	mux.HandleFunc("POST /v1.41/images/create", func(rw http.ResponseWriter, r *http.Request) {
		auth, err := base64.URLEncoding.DecodeString(r.Header.Get("X-Registry-Auth"))
		if err != nil || !strings.Contains(string(auth), `"ann"`) || !strings.Contains(string(auth), right) {
			http.Error(rw, `{"message": "unauthorized: authentication required"}`, http.StatusInternalServerError)
			return
		}
		_, _ = rw.Write([]byte(`{"status": "Pull complete"}`))
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	docker, err := client.New(client.WithHost("tcp://"+server.Listener.Addr().String()), client.WithAPIVersion("1.41"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = docker.Close() }()
	image, err := pinned(t.Context(), template.ImageRequest{Name: "registry.example.com/proleads/ruby:latest"})
	if err != nil {
		t.Fatal(err)
	}
	pull := func(password string) error {
		d := &releases{options: Options{Auths: func(context.Context, string) (string, string, error) { return "ann", password, nil }}}
		_, err := d.pull(t.Context(), &engine{Client: docker, host: w}, image, func(string) {})
		return err
	}
	if err := pull("wrong"); err == nil || !strings.Contains(resource.HintOf(err), "the registry refused") {
		t.Errorf("with a wrong password: %v, want a hint", err)
	}
	if err := pull(right); err != nil {
		t.Error(err)
	}
	if have := w.files(); len(have) > 0 {
		t.Errorf("left on the server: %v", have)
	}
}

const marking = `
name: shop
services:
  app:
    image: app
    environment: { VERSION: "${VERSION}" }
    healthcheck: { test: [CMD, ask] }
    x-cloudship:
      hooks:
        - { on: "release:before", where: host, run: "echo migrated >> MARKS" }
        - { on: create, where: host, run: "echo created >> MARKS" }
        - { on: start, where: host, run: "echo started at $$HOST >> MARKS", args: { HOST: "{{ app | host_ip }}" } }
        - { on: stop, where: host, run: "echo stopped >> MARKS" }
  proxy:
    image: proxy
    depends_on: [app]
    healthcheck: { test: [CMD, ask] }
    x-cloudship:
      hooks:
        - { on: "start:app", where: host, run: "echo told >> MARKS" }
`

// Hooks leave their marks at their events, in the order of a rollout.
func TestP9HooksRunInTheOrderOfTheirEvents(t *testing.T) {
	w := newWorld(t)
	marks := filepath.Join(t.TempDir(), "marks")
	compose := strings.ReplaceAll(marking, "MARKS", marks)
	for _, version := range []string{"v1", "v2"} {
		w.rolled(target{release: render(t, compose, map[string]string{"VERSION": version})})
	}
	b, err := os.ReadFile(marks)
	if err != nil {
		t.Fatal(err)
	}
	first := "migrated\ncreated\nstarted at 10.0.0.1\ntold\n"
	if want := first + first + "stopped\n"; string(b) != want {
		t.Errorf("they ran as\n%s\nwant\n%s", b, want)
	}
}
