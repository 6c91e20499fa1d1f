// Package kill has the tests of the promise that the program may be killed anywhere: at every call
// that it makes, before its effect, between effect and answer, and after the answer; itself, its
// plugin, or both. The next apply converges: nothing is orphaned, nothing is there twice, no lock
// is left, and the live group is never without a member.
//
// With CLOUDSHIP_TORTURE=all each call is hit at each point with each victim. With CLOUDSHIP_KILLS=all,
// as in make kills, so is each call that changes something, and those that only ask are hit at each point
// by a victim in turn. Otherwise the victims take turns at all calls, and some that only ask are left out.
package kill

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/cloudship/cloudship/lab/cloud"
)

// points are where a call is held when the kill comes.
var points = []string{cloud.BeforeEffect, cloud.AfterEffect, cloud.AfterAnswer}

var (
	torture = os.Getenv("CLOUDSHIP_TORTURE") == "all"
	every   = torture || os.Getenv("CLOUDSHIP_KILLS") == "all"
)

// atEachPoint runs a voyage for each point of a call and each victim: begin sets out, and suffer takes
// one blow and recovers; it reports false when the blow missed because there were no more such calls.
func atEachPoint(t *testing.T, begin func(*testing.T) func(blow) bool) {
	t.Parallel()
	for i, point := range points {
		if !every {
			t.Run(point, func(t *testing.T) {
				fall(t, begin, func(method, n int) blow { return sampled(i, method, n) })
			})
			continue
		}
		for who := range victims {
			t.Run(point+"/"+strings.ReplaceAll(victim(who).String(), " ", "-"), func(t *testing.T) {
				fall(t, begin, func(method, n int) blow { return aimed(i, victim(who), method, n) })
			})
		}
	}
}

// methods are those of the calls that are hit.
var methods = []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodGet}

// fall lets the blows of each method fall until one misses.
func fall(t *testing.T, begin func(*testing.T) func(blow) bool, next func(method, n int) blow) {
	t.Parallel()
	suffer := begin(t)
	for method := range methods {
		for n := 0; suffer(next(method, n)); n++ {
		}
	}
}

// aimed hits one victim at every call, or at every third of those that only ask: at the others it
// is another's turn.
func aimed(at int, who victim, method, n int) blow {
	nth := n + 1
	if methods[method] == http.MethodGet && !torture {
		nth = 1 + (int(who)+at)%victims + victims*n
	}
	return blow{who, methods[method], nth, points[at]}
}

// sampled takes the victims in turn, and of the calls that only ask every second, then every fourth.
func sampled(at, method, n int) blow {
	nth := n + 1
	if methods[method] == http.MethodGet {
		nth = 1<<(2*n) + at
	}
	return blow{victim((n + at + method) % victims), methods[method], nth, points[at]}
}

func TestKillFirstApplyAndDestroy(t *testing.T) {
	atEachPoint(t, func(t *testing.T) func(blow) bool {
		v := newVoyage(t, cloud.Instant())
		return func(b blow) bool {
			applied := v.strike(b, "apply")
			if applied {
				v.must("apply")
			}
			v.settled()
			destroyed := v.strike(b, "destroy")
			if destroyed {
				v.must("destroy")
			}
			v.nothing()
			return applied || destroyed
		}
	})
}

func TestKillUpdate(t *testing.T) {
	atEachPoint(t, func(t *testing.T) func(blow) bool {
		v, w := underWay(t)
		n := 0
		return func(b blow) bool {
			n++
			v.vars = []string{"--var", fmt.Sprintf("tag=%d", n+1), "--var", fmt.Sprintf("port=%d", 1000+n), "--var", fmt.Sprintf("idle=%d", 60+n%100)}
			killed := v.strike(b, "apply")
			v.recovers(w)
			return killed
		}
	})
}

func TestKillReplacementOfIdle(t *testing.T) {
	atEachPoint(t, func(t *testing.T) func(blow) bool {
		v, w := underWay(t)
		return func(b blow) bool {
			killed := v.strike(b, "apply", "--replace", "group.green.server[1]")
			v.recovers(w)
			return killed
		}
	})
}

// A server of the live group leaves the balancer only when the new one has had the time to be
// believed in there: on paper that is short, and long enough to be killed in.
func TestKillReplacementOfLive(t *testing.T) {
	atEachPoint(t, func(t *testing.T) func(blow) bool {
		v, w := underWay(t)
		return func(b blow) bool {
			killed := v.strike(b, "apply", "--replace", "group.blue.server[0]")
			v.recovers(w)
			return killed
		}
	})
}

func TestKillSwitch(t *testing.T) {
	atEachPoint(t, func(t *testing.T) func(blow) bool {
		v, w := underWay(t)
		n := 0
		return func(b blow) bool {
			n++
			v.vars = []string{"--var", fmt.Sprintf("tag=%d", n+1)}
			killed := v.strike(b, "apply", "--switch")
			v.recovers(w)
			v.must("apply", "--switch")
			v.settled()
			v.unbroken(w)
			return killed
		}
	})
}

// underWay is a voyage whose first apply is done, watched from then on.
func underWay(t *testing.T, environ ...string) (*voyage, *witness) {
	t.Helper()
	v := newVoyage(t, cloud.Instant(), environ...)
	v.must("apply")
	v.settled()
	w := watch("http://" + v.address() + ":8080/")
	t.Cleanup(w.stop)
	return v, w
}

// recovers applies again, and wants all to be well then.
func (v *voyage) recovers(w *witness) {
	v.Helper()
	v.must("apply")
	v.settled()
	v.unbroken(w)
}

// settled wants a plan with nothing to do, and everything once.
func (v *voyage) settled() {
	v.Helper()
	v.must("plan", "--detailed-exitcode")
	v.holds(4, 1, 1, 1, 1)
}

// nothing wants all to be gone.
func (v *voyage) nothing() {
	v.Helper()
	v.holds(0, 0, 0, 0, 0)
	if n := v.lab.Report().Counts["tags"]; n != 0 {
		v.fail("%d tags are left", n)
	}
}

// unbroken wants the witness to have seen no failure.
func (v *voyage) unbroken(w *witness) {
	v.Helper()
	if sent, failed := w.saw(); len(failed) > 0 {
		v.fail("%d of %d requests failed: %v", len(failed), sent, failed)
	}
}
