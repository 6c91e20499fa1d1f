package deploy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloudship/cloudship/certificate/pebble"
	"github.com/cloudship/cloudship/resource"
)

// proxied is a server with a real nginx, as a template would run it, and a CA that looks there.
type proxied struct {
	t        *testing.T
	world    *world
	ca       pebble.CA
	folder   string // of the proxy
	spec     resource.CertificateSpec
	mu       sync.Mutex
	said     []string
	told     int
	refuses  bool // nginx -t goes wrong
	patience time.Duration
}

var certificateMark = resource.Mark{Stack: "shop-k3v9qd", Address: resource.CertificateNamed("site"), Generation: 1}

func newProxied(t *testing.T) *proxied {
	t.Helper()
	http, https := pebble.FreePort(t), pebble.FreePort(t)
	s := &proxied{t: t, world: newWorld(t), ca: pebble.Start(t, "127.0.0.1", http, 90), folder: t.TempDir(), patience: proxyPatience}
	s.spec = resource.CertificateSpec{
		Server: resource.Server("web", 0), Domains: []string{"fantasyreality.example", "www.fantasyreality.example"}, Directory: s.ca.Directory, CA: s.ca.CA,
		Key: "ecdsa-p256", Challenges: filepath.Join(s.folder, "acme"), Path: filepath.Join(s.folder, "certificates"), Service: "proxy", HTTPPort: http, HTTPSPort: https,
	}
	s.write("nginx.conf", fmt.Sprintf(`%s
pid %[2]s/pid;
error_log %[2]s/error.log;
worker_processes 2;
events {}
http {
  access_log off;
  client_body_temp_path %[2]s/body; proxy_temp_path %[2]s/proxy; fastcgi_temp_path %[2]s/fastcgi; uwsgi_temp_path %[2]s/uwsgi; scgi_temp_path %[2]s/scgi;
  server {
    listen 127.0.0.1:%[3]d;
    location /.well-known/acme-challenge/ { alias %[2]s/acme/; }
    location / { return 301 https://$host$request_uri; }
  }
  include %[2]s/tls*.conf;
}
`, userLine(), s.folder, http))
	s.nginx("-t")
	s.nginx()
	t.Cleanup(func() {
		_ = exec.Command(nginxPath(t), "-c", filepath.Join(s.folder, "nginx.conf"), "-s", "stop").Run()
	})
	return s
}

// userLine keeps the workers of a nginx that root starts as root: the folders of tests are closed to
// others.
func userLine() string {
	if os.Geteuid() == 0 {
		return "user root;"
	}
	return ""
}

func nginxPath(t *testing.T) string {
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatal("there is no nginx here: run scripts/setup")
	return ""
}

func (s *proxied) write(name, content string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.folder, name), []byte(content), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *proxied) nginx(args ...string) {
	s.t.Helper()
	if out, err := exec.Command(nginxPath(s.t), append([]string{"-c", filepath.Join(s.folder, "nginx.conf")}, args...)...).CombinedOutput(); err != nil {
		s.t.Fatalf("nginx %v: %v\n%s", args, err, out)
	}
}

