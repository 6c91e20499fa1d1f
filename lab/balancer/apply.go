package balancer

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
)

// balancer is the one implementation of Balancer with real listeners.
type balancer struct {
	log       *slog.Logger
	serverLog *log.Logger
	config    atomic.Pointer[Config]
	pool      pool

	// life ends with Close; running is everything that was started.
	life    context.Context
	end     context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex // held by Apply and Close
	entries map[string]*entry
	closed  bool
}

func newBalancer(log *slog.Logger) *balancer {
	b := &balancer{
		log:       log,
		serverLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		entries:   map[string]*entry{},
	}
	b.life, b.end = context.WithCancel(context.Background())
	b.config.Store(&Config{})
	return b
}

// errClosed is the answer of a balancer that was closed.
var errClosed = errors.New("balancer is closed")

func (b *balancer) Apply(ctx context.Context, c Config) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return errClosed
	}
	rules, err := c.compile()
	if err != nil {
		return err
	}
	// Ports are opened before anything changes, so that a port in use leaves
	// all as it was.
	opened := map[string]*entry{}
	for address, r := range rules {
		if b.entries[address] != nil {
			continue
		}
		e, err := b.listen(ctx, address, r)
		if err != nil {
			for _, e := range opened {
				e.listener.Close()
			}
			return fmt.Errorf("balancer %s: %w", c.ID, err)
		}
		opened[address] = e
	}
	b.setBackends(c)
	for address, e := range b.entries {
		if r := rules[address]; r != nil {
			e.rule.Store(r)
			continue
		}
		delete(b.entries, address)
		e.listener.Close()
		b.running.Go(func() { e.close(b.life) })
	}
	maps.Copy(b.entries, opened)
	for _, e := range opened {
		b.run(e)
	}
	return nil
}

// setBackends puts the new configuration and its backends in force.
func (b *balancer) setBackends(c Config) {
	old := b.config.Load()
	members := make([]*member, 0, len(c.Backends))
	for _, backend := range c.Backends {
		m := b.pool.find(backend)
		if m == nil {
			m = newMember(b.life, c, backend)
			b.watch(m, c)
		} else {
			b.pool.update(m, b.life, backend, c.Check.Protocol == "")
			b.refresh(m, *old, c)
		}
		members = append(members, m)
	}
	b.config.Store(&c)
	left := b.pool.replace(members)
	for _, m := range left {
		m.stopWatch()
		m.transport.Load().CloseIdleConnections()
		if c.CutOnDetach {
			m.cutNow()
		}
	}
	for _, m := range members {
		if m.backend.Condition == "disabled" {
			m.cutNow()
		}
	}
}

// refresh brings a member that stays in line with the new configuration.
func (b *balancer) refresh(m *member, old, c Config) {
	if old.ProxyProtocol != c.ProxyProtocol || old.BackendKeepAlive != c.BackendKeepAlive ||
		old.idleTimeout() != c.idleTimeout() || old.TargetRoots != c.TargetRoots {
		m.transport.Swap(newTransport(c, c.BackendKeepAlive)).CloseIdleConnections()
	}
	if old.Check != c.Check || old.ProxyProtocol != c.ProxyProtocol || old.TargetRoots != c.TargetRoots {
		m.stopWatch()
		b.watch(m, c)
	}
}

// watch starts the health checks of a member.
func (b *balancer) watch(m *member, c Config) {
	if c.Check.Protocol == "" {
		return
	}
	ctx, stop := context.WithCancel(b.life)
	m.stopWatch = stop
	probe := newProbe(c, m.at(c.Check.Port))
	b.running.Go(func() {
		watch(ctx, c.Check, probe, func(err error) {
			if changed, up := b.pool.note(m, err == nil, c.Check); changed {
				b.log.Info("health changed", "balancer", c.ID, "backend", m.id, "up", up, "check", err)
			}
		})
	})
}

func (b *balancer) Health() map[string]bool { return b.pool.healthy() }

func (b *balancer) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.end()
	for address, e := range b.entries {
		delete(b.entries, address)
		e.close(b.life)
	}
	b.running.Wait()
	for _, m := range b.pool.replace(nil) {
		m.transport.Load().CloseIdleConnections()
	}
	return nil
}
