//go:build e2e

package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// moment is when a run is killed: as soon as it has said something.
type moment struct {
	says string
	live bool // the release that was on its way is live afterwards
}

var (
	// of a release on the idle group
	rollout = []moment{
		{says: "release[0] ..."},
		{says: "started killed-app-1"},
		{says: "started killed-app-3"},
		{says: "is written anew"},
		{says: "test is successful"},
		{says: "stopping killed-app-1"},
		{says: "stopping killed-app-3"},
	}
	// of a switch
	phases = []moment{
		{says: "test ..."},
		{says: "attach ..."},
		{says: "gate ..."},
		{says: "commit ...", live: true},
		{says: "drain ...", live: true},
		{says: "detach ...", live: true},
		{says: "watch ...", live: true},
	}
)

// sample picks some of the moments, the same ones every time; all of them with CLOUDSHIP_TORTURE=all.
func sample(moments []moment, n int) []moment {
	if os.Getenv("CLOUDSHIP_TORTURE") == "all" {
		return moments
	}
	random := rand.New(rand.NewPCG(2, uint64(len(moments))))
	var some []moment
	for _, i := range random.Perm(len(moments))[:n] {
		some = append(some, moments[i])
	}
	return some
}

// noted is a hook that leaves a line on the server each time that it runs.
const noted = `
      hooks:
        - on: ["release:before"]
          where: host
          run: echo "ran for $$RELEASED" >> /root/ran
          args: { RELEASED: "${VERSION}" }
`

var servers = []string{"blue[0]", "blue[1]", "green[0]", "green[1]"}

// TestKill kills the program in the middle of rollouts and switches of two servers each, alone and
// together with its plugin, and applies again. Nothing is done by hand in between, and no request is
// lost; what runs once per release has run on one server only.
func TestKill(t *testing.T) {
	t.Parallel()
	v := begin(t, "killed", "servers  = 1", "servers  = 2")
	v.edit("compose.yaml", "\n      hooks:\n", noted)
	v.ship(0, "apply", "-y", "--new-key", "--var", "version=v0")
	url := v.url()
	v.serves(url, "v0")
	unfailed := v.under(url)
	live, at := "v0", 0
	killed := func(m moment, args ...string) {
		t.Helper()
		out := v.watching(m.says, func(cmd *exec.Cmd) {
			pid := cmd.Process.Pid
			if at%2 == 0 {
				pid = -pid // the plugin, too
			}
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}, args...)
		if out.Code != -1 {
			t.Fatalf("it ended with %d before it was killed at %q", out.Code, m.says)
		}
	}
	for _, m := range sample(rollout, 2) {
		at++
		version := fmt.Sprint("version=v", at)
		killed(m, "apply", "-y", "--no-build", "--var", version)
		v.ship(0, "apply", "-y", "--no-build", "--var", version)
		v.settled("--no-build", "--var", version)
		for _, server := range servers {
			v.tidy(server)
		}
		v.serves(url, live)
	}
	for _, m := range sample(phases, 3) {
		at++
		next := fmt.Sprint("v", at)
		killed(m, "apply", "-y", "--no-build", "--switch", "--var", "version="+next)
		v.ship(0, "apply", "-y", "--no-build", "--var", "version="+next)
		if m.live {
			live = next
		}
		v.serves(url, live)
		v.settled("--no-build", "--var", "version="+next)
	}
	unfailed()
	ran := map[string]int{} // on how many servers it ran for a version
	for _, server := range servers {
		lines := strings.Split(v.on(server, "sh", "-c", "sort -u /root/ran 2>/dev/null || true"), "\n")
		for _, line := range lines {
			ran[strings.TrimPrefix(line, "ran for ")]++
		}
	}
	for n := range at + 1 {
		if have := ran[fmt.Sprint("v", n)]; have != 1 {
			t.Errorf("what runs once per release ran for v%d on %d servers", n, have)
		}
	}
}

// tidy wants that a server has exactly the containers of one release, with Compose's names.
func (v *voyage) tidy(server string) {
	v.t.Helper()
	release := map[string]bool{}
	var names []string
	for _, c := range v.containers(server) {
		names = append(names, c.Names)
		_, rest, _ := strings.Cut(c.Labels, "com.docker.compose.config-hash=")
		hash, _, _ := strings.Cut(rest, ",")
		if c.State != "running" {
			v.t.Errorf("%s on %s is %s", c.Names, server, c.State)
		}
		if strings.Contains(c.Names, "-app-") {
			release[hash] = true
		}
	}
	if len(names) != 4 || len(release) != 1 {
		v.t.Errorf("%s has %q of %d releases, want three of app and one proxy of one", server, names, len(release))
	}
	for i := 1; i <= 3; i++ {
		if !strings.Contains(strings.Join(names, " ")+" ", fmt.Sprintf("killed-app-%d ", i)) {
			v.t.Errorf("%s has no killed-app-%d: %q", server, i, names)
		}
	}
}
