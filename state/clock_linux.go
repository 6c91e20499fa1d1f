package state

import (
	"time"

	"golang.org/x/sys/unix"
)

// elapsed returns the time since the machine started. Nobody sets this clock,
// and it goes on while the machine sleeps.
func elapsed() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return time.Since(started)
	}
	return time.Duration(t.Nano())
}
