package digitalocean

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/digitalocean/godo"

	"github.com/cloudship/cloudship/resource"
)

// everywhere is what a rule that names nobody means.
var everywhere = []string{"0.0.0.0/0", "::/0"}

// allPorts is "all" in the words of the API.
const allPorts = "0"

// portsTo and portsOf translate a rule's ports. Of icmp there are none.
func portsTo(r resource.FirewallRule) string {
	switch {
	case r.Protocol == "icmp":
		return ""
	case r.Ports == "all", r.Ports == "":
		return allPorts
	}
	return r.Ports
}

func portsOf(protocol, ports string) string {
	switch {
	case protocol == "icmp":
		return ""
	case ports == allPorts, ports == "", ports == "1-65535", ports == "0-65535":
		return "all"
	}
	return ports
}

func tagsTo(stack resource.StackID, groups []string) []string {
	var tags []string
	for _, group := range groups {
		tags = append(tags, groupTag(stack, group))
	}
	return tags
}

func groupsOf(stack resource.StackID, tags []string) []string {
	var groups []string
	for _, tag := range tags {
		if group, ok := groupOf(stack, tag); ok {
			groups = append(groups, group)
		}
	}
	slices.Sort(groups)
	return groups
}

func inboundTo(c resource.Call, stack resource.StackID, r resource.FirewallRule) (godo.InboundRule, error) {
	in := godo.InboundRule{Protocol: r.Protocol, PortRange: portsTo(r), Sources: &godo.Sources{Addresses: r.Addresses, Tags: tagsTo(stack, r.Groups)}}
	for _, a := range r.LoadBalancers {
		id, err := peer(c, a)
		if err != nil {
			return in, err
		}
		in.Sources.LoadBalancerUIDs = append(in.Sources.LoadBalancerUIDs, id)
	}
	return in, nil
}

func outboundTo(stack resource.StackID, r resource.FirewallRule) godo.OutboundRule {
	return godo.OutboundRule{Protocol: r.Protocol, PortRange: portsTo(r), Destinations: &godo.Destinations{Addresses: r.Addresses, Tags: tagsTo(stack, r.Groups)}}
}

func inboundOf(stack resource.StackID, in godo.InboundRule, a around) resource.FirewallRule {
	r := resource.FirewallRule{Protocol: in.Protocol, Ports: portsOf(in.Protocol, in.PortRange)}
	if in.Sources == nil {
		return r
	}
	r.Addresses, r.Groups = slices.Sorted(slices.Values(in.Sources.Addresses)), groupsOf(stack, in.Sources.Tags)
	for _, id := range in.Sources.LoadBalancerUIDs {
		if balancer, ok := a.balancers[id]; ok {
			r.LoadBalancers = append(r.LoadBalancers, balancer)
		}
	}
	slices.SortFunc(r.LoadBalancers, resource.Address.Compare)
	return r
}

func outboundOf(stack resource.StackID, out godo.OutboundRule) resource.FirewallRule {
	r := resource.FirewallRule{Protocol: out.Protocol, Ports: portsOf(out.Protocol, out.PortRange)}
	if out.Destinations != nil {
		r.Addresses, r.Groups = slices.Sorted(slices.Values(out.Destinations.Addresses)), groupsOf(stack, out.Destinations.Tags)
	}
	return r
}

// canonical writes rules as they are found, so that equal ones are equal.
func canonical(rules []resource.FirewallRule) {
	for i := range rules {
		r := &rules[i]
		r.Ports = portsOf(r.Protocol, portsTo(*r))
		if len(r.Addresses)+len(r.Groups)+len(r.LoadBalancers) == 0 {
			r.Addresses = slices.Clone(everywhere)
		}
		slices.Sort(r.Addresses)
		slices.Sort(r.Groups)
		slices.SortFunc(r.LoadBalancers, resource.Address.Compare)
	}
	sortRules(rules)
}

// sortRules orders rules by all they say; the API keeps no order.
func sortRules(rules []resource.FirewallRule) {
	slices.SortFunc(rules, func(a, b resource.FirewallRule) int { return cmp.Compare(written(a), written(b)) })
}

func written(r resource.FirewallRule) string {
	b, err := json.Marshal(r)
	if err != nil {
		return r.Protocol + r.Ports
	}
	return string(b)
}
