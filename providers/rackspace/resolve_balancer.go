package rackspace

import (
	"cmp"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"github.com/cloudship/cloudship/resource"
)

func (p *Provider) resolveBalancer(r *resource.Resolved, spec *resource.LoadBalancerSpec) (err error) {
	if spec.Region, err = p.place(r.Address, spec.Region); err != nil {
		return err
	}
	if !spec.Network.IsZero() {
		return unsupported(r.Address, resource.KindNetwork)
	}
	for i := range spec.Listeners {
		l := &spec.Listeners[i]
		l.Protocol = cmp.Or(l.Protocol, "http")
		l.TargetProtocol = cmp.Or(l.TargetProtocol, behind(*l))
		l.TargetPort = cmp.Or(l.TargetPort, l.Port)
		if l.Certificate != nil && l.Certificate.Chain != "" {
			l.Certificate.Chain = chainOf(l.Certificate.Chain)
		}
	}
	sortListeners(spec.Listeners)
	completeCheck(spec)
	spec.IdleTimeout = cmp.Or(spec.IdleTimeout, defaultIdle)
	o, err := balancerOptions(spec.Options)
	if err != nil {
		return unmet(r.Address, "options", "", "%v", err)
	}
	spec.Options = o.canonical()
	r.Price = monthly(hourlyBalancer)
	r.Note = "its traffic costs more"
	if s := spec.Sticky; s != nil && *s != (resource.Sticky{}) {
		r.Note += "; the name and the life of its cookie are the load balancer's own"
		*s = resource.Sticky{}
	}
	if err := checkListeners(r.Address, spec); err != nil {
		return err
	}
	return checkBalancer(r.Address, spec)
}

// behind is the protocol that a listener speaks to the servers unless it is said: TLS ends at the
// balancer.
func behind(l resource.Listener) string {
	if l.Protocol == "https" && !l.TLSPassthrough {
		return "http"
	}
	return l.Protocol
}

// completeCheck fills in the health check. It asks where the traffic will go: there is no other
// port that Rackspace can ask.
func completeCheck(spec *resource.LoadBalancerSpec) {
	h, d := &spec.HealthCheck, defaultCheck
	if len(spec.Listeners) > 0 {
		d.Port = spec.Listeners[0].TargetPort
		switch spec.Listeners[0].TargetProtocol {
		case "tcp":
			d.Protocol = "tcp"
		case "https":
			d.Protocol = "https"
		}
	}
	h.Protocol, h.Port = cmp.Or(h.Protocol, d.Protocol), cmp.Or(h.Port, d.Port)
	if h.Protocol == "tcp" {
		h.Path = ""
	} else {
		h.Path = cmp.Or(h.Path, d.Path)
	}
	h.Interval, h.Timeout = cmp.Or(h.Interval, d.Interval), cmp.Or(h.Timeout, d.Timeout)
	h.Healthy, h.Unhealthy = cmp.Or(h.Healthy, d.Healthy), cmp.Or(h.Unhealthy, d.Unhealthy)
}

// checkListeners refuses what a load balancer of Rackspace's cannot be: it answers on one port, and
// on a second one for the same in TLS.
func checkListeners(a resource.Address, spec *resource.LoadBalancerSpec) error {
	const one = "Rackspace's load balancers answer on one port, and on a second one for the same in TLS: make another load_balancer block for the other"
	var plain, secure *resource.Listener
	for i := range spec.Listeners {
		l := &spec.Listeners[i]
		switch {
		case l.Protocol == "http2" || l.TargetProtocol == "http2":
			return unmet(a, "listeners", `want protocol = "https"`, "listener %q: Rackspace's load balancers speak no HTTP/2", l.Name)
		case l.Certificate != nil && l.Certificate.Name != "":
			return unmet(a, "listeners", "give it from files: certificate { chain = file(...), private_key = var.key }", "listener %q: Rackspace keeps no certificates by name", l.Name)
		case l.Certificate != nil && l.Certificate.Chain == "":
			return unmet(a, "listeners", "", "listener %q: the chain holds no certificate in PEM", l.Name)
		case l.Certificate != nil && !withRSA(l.Certificate.Chain):
			return unmet(a, "listeners", "ask for a certificate with an RSA key", "listener %q: Rackspace's load balancers take certificates with RSA keys only", l.Name)
		case l.TargetProtocol != behind(*l):
			return unmet(a, "listeners", fmt.Sprintf("want target_protocol = %q", behind(*l)), "listener %q: Rackspace cannot turn %s into %s", l.Name, l.Protocol, l.TargetProtocol)
		case l.Certificate != nil && secure == nil:
			secure = l
		case l.Certificate == nil && plain == nil:
			plain = l
		default:
			return unmet(a, "listeners", one, "listener %q is one too many", l.Name)
		}
	}
	switch {
	case secure != nil && plain != nil && plain.Protocol != "http":
		return unmet(a, "listeners", one, "listeners %q and %q do not go together", plain.Name, secure.Name)
	case secure != nil && plain != nil && plain.TargetPort != secure.TargetPort:
		return unmet(a, "listeners", "want the same target_port for both", "listeners %q and %q send to different ports", plain.Name, secure.Name)
	case spec.RedirectHTTP && (secure == nil || plain == nil || secure.Port != 443):
		return unmet(a, "redirect_http", "want a listener for http, and one for https on port 443 with a certificate", "there is nothing to redirect to")
	case spec.ProxyProtocol:
		return unmet(a, "proxy_protocol", "the servers find the client's address in X-Forwarded-For", "Rackspace's load balancers do not speak the PROXY protocol")
	}
	return nil
}

// checkBalancer refuses at plan what the API would refuse at apply.
func checkBalancer(a resource.Address, spec *resource.LoadBalancerSpec) error {
	h := spec.HealthCheck
	for _, c := range []struct {
		field              string
		value, least, most int
	}{
		{"health_check.interval", h.Interval, 1, 3600}, {"health_check.timeout", h.Timeout, 1, 300},
		{"health_check.unhealthy", h.Unhealthy, 1, 10}, {"idle_timeout", spec.IdleTimeout, 30, 120},
	} {
		if c.value < c.least || c.value > c.most {
			return unmet(a, c.field, "", "%s is %d, Rackspace takes %d to %d", c.field, c.value, c.least, c.most)
		}
	}
	for _, l := range spec.Listeners {
		if h.Port != l.TargetPort {
			return unmet(a, "health_check.port", "leave it out", "the health check is to ask port %d, and Rackspace asks where the traffic goes, port %d", h.Port, l.TargetPort)
		}
		if h.Protocol != "tcp" && h.Protocol != l.TargetProtocol {
			return unmet(a, "health_check.protocol", `want protocol = "tcp"`, "Rackspace makes no %s check of servers that speak %s", h.Protocol, l.TargetProtocol)
		}
	}
	return nil
}

// withRSA reports whether the first certificate of a chain has an RSA key, or cannot be read, which
// the API will tell better.
func withRSA(chain string) bool {
	block, _ := pem.Decode([]byte(chain))
	if block == nil {
		return true
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	return err != nil || leaf.PublicKeyAlgorithm == x509.RSA
}
