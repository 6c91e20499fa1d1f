package rackspace

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// balancers keeps load balancers, without their nodes.
type balancers struct{ *Provider }

// list gives the balancers that the query asks for, each whole: the list itself has neither nodes
// nor metadata, but names.
func (b balancers) list(ctx context.Context, q resource.Query, whole bool) ([]lbView, error) {
	short, err := b.lbs.list(ctx)
	if err != nil {
		return nil, err
	}
	all := []lbView{}
	for _, s := range short {
		if _, mine := ours("", s.Name, q, resource.KindLoadBalancer); !mine || gone(s.Status) {
			continue
		}
		look := b.lbs.monitored
		if whole {
			look = b.lbs.whole
		}
		lb, err := look(ctx, s.ID)
		err = fault("read load balancer", resource.Address{}, err, reading)
		switch {
		case resource.IsGone(err): // it went meanwhile
		case err != nil:
			return nil, err
		default:
			all = append(all, *lb)
		}
	}
	return all, nil
}

// longestError is how long a balancer may be in ERROR before it counts as broken: most are healed
// by Rackspace within five minutes.
const longestError = 10 * time.Minute

func (b balancers) found(m resource.Mark, lb *lbView) resource.Found {
	f := resource.Found{
		Mark: m, Provider: b.alias, ID: strconv.Itoa(lb.ID), Created: lb.Created.Time, Spec: b.specOf(lb),
		Observed: []string{"region", "listeners", "health_check", "sticky", "redirect_http", "idle_timeout", "options"},
		Facts:    resource.Facts{Status: lb.Status, PublicIP: lb.address()},
	}
	f.Ready = lb.Status == "ACTIVE" && f.Facts.PublicIP != ""
	switch since := time.Since(lb.Updated.Time); {
	case lb.Status == "SUSPENDED":
		f.Problem = "Rackspace has suspended the load balancer"
	case lb.Status == "ERROR" && since > longestError:
		f.Problem = fmt.Sprintf("the load balancer is in ERROR for %s", since.Round(time.Minute))
	}
	return f
}

// address is the one that clients use.
func (lb *lbView) address() string {
	for _, v := range lb.VIPs {
		if v.Version == "IPV4" {
			return v.Address
		}
	}
	return ""
}

// specOf is what a balancer is, in the words of a spec.
func (b balancers) specOf(lb *lbView) *resource.LoadBalancerSpec {
	protocol, port := lb.target()
	spec := &resource.LoadBalancerSpec{
		Region: b.region, IdleTimeout: lb.Timeout, RedirectHTTP: bool(lb.Redirect), Options: lb.extras().canonical(),
	}
	if lb.ssl == nil || !lb.ssl.Only || bool(lb.Redirect) {
		l := resource.Listener{Protocol: "tcp", Port: lb.Port, TargetProtocol: protocol, TargetPort: port}
		switch lb.Protocol {
		case "HTTP":
			l.Protocol = "http"
		case "HTTPS":
			l.Protocol, l.TLSPassthrough = "https", true
		}
		spec.Listeners = append(spec.Listeners, l)
	}
	if lb.ssl != nil {
		certificate := &resource.Certificate{Chain: chainOf(lb.ssl.Certificate + "\n" + lb.ssl.Intermediate)}
		if digest := lb.note(secretKey); digest != "" {
			certificate.PrivateKey = &resource.Secret{Digest: digest}
		}
		spec.Listeners = append(spec.Listeners, resource.Listener{
			Protocol: "https", Port: lb.ssl.Port, TargetProtocol: protocol, TargetPort: port, Certificate: certificate,
		})
	}
	sortListeners(spec.Listeners)
	if lb.Persistence != nil && lb.Persistence.Type != "" {
		spec.Sticky = &resource.Sticky{}
	}
	if m := lb.monitor; m != nil {
		spec.HealthCheck = resource.HealthCheck{
			Protocol: map[string]string{"HTTP": "http", "HTTPS": "https", "CONNECT": "tcp"}[m.Type], Port: port, Path: m.Path,
			Interval: m.Delay, Timeout: m.Timeout, Healthy: 1, Unhealthy: m.Attempts,
		}
		if n, err := strconv.Atoi(lb.note(healthyKey)); err == nil {
			spec.HealthCheck.Healthy = n
		}
	}
	return spec
}

func sortListeners(list []resource.Listener) {
	slices.SortStableFunc(list, func(a, b resource.Listener) int { return a.Port - b.Port })
}

