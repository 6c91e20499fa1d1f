package rackspace

import (
	"cmp"
	"context"
	"encoding/pem"
	"slices"
	"strings"

	"github.com/cloudship/cloudship/resource"
)

// shape is a balancer in Rackspace's words: one port, perhaps a second one for TLS.
type shape struct {
	protocol    string
	port        int
	algorithm   string
	timeout     int
	redirect    bool
	monitor     *monitor
	persistence *persistence
	ssl         *sslTerm // without its key
	digest      string   // of its key
	target      int
}

// goodStatus is what a health check takes for an answer.
const goodStatus = "^[23][0-9][0-9]$"

// shapeOf puts a spec, as resolved, into Rackspace's words.
func shapeOf(spec *resource.LoadBalancerSpec) (shape, error) {
	o, err := balancerOptions(spec.Options)
	if err != nil {
		return shape{}, &resource.Error{Kind: resource.Invalid, Field: "options", Message: err.Error()}
	}
	s := shape{algorithm: o.algorithm, timeout: cmp.Or(spec.IdleTimeout, defaultIdle), redirect: spec.RedirectHTTP}
	plain := false
	for _, l := range spec.Listeners {
		s.target = l.TargetPort
		if c := l.Certificate; c != nil {
			leaf, rest := splitChain(c.Chain)
			s.ssl = &sslTerm{Certificate: leaf, Intermediate: rest, Port: l.Port, Enabled: true}
			if c.PrivateKey != nil {
				s.digest = c.PrivateKey.Digest
			}
			continue
		}
		plain, s.port = true, l.Port
		s.protocol = map[string]string{"http": "HTTP", "https": "HTTPS", "tcp": "TCP"}[l.Protocol]
	}
	if s.ssl != nil {
		s.ssl.Only = !plain || spec.RedirectHTTP
	}
	if !plain { // the port is there and closed
		s.protocol, s.port = "HTTP", 80
		if s.ssl != nil && s.ssl.Port == s.port {
			s.port = 8080
		}
	}
	if spec.Sticky != nil {
		s.persistence = &persistence{Type: "HTTP_COOKIE"}
		if s.protocol != "HTTP" {
			s.persistence.Type = "SOURCE_IP"
		}
	}
	if h := spec.HealthCheck; h.Protocol != "" {
		s.monitor = &monitor{Type: map[string]string{"http": "HTTP", "https": "HTTPS", "tcp": "CONNECT"}[h.Protocol],
			Delay: h.Interval, Timeout: h.Timeout, Attempts: h.Unhealthy}
		if s.monitor.Type != "CONNECT" {
			s.monitor.Path, s.monitor.Status = h.Path, goodStatus
		}
	}
	return s, nil
}

// chainOf is a chain of certificates in its one form: blocks without anything between them.
func chainOf(text string) string {
	leaf, rest := splitChain(text)
	return leaf + rest
}

// splitChain takes the first certificate of a chain from the rest.
func splitChain(text string) (leaf, rest string) {
	var blocks []string
	for b := []byte(text); ; {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		if block.Type == "CERTIFICATE" {
			blocks = append(blocks, string(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})))
		}
	}
	if len(blocks) == 0 {
		return "", ""
	}
	return blocks[0], strings.Join(blocks[1:], "")
}

// change is one change of a balancer, after which it is busy, or a wait before the next one.
type change struct {
	what string
	do   func(context.Context) error
	wait error // why nothing is to be done yet
}

// changes are what is left to do to make a balancer what is wanted, in an order in which each is
// valid after the one before. Notes come with the first change, but for those that tell that a
// change is done.
func (b balancers) changes(c resource.Call, item resource.Item, lb *lbView, spec *resource.LoadBalancerSpec) ([]change, error) {
	want, err := shapeOf(spec)
	if err != nil {
		return nil, err
	}
	noted, err := notes(item.Mark, spec)
	if err != nil {
		return nil, err
	}
	var left []change
	add := func(what string, do func(context.Context) error) { left = append(left, change{what: what, do: do}) }
	if bool(lb.Redirect) && !want.redirect {
		no := false
		add("ending the redirect to https", func(ctx context.Context) error {
			return b.lbs.put(ctx, lb.ID, "loadBalancer", lbRequest{Redirect: &no})
		})
	}
	if lb.ssl != nil && want.ssl == nil {
		add("ending TLS", func(ctx context.Context) error { return b.lbs.remove(ctx, lb.ID, "ssltermination") })
	}
	if lb.Protocol != want.protocol && lb.monitor != nil && lb.monitor.Type != "CONNECT" {
		add("a health check that fits every protocol", func(ctx context.Context) error {
			return b.lbs.put(ctx, lb.ID, "healthMonitor", monitor{Type: "CONNECT", Delay: lb.monitor.Delay, Timeout: lb.monitor.Timeout, Attempts: lb.monitor.Attempts}, "healthmonitor")
		})
	}
	if request, differs := want.differences(lb); differs {
		add("protocol, port, algorithm or time-out", func(ctx context.Context) error { return b.lbs.put(ctx, lb.ID, "loadBalancer", request) })
	}
	left = append(left, b.partChanges(lb, want)...)
	if want.ssl != nil && !sameSSL(lb, want) {
		ssl := *want.ssl
		if sameCertificate(lb, want) {
			ssl.Certificate, ssl.Intermediate = "", "" // what is not said stays
		} else {
			key, ok := c.Secrets[want.digest]
			if !ok {
				return nil, unmet(item.Mark.Address, "listeners", "", "the private key of the certificate did not come with the call")
			}
			ssl.PrivateKey = key
		}
		add("TLS", func(ctx context.Context) error {
			if err := b.lbs.put(ctx, lb.ID, "sslTermination", ssl, "ssltermination"); err != nil {
				return err
			}
			return b.lbs.setMetadata(ctx, lb, map[string]string{secretKey: want.digest})
		})
	}
	if want.redirect && !bool(lb.Redirect) {
		yes := true
		add("the redirect to https", func(ctx context.Context) error {
			return b.lbs.put(ctx, lb.ID, "loadBalancer", lbRequest{Redirect: &yes})
		})
	}
	left = append(left, b.moves(lb, want.target)...)
	if noted[targetKey] != lb.note(targetKey) {
		add("where the nodes are asked", func(ctx context.Context) error {
			return b.lbs.setMetadata(ctx, lb, map[string]string{targetKey: noted[targetKey]})
		})
	}
	delete(noted, targetKey)
	if want.ssl != nil {
		delete(noted, secretKey)
	}
	return b.noting(lb, noted, left), nil
}

