package engine

import (
	"archive/tar"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	registryclient "github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

const registryPassword = "lab-only-password"

// newRegistry serves a registry that wants a password, and gives its host and port.
func newRegistry(t *testing.T) string {
	images := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "proleads" || password != registryPassword {
			w.Header().Set("WWW-Authenticate", `Basic realm="private"`)
			http.Error(w, `{"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}`, http.StatusUnauthorized)
			return
		}
		images.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// paperEngine is as much of a Docker engine as a build and a push need: an image is the VERSION of
// its context, and is pushed to the real registry that its name says.
type paperEngine struct {
	mu     sync.Mutex
	images map[string]v1.Image
	asked  url.Values // by the last build
}

// newPaperEngine serves one as the engine of this machine.
func newPaperEngine(t *testing.T) *paperEngine {
	e := &paperEngine{images: map[string]v1.Image{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", "1.41") })
	mux.HandleFunc("POST /v1.41/build", e.build)
	mux.HandleFunc("POST /v1.41/images/", e.push)
	mux.HandleFunc("GET /v1.41/images/", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"message": "no such image"}`, http.StatusNotFound)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	t.Setenv("DOCKER_HOST", "tcp://"+server.Listener.Addr().String())
	return e
}

func (e *paperEngine) build(w http.ResponseWriter, r *http.Request) {
	files := tar.NewReader(r.Body)
	for {
		head, err := files.Next()
		if err != nil {
			http.Error(w, `{"message": "the context has no VERSION"}`, http.StatusBadRequest)
			return
		}
		if strings.TrimPrefix(head.Name, "./") == "VERSION" {
			break
		}
	}
	version, err := io.ReadAll(files)
	if err == nil {
		_, err = io.Copy(io.Discard, r.Body)
	}
	var image v1.Image
	if err == nil {
		image, err = mutate.AppendLayers(empty.Image, static.NewLayer(version, types.DockerLayer))
	}
	if err != nil {
		http.Error(w, `{"message": "bad context"}`, http.StatusInternalServerError)
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked = r.URL.Query()
	for _, tag := range e.asked["t"] {
		e.images[tag] = image
	}
	_, _ = io.WriteString(w, `{"stream": "Successfully built\n"}`)
}

func (e *paperEngine) push(w http.ResponseWriter, r *http.Request) {
	image := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/v1.41/images/"), "/push") + ":" + r.URL.Query().Get("tag")
	var auth struct{ Username, Password string }
	b, err := base64.URLEncoding.DecodeString(r.Header.Get("X-Registry-Auth"))
	if err == nil {
		err = json.Unmarshal(b, &auth)
	}
	ref, nameErr := name.ParseReference(image)
	e.mu.Lock()
	built := e.images[image]
	e.mu.Unlock()
	if err = errors.Join(err, nameErr); err == nil && built != nil {
		err = registryclient.Write(ref, built, registryclient.WithContext(r.Context()), registryclient.WithAuth(&authn.Basic{Username: auth.Username, Password: auth.Password}))
	}
	if err != nil {
		_ = json.NewEncoder(w).Encode(map[string]any{"error": "unauthorized: " + err.Error(), "errorDetail": map[string]string{"message": "unauthorized: " + err.Error()}})
	}
}

// git runs one command in a repository.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=Ann", "-c", "user.email=ann@example.com"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// newRepository makes a git repository whose branch main says v1, and whose newest commit, on
// another branch, says v2. It gives the commit of main.
func newRepository(t *testing.T) (dir, commit string) {
	dir = t.TempDir()
	git := func(args ...string) string { return git(t, dir, args...) }
	write := func(file, text string) {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	git("init", "--quiet", "--initial-branch=main")
	write("Dockerfile", "FROM scratch\nCOPY VERSION /\n")
	write("VERSION", "v1\n")
	git("add", "--all")
	git("commit", "--quiet", "--message", "v1")
	commit = git("rev-parse", "HEAD")
	git("checkout", "--quiet", "-b", "next")
	write("VERSION", "v2\n")
	git("commit", "--quiet", "--all", "--message", "v2")
	return dir, commit
}

const buildingStack = `
stack "proleads" {}
variable "registry" {}
variable "source" {}
variable "password" { sensitive = true }
registry "private" {
  server   = var.registry
  username = "proleads"
  password = var.password
}
build "ruby" {
  git        = var.source
  ref        = "main"
  repository = "proleads/ruby"
  tags       = ["{{timestamp}}", "latest"]
  registry   = "private"
  push       = true
}
`

// building opens a stack that builds an image from git and pushes it to a private registry.
func building(t *testing.T, registry, source, password string) *Session {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cloudship.hcl"), []byte(buildingStack), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), Options{Dir: dir, Environ: os.Environ(), Vars: map[string]string{"registry": registry, "source": source, "password": password}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestP12AnImageIsBuiltFromGitAndPushed(t *testing.T) {
	newPaperEngine(t)
	where := newRegistry(t)
	source, commit := newRepository(t)
	s := building(t, where, source, registryPassword)
	began := time.Now().UTC().Truncate(time.Second)
	if err := s.builds(t.Context()); err != nil {
		t.Fatal(err)
	}
	one := s.built["ruby"]
	if one.commit == "" || !strings.HasPrefix(commit, one.commit) {
		t.Errorf("it was built from commit %q, want %q", one.commit, commit)
	}
	if len(one.tags) != 2 || one.tags[1] != "latest" || one.image != where+"/proleads/ruby:"+one.tags[0] {
		t.Fatalf("image %q with tags %q", one.image, one.tags)
	}
	if made, err := time.Parse("20060102-150405", one.tags[0]); err != nil || made.Before(began) || made.After(time.Now().UTC()) {
		t.Errorf("tag %s: %v, %v", one.tags[0], made, err)
	}
	digest, err := s.registryDigest(t.Context(), one.image)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("P13BothTagsPointToOneDigest", func(t *testing.T) {
		latest, err := s.registryDigest(t.Context(), where+"/proleads/ruby:latest")
		if err != nil || latest != digest {
			t.Errorf("latest is %s, %v; want %s", latest, err, digest)
		}
	})
	want, err := mutate.AppendLayers(empty.Image, static.NewLayer([]byte("v1\n"), types.DockerLayer))
	if err != nil {
		t.Fatal(err)
	}
	if d, err := want.Digest(); err != nil || d.String() != digest {
		t.Errorf("the registry has %s, want the image of v1, %s", digest, d)
	}
}

func TestP13TimestampsAreUTCAndSortAsTimeDoes(t *testing.T) {
	if have := expand([]string{"{{timestamp}}", "{{ date }}-{{sha}}", "latest"}, "abc", time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 2*3600))); !slices.Equal(have, []string{"20260102-010405", "20260102-abc", "latest"}) {
		t.Errorf("%q", have)
	}
	var tags []string
	at := time.Date(2025, 12, 31, 21, 59, 59, 0, time.FixedZone("", -2*3600)) // a year's end in UTC
	for range 100 {
		tags = append(tags, expand([]string{"{{timestamp}}"}, "", at)...)
		at = at.Add(17*time.Hour + time.Second)
	}
	if !slices.IsSorted(tags) || len(slices.Compact(tags)) != 100 {
		t.Errorf("they do not sort as time does: %q", tags)
	}
}

// A wrong password is told when the image is looked up or pushed: before anything is changed.
func TestP29AWrongPasswordIsToldBeforeAnyChange(t *testing.T) {
	newPaperEngine(t)
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	where := newRegistry(t)
	source, _ := newRepository(t)
	s := building(t, where, source, "planted-wrong-password")
	wants := func(err error, hint string) {
		t.Helper()
		if err == nil || !strings.Contains(resource.HintOf(err), hint) || strings.Contains(err.Error(), "planted") {
			t.Errorf("%v (hint %q), want the hint %q", err, resource.HintOf(err), hint)
		}
	}
	_, err := s.image(t.Context(), template.ImageRequest{Name: where + "/proleads/ruby:latest"})
	wants(err, "Credentials belong into a registry block")
	err = s.builds(t.Context())
	wants(err, "check user name and password in its registry block")
	if !errors.Is(err, ErrPreflight) {
		t.Errorf("%v, want a failed preflight", err)
	}
}
