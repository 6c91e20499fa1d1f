//go:build e2e

package e2e

import (
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/cloudship/cloudship/e2e/load"
	"github.com/cloudship/cloudship/e2e/rig"
)

// example copies an example into a stack of its own in the shared lab, with more in its environment.
// What it makes is destroyed when the test ends.
func example(t *testing.T, name string, env ...string) *voyage {
	t.Helper()
	r, err := rig.New(lab.Program, "../examples/"+name, nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &voyage{Rig: r, t: t, ctx: base, secret: "nothing-is-planted"}
	r.Out, r.Lab = v, lab.Lab
	r.Env = append(append(r.Env, "XDG_CACHE_HOME="+filepath.Join(lab.Root, "cache")), env...)
	t.Cleanup(v.end)
	if err := r.Attach(v.ctx); err != nil {
		t.Fatal(err)
	}
	return v
}

// userKey makes a user's key: the line of its public part, and the private one in PEM.
func userKey(t *testing.T) (public, private string) {
	t.Helper()
	key, secret, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	line, err := ssh.NewPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(secret, "")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(line))), string(pem.EncodeToMemory(block))
}

// site asks one of the sites at an address, and gives its answer, or "" for none.
func (v *voyage) site(address, host string) string {
	v.t.Helper()
	request, err := http.NewRequestWithContext(v.ctx, http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		v.t.Fatal(err)
	}
	request.Host, request.Close = host, true
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		return answer.Status
	}
	return strings.TrimSpace(string(body))
}

// siteSays wants what a site says.
func (v *voyage) siteSays(address, host, want string) {
	v.t.Helper()
	if have := v.site(address, host); have != want {
		v.t.Errorf("%s answers %q, want %q", host, have, want)
	}
}

// pressing puts a load on one of the sites at an address, and gives what ends it and wants that no
// request failed.
func (v *voyage) pressing(address, host string) (unfailed func()) {
	l := load.StartAt("http://"+address+"/", host, 20)
	return func() {
		v.t.Helper()
		l.Stop()
		sent, failed, failures := l.Count()
		v.t.Logf("load on %s: %d requests, %d failed", host, sent, failed)
		if failed > 0 || sent == 0 {
			v.t.Errorf("%s: %d of %d requests failed:\n  %s", host, failed, sent, strings.Join(failures, "\n  "))
		}
	}
}

// TestF22TwoStacksOnOneServer has a stack make a server with a proxy, and a second one name it as a
// machine that exists: they share ports 80, and nothing else.
func TestF22TwoStacksOnOneServer(t *testing.T) {
	t.Parallel()
	public, private := userKey(t)
	edge := example(t, "shared-proxy", "CLOUDSHIP_VAR_public_key="+public)
	edge.edit("cloudship.hcl", `image    = "debian-12"`, `image    = "docker-20-04"`)
	edge.ship(0, "apply", "-y", "--new-key")
	edge.settled()

	var key struct {
		Address string `json:"address"`
		HostKey string `json:"host_key"`
	}
	for line := range strings.Lines(edge.ship(0, "ssh", "web", "--host-key", "--json").Stdout) {
		if strings.Contains(line, `"host_key"`) {
			if err := json.Unmarshal([]byte(line), &key); err != nil {
				t.Fatal(err)
			}
		}
	}
	shop := example(t, "second-site", "CLOUDSHIP_SSH_KEY="+private, "CLOUDSHIP_VAR_address="+key.Address, "CLOUDSHIP_VAR_host_key="+key.HostKey)
	shop.sites(edge, key.Address)
}

// sites is the second stack's life beside the first.
func (v *voyage) sites(edge *voyage, address string) {
	t := v.t
	t.Helper()
	before := edge.containers("web")
	authorized := edge.on("web", "cat", "/root/.ssh/authorized_keys")

	// A port that the first has is refused before anything is changed, and so is another host key.
	v.edit("compose.yaml", "    networks: [front]\n", "    networks: [front]\n    ports: [\"80:8080\"]\n", "replicas: 2", "replicas: 1")
	v.says(v.ship(8, "apply", "-y", "--new-key"), "wants port 80/tcp", "container edge-proxy-1 of stack edge")
	v.edit("compose.yaml", "    ports: [\"80:8080\"]\n", "", "replicas: 1", "replicas: 2")
	other, _ := userKey(t)
	v.says(v.ship(8, "plan", "--var", "host_key="+other), "host key of "+address)

	v.ship(0, "apply", "-y", "--new-key")
	v.settled()
	edge.settled()
	v.siteSays(address, "shop.example.com", "v1")
	v.siteSays(address, "edge.example.com", "the proxy")

	// A redeploy costs neither of them a request.
	first, second := edge.pressing(address, "edge.example.com"), v.pressing(address, "shop.example.com")
	v.ship(0, "apply", "-y", "--var", "version=v2")
	v.settled("--var", "version=v2")
	v.siteSays(address, "shop.example.com", "v2")
	// What the proxy does not take, it does not take.
	v.says(v.ship(9, "apply", "-y", "--var", "version=v3", "--var", "host=shop.example.com; spoilt {"), "its configuration is as it was")
	v.siteSays(address, "shop.example.com", "v2")
	first()
	second()

	v.reaches()
	v.lost()

	// The first does not go from under the second's feet without being told to.
	v.says(edge.ship(3, "destroy", "-y"), "stack shop has 2 containers there", "--with-others")

	first = edge.pressing(address, "edge.example.com")
	v.ship(0, "destroy", "-y")
	if have := v.site(address, "shop.example.com"); have != "" {
		t.Errorf("the site of the stack that is gone answers %q", have)
	}
	first()
	edge.settled()
	if after := edge.containers("web"); strings.Join(ids(before), " ") != strings.Join(ids(after), " ") {
		t.Errorf("the first stack's containers are not what they were: %v, then %v", before, after)
	}
	if now := edge.on("web", "cat", "/root/.ssh/authorized_keys"); now != authorized {
		t.Errorf("authorized_keys were changed:\n%s\nthen\n%s", authorized, now)
	}
	if left := edge.on("web", "sh", "-c", "ls /var/lib/cloudship /srv/sites"); strings.Contains(left, "shop") || !strings.Contains(left, "edge-") {
		t.Errorf("what is left on the server: %s", left)
	}
}

// reaches has every verb that talks to servers reach a machine that existed before.
func (v *voyage) reaches() {
	v.t.Helper()
	if who := v.on("web", "id", "-un"); strings.TrimSpace(who) != "root" {
		v.t.Errorf("logged in as %s", who)
	}
	v.says(v.ship(0, "ssh", "web", "--print"), "StrictHostKeyChecking=yes", "root@")
	v.says(v.ship(0, "exec", "app", "--", "hostname"))
	v.says(v.ship(0, "logs", "--tail", "5"))
	v.says(v.ship(0, "stats", "--json"), "app")
	v.says(v.ship(0, "run-hook", "app", "site"))
	v.says(v.ship(0, "status"), "group.web.server[0]")
}

// lost loses the state: it is missed, and made anew from what the machine keeps.
func (v *voyage) lost() {
	v.t.Helper()
	if err := os.RemoveAll(filepath.Join(v.Dir, "cloudship.state")); err != nil {
		v.t.Fatal(err)
	}
	v.says(v.ship(1, "plan", "--var", "version=v2"), "cloudship state rebuild")
	v.ship(0, "state", "rebuild")
	v.settled("--var", "version=v2")
}
