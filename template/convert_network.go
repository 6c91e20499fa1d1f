package template

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
)

func (c *converter) networks() map[string]Network {
	out := map[string]Network{}
	for key, n := range c.project.Networks {
		x := c.extension([]string{"networks", key, keyExtension}, n.Extensions)
		x.done()
		out[key] = Network{
			Name: n.Name, External: bool(n.External), Driver: n.Driver, DriverOpts: copyMap(n.DriverOpts), Internal: n.Internal,
			Attachable: n.Attachable, IPv6: n.EnableIPv6 != nil && *n.EnableIPv6, IPAMDriver: n.Ipam.Driver, IPAM: pools(n.Ipam),
			Labels: copyMap(n.Labels),
		}
	}
	return used(out, c.project.Services, func(s types.ServiceConfig) []string { return slices.Collect(maps.Keys(s.Networks)) })
}

func pools(in types.IPAMConfig) []Pool {
	var out []Pool
	for _, p := range in.Config {
		if p != nil {
			out = append(out, Pool{Subnet: p.Subnet, Range: p.IPRange, Gateway: p.Gateway, Auxiliary: copyMap(p.AuxiliaryAddresses)})
		}
	}
	return out
}

// used leaves out what no service that is on refers to.
func used[T any](all map[string]T, services types.Services, refers func(types.ServiceConfig) []string) map[string]T {
	out := map[string]T{}
	for _, s := range services {
		for _, key := range refers(s) {
			if v, ok := all[key]; ok {
				out[key] = v
			}
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func attachments(in types.ServiceConfig) map[string]Attachment {
	if in.NetworkMode != "" {
		return nil
	}
	out := map[string]Attachment{}
	for key, a := range in.Networks {
		if a == nil {
			out[key] = Attachment{}
			continue
		}
		out[key] = Attachment{
			Aliases: a.Aliases, IPv4: a.Ipv4Address, IPv6: a.Ipv6Address, LinkLocal: a.LinkLocalIPs, MAC: a.MacAddress,
			Priority: a.Priority, DriverOpts: copyMap(a.DriverOpts), Interface: a.InterfaceName, GatewayPrio: a.GatewayPriority,
		}
	}
	return out
}

func (c *converter) ports(path []string, in []types.ServicePortConfig) []Port {
	var out []Port
	for i, p := range in {
		at := append(slices.Clone(path), "ports", strconv.Itoa(i))
		port := Port{Target: int(p.Target), Protocol: p.Protocol, HostIP: p.HostIP}
		if port.Protocol == "" {
			port.Protocol = "tcp"
		}
		first, last, ranged := strings.Cut(p.Published, "-")
		if p.Published != "" && p.Published != "0" {
			port.Published = c.port(at, first)
			if ranged {
				port.To = c.port(at, last)
			}
		}
		if port.Target < 1 || port.Target > 65535 {
			c.errorf(at, "%s: %d is no port", strings.Join(at, "."), port.Target)
		}
		if port.To != 0 && port.To < port.Published {
			c.errorf(at, "%s: the range %s ends before it begins", strings.Join(at, "."), p.Published)
		}
		if port.Published == 0 && c.root.ports != [2]int{} {
			port.Published, port.To = c.root.ports[0], c.root.ports[1]
		}
		out = append(out, port)
	}
	slices.SortStableFunc(out, func(a, b Port) int {
		return cmp.Or(cmp.Compare(a.Target, b.Target), cmp.Compare(a.Protocol, b.Protocol), cmp.Compare(a.Published, b.Published))
	})
	return out
}

func (c *converter) port(path []string, s string) int {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	if err != nil || n < 1 || n > 65535 {
		c.errorf(path, "%s: %q is no port from 1 to 65535", strings.Join(path, "."), s)
		return 0
	}
	return n
}
