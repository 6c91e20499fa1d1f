package cloud

import (
	"sync"
	"time"
)

// Window counts calls in a sliding window: each ages out after its own while.
// It is safe for concurrent use.
type Window struct {
	mu    sync.Mutex
	times []time.Time
}

// Take asks for one more call now. It answers how many are left after it, and
// when the oldest counted call ages out; ok is false if there was none left.
// A limit of zero means none: left is then meaningless.
func (w *Window) Take(now time.Time, limit int, length time.Duration) (left int, reset time.Time, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if limit <= 0 {
		return 0, now, true
	}
	old := 0
	for old < len(w.times) && !now.Before(w.times[old].Add(length)) {
		old++
	}
	w.times = w.times[old:]
	ok = len(w.times) < limit
	if ok {
		w.times = append(w.times, now)
	}
	return max(limit-len(w.times), 0), w.times[0].Add(length), ok
}
