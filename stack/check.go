package stack

import (
	"fmt"
	"slices"

	"github.com/cloudship/cloudship/resource"
)

// check holds the rules between blocks. It runs when every block is sound by itself.
func (l *loader) check() {
	s := l.stack
	for _, b := range s.LoadBalancers {
		l.checkGroups(b)
	}
	for _, g := range s.Groups {
		for _, n := range s.Networks {
			if n.Name == g.Network && n.Provider != g.Provider {
				l.report(fault(g.node.where("network"), fmt.Sprintf("network %q is at provider %q", n.Name, n.Provider), fmt.Sprintf("want one at %q, where %s is", g.Provider, g.node.title()), ""))
			}
		}
	}
	for _, b := range s.LoadBalancers {
		for _, n := range s.Networks {
			if n.Name == b.Network && n.Provider != b.Provider {
				l.report(fault(b.node.where("network"), fmt.Sprintf("network %q is at provider %q", n.Name, n.Provider), fmt.Sprintf("want one at %q, where %s is", b.Provider, b.node.title()), ""))
			}
		}
	}
	for _, f := range s.Firewalls {
		l.checkFirewall(f)
	}
	for _, b := range s.Backups {
		l.checkBackup(b)
	}
	for _, c := range s.Certificates {
		l.checkCertificate(c)
	}
}

// checkGroups holds the rules of a load balancer and its groups, and ties them together.
func (l *loader) checkGroups(b *LoadBalancer) {
	at := b.node.where("groups")
	if len(b.Groups) == 0 || len(b.Groups) > 2 {
		l.report(fault(at, fmt.Sprintf("%s has %d groups", b.node.title(), len(b.Groups)), "want one, or two: one live and one idle", ""))
		return
	}
	var groups []*Group
	for i, name := range b.Groups {
		g := l.stack.Group(name)
		if g.Balancer != "" {
			l.report(fault(at, fmt.Sprintf("group %q is behind load balancer %q already", name, g.Balancer), "a group is behind at most one load balancer", ""))
			return
		}
		if g.Provider != b.Provider {
			l.report(fault(at, fmt.Sprintf("group %q is at provider %q", name, g.Provider), fmt.Sprintf("want groups at %q, where %s is", b.Provider, b.node.title()), ""))
		}
		g.Balancer = b.Name
		if len(b.Groups) == 2 {
			g.Twin = b.Groups[1-i]
		}
		groups = append(groups, g)
	}
	if len(groups) == 2 && groups[0].Template != groups[1].Template {
		l.report(fault(groups[1].node.where("template"), fmt.Sprintf("groups %q and %q do not run the same template", b.Groups[0], b.Groups[1]), "want one template for the two groups of a load balancer", ""))
	}
}

// checkFirewall holds the rules of a firewall, and warns where it shuts us out.
func (l *loader) checkFirewall(f *Firewall) {
	at := f.node.where("groups")
	ssh := slices.ContainsFunc(f.Inbound, func(r resource.FirewallRule) bool { return lets(r, 22) })
	for _, name := range f.Groups {
		g := l.stack.Group(name)
		if g.Provider != f.Provider {
			l.report(fault(at, fmt.Sprintf("group %q is at provider %q", name, g.Provider), fmt.Sprintf("want groups at %q, where %s is", f.Provider, f.node.title()), ""))
		}
		if g.Template != "" && !ssh && !l.sshElsewhere(f, name) {
			l.report(caution(at, fmt.Sprintf("%s lets no SSH through to group %q", f.node.title(), name), "releases reach servers over SSH", "add inbound { ports = 22 }"))
		}
	}
}

// sshElsewhere reports whether another firewall lets SSH through to the group.
func (l *loader) sshElsewhere(than *Firewall, group string) bool {
	for _, f := range l.stack.Firewalls {
		if f != than && slices.Contains(f.Groups, group) && slices.ContainsFunc(f.Inbound, func(r resource.FirewallRule) bool { return lets(r, 22) }) {
			return true
		}
	}
	return false
}
