package cloud

import (
	"context"
	"log/slog"
	"sync"

	"github.com/cloudship/cloudship/lab/balancer"
)

// StartBalancer starts a balancer with its first configuration.
type StartBalancer func(ctx context.Context, c balancer.Config, log *slog.Logger) (balancer.Balancer, error)

// Balancers carries out on real listeners what the APIs decide, in the
// background. Of several changes that wait, only the newest is carried out. It
// is safe for concurrent use.
type Balancers struct {
	start   StartBalancer
	changed func()
	log     *slog.Logger
	ctx     context.Context

	mu      sync.Mutex
	all     map[string]*listener
	running sync.WaitGroup
}

// listener is one balancer and what it shall do next.
type listener struct {
	balancer balancer.Balancer // nil until started
	err      error             // of the last change
	wanted   *balancer.Config  // waits to be carried out
	working  bool
	removed  bool
}

// NewBalancers makes Balancers for the life of ctx; changed is called after
// each change, from another goroutine.
func NewBalancers(ctx context.Context, start StartBalancer, changed func(), log *slog.Logger) *Balancers {
	return &Balancers{start: start, changed: changed, log: log, ctx: ctx, all: map[string]*listener{}}
}

// Set makes the balancer c.ID do what c says, starting it if need be.
func (b *Balancers) Set(c balancer.Config) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.all[c.ID]
	if l == nil {
		l = &listener{}
		b.all[c.ID] = l
	}
	l.wanted = &c
	b.work(c.ID, l)
}

// Remove ends a balancer and forgets it.
func (b *Balancers) Remove(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if l := b.all[id]; l != nil {
		delete(b.all, id)
		l.removed = true
		b.work(id, l)
	}
}

// Health tells of each backend of a balancer whether it gets traffic; nil if
// the balancer does not run.
func (b *Balancers) Health(id string) map[string]bool {
	b.mu.Lock()
	var running balancer.Balancer
	if l := b.all[id]; l != nil {
		running = l.balancer
	}
	b.mu.Unlock()
	if running == nil {
		return nil
	}
	return running.Health()
}

// Find tells whether a balancer runs, or why it does not.
func (b *Balancers) Find(id string) (running bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	l := b.all[id]
	if l == nil {
		return false, nil
	}
	return l.balancer != nil, l.err
}

// Close ends all balancers.
func (b *Balancers) Close() {
	b.mu.Lock()
	for id, l := range b.all {
		delete(b.all, id)
		l.removed = true
		b.work(id, l)
	}
	b.mu.Unlock()
	b.running.Wait()
}

// work sees to it that one goroutine works off what l shall do; b is locked.
func (b *Balancers) work(id string, l *listener) {
	if l.working {
		return
	}
	l.working = true
	b.running.Go(func() {
		for b.turn(id, l) {
			b.changed()
		}
	})
}

// turn carries out one change; false when there is nothing left to do.
func (b *Balancers) turn(id string, l *listener) bool {
	b.mu.Lock()
	c, running, removed := l.wanted, l.balancer, l.removed
	l.wanted = nil
	if removed || c == nil {
		l.working = false
		b.mu.Unlock()
		if removed && running != nil {
			if err := running.Close(); err != nil {
				b.log.Error("close balancer", "id", id, "error", err)
			}
		}
		return false
	}
	b.mu.Unlock()

	var err error
	if running == nil {
		running, err = b.start(b.ctx, *c, b.log)
		if err != nil {
			running = nil
		}
	} else {
		err = running.Apply(b.ctx, *c)
	}
	if err != nil {
		b.log.Error("change balancer", "id", id, "error", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	l.balancer, l.err = running, err
	return true
}
