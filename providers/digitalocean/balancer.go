package digitalocean

import (
	"cmp"
	"context"
	"slices"

	"github.com/digitalocean/godo"

	"github.com/cloudship/cloudship/resource"
)

// balancers keeps load balancers, without their members.
type balancers struct{ *Provider }

func (b balancers) list(ctx context.Context) ([]godo.LoadBalancer, error) {
	return all(ctx, "load balancers", func(lb godo.LoadBalancer) string { return lb.ID }, b.api.LoadBalancers.List)
}

func (b balancers) found(m resource.Mark, lb *godo.LoadBalancer, a around) resource.Found {
	spec := &resource.LoadBalancerSpec{
		Listeners: listenersOf(lb.ForwardingRules), HealthCheck: checkOf(lb.HealthCheck), Sticky: stickyOf(lb.StickySessions),
		RedirectHTTP: lb.RedirectHttpToHttps, ProxyProtocol: lb.EnableProxyProtocol,
	}
	f := resource.Found{
		Mark: m, Provider: b.alias, ID: lb.ID, Created: moment(lb.Created), Spec: spec,
		Observed: []string{"health_check", "sticky", "redirect_http", "proxy_protocol"},
		Facts:    resource.Facts{Status: lb.Status, PublicIP: lb.IP},
		Ready:    lb.Status == "active" && lb.IP != "",
	}
	if nameCertificates(spec.Listeners, lb.ForwardingRules, a.certificates) {
		f.Observed = append(f.Observed, "listeners")
	}
	if lb.HTTPIdleTimeoutSeconds != nil {
		spec.IdleTimeout = int(*lb.HTTPIdleTimeoutSeconds)
		f.Observed = append(f.Observed, "idle_timeout")
	}
	if lb.Region != nil {
		spec.Region = lb.Region.Slug
		f.Observed = append(f.Observed, "region")
	}
	if a.networks != nil {
		spec.Network = a.networks[lb.VPCUUID]
		f.Observed = append(f.Observed, "network")
	}
	if lb.Status == "errored" {
		f.Problem = "DigitalOcean could not provision the load balancer: its status is \"errored\""
	}
	return f
}

// create makes a balancer without members. One that is to have more than it takes by id goes by
// tag from the beginning.
func (b balancers) create(ctx context.Context, c resource.Call) []resource.Result {
	return each(c, func(item resource.Item) (*resource.Found, error) {
		spec, ok := item.Spec.(*resource.LoadBalancerSpec)
		if !ok {
			return nil, wrongSpec(item)
		}
		certificates, err := b.certificateIDs(ctx, c, item, spec)
		if err != nil {
			return nil, err
		}
		r := &godo.LoadBalancerRequest{Name: item.Mark.Encode(), Region: spec.Region}
		if err := fill(r, spec, specFields, certificates); err != nil {
			return nil, err
		}
		if !spec.Network.IsZero() {
			network, err := peer(c, spec.Network)
			if err != nil {
				return nil, err
			}
			r.VPCUUID = network
		}
		if spec.MaxMembers > mostByID {
			r.Tag = memberTag(item.Mark)
			if err := b.ensureTags(ctx, item.Mark.Address, r.Tag); err != nil {
				return nil, err
			}
		}
		lb, _, err := b.api.LoadBalancers.Create(ctx, r)
		if err != nil {
			return nil, fault("create load balancer", item.Mark.Address, err, once)
		}
		found := b.found(item.Mark, lb, aroundOf(c.Peers))
		return &found, nil
	})
}

// update changes what the call says has changed. The API's PUT resets whatever it omits, so that
// everything else, the members too, goes back as it was found the moment before.
func (b balancers) update(ctx context.Context, c resource.Call) []resource.Result {
	return each(c, func(item resource.Item) (*resource.Found, error) {
		spec, ok := item.Spec.(*resource.LoadBalancerSpec)
		if !ok {
			return item.Have, wrongSpec(item)
		}
		id, err := id(item)
		if err != nil {
			return item.Have, err
		}
		lb, _, err := b.api.LoadBalancers.Get(ctx, id)
		if err != nil {
			return item.Have, fault("read load balancer", item.Mark.Address, err, reading)
		}
		var certificates map[int]string
		if slices.Contains(item.Changed, "listeners") {
			if certificates, err = b.certificateIDs(ctx, c, item, spec); err != nil {
				return item.Have, err
			}
		}
		r := requestOf(lb)
		if err := fill(r, spec, item.Changed, certificates); err != nil {
			return item.Have, err
		}
		before := certified(lb.ForwardingRules)
		lb, _, err = b.api.LoadBalancers.Update(ctx, id, r)
		if err != nil {
			return item.Have, fault("update load balancer", item.Mark.Address, err, repeatable)
		}
		if before && slices.Contains(item.Changed, "listeners") {
			of := func(m resource.Mark) bool { return m == item.Mark }
			if err := b.dropCertificates(ctx, of, usedCertificates(lb.ForwardingRules)); err != nil {
				return item.Have, err
			}
		}
		found := b.found(item.Mark, lb, aroundOf(c.Peers))
		return &found, nil
	})
}