// create makes a balancer without nodes. TLS cannot be said in the request: where it is wanted, the
// call goes on until it is set up, since nobody would ask for it later.
func (b balancers) create(ctx context.Context, c resource.Call) []resource.Result {
	return each(c, func(item resource.Item) (*resource.Found, error) {
		spec, ok := item.Spec.(*resource.LoadBalancerSpec)
		if !ok {
			return nil, wrongSpec(item)
		}
		want, err := shapeOf(spec)
		if err != nil {
			return nil, err
		}
		noted, err := notes(item.Mark, spec)
		if err != nil {
			return nil, unmet(item.Mark.Address, "options", "", "%v", err)
		}
		request := lbRequest{
			Name: item.Mark.Encode(), Protocol: want.protocol, Port: want.port, Algorithm: want.algorithm, Timeout: want.timeout,
			VIPs: []vip{{Type: "PUBLIC"}}, Monitor: want.monitor, Persistence: want.persistence,
		}
		for _, key := range noteKeys {
			if key != secretKey && noted[key] != "" {
				request.Metadata = append(request.Metadata, meta{Key: key, Value: noted[key]})
			}
		}
		lb, err := b.lbs.create(ctx, request)
		if err != nil {
			return nil, fault("create load balancer", item.Mark.Address, err, once)
		}
		lb.monitor = want.monitor
		found := b.found(item.Mark, lb)
		if want.ssl == nil {
			return &found, nil
		}
		const built = 15 * time.Minute // and TLS set up
		return persist(ctx, c, item.Mark.Address, built, func() (*resource.Found, error) {
			next, err := b.step(ctx, c, item, lb.ID, fieldsOf(spec))
			if next != nil {
				found = *next
			}
			return &found, err
		})
	})
}

// fieldsOf are the names of all fields of a spec.
func fieldsOf(spec resource.Spec) []string {
	var names []string
	for _, f := range resource.Fields(spec) {
		names = append(names, f.Name)
	}
	return names
}

func (b balancers) update(ctx context.Context, c resource.Call) []resource.Result {
	return each(c, func(item resource.Item) (*resource.Found, error) {
		id, err := number(item)
		if err != nil {
			return item.Have, err
		}
		return persist(ctx, c, item.Mark.Address, patience, func() (*resource.Found, error) {
			found, err := b.step(ctx, c, item, id, item.Changed)
			if found == nil {
				found = item.Have
			}
			return found, err
		})
	})
}

// step makes the first of the changes that are left to do, and answers that the balancer is busy
// while others are to follow. What is not among the changed fields is wanted as it is found.
func (b balancers) step(ctx context.Context, c resource.Call, item resource.Item, id int, changed []string) (*resource.Found, error) {
	spec, ok := item.Spec.(*resource.LoadBalancerSpec)
	if !ok {
		return nil, wrongSpec(item)
	}
	lb, err := b.lbs.whole(ctx, id)
	if err != nil {
		return nil, fault("read load balancer", item.Mark.Address, err, reading)
	}
	want := b.specOf(lb)
	for _, field := range changed {
		resource.CopyField(want, spec, field)
	}
	found := b.found(item.Mark, lb)
	left, err := b.changes(c, item, lb, want)
	if err != nil || len(left) == 0 {
		return &found, err
	}
	const op = "update load balancer"
	if lb.Status != "ACTIVE" {
		return &found, busy(op, item.Mark.Address, "load balancer %d is %s and takes no change; then: %s", lb.ID, lb.Status, left[0].what)
	}
	c.Say(item.Mark.Address, left[0].what)
	if err := left[0].do(ctx); err != nil {
		return &found, fault(op+": "+left[0].what, item.Mark.Address, err, repeatable)
	}
	if len(left) > 1 {
		return &found, busy(op, item.Mark.Address, "%s is under way; then: %s", left[0].what, left[1].what)
	}
	if lb, err = b.lbs.whole(ctx, id); err != nil {
		return &found, fault("read load balancer", item.Mark.Address, err, reading)
	}
	found = b.found(item.Mark, lb)
	return &found, nil
}

func (b balancers) remove(ctx context.Context, c resource.Call) []resource.Result {
	return each(c, func(item resource.Item) (*resource.Found, error) {
		id, err := number(item)
		if err != nil {
			return nil, err
		}
		return persist(ctx, c, item.Mark.Address, patience, func() (*resource.Found, error) {
			err := deleted("delete load balancer", item, b.lbs.remove(ctx, id))
			if resource.KindOf(err) != resource.Busy {
				return nil, err
			}
			// One that is being deleted takes no change either.
			if _, there := b.lbs.get(ctx, id); resource.IsGone(fault("", item.Mark.Address, there, reading)) {
				return nil, nil
			}
			return nil, err
		})
	})
}

func (b balancers) read(ctx context.Context, _ resource.Query, have resource.Found) (resource.Found, error) {
	id, err := strconv.Atoi(have.ID)
	if err != nil {
		return have, noID(have.Mark)
	}
	lb, err := b.lbs.whole(ctx, id)
	if err != nil {
		return have, absent("read load balancer", have, err)
	}
	return b.found(have.Mark, lb), nil
}
