package rackspace

import (
	"strconv"
	"strings"
	"time"

	"github.com/cloudship/cloudship/lab/balancer"
)

// settleBalancer tells a balancer's listener what has changed, when that is
// due.
func (a *API) settleBalancer(now time.Time, lb *loadBalancer) {
	if !lb.Deleted.IsZero() {
		lb.PushAt = time.Time{}
		return
	}
	due := !lb.PushAt.IsZero() && !now.Before(lb.PushAt)
	if due || !lb.pushed || lb.partial && a.complete(lb) {
		lb.PushAt, lb.pushed = time.Time{}, true
		a.push(lb)
	}
}

// backend is the name of a node at the listener.
func (n *node) backend() string { return strconv.Itoa(n.ID) }

// machineAt finds the machine that has an address, "" if it is none of the
// lab's.
func (a *API) machineAt(address string) string {
	for _, s := range a.state.Servers.All {
		if m, ok, _ := a.Servers.Find(s.machine()); ok && (m.PublicIP == address || m.PrivateIP == address) {
			return m.ID
		}
	}
	return ""
}

// complete tells whether every node's machine is known by now.
func (a *API) complete(lb *loadBalancer) bool {
	for _, n := range lb.Nodes {
		if a.machineAt(n.Address) == "" {
			return false
		}
	}
	return true
}

// push tells the listener what a balancer shall do.
func (a *API) push(lb *loadBalancer) {
	c := balancer.Config{
		ID: lb.listener(), Address: lb.address(), Rules: a.rules(lb), Check: lb.probe(), CutOnDetach: true, StartHealthy: true,
		IdleTimeout: time.Duration(lb.Timeout) * time.Second, RedirectHTTP: lb.HTTPSRedirect && lb.SSL != nil,
	}
	if lb.Persistence == "HTTP_COOKIE" {
		c.StickyCookie, c.StickyTTL = "X-Mapping-"+strings.ToLower(strconv.FormatInt(int64(lb.ID), 36)), time.Hour
	}
	lb.partial = false
	for _, n := range lb.Nodes {
		server := a.machineAt(n.Address)
		if server == "" {
			lb.partial = true
			server = "none" // on paper nothing is there
		}
		c.Backends = append(c.Backends, balancer.Backend{
			ID: n.backend(), Server: server, Address: n.Address, Port: n.Port, Condition: strings.ToLower(n.Condition),
			Weight: n.weight(lb), Secondary: n.Type == "SECONDARY",
		})
	}
	a.Balancers.Set(c)
}

// weight counts with an algorithm that heeds it.
func (n *node) weight(lb *loadBalancer) int {
	if strings.HasPrefix(lb.Algorithm, "WEIGHTED") {
		return n.Weight
	}
	return 1
}

// rules are the balancer's own port and its secure one. Where only secure
// traffic is let in, the plain port is open for redirects alone.
func (a *API) rules(lb *loadBalancer) []balancer.Rule {
	entry, target := "tcp", "tcp"
	passthrough := false
	switch {
	case datagrams(lb.Protocol):
		return nil // the lab has no listener for them
	case lb.Protocol == "HTTP":
		entry, target = "http", "http"
	case lb.Protocol == "HTTPS":
		entry, target, passthrough = "https", "https", true
	}
	var rules []balancer.Rule
	if lb.SSL == nil || !lb.SSL.Enabled || !lb.SSL.SecureOnly || lb.HTTPSRedirect {
		rules = append(rules, balancer.Rule{EntryProtocol: entry, EntryPort: lb.Port, TargetProtocol: target, TargetPort: lb.Port, TLSPassthrough: passthrough})
	}
	if s := lb.SSL; s != nil && s.Enabled && entry == "http" {
		rules = append(rules, balancer.Rule{
			EntryProtocol: "https", EntryPort: s.SecurePort, TargetProtocol: "http", TargetPort: lb.Port,
			CertPEM: []byte(s.chain()), KeyPEM: []byte(s.PrivateKey),
		})
	}
	return rules
}

// probe is how the listener checks the nodes, each at its own port. A node
// that passes once is up again.
func (lb *loadBalancer) probe() balancer.Check {
	m := lb.Monitor
	if m == nil {
		return balancer.Check{}
	}
	protocol := map[string]string{"CONNECT": "tcp", "HTTP": "http", "HTTPS": "https"}[m.Type]
	return balancer.Check{
		Protocol: protocol, Port: lb.Port, Path: m.Path, Healthy: 1, Unhealthy: m.Attempts,
		Interval: time.Duration(m.Delay) * time.Second, Timeout: time.Duration(m.Timeout) * time.Second,
	}
}
