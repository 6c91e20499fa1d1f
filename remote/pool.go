package remote

import (
	"context"
	"fmt"
	"strings"
	"sync"
)

// Pool holds one connection per host for a whole process: however much is done
// on a host at a time, its sshd sees one client. The zero Pool is ready.
type Pool struct {
	mu     sync.Mutex
	hosts  map[string]*pooled
	closed bool
}

// pooled is a connection that exists or is being made.
type pooled struct {
	ready chan struct{} // closed when the rest is set
	host  *Host
	err   error
	// left says that err came from whoever dialled having no more time.
	left bool
}

// Get answers the connection to a host, and makes it where there is none or
// the last one was lost. Who asks while it is being made waits for the same.
// Two targets are one host if they agree in address, user, mark and jump host;
// each caller's Identity is held against what the host showed. The host belongs
// to the pool: do not close it. The errors are Dial's.
func (p *Pool) Get(ctx context.Context, t Target) (*Host, error) {
	key := poolKey(t)
	for {
		entry, mine, err := p.entry(key)
		if err != nil {
			return nil, err
		}
		if mine {
			return p.fill(ctx, key, entry, t)
		}
		select {
		case <-entry.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		switch {
		case entry.err == nil && entry.host.alive():
			if refused := t.Identity.verify(entry.host.line.Load().hostKey); refused != nil {
				refused.Address = t.Hostport()
				return nil, refused
			}
			return entry.host, nil
		case entry.err != nil && !entry.left:
			return nil, entry.err
		}
		p.forget(key, entry)
	}
}

// entry is the one for key; mine means that the caller is to fill it.
func (p *Pool) entry(key string) (entry *pooled, mine bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, false, ErrClosed
	}
	if entry = p.hosts[key]; entry != nil {
		return entry, false, nil
	}
	if p.hosts == nil {
		p.hosts = map[string]*pooled{}
	}
	entry = &pooled{ready: make(chan struct{})}
	p.hosts[key] = entry
	return entry, true, nil
}

// fill makes the connection of an entry.
func (p *Pool) fill(ctx context.Context, key string, entry *pooled, t Target) (*Host, error) {
	entry.host, entry.err = p.dial(ctx, t)
	entry.left = ctx.Err() != nil
	close(entry.ready)
	if entry.err != nil {
		p.forget(key, entry)
		return nil, entry.err
	}
	p.mu.Lock()
	closed := p.closed
	p.mu.Unlock()
	if closed {
		_ = entry.host.Close()
		return nil, ErrClosed
	}
	return entry.host, nil
}

// dial connects to t, over the pool's own connection to its jump host.
func (p *Pool) dial(ctx context.Context, t Target) (*Host, error) {
	if t.Jump == nil {
		return dialVia(ctx, t, nil, false)
	}
	jump, err := p.Get(ctx, *t.Jump)
	if err != nil {
		return nil, fmt.Errorf("jump host for %s: %w", t.Address, err)
	}
	return dialVia(ctx, t, jump, false)
}

// forget drops an entry, if it is still the one for key, with its connection.
func (p *Pool) forget(key string, entry *pooled) {
	p.mu.Lock()
	if p.hosts[key] == entry {
		delete(p.hosts, key)
	}
	p.mu.Unlock()
	if entry.host != nil {
		_ = entry.host.Close()
	}
}

// Close ends all connections. Get answers ErrClosed afterwards.
func (p *Pool) Close() error {
	p.mu.Lock()
	hosts := p.hosts
	p.hosts, p.closed = nil, true
	p.mu.Unlock()
	for _, entry := range hosts {
		select {
		case <-entry.ready:
			if entry.host != nil {
				_ = entry.host.Close()
			}
		default:
			// Whoever fills it closes it.
		}
	}
	return nil
}

// poolKey tells hosts apart.
func poolKey(t Target) string {
	var key strings.Builder
	for next := &t; next != nil; next = next.Jump {
		fmt.Fprintf(&key, "%q@%q %q ", next.login(), next.Hostport(), next.Identity.Mark)
	}
	return key.String()
}
