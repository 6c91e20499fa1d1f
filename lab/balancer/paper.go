package balancer

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Paper is a balancer for backends that exist only on paper. Its listeners are
// real: they answer 200 and name the backend in X-Backend while one is healthy,
// else 503. A backend is healthy when it is enabled and up says so; secondary
// ones are used only while no other is.
type Paper struct {
	up  func(id string) bool
	log *slog.Logger

	mu      sync.Mutex
	config  Config
	servers map[int]*http.Server // by entry port
	turn    atomic.Uint64
	running sync.WaitGroup
}

var _ Balancer = (*Paper)(nil)

// NewPaper starts a balancer on paper; up tells whether a backend works. Where
// the user may not bind a port, the balancer does without that listener.
func NewPaper(ctx context.Context, c Config, up func(id string) bool, log *slog.Logger) (*Paper, error) {
	p := &Paper{up: up, log: log, servers: map[int]*http.Server{}}
	if err := p.Apply(ctx, c); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

// Apply takes over c, opening and closing listeners as its rules say.
func (p *Paper) Apply(ctx context.Context, c Config) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	opened := map[int]net.Listener{}
	for _, r := range c.Rules {
		if p.servers[r.EntryPort] != nil || opened[r.EntryPort] != nil || r.TLSPassthrough {
			continue
		}
		l, err := p.listen(ctx, c.Address, r)
		if err != nil {
			for _, l := range opened {
				l.Close()
			}
			return err
		}
		if l != nil {
			opened[r.EntryPort] = l
		}
	}
	p.config = c
	for port, l := range opened {
		s := &http.Server{Handler: p, ReadHeaderTimeout: time.Minute}
		p.servers[port] = s
		p.running.Go(func() { s.Serve(l) })
	}
	for port, s := range p.servers {
		if !slices.ContainsFunc(c.Rules, func(r Rule) bool { return r.EntryPort == port }) {
			s.Close()
			delete(p.servers, port)
		}
	}
	return nil
}

// listen is nil without an error where the user may not bind the port.
func (p *Paper) listen(ctx context.Context, address string, r Rule) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(r.EntryPort)))
	if errors.Is(err, syscall.EACCES) {
		p.log.Warn("balancer without a listener", "address", address, "port", r.EntryPort, "error", err)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listen for balancer %s: %w", p.config.ID, err)
	}
	if len(r.CertPEM) == 0 {
		return l, nil
	}
	pair, err := tls.X509KeyPair(r.CertPEM, r.KeyPEM)
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("certificate of balancer %s: %w", p.config.ID, err)
	}
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}}), nil
}

// ServeHTTP answers as a healthy backend would, the next one each time.
func (p *Paper) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	backends := p.backends()
	first := int(p.turn.Add(1) % uint64(max(len(backends), 1)))
	for _, secondary := range []bool{false, true} {
		for i := range backends {
			b := backends[(first+i)%len(backends)]
			if b.Secondary == secondary && p.healthy(b) {
				w.Header().Set("X-Backend", b.ID)
				fmt.Fprintf(w, "server %s\n", b.ID)
				return
			}
		}
	}
	http.Error(w, "no server is available to handle this request", http.StatusServiceUnavailable)
}

// Health tells of each backend whether it is up.
func (p *Paper) Health() map[string]bool {
	health := map[string]bool{}
	for _, b := range p.backends() {
		health[b.ID] = p.works(b)
	}
	return health
}

func (p *Paper) backends() []Backend {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.config.Backends
}

func (p *Paper) healthy(b Backend) bool {
	return (b.Condition == "" || b.Condition == "enabled") && p.works(b)
}

// works tells whether a backend is up, whether or not it is to get traffic.
func (p *Paper) works(b Backend) bool { return p.up(cmp.Or(b.Server, b.ID)) }

// Close ends the listeners and waits until they are closed.
func (p *Paper) Close() error {
	p.mu.Lock()
	for port, s := range p.servers {
		s.Close()
		delete(p.servers, port)
	}
	p.mu.Unlock()
	p.running.Wait()
	return nil
}
