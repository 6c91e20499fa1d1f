package kill

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/cloudship/cloudship/lab"
	"github.com/cloudship/cloudship/lab/cloud"
)

// TestKillWithLostAnswers is a whole life in a cloud that loses one answer in ten after it has done what it
// was asked, and whose lists lag: nothing is made twice, and what was made is found.
func TestKillWithLostAnswers(t *testing.T) {
	t.Parallel()
	lives := 3
	if torture {
		lives = 50
	}
	for seed := range lives {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			faults := cloud.Instant()
			faults.Timing.ListLag = cloud.Duration(200 * time.Millisecond)
			faults.Timing.NotFound = cloud.Duration(100 * time.Millisecond)
			faults.Rules = []cloud.Rule{{Provider: lab.DigitalOcean, Do: cloud.LoseAnswer, Chance: 0.1, Seed: uint64(seed)}}
			v := newVoyage(t, faults, "DIGITALOCEAN_LIST_LAG=1s", "CLOUDSHIP_PACE=20ms")
			v.applies()
			v.holds(4, 1, 1, 1, 1)
			w := watch("http://" + v.address() + ":8080/")
			defer w.stop()

			// With a kill on top of it, at a call here and there.
			v.vars = []string{"--var", "tag=2", "--var", "port=81"}
			v.strike(blow{both, http.MethodPut, 1 + seed, cloud.AfterEffect}, "apply")
			v.applies()
			v.holds(4, 1, 1, 1, 1)
			v.strike(blow{cloudship, http.MethodPost, 1, cloud.AfterEffect}, "apply", "--replace", "group.green.server[0]")
			v.applies()
			v.holds(4, 1, 1, 1, 1)
			v.strike(blow{plugin, http.MethodPost, 1, cloud.BeforeEffect}, "apply", "--switch")
			v.applies("--switch")
			v.holds(4, 1, 1, 1, 1)
			v.unbroken(w)
			w.stop()

			v.strike(blow{both, http.MethodDelete, 1 + seed, cloud.AfterEffect}, "destroy")
			v.must("destroy")
			v.nothing()
		})
	}
}

// applies wants one apply to be enough, and nothing to be left to do.
func (v *voyage) applies(args ...string) {
	v.Helper()
	v.must(append([]string{"apply"}, args...)...)
	v.must("plan", "--detailed-exitcode")
}
