//go:build e2e

// Package proxy holds the proxies of examples/fantasyreality against what is asked of them: real ones,
// in containers of the local engine, before an application that notes every request that reaches it.
package proxy

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudship/cloudship/lab"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// site is the one that the proxies answer to.
const site = "fantasyreality.example.com"

const example = "../../examples/fantasyreality"

// kind is one of the proxies: the Compose files that bring it, and the folder that it is built from.
type kind struct {
	compose []string
	folder  string
	mends   bool // it repairs some malformed requests before it passes them on, rather than to refuse them
}

var (
	nginx = kind{compose: []string{"compose.yaml"}, folder: "proxy"}
	caddy = kind{compose: []string{"compose.yaml", "caddy/compose.yaml"}, folder: "caddy", mends: true}
)

// stand is a proxy that runs, and two places where an application can be behind it.
type stand struct {
	*testing.T
	service   template.Service // as it is with its application at the first place
	release   *template.Release
	container string
	file      string // its configuration, on this machine
	address   string // where it answers
	places    [2]string
}

// begin builds and starts a proxy.
func begin(t *testing.T, k kind) *stand {
	t.Helper()
	if err := lab.Prepare(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	image := "fantasyreality-" + k.folder
	run(t, "docker", "build", "--quiet", "--tag", image, filepath.Join(example, k.folder))
	rendered, err := template.Render(t.Context(), template.Options{
		Name: "site", Dir: example, Compose: k.compose, Inputs: map[string]template.Input{"HOST": {Value: site}},
		Images: func(_ context.Context, r template.ImageRequest) (template.Image, error) {
			return template.Image{Name: r.Name, Digest: "sha256:abc", Source: template.FromRegistry}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{T: t, release: rendered.Release, file: filepath.Join(t.TempDir(), "configuration")}
	var networks []string
	for i := range s.places {
		name := network(t, i)
		networks = append(networks, name)
		s.places[i] = strings.TrimSpace(run(t, "docker", "network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", name))
	}
	s.configure(0)
	s.container = strings.TrimSpace(run(t, "docker", "create", "--network", networks[0],
		"--volume", s.file+":"+s.service.Files[0].Path+":ro", image))
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "--force", s.container).Run() })
	run(t, "docker", "network", "connect", networks[1], s.container)
	run(t, "docker", "start", s.container)
	ip := run(t, "docker", "inspect", "--format", `{{(index .NetworkSettings.Networks "`+networks[0]+`").IPAddress}}`, s.container)
	s.address = strings.TrimSpace(ip) + ":80"
	s.eventually("the proxy listens", func() bool {
		conn, err := net.DialTimeout("tcp", s.address, time.Second)
		return err == nil && conn.Close() == nil
	})
	return s
}

// network makes a network whose gateway is this machine: an application that listens there is one
// in another container, as far as the proxy can tell.
func network(t *testing.T, i int) string {
	t.Helper()
	var out []byte
	for n := range 40 {
		name, subnet := fmt.Sprintf("cloudship-proxy-%d-%d", os.Getpid(), 40*i+n), fmt.Sprintf("100.65.%d", 40*i+n)
		var err error
		if out, err = exec.Command("docker", "network", "create", "--subnet", subnet+".0/24", "--gateway", subnet+".1", name).CombinedOutput(); err == nil {
			t.Cleanup(func() { _ = exec.Command("docker", "network", "rm", name).Run() })
			return name
		}
	}
	t.Fatalf("no network can be made: %s", out)
	return ""
}

// configure writes the proxy's configuration as cloudship does when the application's container is
// at a place: into the file that is there, which the proxy has mounted.
func (s *stand) configure(place int) {
	s.Helper()
	var err error
	s.service, err = s.release.Bind("proxy", template.View{Containers: []resource.Container{
		{Service: "app", Number: 1, Name: s.places[place], PrivateIP: s.places[place]},
	}})
	if err != nil {
		s.Fatal(err)
	}
	if err := os.WriteFile(s.file, []byte(s.service.Files[0].Content), 0o644); err != nil {
		s.Fatal(err)
	}
}

// reload runs the template's hook in the proxy, as cloudship does.
func (s *stand) reload() error {
	hooks := s.release.Services["proxy"].HooksOn(template.OnStart, "app")
	if len(hooks) != 1 {
		s.Fatalf("the proxy has %d hooks on start:app, want one", len(hooks))
	}
	cmd := exec.CommandContext(s.Context(), "docker", "exec", "--interactive", s.container, "/bin/sh", "-s", "--")
	cmd.Stdin = strings.NewReader(string(hooks[0].Script))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// app is an application at one of the places. It says its name, and notes what reaches it.
type app struct {
	server *http.Server
	mu     sync.Mutex
	log    []string
}

func (s *stand) app(place int, version string) *app {
	s.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(s.places[place], "9292"))
	if err != nil {
		s.Fatal(err)
	}
	a := &app{}
	a.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		a.log = append(a.log, r.Method+" "+r.URL.String()+" of "+r.Host)
		a.mu.Unlock()
		w.Header().Set("X-Version", version)
		_, _ = fmt.Fprintln(w, version)
	})}
	go func() { _ = a.server.Serve(listener) }()
	s.Cleanup(func() { _ = a.server.Close() })
	return a
}

// end lets the application answer what it has, as a container that is stopped.
func (a *app) end(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := a.server.Shutdown(ctx); err != nil {
		t.Errorf("the old application does not come to its end: %v", err)
	}
}

func (a *app) seen() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.log...)
}

func (s *stand) eventually(what string, so func() bool) {
	s.Helper()
	end := time.Now().Add(30 * time.Second)
	for !so() {
		if time.Now().After(end) {
			said, _ := exec.Command("docker", "logs", "--tail", "20", s.container).CombinedOutput()
			s.Fatalf("%s: not so in half a minute\n%s", what, said)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// run runs a command to its end and gives what it printed.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out, stderr.Bytes())
	}
	return string(out)
}
