package fleet

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/cloudship/cloudship/e2e/rig"
)

// program is the real one, built once.
var program string

func TestMain(m *testing.M) {
	built, remove, err := rig.Build(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = built
	code := m.Run()
	remove()
	os.Exit(code)
}

// patience is how long one measurement may take on a machine under load.
const patience = 8 * time.Minute

func sail(t testing.TB, servers int, c Cloud) *Voyage {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	v, err := Sail(ctx, program, servers, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d servers, first apply: %s; at least %.1f s, %d calls", servers, v.Apply, v.Bound().Seconds(), v.FewestCalls())
	t.Logf("%d servers, second plan: %s", servers, v.Plan)
	t.Logf("%d servers, destroy:     %s", servers, v.Destroy)
	return v
}

// A thousand servers cost few calls: they are made in batches, waited for by lists, and deleted by
// their tag.
//
// On a machine under load a list may come a moment too early and be asked once more. So it is the
// best of three that counts.
func TestThousand(t *testing.T) {
	for try := 1; ; try++ {
		v := sail(t, 1000, Usual)
		over := ""
		for _, c := range []struct {
			what       string
			have, most int
		}{{"first apply", v.Apply.Calls, 160}, {"second plan", v.Plan.Calls, 15}, {"destroy", v.Destroy.Calls, 40}} {
			if c.have > c.most {
				over += fmt.Sprintf("%s: %d calls, want at most %d\n", c.what, c.have, c.most)
			}
		}
		switch {
		case over == "":
			return
		case try == 3:
			t.Fatal(over)
		}
		t.Log(over)
	}
}

// An account that may not call often makes it slow, and nothing else.
func TestBurstLimit(t *testing.T) {
	sail(t, 100, Cloud{Latency: 10 * time.Millisecond, Active: 500 * time.Millisecond, Burst: 12, Window: 3 * time.Second})
}

// BenchmarkFleet prints what fleets of growing size cost, beside what they cost at least.
func BenchmarkFleet(b *testing.B) {
	for _, servers := range []int{10, 100, 1000} {
		b.Run(fmt.Sprint(servers), func(b *testing.B) {
			for b.Loop() {
				report(b, sail(b, servers, Usual))
			}
		})
	}
}

// BenchmarkBurst makes a thousand servers with an account that may call sixty times a minute. An
// apply takes at most 15 % longer than it must.
func BenchmarkBurst(b *testing.B) {
	for b.Loop() {
		c := Usual
		c.Burst = 60
		v := sail(b, 1000, c)
		report(b, v)
		if most := v.Bound() * 115 / 100; v.Apply.Took > most {
			b.Errorf("the apply took %s, want at most %s", v.Apply.Took, most)
		}
	}
}

func report(b *testing.B, v *Voyage) {
	b.ReportMetric(v.Apply.Took.Seconds(), "apply-s")
	b.ReportMetric(v.Bound().Seconds(), "bound-s")
	b.ReportMetric(float64(v.Apply.Calls), "apply-calls")
	b.ReportMetric(float64(v.FewestCalls()), "bound-calls")
	b.ReportMetric(float64(v.Plan.Calls), "plan-calls")
	b.ReportMetric(float64(v.Destroy.Calls), "destroy-calls")
	b.ReportMetric(float64(v.Apply.Memory>>20), "apply-MB")
}
