package stack

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/cloudship/cloudship/resource"
	"github.com/zclconf/go-cty/cty"
)

// SSHKey is an ssh_key block.
type SSHKey struct {
	Name      string
	Provider  string // alias
	PublicKey string // one line as in authorized_keys, without comment
	Place     string
	node      *node
}

// Network is a network block.
type Network struct {
	Name     string
	Provider string // alias
	Region   string
	IPRange  string
	Options  resource.Options
	Place    string
	node     *node
}

// Firewall is a firewall block.
type Firewall struct {
	Name     string
	Provider string // alias
	Groups   []string
	Inbound  []resource.FirewallRule
	Outbound []resource.FirewallRule
	Options  resource.Options
	Place    string
	node     *node
}

func (l *loader) buildSSHKey(n *node) *SSHKey {
	k := &SSHKey{Name: n.label, Provider: l.providerOf(n), Place: place(n.at), node: n}
	line, from := l.text(n, "public_key"), "public_key"
	if path := l.text(n, "file"); path != "" {
		if n.attributes["public_key"] != nil {
			l.report(fault(n.where("file"), fmt.Sprintf("%s has two keys", n.title()), "want public_key or file", ""))
			return k
		}
		from = "file"
		content, err := readAnywhere(l.dir, path)
		if err != nil {
			l.report(fault(n.where("file"), "the key file cannot be read", err.Error(), ""))
			return k
		}
		line = content
	}
	if line == "" {
		if n.attributes["public_key"] == nil && n.attributes["file"] == nil {
			l.report(fault(n.at, fmt.Sprintf("%s has no key", n.title()), `want public_key = "ssh-ed25519 AAAA..." or file = "~/.ssh/id_ed25519.pub"`, ""))
		}
		return k
	}
	key, err := publicKey(line)
	if err != nil {
		l.report(fault(n.where(from), fmt.Sprintf("%s: %s", n.title(), err), "want a public key in one line: ssh-ed25519 AAAA...", ""))
	}
	k.PublicKey = key
	return k
}

// publicKey reads a line of an authorized_keys file and gives it back without its comment.
func publicKey(line string) (string, error) {
	if strings.Contains(line, "PRIVATE KEY") {
		return "", errors.New("this is a private key; never give it away")
	}
	words := strings.Fields(line)
	if len(words) < 2 || strings.Count(strings.TrimSpace(line), "\n") > 0 {
		return "", errors.New("this is no public key")
	}
	blob, err := base64.StdEncoding.DecodeString(words[1])
	if err != nil || len(blob) < 4 {
		return "", errors.New("this is no public key, or a piece of one")
	}
	length := int(binary.BigEndian.Uint32(blob))
	if length != len(words[0]) || len(blob) < 4+length || string(blob[4:4+length]) != words[0] {
		return "", fmt.Errorf("this is no %s key", words[0])
	}
	return words[0] + " " + words[1], nil
}

func (l *loader) buildNetwork(n *node) *Network {
	w := &Network{Name: n.label, Provider: l.providerOf(n), Region: l.text(n, "region"), IPRange: l.text(n, "ip_range"), Options: l.options(n), Place: place(n.at), node: n}
	if w.IPRange == "" {
		return w
	}
	prefix, err := netip.ParsePrefix(w.IPRange)
	if err != nil {
		l.report(fault(n.where("ip_range"), fmt.Sprintf("%q is no range of addresses", w.IPRange), `want a CIDR such as "10.10.0.0/20"`, ""))
	} else if prefix.Masked() != prefix {
		l.report(fault(n.where("ip_range"), fmt.Sprintf("%s begins inside a range", w.IPRange), fmt.Sprintf("want %q", prefix.Masked()), ""))
	}
	return w
}

func (l *loader) buildFirewall(n *node) *Firewall {
	f := &Firewall{Name: n.label, Provider: l.providerOf(n), Groups: l.texts(n, "groups"), Options: l.options(n), Place: place(n.at), node: n}
	for _, inner := range n.inner("inbound") {
		f.Inbound = append(f.Inbound, l.buildRule(inner))
	}
	for _, inner := range n.inner("outbound") {
		if inner.attributes["load_balancers"] != nil {
			l.report(fault(inner.where("load_balancers"), "an outbound rule has no load balancers", "they are an other side of inbound rules only", ""))
		}
		f.Outbound = append(f.Outbound, l.buildRule(inner))
	}
	return f
}

func (l *loader) buildRule(n *node) resource.FirewallRule {
	r := resource.FirewallRule{Protocol: l.oneWord(n, "protocol", "tcp", "tcp", "udp", "icmp"), Addresses: l.texts(n, "addresses"), Groups: l.texts(n, "groups")}
	for _, balancer := range l.texts(n, "load_balancers") {
		r.LoadBalancers = append(r.LoadBalancers, resource.LoadBalancer(balancer))
	}
	for _, address := range r.Addresses {
		if _, err := netip.ParsePrefix(address); err != nil {
			hint := ""
			if _, err := netip.ParseAddr(address); err == nil {
				hint = fmt.Sprintf("a single address is %q", hostRange(address))
			}
			l.report(fault(n.where("addresses"), fmt.Sprintf("%q is no range of addresses", address), `want CIDRs such as "10.0.0.0/8"`, hint))
		}
	}
	if len(r.Addresses)+len(r.Groups)+len(r.LoadBalancers) == 0 {
		r.Addresses = []string{"0.0.0.0/0", "::/0"}
	}
	r.Ports = l.ports(n)
	switch {
	case r.Protocol == "icmp" && r.Ports != "":
		l.report(fault(n.where("ports"), "icmp has no ports", "", "leave ports out"))
	case r.Protocol != "icmp" && n.attributes["ports"] == nil:
		l.report(fault(n.at, "the rule says no ports", `want ports = 80, "8000-9000" or "all"`, ""))
	}
	return r
}

func hostRange(address string) string {
	if strings.Contains(address, ":") {
		return address + "/128"
	}
	return address + "/32"
}

var portRange = regexp.MustCompile(`^([0-9]{1,5})(?:-([0-9]{1,5}))?$`)

// ports reads 80, "80", "8000-9000" or "all".
func (l *loader) ports(n *node) string {
	v, ok := l.field(n, "ports")
	if !ok {
		return ""
	}
	wrong := func() string {
		l.report(fault(n.where("ports"), "these are no ports", `want 80, "8000-9000" or "all"`, ""))
		return ""
	}
	s := ""
	if i, ok := whole(v); ok {
		s = strconv.Itoa(i)
	} else if v.Type() == cty.String {
		s = v.AsString()
	}
	if s == "all" {
		return s
	}
	m := portRange.FindStringSubmatch(s)
	if m == nil {
		return wrong()
	}
	first, _ := strconv.Atoi(m[1])
	last := first
	if m[2] != "" {
		last, _ = strconv.Atoi(m[2])
	}
	if first < 1 || last > 65535 || last < first {
		return wrong()
	}
	return s
}

// lets reports whether a rule lets TCP traffic to a port pass.
func lets(r resource.FirewallRule, port int) bool {
	if r.Protocol != "tcp" {
		return false
	}
	if r.Ports == "all" {
		return true
	}
	first, last, ranged := strings.Cut(r.Ports, "-")
	from, _ := strconv.Atoi(first)
	to := from
	if ranged {
		to, _ = strconv.Atoi(last)
	}
	return port >= from && port <= to
}
