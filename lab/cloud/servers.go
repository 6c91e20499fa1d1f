package cloud

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/cloudship/cloudship/lab/machine"
)

// Servers carries out on a machine.Host what the APIs decide, in the
// background: an API answers at once, as a real cloud does. For each server
// the steps run in the order they were asked for. It is safe for concurrent
// use.
type Servers struct {
	host    machine.Host
	changed func() // called after each step
	log     *slog.Logger
	ctx     context.Context
	slots   chan struct{} // bounds how many steps run at once

	mu      sync.Mutex
	known   map[string]machine.Machine
	failed  map[string]error
	last    map[string]chan struct{} // the last step of each server
	running sync.WaitGroup
}

// atOnce is how many servers are worked on at the same time.
const atOnce = 4

// NewServers makes Servers for the life of ctx; changed is called after each
// step, from another goroutine.
func NewServers(ctx context.Context, host machine.Host, changed func(), log *slog.Logger) *Servers {
	return &Servers{
		host: host, changed: changed, log: log, ctx: ctx, slots: make(chan struct{}, atOnce),
		known: map[string]machine.Machine{}, failed: map[string]error{}, last: map[string]chan struct{}{},
	}
}

// Restore learns of the servers that an earlier process made.
func (s *Servers) Restore(ctx context.Context) error {
	all, err := s.host.List(ctx)
	if err != nil {
		return fmt.Errorf("list servers: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range all {
		s.known[m.ID] = m
	}
	return nil
}

// Create makes a server.
func (s *Servers) Create(spec machine.Spec) {
	s.step(spec.ID, "create", func(ctx context.Context) error {
		m, err := s.host.Create(ctx, spec)
		s.mu.Lock()
		defer s.mu.Unlock()
		if err != nil {
			s.failed[spec.ID] = err
			return err
		}
		s.known[spec.ID] = m
		return nil
	})
}

// Delete removes a server.
func (s *Servers) Delete(id string) {
	s.step(id, "delete", func(ctx context.Context) error {
		if err := s.host.Delete(ctx, id); err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.known, id)
		delete(s.failed, id)
		delete(s.last, id)
		return nil
	})
}

// SetPower switches a server on or off.
func (s *Servers) SetPower(id string, on bool) {
	s.step(id, "switch", func(ctx context.Context) error {
		if err := s.host.SetPower(ctx, id, on); err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		m := s.known[id]
		m.Running = on
		s.known[id] = m
		return nil
	})
}

// Reboot stops and starts a server.
func (s *Servers) Reboot(id string) {
	s.step(id, "reboot", func(ctx context.Context) error { return s.host.Reboot(ctx, id) })
}

// Find answers a server that has been made; ok is false until then. An error
// is that of making it.
func (s *Servers) Find(id string) (m machine.Machine, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, ok = s.known[id]
	return m, ok, s.failed[id]
}

// All are the servers that have been made, in no order.
func (s *Servers) All() []machine.Machine {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Values(s.known))
}

// Wait returns when no step is running.
func (s *Servers) Wait() { s.running.Wait() }

// step runs do after the steps before it on the same server.
func (s *Servers) step(id, what string, do func(context.Context) error) {
	s.mu.Lock()
	before, done := s.last[id], make(chan struct{})
	s.last[id] = done
	s.mu.Unlock()
	s.running.Go(func() {
		defer close(done)
		if before != nil {
			<-before
		}
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }()
		case <-s.ctx.Done():
			return
		}
		if err := do(s.ctx); err != nil {
			s.log.Error(what+" server", "id", id, "error", err)
		}
		s.changed()
	})
}
