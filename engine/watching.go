package engine

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cloudship/cloudship/deploy"
)

// Logs gives the lines of containers on all servers that are named, in the order of their time.
// With Follow it goes on until ctx ends, which is no error. A server that cannot be read does not
// keep the others silent.
func (s *Session) Logs(ctx context.Context, which string, o deploy.LogOptions, line func(deploy.LogLine)) error {
	servers, err := s.Servers(ctx, which)
	if err != nil {
		return err
	}
	var (
		lines = make(chan deploy.LogLine, 256)
		wg    sync.WaitGroup
		mu    sync.Mutex
		errs  []error
	)
	for _, server := range servers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			err := s.driver().Logs(ctx, server.Found, server.Enrolled, o, func(text string) { s.warn("%s", text) }, func(l deploy.LogLine) { lines <- l })
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, fmt.Errorf("%s: %w", server.Mark.Address, err))
			}
		}()
	}
	go func() { wg.Wait(); close(lines) }()
	window := logWindow
	if !o.Follow {
		window = 0
	}
	inOrder(lines, window, line)
	return errors.Join(errs...)
}

// logWindow is how long lines are held back while they are followed, so that those of several
// servers come in the order of their time.
const logWindow = 400 * time.Millisecond

// inOrder passes lines on by their time. With a window each is held back for that long, without one
// until the channel is closed.
func inOrder(lines <-chan deploy.LogLine, window time.Duration, pass func(deploy.LogLine)) {
	var held lineHeap
	var tick <-chan time.Time
	if window > 0 {
		t := time.NewTicker(window / 4)
		defer t.Stop()
		tick = t.C
	}
	for {
		select {
		case l, ok := <-lines:
			if !ok {
				for held.Len() > 0 {
					pass(heap.Pop(&held).(heldLine).LogLine)
				}
				return
			}
			heap.Push(&held, heldLine{l, time.Now(), held.pushed})
			held.pushed++
		case now := <-tick:
			for held.Len() > 0 && now.Sub(held.lines[0].came) >= window {
				pass(heap.Pop(&held).(heldLine).LogLine)
			}
		}
	}
}

// heldLine is a line with when it came.
type heldLine struct {
	deploy.LogLine
	came time.Time
	turn int // lines of the same time stay in the order in which they came
}

type lineHeap struct {
	lines  []heldLine
	pushed int
}

func (h *lineHeap) Len() int { return len(h.lines) }
func (h *lineHeap) Less(i, j int) bool {
	a, b := h.lines[i], h.lines[j]
	if !a.At.Equal(b.At) {
		return a.At.Before(b.At)
	}
	return a.turn < b.turn
}
func (h *lineHeap) Swap(i, j int) { h.lines[i], h.lines[j] = h.lines[j], h.lines[i] }
func (h *lineHeap) Push(x any)    { h.lines = append(h.lines, x.(heldLine)) }
func (h *lineHeap) Pop() any {
	last := h.lines[len(h.lines)-1]
	h.lines = h.lines[:len(h.lines)-1]
	return last
}

// Stats measures all servers that are named at the same time. One that cannot be asked says why.
func (s *Session) Stats(ctx context.Context, which string) ([]deploy.ServerStats, error) {
	servers, err := s.Servers(ctx, which)
	if err != nil {
		return nil, err
	}
	all := make([]deploy.ServerStats, len(servers))
	var wg sync.WaitGroup
	for i, server := range servers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			one, err := s.driver().Stats(ctx, server.Found, server.Enrolled)
			one.Server = server.Mark.Address
			if err != nil {
				one.Problem = err.Error()
			}
			all[i] = one
		}()
	}
	wg.Wait()
	return all, ctx.Err()
}
