package balancer

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
)

// pool holds the backends and chooses among them.
type pool struct {
	mu      sync.Mutex
	members []*member
}

// member is a backend that is attached, or was and has requests left.
type member struct {
	id, address string
	port        int    // 0: as the rule and the check say
	cookie      string // what the sticky cookie says of it
	transport   atomic.Pointer[http.Transport]

	// stopWatch ends its health checks.
	stopWatch context.CancelFunc

	// The rest is guarded by the pool.
	backend Backend
	// cut ends when the open connections to the backend shall break.
	cut    context.Context
	cutNow context.CancelFunc
	health health
	credit int // smooth weighted round robin
}

func newMember(life context.Context, c Config, b Backend) *member {
	sum := sha256.Sum256([]byte(c.ID + "\x00" + b.ID))
	m := &member{
		id:        b.ID,
		address:   b.Address,
		port:      b.Port,
		cookie:    hex.EncodeToString(sum[:8]),
		backend:   b,
		stopWatch: func() {},
		health:    health{up: c.StartHealthy || c.Check.Protocol == ""},
	}
	m.cut, m.cutNow = context.WithCancel(life)
	m.transport.Store(newTransport(c, c.BackendKeepAlive))
	return m
}

// at is where the member is, its own port going before the usual one.
func (m *member) at(port int) string {
	return net.JoinHostPort(m.address, strconv.Itoa(cmp.Or(m.port, port)))
}

// replace makes these the members and returns those that left.
func (p *pool) replace(next []*member) (left []*member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	stays := make(map[*member]bool, len(next))
	for _, m := range next {
		stays[m] = true
	}
	for _, m := range p.members {
		if !stays[m] {
			left = append(left, m)
		}
	}
	p.members = next
	return left
}

// find returns the member that stands for this backend, nil if there is none.
// A backend with another address is another backend.
func (p *pool) find(b Backend) *member {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.members {
		if m.id == b.ID && m.address == b.Address && m.port == b.Port {
			return m
		}
	}
	return nil
}

// update sets what may change on a member that stays. A member that was
// disabled comes back with a new life for its connections.
func (p *pool) update(m *member, life context.Context, b Backend, alwaysUp bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m.backend = b
	if alwaysUp {
		m.health = health{up: true}
	}
	if b.Condition != "disabled" && m.cut.Err() != nil {
		m.cut, m.cutNow = context.WithCancel(life)
	}
}

// note takes in a check's outcome and reports whether the member's health
// changed, and to what.
func (p *pool) note(m *member, passed bool, c Check) (changed, up bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed = m.health.note(passed, c)
	return changed, m.health.up
}

func (p *pool) healthy() map[string]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make(map[string]bool, len(p.members))
	for _, m := range p.members {
		all[m.id] = m.health.up
	}
	return all
}

// choose returns the member that the next request goes to: the one the cookie
// names, if it may be used, else the next in turn; nil if there is none. What
// is sent there must break when the context ends.
func (p *pool) choose(cookie string) (*member, context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	usable := p.usable(false)
	if len(usable) == 0 {
		usable = p.usable(true)
	}
	if cookie != "" {
		for _, m := range usable {
			if m.cookie == cookie {
				return m, m.cut
			}
		}
	}
	if m := next(usable); m != nil {
		return m, m.cut
	}
	return nil, nil
}

func (p *pool) usable(secondary bool) []*member {
	var usable []*member
	for _, m := range p.members {
		enabled := m.backend.Condition == "" || m.backend.Condition == "enabled"
		if m.health.up && enabled && m.backend.Secondary == secondary {
			usable = append(usable, m)
		}
	}
	return usable
}

// next spreads a weight of five and one as aabaaa, not aaaaab: each turn every
// member earns its weight, and the richest pays for all.
func next(members []*member) *member {
	var best *member
	total := 0
	for _, m := range members {
		weight := max(m.backend.Weight, 1)
		m.credit += weight
		total += weight
		if best == nil || m.credit > best.credit {
			best = m
		}
	}
	if best != nil {
		best.credit -= total
	}
	return best
}
