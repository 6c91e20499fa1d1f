package rackspace

import (
	"fmt"
	"slices"
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
	nodesKey   = "cloudship-nodes"   // ids of the nodes that are ours, whatever became of their servers
)

var noteKeys = []string{markKey, targetKey, healthyKey, drainKey, standbyKey, secretKey, nodesKey}

// longestNote is what a value of metadata holds.
const longestNote = 256

// ownNodes are the ids of the nodes that were noted as ours.
func (lb *lbView) ownNodes() map[int]bool {
	own := map[int]bool{}
	for _, word := range strings.Fields(lb.note(nodesKey)) {
		if n, err := strconv.ParseInt(word, 36, 64); err == nil {
			own[int(n)] = true
		}
	}
	return own
}

// nodesNote notes nodes as ours, beside those that were and are still there. The oldest are left
// out when there are more than fit.
func (lb *lbView) nodesNote(added []node) string {
	own := lb.ownNodes()
	var words []string
	for _, n := range slices.Concat(lb.Nodes, added) {
		if own[n.ID] || slices.ContainsFunc(added, func(a node) bool { return a.ID == n.ID }) {
			words = append(words, strconv.FormatInt(int64(n.ID), 36))
		}
	}
	text := strings.Join(words, " ")
	for len(text) > longestNote {
		_, text, _ = strings.Cut(text, " ")
	}
	return text
}

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
