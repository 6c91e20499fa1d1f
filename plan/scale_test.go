package plan

import (
	"testing"
	"testing/synctest"
	"time"
)

// thousand is a group of a thousand servers alone behind a balancer.
func thousand() *desk {
	d := &desk{sim: newSim(), file: file{groups: []string{"blue"}, servers: 1000, size: "small", balancer: true, listeners: 80}}
	d.sim.latency = 50 * time.Millisecond
	return d
}

// TestThousandServersCostFewCalls holds the budget of API calls: creates go in batches, readiness is
// asked by one list for all, and what is many is deleted by tag.
func TestThousandServersCostFewCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := thousand()
		for _, c := range []struct {
			what string
			wish wish
			most int
			time time.Duration
		}{
			{"first apply", applyWish, 140, 20 * time.Second},
			{"second apply", applyWish, 12, 5 * time.Second},
			{"destroy", wish{command: "destroy", destroy: true}, 35, 20 * time.Second},
		} {
			before, began := d.sim.cloud, time.Now()
			must(t, d, c.wish)
			if calls := d.sim.cloud - before; calls > c.most {
				t.Errorf("%s: %d calls, want at most %d", c.what, calls, c.most)
			} else {
				t.Logf("%s: %d calls, %s", c.what, calls, time.Since(began))
			}
			if took := time.Since(began); took > c.time {
				t.Errorf("%s took %s, want at most %s", c.what, took, c.time)
			}
		}
	})
}

// TestRateLimitIsNoError holds that a large apply runs as fast as the account may.
func TestRateLimitIsNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := thousand()
		d.sim.perMinute = 60
		began := time.Now()
		must(t, d, applyWish)
		t.Logf("%d calls, %s", d.sim.cloud, time.Since(began))
		if took := time.Since(began); took > 3*time.Minute {
			t.Errorf("took %s", took)
		}
	})
}

func BenchmarkMake(b *testing.B) {
	d := thousand()
	d.file.template = true
	intent := d.file.intent()
	groups, balancers := d.file.shapes()
	in := Input{Memory: d.memory(), Groups: groups, Balancers: balancers, Wants: d.file.wants(intent), Decision: Decision{Intent: intent}}
	for b.Loop() {
		if _, err := Make(in); err != nil {
			b.Fatal(err)
		}
	}
}