// reload is what a template's hook does: TLS once the files are there, tried before it counts.
func (s *proxied) reload(context.Context) error {
	s.mu.Lock()
	s.told++
	refuses := s.refuses
	s.mu.Unlock()
	if refuses {
		return errors.New("nginx: configuration file test failed")
	}
	if _, err := os.Stat(filepath.Join(s.spec.Path, "site", "fullchain.pem")); err == nil {
		s.write("tls.conf", fmt.Sprintf("server { listen 127.0.0.1:%d ssl; ssl_certificate %s/site/fullchain.pem; ssl_certificate_key %[2]s/site/privkey.pem; location / { return 200 ok; } }\n",
			s.spec.HTTPSPort, s.spec.Path))
	}
	for _, args := range [][]string{{"-t"}, {"-s", "reload"}} {
		if out, err := exec.Command(nginxPath(s.t), append([]string{"-c", filepath.Join(s.folder, "nginx.conf")}, args...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("nginx %v: %w: %s", args, err, out)
		}
	}
	return nil
}

// bring does what the driver does on the server.
func (s *proxied) bring(spec resource.CertificateSpec) error {
	w := &certifying{
		machine: s.world.machineOnDisk, folder: s.keeps(), mark: certificateMark, spec: &spec, tell: s.reload, now: time.Now, patience: s.patience,
		account: func(string) []byte { return []byte(strings.Repeat("a seed of an account", 3)) },
		say: func(line string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.said = append(s.said, line)
		},
	}
	return w.bring(s.t.Context())
}

func (s *proxied) keeps() folder {
	return folder{host: s.world.machineOnDisk, root: filepath.Join(s.world.root, "cloudship")}
}

// ordered counts the certificates that were ordered.
func (s *proxied) ordered() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, line := range s.said {
		if strings.HasPrefix(line, "ordering") {
			n++
		}
	}
	return n
}

// look finds the certificate as a plan does.
func (s *proxied) look(now time.Time) *resource.Found {
	s.t.Helper()
	found, err := lookCertificate(s.t.Context(), s.world.machineOnDisk, s.keeps(), "site", now)
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}

// serial is that of the certificate that lies there; its key must fit.
func (s *proxied) serial() string {
	s.t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(s.spec.Path, "site", "fullchain.pem"), filepath.Join(s.spec.Path, "site", "privkey.pem"))
	if err != nil {
		s.t.Fatal(err)
	}
	return pair.Leaf.SerialNumber.Text(16)
}

// load asks for a page over kept-alive TLS connections until it is stopped.
type load struct {
	failed, done atomic.Int64
	mu           sync.Mutex
	serials      map[string]int
	errs         []error
	stop         chan struct{}
	ended        sync.WaitGroup
}

func (s *proxied) load(clients int) *load {
	s.t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(s.ca.Root) {
		s.t.Fatal("the CA has no root")
	}
	l := &load{serials: map[string]int{}, stop: make(chan struct{})}
	for range clients {
		client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: s.spec.Domains[0]}}}
		l.ended.Go(func() {
			defer client.CloseIdleConnections()
			for {
				select {
				case <-l.stop:
					return
				default:
				}
				serial, err := ask(client, fmt.Sprintf("https://127.0.0.1:%d/", s.spec.HTTPSPort))
				l.done.Add(1)
				l.mu.Lock()
				if err != nil {
					l.failed.Add(1)
					l.errs = append(l.errs, err)
				}
				l.serials[serial]++
				l.mu.Unlock()
			}
		})
	}
	return l
}

func ask(client *http.Client, url string) (serial string, err error) {
	r, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	if err == nil && (r.StatusCode != http.StatusOK || string(body) != "ok") {
		err = fmt.Errorf("%s: %q", r.Status, body)
	}
	return r.TLS.PeerCertificates[0].SerialNumber.Text(16), err
}

func (l *load) end() { close(l.stop); l.ended.Wait() }

// until waits for something that others bring about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (l *load) has(serial string, times int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.serials[serial] >= times
}

