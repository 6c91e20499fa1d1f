// Package balancer is the lab's load balancer: real listeners that pass real
// traffic on to backends, checked and chosen as a cloud's load balancer does
// it. It is meant to be no kinder than the real ones: a new backend gets
// nothing until it proved healthy, a failed request is not repeated elsewhere,
// and without a healthy backend the answer is 503.
package balancer

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"time"
)

// Backend is a server that traffic may be sent to.
type Backend struct {
	ID      string // unique in the balancer; its health is kept under this name
	Address string // IP address or host name, without a port
	// Port is where traffic and checks go; 0 means where the rule and the check say.
	Port int
	// Server is the machine that it is, where backends exist only on paper; empty means ID.
	Server string
	// Condition is "enabled" (or empty), "draining" (open connections finish,
	// nothing new is sent) or "disabled" (open connections are cut).
	Condition string
	// Weight is its share of the traffic; 0 counts as 1.
	Weight int
	// Secondary backends are used only while no other one is healthy.
	Secondary bool
}

// Rule is one listener and where its traffic goes.
type Rule struct {
	EntryProtocol  string // http, https, http2 or tcp
	EntryPort      int
	TargetProtocol string // http, https, http2 or tcp
	TargetPort     int
	// CertPEM and KeyPEM are what an https or http2 entry shows.
	CertPEM, KeyPEM []byte
	// TLSPassthrough passes TLS on to the backend as it comes.
	TLSPassthrough bool
}

// Check is how the health of a backend is found out.
type Check struct {
	Protocol          string // http, https or tcp; empty means no check: every backend counts as healthy
	Port              int
	Path              string
	Interval, Timeout time.Duration
	// Healthy checks in a row take a backend up, Unhealthy ones down.
	Healthy, Unhealthy int
}

// Config is everything that a balancer does.
type Config struct {
	ID       string
	Address  string // the IP address to listen on
	Rules    []Rule
	Check    Check
	Backends []Backend
	// StickyCookie names the cookie that keeps a client at its backend; empty
	// means none. StickyTTL is how long the client keeps it.
	StickyCookie string
	StickyTTL    time.Duration
	// RedirectHTTP answers every request to an http entry with a redirect to
	// the https one.
	RedirectHTTP bool
	// ProxyProtocol opens every connection to a backend with a PROXY line (v1).
	ProxyProtocol bool
	// CutOnDetach breaks the open requests to a backend that is taken away.
	CutOnDetach bool
	// IdleTimeout ends a connection on which nothing moved; 0 means 60 s.
	IdleTimeout time.Duration
	// BackendKeepAlive uses a connection to a backend for more than one
	// request. It has no effect together with ProxyProtocol.
	BackendKeepAlive bool
	// TargetRoots sign the certificates of https and http2 targets; nil means
	// those that this machine trusts.
	TargetRoots *x509.CertPool
	// StartHealthy lets a new backend count as healthy at once.
	StartHealthy bool
}

// Balancer is a running load balancer.
type Balancer interface {
	// Apply changes the configuration while traffic flows: listeners that
	// stay keep their connections, backends that stay keep their health. If it
	// fails, the old configuration still holds.
	Apply(ctx context.Context, c Config) error
	// Health tells of each backend, by ID, whether its checks say that it is
	// up. A backend that is up gets traffic only while it is enabled.
	Health() map[string]bool
	// Close ends the listeners and cuts what is open. It may be called twice.
	Close() error
}

// New starts a balancer. A port that cannot be bound is an error. The context
// bounds the start only, not the life of the balancer.
func New(ctx context.Context, c Config, log *slog.Logger) (Balancer, error) {
	b := newBalancer(log)
	if err := b.Apply(ctx, c); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}
