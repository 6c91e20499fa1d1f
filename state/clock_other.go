//go:build !linux

package state

import "time"

// elapsed returns the time since the program started, by whichever of the
// steady clock, which may stand still while the machine sleeps, and the wall
// clock, which may be set, has gone further.
func elapsed() time.Duration {
	now := time.Now()
	return max(now.Sub(started), now.Round(0).Sub(started.Round(0)))
}
