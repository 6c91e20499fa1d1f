package stack

import (
	"fmt"
	"strings"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// LoadBalancer is a load_balancer block: one or two groups behind a provider's load balancer.
type LoadBalancer struct {
	Name          string
	Provider      string   // alias
	Groups        []string // the first is live until a switch says otherwise
	Region        string
	Network       string
	Listeners     []Listener
	HealthCheck   resource.HealthCheck
	Sticky        *resource.Sticky
	RedirectHTTP  bool
	ProxyProtocol bool
	IdleTimeout   int // seconds; 0: the provider's default
	Options       resource.Options
	Switch        Switch
	Place         string
	node          *node
}

// Listener is a listener block. Its certificate's key is not a digest yet.
type Listener struct {
	resource.Listener
	PrivateKey Value // of Certificate
}

// Switch is a switch block: how traffic is moved to the idle group.
type Switch struct {
	Test   [][]string
	Watch  time.Duration
	Probes []resource.Probe
}

// defaultWatch is how long traffic is watched after a switch when nothing is said.
const defaultWatch = time.Minute

func (l *loader) buildLoadBalancer(n *node) *LoadBalancer {
	b := &LoadBalancer{
		Name: n.label, Provider: l.providerOf(n), Groups: l.texts(n, "groups"), Region: l.text(n, "region"), Network: l.text(n, "network"),
		RedirectHTTP: l.flag(n, "redirect_http"), ProxyProtocol: l.flag(n, "proxy_protocol"),
		IdleTimeout: l.wholeSeconds(n, "idle_timeout", 0, time.Second, time.Hour), Options: l.options(n), Place: place(n.at), node: n,
	}
	ports := map[int]*node{}
	for _, inner := range n.inner("listener") {
		listener := l.buildListener(inner)
		if other := ports[listener.Port]; other != nil && listener.Port != 0 {
			l.report(fault(inner.where("port"), fmt.Sprintf("port %d is taken", listener.Port), "the first listener on it is at "+place(other.at), ""))
		}
		ports[listener.Port] = inner
		b.Listeners = append(b.Listeners, listener)
	}
	if len(b.Listeners) == 0 && !n.broken {
		l.report(fault(n.at, fmt.Sprintf("%s has no listener", n.title()), `want listener "http" { port = 80 }`, ""))
	}
	b.HealthCheck = l.buildHealthCheck(n, b.Listeners)
	if inner := n.only("sticky"); inner != nil {
		b.Sticky = &resource.Sticky{Cookie: orElse(l.text(inner, "cookie"), "cloudship"), TTL: l.wholeSeconds(inner, "ttl", 5*time.Minute, time.Second, 24*time.Hour)}
	}
	b.Switch = l.buildSwitch(n, b)
	return b
}

var protocols = []string{"http", "https", "http2", "tcp"}

func (l *loader) buildListener(n *node) Listener {
	port := l.number(n, "port", 0, 1, 65535)
	usual := "http"
	if port == 443 {
		usual = "https"
	}
	listener := resource.Listener{
		Name: n.label, Port: port, Protocol: l.oneWord(n, "protocol", usual, protocols...), TLSPassthrough: l.flag(n, "tls_passthrough"),
	}
	behind := map[string]string{"http": "http", "https": "http", "http2": "http", "tcp": "tcp"}[listener.Protocol]
	if listener.TLSPassthrough {
		behind = listener.Protocol
	}
	listener.TargetProtocol = l.oneWord(n, "target_protocol", behind, protocols...)
	target := port
	if port == 443 && listener.TargetProtocol == "http" {
		target = 80
	}
	listener.TargetPort = l.number(n, "target_port", target, 1, 65535)
	if (listener.Protocol == "tcp") != (listener.TargetProtocol == "tcp") {
		l.report(fault(n.where("target_protocol"), fmt.Sprintf("%s cannot turn %s into %s", n.title(), listener.Protocol, listener.TargetProtocol), "want tcp on both sides or on none", ""))
	}
	var key Value
	listener.Certificate, key = l.buildCertificate(n)
	l.checkTLS(n, listener)
	return Listener{listener, key}
}

func (l *loader) buildCertificate(n *node) (*resource.Certificate, Value) {
	inner := n.only("certificate")
	if name := l.text(n, "certificate"); name != "" {
		if inner != nil {
			l.report(fault(inner.at, fmt.Sprintf("%s has two certificates", n.title()), "want one", ""))
		}
		return &resource.Certificate{Name: name}, Value{}
	}
	if inner == nil {
		return nil, Value{}
	}
	c, key := &resource.Certificate{Name: l.text(inner, "name"), Chain: l.text(inner, "chain")}, l.value(inner, "private_key")
	switch {
	case (c.Chain == "") != (key.Text == ""):
		l.report(fault(inner.at, "the certificate is half there", "want chain and private_key, or the name of one that exists in the cloud", ""))
	case c.Chain == "" && c.Name == "":
		l.report(fault(inner.at, "the certificate is empty", "want chain and private_key, or the name of one that exists in the cloud", ""))
	case c.Chain != "" && !strings.Contains(c.Chain, "-----BEGIN CERTIFICATE-----"):
		l.report(fault(inner.where("chain"), "chain is no certificate in PEM", `want chain = file("www.pem")`, ""))
	}
	return c, key
}

// checkTLS says where a listener's certificate is missing or of no use.
func (l *loader) checkTLS(n *node, listener resource.Listener) {
	encrypted := listener.Protocol == "https" || listener.Protocol == "http2"
	switch {
	case encrypted && !listener.TLSPassthrough && listener.Certificate == nil:
		l.report(fault(n.at, fmt.Sprintf("%s answers %s and has no certificate", n.title(), listener.Protocol), `want certificate = "NAME" or certificate { chain, private_key }`, "or tls_passthrough = true, when the servers answer TLS themselves"))
	case listener.TLSPassthrough && listener.Certificate != nil:
		l.report(fault(n.at, fmt.Sprintf("%s passes TLS through and has a certificate", n.title()), "want one of them", ""))
	case listener.TLSPassthrough && !encrypted:
		l.report(fault(n.where("tls_passthrough"), fmt.Sprintf("%s answers %s: there is no TLS to pass through", n.title(), listener.Protocol), `want protocol = "https" or "http2"`, ""))
	case !encrypted && listener.Certificate != nil:
		l.report(fault(n.at, fmt.Sprintf("%s answers %s and has a certificate", n.title(), listener.Protocol), `want protocol = "https" or "http2"`, ""))
	}
}

func (l *loader) buildHealthCheck(b *node, listeners []Listener) resource.HealthCheck {
	n := b.only("health_check")
	if n == nil {
		n = &node{block: language.block("load_balancer").block("health_check"), at: b.at}
	}
	path := l.text(n, "path")
	usual, port := "http", 80
	if len(listeners) > 0 {
		port = listeners[0].TargetPort
		switch listeners[0].TargetProtocol {
		case "tcp":
			if path == "" {
				usual = "tcp"
			}
		case "https", "http2":
			usual = "https"
		}
	}
	check := resource.HealthCheck{
		Protocol: l.oneWord(n, "protocol", usual, "http", "https", "tcp"), Port: l.number(n, "port", port, 1, 65535), Path: path,
		Interval: l.wholeSeconds(n, "interval", 5*time.Second, time.Second, 5*time.Minute), Timeout: l.wholeSeconds(n, "timeout", 3*time.Second, time.Second, 5*time.Minute),
		Healthy: l.number(n, "healthy", 2, 1, 10), Unhealthy: l.number(n, "unhealthy", 3, 1, 10),
	}
	switch {
	case check.Protocol == "tcp" && path != "":
		l.report(fault(n.where("path"), "a tcp check asks for no path", `want protocol = "http"`, ""))
	case check.Protocol != "tcp" && path == "":
		check.Path = "/"
	case path != "" && !strings.HasPrefix(path, "/"):
		l.report(fault(n.where("path"), fmt.Sprintf("%q is no path", path), fmt.Sprintf("want %q", "/"+path), ""))
	}
	return check
}

func (l *loader) buildSwitch(b *node, balancer *LoadBalancer) Switch {
	s := Switch{Watch: defaultWatch}
	n := b.only("switch")
	if n != nil {
		s.Watch = l.span(n, "watch", defaultWatch, 0, 24*time.Hour)
		if v, ok := l.field(n, "test"); ok {
			for _, command := range v.AsValueSlice() {
				var words []string
				for _, word := range command.AsValueSlice() {
					words = append(words, word.AsString())
				}
				if len(words) == 0 || words[0] == "" {
					l.report(fault(n.where("test"), "test has an empty command", `want [["./smoke.sh"]]`, ""))
				}
				s.Test = append(s.Test, words)
			}
		}
		for _, inner := range n.inner("probe") {
			s.Probes = append(s.Probes, l.buildProbe(inner, balancer))
		}
	}
	if len(s.Probes) == 0 {
		if listener := answering(balancer.Listeners); listener != "" {
			s.Probes = []resource.Probe{{Path: orElse(balancer.HealthCheck.Path, "/"), Listener: listener}}
		}
	}
	return s
}

// answering is the first listener that HTTP requests can be sent to, or "".
func answering(listeners []Listener) string {
	for _, listener := range listeners {
		if listener.Protocol != "tcp" {
			return listener.Name
		}
	}
	return ""
}

func (l *loader) buildProbe(n *node, b *LoadBalancer) resource.Probe {
	names := b.node.labels("listener")
	p := resource.Probe{
		Path: l.text(n, "path"), Expect: l.number(n, "expect", 0, 100, 599), Contains: l.text(n, "contains"), Host: l.text(n, "host"),
		Listener: orElse(l.text(n, "listener"), answering(b.Listeners)), MaxFailed: l.number(n, "max_failed", 0, 0, 1<<20),
		Interval: int(l.span(n, "interval", 0, 10*time.Millisecond, time.Minute).Milliseconds()),
		Timeout:  int(l.span(n, "timeout", 0, 10*time.Millisecond, time.Minute).Milliseconds()),
	}
	if p.Path != "" && !strings.HasPrefix(p.Path, "/") {
		l.report(fault(n.where("path"), fmt.Sprintf("%q is no path", p.Path), fmt.Sprintf("want %q", "/"+p.Path), ""))
	}
	at := n.where("listener")
	switch listener := find(b.Listeners, func(x Listener) bool { return x.Name == p.Listener }); {
	case p.Listener == "" && len(b.Listeners) > 0:
		l.report(fault(at, "a probe asks over HTTP, and no listener answers it", "", "leave the probe out, or give the load balancer a listener with protocol http"))
	case listener == nil && len(b.Listeners) > 0:
		l.report(fault(at, fmt.Sprintf("there is no listener %q", p.Listener), oneOf(names), didYouMean(p.Listener, names)))
	case listener != nil && listener.Protocol == "tcp":
		l.report(fault(at, fmt.Sprintf("listener %q answers tcp, and a probe asks over HTTP", p.Listener), "", ""))
	}
	return p
}

// find is the first that fits, or nil.
func find[T any](list []T, fits func(T) bool) *T {
	for i := range list {
		if fits(list[i]) {
			return &list[i]
		}
	}
	return nil
}

func bounds(least, most int) string {
	return fmt.Sprintf("want a whole number from %d to %d", least, most)
}