func (b balancers) remove(ctx context.Context, c resource.Call) []resource.Result {
	return each(c, func(item resource.Item) (*resource.Found, error) {
		id, err := id(item)
		if err != nil {
			return nil, err
		}
		_, err = b.api.LoadBalancers.Delete(ctx, id)
		if err = deleted("delete load balancer", item, err); err != nil {
			return nil, err
		}
		if spec, ok := item.Have.Spec.(*resource.LoadBalancerSpec); ok && !slices.ContainsFunc(spec.Listeners, secure) {
			return nil, nil
		}
		return nil, b.dropCertificates(ctx, func(m resource.Mark) bool { return m == item.Mark }, nil)
	})
}

func (b balancers) read(ctx context.Context, q resource.Query, have resource.Found) (resource.Found, error) {
	lb, _, err := b.api.LoadBalancers.Get(ctx, have.ID)
	if err != nil {
		return have, absent("read load balancer", have, err)
	}
	a := aroundOf(q.Peers)
	if len(a.networks) == 0 {
		a.networks = nil
	}
	if a.certificates, err = b.lookUpCertificates(ctx, *lb); err != nil {
		return have, err
	}
	return b.found(have.Mark, lb, a), nil
}

// secure reports whether a listener ends TLS at the balancer.
func secure(l resource.Listener) bool {
	return !l.TLSPassthrough && (l.Protocol == "https" || l.Protocol == "http2" || l.Protocol == "http3")
}

// requestOf is the request that changes nothing about a balancer. godo's own leaves pairs in it
// of which the API takes only one.
func requestOf(lb *godo.LoadBalancer) *godo.LoadBalancerRequest {
	r := lb.AsRequest()
	if r.Tag != "" {
		r.DropletIDs = nil
	}
	if r.SizeUnit != 0 {
		r.SizeSlug = ""
	}
	return r
}

// specFields are the fields of a balancer's spec that a request holds.
var specFields = []string{"listeners", "health_check", "sticky", "redirect_http", "proxy_protocol", "idle_timeout", "options"}

// fill sets in a request the fields of a spec that are named; certificates are the ids by port.
func fill(r *godo.LoadBalancerRequest, spec *resource.LoadBalancerSpec, fields []string, certificates map[int]string) error {
	for _, field := range fields {
		switch field {
		case "listeners":
			r.ForwardingRules = nil
			for _, l := range spec.Listeners {
				r.ForwardingRules = append(r.ForwardingRules, godo.ForwardingRule{
					EntryProtocol: l.Protocol, EntryPort: l.Port, TargetProtocol: l.TargetProtocol, TargetPort: l.TargetPort,
					TlsPassthrough: l.TLSPassthrough, CertificateID: certificates[l.Port],
				})
			}
		case "health_check":
			h := spec.HealthCheck
			r.HealthCheck = &godo.HealthCheck{Protocol: h.Protocol, Port: h.Port, Path: h.Path, CheckIntervalSeconds: h.Interval,
				ResponseTimeoutSeconds: h.Timeout, HealthyThreshold: h.Healthy, UnhealthyThreshold: h.Unhealthy}
		case "sticky":
			r.StickySessions = &godo.StickySessions{Type: "none"}
			if s := spec.Sticky; s != nil {
				r.StickySessions = &godo.StickySessions{Type: "cookies", CookieName: s.Cookie, CookieTtlSeconds: s.TTL}
			}
		case "redirect_http":
			r.RedirectHttpToHttps = spec.RedirectHTTP
		case "proxy_protocol":
			r.EnableProxyProtocol = spec.ProxyProtocol
		case "idle_timeout":
			seconds := uint64(cmp.Or(spec.IdleTimeout, defaultIdle))
			r.HTTPIdleTimeoutSeconds = &seconds
		case "options":
			o, err := balancerOptions(spec.Options)
			if err != nil {
				return &resource.Error{Kind: resource.Invalid, Field: "options", Message: err.Error()}
			}
			r.SizeSlug, r.SizeUnit = "", o.nodes
			r.EnableBackendKeepalive = o.keepalive
		}
	}
	return nil
}

// listenersOf are a balancer's listeners in the order of their ports. Their names are the stack
// file's own.
func listenersOf(rules []godo.ForwardingRule) []resource.Listener {
	var list []resource.Listener
	for _, r := range rules {
		list = append(list, resource.Listener{Protocol: r.EntryProtocol, Port: r.EntryPort, TargetProtocol: r.TargetProtocol,
			TargetPort: r.TargetPort, TLSPassthrough: r.TlsPassthrough})
	}
	sortListeners(list)
	return list
}

func sortListeners(list []resource.Listener) {
	slices.SortStableFunc(list, func(a, b resource.Listener) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Protocol, b.Protocol))
	})
}

func checkOf(h *godo.HealthCheck) resource.HealthCheck {
	if h == nil {
		return resource.HealthCheck{}
	}
	return resource.HealthCheck{Protocol: h.Protocol, Port: h.Port, Path: h.Path, Interval: h.CheckIntervalSeconds,
		Timeout: h.ResponseTimeoutSeconds, Healthy: h.HealthyThreshold, Unhealthy: h.UnhealthyThreshold}
}

func stickyOf(s *godo.StickySessions) *resource.Sticky {
	if s == nil || s.Type != "cookies" {
		return nil
	}
	return &resource.Sticky{Cookie: s.CookieName, TTL: s.CookieTtlSeconds}
}
