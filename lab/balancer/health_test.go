package balancer

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// A word of p and f is a row of checks that passed and failed.
func TestHealthFollowsTheThresholds(t *testing.T) {
	check := Check{Healthy: 3, Unhealthy: 2}
	for _, test := range []struct {
		name, checks, want string // want: U or d after each check
		startUp            bool
	}{
		{name: "up after three in a row", checks: "ppp", want: "ddU"},
		{name: "a failure starts the row anew", checks: "ppfppp", want: "dddddU"},
		{name: "down after two in a row", checks: "ff", want: "Ud", startUp: true},
		{name: "one failure is forgiven", checks: "fpfpff", want: "UUUUUd", startUp: true},
		{name: "back up only after three", checks: "ffppp", want: "UdddU", startUp: true},
		{name: "failing goes on failing", checks: "ffff", want: "dddd"},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := health{up: test.startUp}
			got := ""
			for _, c := range test.checks {
				h.note(c == 'p', check)
				if h.up {
					got += "U"
				} else {
					got += "d"
				}
			}
			if got != test.want {
				t.Errorf("checks %s: health %s, want %s", test.checks, got, test.want)
			}
		})
	}
}

// With DigitalOcean's defaults a new backend waits 50 s and a dead one stays
// in for 30 s and the time-outs.
func TestWatchKeepsTheTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		check := Check{Interval: 10 * time.Second, Timeout: 5 * time.Second, Healthy: 5, Unhealthy: 3}
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		var dead bool
		var h health
		var upAt, downAt time.Duration
		watch(ctx, check, func(ctx context.Context) error {
			if dead {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}, func(err error) {
			if !h.note(err == nil, check) {
				return
			}
			if h.up {
				upAt = time.Since(start)
				dead = true
				return
			}
			downAt = time.Since(start)
			cancel()
		})
		if upAt != 50*time.Second {
			t.Errorf("up after %s, want 50s", upAt)
		}
		if downAt != upAt+35*time.Second {
			t.Errorf("down %s after it died, want 35s", downAt-upAt)
		}
	})
}

func TestWatchEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		go watch(ctx, Check{Interval: time.Second, Timeout: time.Hour},
			func(ctx context.Context) error { <-ctx.Done(); return errors.New("cut short") },
			func(error) { t.Error("a check that was broken off counts for nothing") })
		time.AfterFunc(1500*time.Millisecond, cancel)
	})
}