// TestF23ACertificateIsGotAndRenewedUnderLoad shows the row: TLS from a real CA for a real proxy, and
// not one request fails while it is renewed.
func TestF23ACertificateIsGotAndRenewedUnderLoad(t *testing.T) {
	t.Parallel()
	s := newProxied(t)
	if err := s.bring(s.spec); err != nil {
		t.Fatal(err)
	}
	first := s.serial()
	found := s.look(time.Now())
	if found == nil || found.Broken != "" || found.Facts.Certificate.Serial != first || !slices.Equal(found.Facts.Certificate.Names, s.spec.Domains) {
		t.Fatalf("found is %+v", found)
	}
	if left := glob(t, filepath.Join(s.spec.Challenges, "*")); len(left) > 0 {
		t.Errorf("challenges are left: %v", left)
	}
	info, err := os.Stat(filepath.Join(s.spec.Path, "site", "privkey.pem"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the private key is %v, %v", info.Mode(), err)
	}

	// What fits is not ordered again, and nobody is told of it.
	if err := s.bring(s.spec); err != nil {
		t.Fatal(err)
	}
	if s.ordered() != 1 || s.told != 1 || s.serial() != first {
		t.Errorf("%d ordered, told %d times, %s after %s", s.ordered(), s.told, s.serial(), first)
	}

	l := s.load(4)
	until(t, "the first certificate under load", func() bool { return l.has(first, 100) })
	spec := s.spec
	spec.After = time.Now()
	if err := s.bring(spec); err != nil {
		t.Fatal(err)
	}
	second := s.serial()
	until(t, "the second certificate under load", func() bool { return l.has(second, 100) })
	l.end()
	if l.failed.Load() > 0 || second == first {
		t.Errorf("%d of %d requests failed, %v; serials %v", l.failed.Load(), l.done.Load(), l.errs[:min(3, len(l.errs))], l.serials)
	}
	t.Logf("%d requests, %d failed, %d with the new certificate", l.done.Load(), l.failed.Load(), l.serials[second])
	if folders := glob(t, filepath.Join(s.spec.Path, ".site.*")); len(folders) != 1 {
		t.Errorf("the folders are %v", folders)
	}

	for _, tt := range []struct {
		days int
		says string
	}{{59, ""}, {61, "renewal is due: it ends on "}, {91, "it ended on "}} {
		if broken := s.look(time.Now().Add(time.Duration(tt.days) * 24 * time.Hour)).Broken; tt.says == "" && broken != "" || !strings.HasPrefix(broken, tt.says) {
			t.Errorf("after %d days: %q", tt.days, broken)
		}
	}
	s.holdsNoKey(found)
}

// holdsNoKey looks for a private key where none may be.
func (s *proxied) holdsNoKey(found *resource.Found) {
	s.t.Helper()
	state, err := json.Marshal(found)
	if err != nil {
		s.t.Fatal(err)
	}
	texts := []string{string(state), strings.Join(s.said, "\n"), strings.Join(s.world.changed(), "\n")}
	for _, file := range glob(s.t, filepath.Join(s.keeps().root, "certificates", "*")) {
		content, err := os.ReadFile(file)
		if err != nil {
			s.t.Fatal(err)
		}
		texts = append(texts, string(content))
	}
	for _, text := range texts {
		if strings.Contains(text, "PRIVATE KEY") {
			s.t.Errorf("a private key is in %s", text)
		}
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	list, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestAProxyThatRefusesKeepsTheCertificateBefore has the proxy refuse a new certificate: the one
// before stays in its place, and the next run tells it again without ordering.
func TestAProxyThatRefusesKeepsTheCertificateBefore(t *testing.T) {
	t.Parallel()
	s := newProxied(t)
	if err := s.bring(s.spec); err != nil {
		t.Fatal(err)
	}
	first := s.serial()
	s.refuses = true
	wider := s.spec
	wider.Domains = append(slices.Clone(s.spec.Domains), "app.fantasyreality.example")
	if err := s.bring(wider); err == nil || !strings.Contains(err.Error(), "configuration file test failed") {
		t.Fatalf("the proxy refuses: %v", err)
	}
	if s.serial() != first {
		t.Error("the certificate that the proxy refused is in place")
	}
	if found := s.look(time.Now()); !strings.Contains(found.Broken, "is not in its place yet") {
		t.Errorf("a plan sees %q", found.Broken)
	}
	s.refuses = false
	if err := s.bring(wider); err != nil {
		t.Fatal(err)
	}
	if s.ordered() != 2 || s.serial() == first || s.look(time.Now()).Broken != "" {
		t.Errorf("%d were ordered; %+v", s.ordered(), s.look(time.Now()))
	}

	// Where the one before is gone, the new one stays in place: a proxy that starts finds a pair.
	for _, folder := range glob(t, filepath.Join(s.spec.Path, ".site.*")) {
		if err := os.RemoveAll(folder); err != nil {
			t.Fatal(err)
		}
	}
	if found := s.look(time.Now()); found.Broken != "its chain is gone or damaged" {
		t.Errorf("a plan sees %q", found.Broken)
	}
	s.refuses = true
	if err := s.bring(wider); err == nil {
		t.Error("the proxy refuses, and nobody says so")
	}
	s.serial()
}

// TestTheCAIsNotAskedWhereTheProxyShowsNothing keeps failed looks from counting against the account.
func TestTheCAIsNotAskedWhereTheProxyShowsNothing(t *testing.T) {
	t.Parallel()
	s := newProxied(t)
	spec := s.spec
	spec.Challenges = filepath.Join(s.folder, "elsewhere")
	s.patience = time.Second
	err := s.bring(spec)
	if err == nil || !strings.Contains(err.Error(), "404 Not Found") || !strings.Contains(resource.HintOf(err), "the CA was not asked") {
		t.Errorf("%v, hint %q", err, resource.HintOf(err))
	}
	if left := glob(t, filepath.Join(spec.Challenges, "*")); len(left) > 0 {
		t.Errorf("challenges are left: %v", left)
	}
	if slices.ContainsFunc(s.said, func(line string) bool { return strings.HasSuffix(line, "the CA looks") }) {
		t.Errorf("the CA was asked: %v", s.said)
	}
}

// TestACertificateIsGotThroughKills kills the program after every change that it makes on the
// server: at no time is there a pair that does not fit, and nothing is ordered twice once the CA has
// taken the key.
func TestACertificateIsGotThroughKills(t *testing.T) {
	t.Setenv("PEBBLE_AUTHZREUSE", "100") // what was proven is believed, so that this ends soon
	s := newProxied(t)
	if err := s.bring(s.spec); err != nil {
		t.Fatal(err)
	}
	s.world.check = func() error {
		_, err := tls.LoadX509KeyPair(filepath.Join(s.spec.Path, "site", "fullchain.pem"), filepath.Join(s.spec.Path, "site", "privkey.pem"))
		return err
	}
	for at := 1; ; at++ {
		spec := s.spec
		spec.After = time.Now()
		before, serial := s.ordered(), s.serial()
		s.world.arm(at, true)
		err := s.bring(spec)
		died, dead := s.world.revive()
		if !dead {
			if err != nil {
				t.Fatal(err)
			}
			if at < 8 {
				t.Errorf("there are %d changes only", at-1)
			}
			break
		}
		if err := s.bring(spec); err != nil {
			t.Errorf("after a kill at %q: %v", died, err)
		}
		n := s.ordered() - before
		if most := 2; n > most || n == 2 && !strings.Contains(died, "acme") && !strings.Contains(died, "umask") && !strings.Contains(died, "privkey") {
			t.Errorf("after a kill at %q %d were ordered", died, n)
		}
		if found := s.look(time.Now()); found.Broken != "" || s.serial() == serial {
			t.Errorf("after a kill at %q: %q", died, found.Broken)
		}
	}
	if len(s.world.broken) > 0 {
		t.Errorf("the pair did not fit: %v", s.world.broken)
	}
	if folders := glob(t, filepath.Join(s.spec.Path, ".site.*")); len(folders) != 1 {
		t.Errorf("the folders are %v", folders)
	}
	if err := removeCertificate(t.Context(), s.world.machineOnDisk, s.keeps(), "site"); err != nil {
		t.Fatal(err)
	}
	if left := append(glob(t, filepath.Join(s.spec.Path, "*")), glob(t, filepath.Join(s.spec.Path, ".site.*"))...); len(left) > 0 {
		t.Errorf("removed, there are %v", left)
	}
}
