package cloud

import (
	"context"
	"sync"
)

// Held says which call is held at the barrier, and where.
type Held struct {
	Call  Call   `json:"call"`
	Point string `json:"point"`
}

// Barrier is where one call can be held at a chosen moment. While it is held
// no other call takes effect, so that the world stands still.
type Barrier struct {
	mu      sync.Mutex
	held    *Held         // the call that was held last
	reached chan struct{} // closed when a call is held
	free    chan struct{} // closed while nothing is held
}

func newBarrier() *Barrier {
	b := &Barrier{reached: make(chan struct{}), free: make(chan struct{})}
	close(b.free)
	return b
}

// Wait returns once a call has been held since the barrier was armed, even if
// its client has left by now.
func (b *Barrier) Wait(ctx context.Context) (Held, error) {
	b.mu.Lock()
	reached := b.reached
	b.mu.Unlock()
	select {
	case <-reached:
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.held == nil { // armed again meanwhile
			return Held{}, context.Canceled
		}
		return *b.held, nil
	case <-ctx.Done():
		return Held{}, ctx.Err()
	}
}

// Release lets the held call go on. Without one it does nothing.
func (b *Barrier) Release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.release()
}

// Rearm releases what is held and forgets it, so that Wait waits for the next.
func (b *Barrier) Rearm() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.release()
	if b.held != nil {
		b.held, b.reached = nil, make(chan struct{})
	}
}

func (b *Barrier) release() {
	select {
	case <-b.free:
	default:
		close(b.free)
	}
}

// pass waits until nothing is held; false if the client left before.
func (b *Barrier) pass(ctx context.Context) bool {
	for {
		b.mu.Lock()
		free := b.free
		b.mu.Unlock()
		select {
		case <-free:
			return ctx.Err() == nil
		case <-ctx.Done():
			return false
		}
	}
}

// hold keeps a call until it is released (true) or ctx ends (false).
func (b *Barrier) hold(ctx context.Context, h Held) bool {
	b.mu.Lock()
	b.release() // one at a time: a later hold takes over
	free := make(chan struct{})
	b.free = free
	if b.held == nil {
		close(b.reached)
	}
	b.held = &h
	b.mu.Unlock()
	select {
	case <-free:
		return true
	case <-ctx.Done():
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.free == free {
			b.release()
		}
		return false
	}
}
