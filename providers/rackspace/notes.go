package rackspace

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/cloudship/cloudship/resource"
)

// What a balancer of Rackspace's has no field for is noted in its metadata, so that it can be
// found again and compared. Each is a key of noteKeys.
const (
	targetKey  = "cloudship-target"  // protocol and port of its nodes: "http:8080"
	healthyKey = "cloudship-healthy" // how many passes in a row cloudship itself asks of a new node
	drainKey   = "cloudship-drain"   // seconds that leaving nodes have
	standbyKey = "cloudship-standby" // "attached"
	secretKey  = "cloudship-key"     // keyed digest of the private key of its certificate
)

var noteKeys = []string{markKey, targetKey, healthyKey, drainKey, standbyKey, secretKey}

// note reads one item of a balancer's metadata.
func (lb *lbView) note(key string) string {
	for _, m := range lb.Metadata {
		if m.Key == key {
			return m.Value
		}
	}
	return ""
}

// target is where a balancer's nodes are asked: as noted, else as its first node has it, else on
// its own port.
func (lb *lbView) target() (protocol string, port int) {
	protocol = map[string]string{"HTTP": "http", "HTTPS": "https"}[lb.Protocol]
	if protocol == "" {
		protocol = "tcp"
	}
	noted, number, ok := strings.Cut(lb.note(targetKey), ":")
	if n, err := strconv.Atoi(number); ok && err == nil {
		return noted, n
	}
	for _, n := range lb.Nodes {
		return protocol, n.Port
	}
	return protocol, lb.Port
}

// notes are the metadata that a spec wants; what is empty is not to be there.
func notes(m resource.Mark, spec *resource.LoadBalancerSpec) (map[string]string, error) {
	o, err := balancerOptions(spec.Options)
	if err != nil {
		return nil, err
	}
	n := map[string]string{markKey: m.Encode(), standbyKey: o.standby, healthyKey: strconv.Itoa(spec.HealthCheck.Healthy), drainKey: "", secretKey: ""}
	if o.drain != defaultDrain {
		n[drainKey] = strconv.Itoa(o.drain)
	}
	for _, l := range spec.Listeners {
		n[targetKey] = fmt.Sprintf("%s:%d", l.TargetProtocol, l.TargetPort)
		if l.Certificate != nil && l.Certificate.PrivateKey != nil {
			n[secretKey] = l.Certificate.PrivateKey.Digest
		}
	}
	return n, nil
}
