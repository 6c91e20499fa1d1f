// Package kill has the tests of the promise that the program may be killed anywhere: at every call
// that it makes, before its effect, between effect and answer, and after the answer; itself, its
// plugin, or both. The next apply converges: nothing is orphaned, nothing is there twice, no lock
// is left, and the live group is never without a member.
//
// An ordinary run hits every call that changes something at each point, each victim in its turn, and
// some of those that only ask. With CLOUDSHIP_TORTURE=all each call is hit at each point with each
// victim.
package kill

import (
	"fmt"
	"net/http"
	"os"
	"testing"

	"github.com/cloudship/cloudship/lab/cloud"
)

// points are where a call is held when the kill comes.
var points = []string{cloud.BeforeEffect, cloud.AfterEffect, cloud.AfterAnswer}

var all = os.Getenv("CLOUDSHIP_TORTURE") == "all"

// atEachPoint runs a voyage for each point of a call: begin sets out, and suffer takes one blow and
// recovers; it reports false when the blow missed because there were no more such calls.
func atEachPoint(t *testing.T, begin func(*testing.T) func(blow) bool) {
	t.Parallel()
	for i, point := range points {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			suffer := begin(t)
			kills, blows := 0, blows(i, point)
			for _, series := range blows {
				for n := 0; ; n++ {
					hit := false
					for _, b := range series(n) {
						if suffer(b) {
							hit, kills = true, kills+1
						}
					}
					if !hit {
						break
					}
				}
			}
			t.Logf("%d kills", kills)
		})
	}
}

// blows gives, for each method, which blows are the n-th to try.
func blows(at int, point string) (series []func(n int) []blow) {
	for i, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodGet} {
		series = append(series, func(n int) []blow {
			if all {
				var list []blow
				for who := range victims {
					list = append(list, blow{victim(who), method, n + 1, point})
				}
				return list
			}
			nth := n + 1
			if method == http.MethodGet {
				nth = 1<<(2*n) + at
			}
			return []blow{{victim((n + at + i) % victims), method, nth, point}}
		})
	}
	return series
}

func TestKillFirstApplyAndDestroy(t *testing.T) {
	atEachPoint(t, func(t *testing.T) func(blow) bool {
		v := newVoyage(t, cloud.Instant())
		return func(b blow) bool {
			applied := v.strike(b, "apply")
			v.must("apply")
			v.settled()
			destroyed := v.strike(b, "destroy")
			v.must("destroy")
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
// believed in there, so that each of these takes a while.
func TestKillReplacementOfLive(t *testing.T) {
	atEachPoint(t, func(t *testing.T) func(blow) bool {
		v, w := underWay(t, "CLOUDSHIP_PACE=100ms")
		return func(b blow) bool {
			if b.method == http.MethodGet || !all && b.nth > 6 {
				return false
			}
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
