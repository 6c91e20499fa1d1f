package rackspace

import (
	"context"
	"fmt"

	"github.com/cloudship/cloudship/resource"
)

// Preflight tells what would stop the wanted resources from being made. It asks only for the limits
// of what is to be made.
func (p *Provider) Preflight(ctx context.Context, f resource.Forecast) []error {
	if _, err := p.keeper(resource.KindServer); err != nil {
		return []error{err}
	}
	var problems []error
	wanted, megabytes, balancers, members := 0, 0, 0, 0
	for _, w := range f.Create {
		switch spec := w.Spec.(type) {
		case *resource.ServerSpec:
			wanted++
			size, err := p.size(ctx, w.Address, spec)
			if err != nil {
				problems = append(problems, err)
			} else if size != nil {
				megabytes += size.MemoryMB
			}
		case *resource.LoadBalancerSpec:
			balancers++
			members = max(members, spec.MaxMembers)
		}
	}
	if wanted > 0 {
		problems = append(problems, p.roomForServers(ctx, f, wanted, megabytes)...)
	}
	if balancers > 0 {
		problems = append(problems, p.roomForBalancers(ctx, balancers, members)...)
	}
	return problems
}

// roomForServers tells whether the account may have so many more servers. Those that the same plan
// deletes may go first or last, so that they are held against the limit only when it would be
// passed without them too.
func (p *Provider) roomForServers(ctx context.Context, f resource.Forecast, wanted, megabytes int) []error {
	var body struct {
		Limits struct {
			Absolute struct {
				Servers     int `json:"maxTotalInstances"` // -1: none
				ServersUsed int `json:"totalInstancesUsed"`
				RAM         int `json:"maxTotalRAMSize"` // MB
				RAMUsed     int `json:"totalRAMUsed"`
			} `json:"absolute"`
		} `json:"limits"`
	}
	if _, err := p.compute.Get(ctx, p.compute.ServiceURL("limits"), &body, nil); err != nil {
		return []error{fault("read the limits of servers", resource.Address{}, err, reading)}
	}
	var problems []error
	l := body.Limits.Absolute
	if l.Servers > 0 && l.ServersUsed+wanted-f.Deletes > l.Servers {
		problems = append(problems, short("servers", l.Servers, l.ServersUsed, wanted))
	}
	if l.RAM > 0 && f.Deletes == 0 && l.RAMUsed+megabytes > l.RAM {
		problems = append(problems, short("MB of memory", l.RAM, l.RAMUsed, megabytes))
	}
	return problems
}

// short is the error of a limit that would be passed.
func short(what string, most, have, more int) error {
	return &resource.Error{Kind: resource.Quota, Op: "preflight",
		Message: fmt.Sprintf("the account may have %d %s and has %d: %d more are too many", most, what, have, more),
		Hint:    "ask Rackspace for a higher limit, or want fewer"}
}

func (p *Provider) roomForBalancers(ctx context.Context, wanted, members int) []error {
	limits, err := p.lbs.limits(ctx)
	if err != nil {
		return []error{err}
	}
	have, err := p.lbs.list(ctx)
	if err != nil {
		return []error{err}
	}
	var problems []error
	if most := limits["LOADBALANCER_LIMIT"]; most > 0 && len(have)+wanted > most {
		problems = append(problems, short("load balancers", most, len(have), wanted))
	}
	if most := limits["NODE_LIMIT"]; most > 0 && members > most {
		problems = append(problems, &resource.Error{Kind: resource.Quota, Op: "preflight",
			Message: fmt.Sprintf("a load balancer may have %d nodes, and %d servers are to be behind one", most, members),
			Hint:    "ask Rackspace for a higher NODE_LIMIT, or want smaller groups"})
	}
	return problems
}
