//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestQuickstart is the way of a newcomer through a stack's whole life. Its steps rest on each other.
func TestQuickstart(t *testing.T) {
	t.Parallel()
	v := begin(t, "quickstart")
	v.ship(0, "apply", "-y", "--new-key", "--var", "version=v1")
	url := v.url()
	v.serves(url, "v1")
	v.settled("--var", "version=v1")
	unfailed := v.under(url)

	step := func(name string, do func(t *testing.T)) {
		t.Helper()
		if t.Failed() {
			return
		}
		t.Run(name, func(sub *testing.T) {
			outer := v.t
			v.t = sub
			defer func() { v.t = outer }()
			do(sub)
		})
	}
	step("composeKnowsTheContainers", func(t *testing.T) {
		for _, c := range v.containers("blue") {
			if !strings.Contains(c.Labels, "com.docker.compose.project=quickstart") || !strings.HasPrefix(c.Names, "quickstart-") {
				t.Errorf("container %s is not Compose's: %s", c.Names, c.Labels)
			}
		}
	})
	step("logsStatsExecAndSSH", func(*testing.T) { v.looks("v1") })
	step("aKilledContainerIsDriftAndIsHealed", func(t *testing.T) {
		v.on("blue", "docker", "rm", "--force", "quickstart-app-2")
		v.says(v.ship(2, "plan", "--detailed-exitcode", "--var", "version=v1"), "2 of 3 containers of app run")
		v.ship(0, "apply", "-y", "--var", "version=v1")
		v.settled("--var", "version=v1")
	})
	step("aNewReleaseGoesToTheIdleGroupOnly", func(t *testing.T) {
		before := ids(v.containers("blue"))
		v.ship(0, "apply", "-y", "--var", "version=v2")
		if after := ids(v.containers("blue")); !slices.Equal(before, after) {
			t.Errorf("the live group was touched: %v, then %v", before, after)
		}
		v.serves(url, "v1")
	})
	step("applySwitchTwice", func(t *testing.T) {
		second := func(*exec.Cmd) {
			out := v.Run(v.ctx, "apply", "-y", "--var", "version=v2")
			if out.Code != 4 || !strings.Contains(out.Stderr, "locked") {
				t.Errorf("a second apply at the same time ended with %d: %s", out.Code, out.Stderr)
			}
		}
		if out := v.watching("gate ...", second, "apply", "-y", "--switch", "--var", "version=v2"); out.Code != 0 {
			t.Fatalf("exit %d, want 0", out.Code)
		}
		v.serves(url, "v2")
		before := append(ids(v.containers("blue")), ids(v.containers("green"))...)
		v.ship(0, "apply", "-y", "--switch", "--var", "version=v2")
		v.settled("--var", "version=v2")
		if after := append(ids(v.containers("blue")), ids(v.containers("green"))...); !slices.Equal(before, after) {
			t.Error("the second one was not harmless")
		}
	})
	step("aReleaseThatIsNeverHealthyIsRefused", func(t *testing.T) {
		before := ids(v.containers("blue"))
		out := v.ship(9, "apply", "-y", "--switch", "--var", "version=broken")
		v.says(out, "its health check fails", "its last lines", "broken listens on :8080")
		v.serves(url, "v2")
		if after := ids(v.containers("blue")); !slices.Equal(before, after) {
			t.Errorf("the release before it was not left as it was: %v, then %v", before, after)
		}
	})
	step("scaleOutAndIn", func(t *testing.T) {
		for _, n := range []int{5, 2, 3} {
			v.ship(0, "scale", fmt.Sprintf("app=%d", n), "-y", "--var", "version=v2")
			if have := running(v.containers("green"), "app"); have != n {
				t.Errorf("%d containers of app run, want %d", have, n)
			}
		}
	})
	step("rollback", func(t *testing.T) {
		v.ship(0, "rollback", "-y", "--var", "version=v2")
		v.serves(url, "v1")
		v.ship(0, "switch", "-y", "--again", "--var", "version=v2")
		v.serves(url, "v2")
		v.settled("--var", "version=v2")
	})
	step("aServerDeletedBehindOurBackIsReplaced", func(t *testing.T) {
		v.deleteDroplet("blue")
		v.says(v.ship(2, "plan", "--detailed-exitcode", "--var", "version=v2"), "+ group.blue.server[0]")
		v.ship(0, "apply", "-y", "--var", "version=v2")
		v.settled("--var", "version=v2")
		if have := running(v.containers("blue"), "app"); have != 3 {
			t.Errorf("%d containers of app run on the new server, want 3", have)
		}
	})
	step("theStateIsLostAndFoundAgain", func(t *testing.T) {
		if err := os.RemoveAll(filepath.Join(v.Dir, "cloudship.state")); err != nil {
			t.Fatal(err)
		}
		v.says(v.ship(1, "plan", "--var", "version=v2"), "state rebuild")
		v.ship(0, "state", "rebuild")
		v.settled("--var", "version=v2")
	})
	unfailed()
	step("aReleaseThatGoesBadIsSwitchedBack", func(t *testing.T) {
		rot := func(*exec.Cmd) {
			for range 40 { // every replica must hear of it
				if _, status := v.ask(url + "/rot"); status != http.StatusOK {
					t.Error("the release does not listen")
				}
			}
		}
		out := v.watching("watching for", rot, "apply", "-y", "--switch", "--var", "version=rots")
		if out.Code != 7 {
			t.Errorf("exit %d, want 7", out.Code)
		}
		v.serves(url, "v2")
		v.ship(9, "apply", "-y", "--switch", "--var", "version=rots")
		v.ship(0, "apply", "-y", "--var", "version=v2")
		v.settled("--var", "version=v2")
	})
}

func ids(list []container) []string {
	var all []string
	for _, c := range list {
		all = append(all, c.ID)
	}
	slices.Sort(all)
	return all
}

// running counts a service's containers that run.
func running(list []container, service string) int {
	n := 0
	for _, c := range list {
		if c.State == "running" && strings.Contains(c.Labels, "com.docker.compose.service="+service) {
			n++
		}
	}
	return n
}