// noting lets the first change write down the notes, and is a change by itself where there is no
// other.
func (b balancers) noting(lb *lbView, noted map[string]string, left []change) []change {
	differ := slices.ContainsFunc(noteKeys, func(key string) bool {
		value, named := noted[key]
		return named && value != lb.note(key)
	})
	if !differ {
		return left
	}
	note := func(ctx context.Context) error { return b.lbs.setMetadata(ctx, lb, noted) }
	if len(left) == 0 {
		return []change{{what: "notes", do: note}}
	}
	do := left[0].do
	left[0].do = func(ctx context.Context) error {
		if err := note(ctx); err != nil {
			return err
		}
		return do(ctx)
	}
	return left
}

// differences are what of a balancer itself is to be changed.
func (s shape) differences(lb *lbView) (r lbRequest, differs bool) {
	if lb.Protocol != s.protocol {
		r.Protocol, r.Port, differs = s.protocol, s.port, true
	}
	if lb.Port != s.port {
		r.Port, differs = s.port, true
	}
	if lb.Algorithm != s.algorithm {
		r.Algorithm, differs = s.algorithm, true
	}
	if lb.Timeout != s.timeout {
		r.Timeout, differs = s.timeout, true
	}
	return r, differs
}

// partChanges are those of the health monitor and of session persistence.
func (b balancers) partChanges(lb *lbView, want shape) []change {
	var left []change
	switch {
	case want.monitor == nil && lb.monitor != nil:
		left = append(left, change{what: "no health check", do: func(ctx context.Context) error { return b.lbs.remove(ctx, lb.ID, "healthmonitor") }})
	case want.monitor != nil && (lb.monitor == nil || !want.monitor.same(lb.monitor)):
		left = append(left, change{what: "the health check", do: func(ctx context.Context) error {
			return b.lbs.put(ctx, lb.ID, "healthMonitor", want.monitor, "healthmonitor")
		}})
	}
	has := ""
	if lb.Persistence != nil {
		has = lb.Persistence.Type
	}
	switch {
	case want.persistence == nil && has != "":
		left = append(left, change{what: "no session persistence", do: func(ctx context.Context) error { return b.lbs.remove(ctx, lb.ID, "sessionpersistence") }})
	case want.persistence != nil && has != want.persistence.Type:
		left = append(left, change{what: "session persistence", do: func(ctx context.Context) error {
			return b.lbs.put(ctx, lb.ID, "sessionPersistence", want.persistence, "sessionpersistence")
		}})
	}
	return left
}

// same compares two monitors, but for what a user's hand may have made of their regular expression.
func (m *monitor) same(other *monitor) bool {
	a, b := *m, *other
	a.Status, b.Status = "", ""
	return a == b
}

// sameSSL reports whether a balancer's TLS is as wanted.
func sameSSL(lb *lbView, want shape) bool {
	if lb.ssl == nil || want.ssl == nil {
		return lb.ssl == nil && want.ssl == nil
	}
	return lb.ssl.Port == want.ssl.Port && lb.ssl.Only == want.ssl.Only && sameCertificate(lb, want)
}

// sameCertificate compares the key by the digest that was noted when it was sent.
func sameCertificate(lb *lbView, want shape) bool {
	return lb.ssl != nil && lb.note(secretKey) == want.digest &&
		chainOf(lb.ssl.Certificate+"\n"+lb.ssl.Intermediate) == want.ssl.Certificate+want.ssl.Intermediate
}

// moves bring the nodes to another port: new ones first, in the conditions of the old, then these
// go. They are no part of a balancer's spec; but a node cannot change its port, and members that
// are right would never be asked to.
func (b balancers) moves(lb *lbView, port int) []change {
	_, old := lb.target()
	if old == port {
		return nil
	}
	there := map[string]bool{}
	for _, n := range lb.Nodes {
		if n.Port == port {
			there[n.Address] = true
		}
	}
	var stale, fresh []node
	for _, n := range lb.Nodes {
		if n.Port != old {
			continue
		}
		stale = append(stale, n)
		if !there[n.Address] {
			fresh = append(fresh, node{Address: n.Address, Port: port, Condition: n.Condition, Type: n.Type, Weight: n.Weight})
		}
	}
	var left []change
	if len(fresh) > 0 {
		left = append(left, change{what: "nodes on the new port", do: func(ctx context.Context) error {
			_, err := b.lbs.addNodes(ctx, lb.ID, fresh)
			return err
		}})
	}
	for part := range slices.Chunk(stale, mostDeleted) {
		left = append(left, change{what: "nodes on the old port go", do: func(ctx context.Context) error { return b.lbs.removeNodes(ctx, lb.ID, part) }})
	}
	return left
}
