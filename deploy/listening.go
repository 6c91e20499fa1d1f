package deploy

import (
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/cloudship/cloudship/resource"
)

// listenScript lists what listens on the server: protocol, state, two queues, address, peer, process.
const listenScript = `ss -Hltunp 2>/dev/null || true`

// process finds the first process in what ss says of a socket: users:(("nginx",pid=1,fd=6)).
var process = regexp.MustCompile(`users:\(\("([^"]+)"`)

// dockerProxy holds ports for containers.
const dockerProxy = "docker-proxy"

// listening reads ss's lines: the processes that hold ports, by their names. What can be reached from
// the server alone is in it, too, with its address.
func listening(lines string) []resource.Neighbour {
	ports := map[string][]string{}
	var names []string
	for line := range strings.Lines(lines) {
		words := strings.Fields(line)
		if len(words) < 6 || words[0] != "tcp" && words[0] != "udp" {
			continue
		}
		host, port, err := net.SplitHostPort(words[4])
		if err != nil || port == "*" {
			continue
		}
		name := "unknown"
		if m := process.FindStringSubmatch(line); m != nil {
			name = m[1]
		}
		held := port + "/" + words[0]
		host, _, _ = strings.Cut(host, "%") // the interface
		if ip, err := netip.ParseAddr(host); err == nil && !ip.IsUnspecified() {
			held = net.JoinHostPort(ip.Unmap().String(), held)
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		if !slices.Contains(ports[name], held) {
			ports[name] = append(ports[name], held)
		}
	}
	slices.Sort(names)
	var list []resource.Neighbour
	for _, name := range names {
		slices.Sort(ports[name])
		list = append(list, resource.Neighbour{Process: name, Ports: ports[name]})
	}
	return list
}
