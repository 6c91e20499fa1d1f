//go:build e2e

package machine

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Servers boot many times a day in continuous integration, and each time must
// be a good one: a login made as early as possible is never cut, and no unit
// fails.
func TestManyBoots(t *testing.T) {
	const rounds, atOnce = 3, 4
	b := newBench(t)
	b.spec.MemoryMB = 512
	var mu sync.Mutex
	var times []time.Duration
	for round := range rounds {
		var booting sync.WaitGroup
		for n := range atOnce {
			id := fmt.Sprintf("%d-%d", round, n)
			spec := b.spec
			spec.ID, spec.Image = id, []string{"debian-12-x64", "debian-13-x64"}[n%2]
			booting.Go(func() {
				start := time.Now()
				m, err := b.host.Create(t.Context(), spec)
				if err != nil {
					t.Error(err)
					return
				}
				conn, err := b.tryDial(t.Context(), m.PublicIP)
				if err != nil {
					t.Errorf("server %s (%s): %v", id, spec.Image, err)
					return
				}
				defer conn.Close()
				took := time.Since(start)
				out, err := tryCommand(conn, "cloud-init status --wait >/dev/null; cloud-init status; systemctl is-system-running --wait; systemctl --failed --no-legend; systemctl show -p NRestarts --value ssh", nil)
				if want := "status: done\nrunning\n0"; err != nil || out != want {
					t.Errorf("server %s (%s): %v\n%s", id, spec.Image, err, out)
				}
				if err := b.host.Delete(t.Context(), id); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				times = append(times, took)
			})
		}
		booting.Wait()
	}
	slices.Sort(times)
	t.Log("create to login: ", strings.Trim(fmt.Sprint(times), "[]"))
}
