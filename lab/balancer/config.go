package balancer

import (
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strconv"
)

// rule is a Rule that was checked and made ready.
type rule struct {
	Rule
	tls *tls.Config // nil where the entry is not TLS that ends here
}

// raw reports whether the rule passes on bytes, not requests.
func (r *rule) raw() bool { return r.EntryProtocol == "tcp" || r.TLSPassthrough }

// compile checks the configuration and returns its rules by listen address.
func (c Config) compile() (map[string]*rule, error) {
	if err := c.checkBackends(); err != nil {
		return nil, err
	}
	if err := c.checkCheck(); err != nil {
		return nil, err
	}
	rules := make(map[string]*rule, len(c.Rules))
	for _, r := range c.Rules {
		at := net.JoinHostPort(c.Address, strconv.Itoa(r.EntryPort))
		if rules[at] != nil {
			return nil, fmt.Errorf("balancer %s: two rules for port %d", c.ID, r.EntryPort)
		}
		made, err := r.compile()
		if err != nil {
			return nil, fmt.Errorf("balancer %s: rule for port %d: %w", c.ID, r.EntryPort, err)
		}
		rules[at] = made
	}
	if c.RedirectHTTP && c.httpsPort() == 0 {
		return nil, fmt.Errorf("balancer %s: a redirect of http needs an https rule", c.ID)
	}
	return rules, nil
}

func (r Rule) compile() (*rule, error) {
	for _, port := range []int{r.EntryPort, r.TargetPort} {
		if port < 1 || port > 65535 {
			return nil, fmt.Errorf("%d is not a port", port)
		}
	}
	made := &rule{Rule: r}
	if r.TLSPassthrough {
		if r.EntryProtocol != "https" && r.EntryProtocol != "http2" {
			return nil, fmt.Errorf("TLS passthrough of %s, only https and http2 can be passed through", r.EntryProtocol)
		}
		return made, nil
	}
	targets := []string{"http", "https", "http2"}
	switch r.EntryProtocol {
	case "tcp":
		targets = []string{"tcp"}
	case "http":
	case "https", "http2":
		pair, err := tls.X509KeyPair(r.CertPEM, r.KeyPEM)
		if err != nil {
			return nil, fmt.Errorf("certificate: %w", err)
		}
		made.tls = &tls.Config{
			Certificates: []tls.Certificate{pair},
			MinVersion:   tls.VersionTLS12,
			NextProtos:   []string{"http/1.1"},
		}
		if r.EntryProtocol == "http2" {
			made.tls.NextProtos = []string{"h2", "http/1.1"}
		}
	default:
		return nil, fmt.Errorf("entry protocol %q, want http, https, http2 or tcp", r.EntryProtocol)
	}
	if !slices.Contains(targets, r.TargetProtocol) {
		return nil, fmt.Errorf("target protocol %q behind %s, want one of %v", r.TargetProtocol, r.EntryProtocol, targets)
	}
	return made, nil
}

func (c Config) checkBackends() error {
	seen := make(map[string]bool, len(c.Backends))
	for _, b := range c.Backends {
		switch {
		case b.ID == "" || b.Address == "":
			return fmt.Errorf("balancer %s: a backend needs an id and an address, have %q and %q", c.ID, b.ID, b.Address)
		case seen[b.ID]:
			return fmt.Errorf("balancer %s: two backends %s", c.ID, b.ID)
		case !slices.Contains([]string{"", "enabled", "draining", "disabled"}, b.Condition):
			return fmt.Errorf("balancer %s: backend %s: condition %q, want enabled, draining or disabled", c.ID, b.ID, b.Condition)
		}
		seen[b.ID] = true
	}
	return nil
}

func (c Config) checkCheck() error {
	k := c.Check
	switch {
	case k.Protocol == "":
		return nil
	case !slices.Contains([]string{"http", "https", "tcp"}, k.Protocol):
		return fmt.Errorf("balancer %s: check protocol %q, want http, https or tcp", c.ID, k.Protocol)
	case k.Port < 1 || k.Port > 65535:
		return fmt.Errorf("balancer %s: check port %d is not a port", c.ID, k.Port)
	case k.Interval <= 0 || k.Timeout <= 0:
		return fmt.Errorf("balancer %s: check interval %s and timeout %s, want more than zero", c.ID, k.Interval, k.Timeout)
	case k.Healthy < 1 || k.Unhealthy < 1:
		return fmt.Errorf("balancer %s: check thresholds %d and %d, want at least one", c.ID, k.Healthy, k.Unhealthy)
	}
	if k.Path != "" {
		if _, _, err := splitPath(k.Path); err != nil {
			return fmt.Errorf("balancer %s: check path: %w", c.ID, err)
		}
	}
	return nil
}

// httpsPort is the port of the first https entry, 0 if there is none.
func (c Config) httpsPort() int {
	for _, r := range c.Rules {
		if r.EntryProtocol == "https" || r.EntryProtocol == "http2" {
			return r.EntryPort
		}
	}
	return 0
}
