package digitalocean

import (
	"slices"
	"time"

	"github.com/cloudship/cloudship/lab/balancer"
)

// settleBalancer lets everything happen to a balancer that is due.
func (a *API) settleBalancer(now time.Time, lb *loadBalancer) {
	timing := a.Faults.Timing()
	if !lb.LookAt.IsZero() && !now.Before(lb.LookAt) {
		lb.LookAt = time.Time{}
		if members := a.taggedDroplets(lb, lb.Tag); !slices.Equal(members, lb.Members) {
			lb.Members = members
			lb.PushAt = now.Add(durationOf(timing.Attach))
			a.dirty = true
		}
	}
	due := !lb.PushAt.IsZero() && !now.Before(lb.PushAt)
	if due || !lb.pushed || lb.partial && a.reachable(lb) {
		lb.PushAt = time.Time{}
		lb.pushed = true
		a.push(lb)
	}
	a.sample(now, lb)
}

// reachable tells whether every member has its address by now.
func (a *API) reachable(lb *loadBalancer) bool {
	return !slices.ContainsFunc(lb.Members, func(id int) bool { return a.address(id) == "" })
}

// address is where a balancer reaches a droplet, empty while it has none.
func (a *API) address(id int) string {
	d, ok := a.state.Droplets.Get(id)
	if !ok {
		return ""
	}
	m, _, _ := a.Servers.Find(d.server())
	return m.PrivateIP
}

// push tells the listeners what a balancer shall do.
func (a *API) push(lb *loadBalancer) {
	h := lb.HealthCheck
	c := balancer.Config{
		ID: lb.ID, Address: lb.Address, RedirectHTTP: lb.RedirectHTTP, ProxyProtocol: lb.ProxyProtocol,
		CutOnDetach: true, IdleTimeout: seconds(lb.IdleTimeoutSecond),
		Check: balancer.Check{
			Protocol: h.Protocol, Port: h.Port, Path: h.Path, Interval: seconds(h.Interval),
			Timeout: seconds(h.Timeout), Healthy: h.Healthy, Unhealthy: h.Unhealthy,
		},
	}
	if lb.StickySessions.Type == "cookies" {
		c.StickyCookie, c.StickyTTL = lb.StickySessions.Cookie, seconds(lb.StickySessions.TTL)
	}
	for _, r := range lb.ForwardingRules {
		if r.EntryProtocol == "udp" || r.EntryProtocol == "http3" {
			continue // the lab has no listener for them
		}
		cert, key := a.certificatePEM(r.CertificateID)
		c.Rules = append(c.Rules, balancer.Rule{
			EntryProtocol: r.EntryProtocol, EntryPort: r.EntryPort, TargetProtocol: r.TargetProtocol,
			TargetPort: r.TargetPort, CertPEM: cert, KeyPEM: key, TLSPassthrough: r.TLSPassthrough,
		})
	}
	lb.partial = false
	for _, id := range lb.Members {
		if address := a.address(id); address != "" {
			d, _ := a.state.Droplets.Get(id)
			c.Backends = append(c.Backends, balancer.Backend{ID: d.server(), Address: address})
		} else {
			lb.partial = true
		}
	}
	a.Balancers.Set(c)
}

func seconds(n int) time.Duration { return time.Duration(n) * time.Second }

// healthSample is what the listeners said of the members' health at a time.
type healthSample struct {
	at     time.Time
	health map[string]bool // by server
}

// keepSamples bounds how many samples of a balancer's health are kept.
const keepSamples = 1000

// sample notes the health of a balancer's members when it is time to.
func (a *API) sample(now time.Time, lb *loadBalancer) {
	if now.Before(lb.sampleAt) {
		return
	}
	lb.sampleAt = now.Add(max(durationOf(a.Faults.Timing().MetricEvery), 100*time.Millisecond))
	if health := a.Balancers.Health(lb.ID); health != nil {
		lb.samples = append(lb.samples, healthSample{now, health})
		if len(lb.samples) > keepSamples {
			lb.samples = slices.Delete(lb.samples, 0, keepSamples/2)
		}
	}
}
