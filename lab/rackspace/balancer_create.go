package rackspace

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/cloudship/cloudship/lab/cloud"
)

// balancerRequest is the body of a create or a change; a change has what is
// set only.
type balancerRequest struct {
	Name          *string         `json:"name"`
	Protocol      *string         `json:"protocol"`
	Port          *int            `json:"port"`
	Algorithm     *string         `json:"algorithm"`
	Timeout       *int            `json:"timeout"`
	HalfClosed    *bool           `json:"halfClosed"`
	HTTPSRedirect *bool           `json:"httpsRedirect"`
	SSL           json.RawMessage `json:"sslTermination"`

	VIPs        []vipRequest                     `json:"virtualIps"`
	Nodes       []nodeRequest                    `json:"nodes"`
	Monitor     *monitor                         `json:"healthMonitor"`
	Persistence *persistence                     `json:"sessionPersistence"`
	Logging     *struct{ Enabled bool }          `json:"connectionLogging"`
	Caching     *struct{ Enabled bool }          `json:"contentCaching"`
	Throttle    *throttle                        `json:"connectionThrottle"`
	Metadata    []struct{ Key, Value string }    `json:"metadata"`
	Access      []struct{ Address, Type string } `json:"accessList"`
}

// protocols are those that a balancer speaks, with their usual ports; 0 means
// that the port must be said.
var protocols = map[string]int{
	"DNS_TCP": 53, "DNS_UDP": 53, "FTP": 21, "HTTP": 80, "HTTPS": 443, "IMAPS": 993, "IMAPv4": 143, "LDAP": 389, "LDAPS": 636,
	"MYSQL": 3306, "POP3": 110, "POP3S": 995, "SMTP": 25, "SFTP": 22, "TCP": 0, "TCP_CLIENT_FIRST": 0, "TCP_STREAM": 0, "UDP": 0, "UDP_STREAM": 0,
}

func datagrams(protocol string) bool {
	return slices.Contains([]string{"DNS_UDP", "UDP", "UDP_STREAM"}, protocol)
}

var algorithms = []string{"LEAST_CONNECTIONS", "RANDOM", "ROUND_ROBIN", "WEIGHTED_LEAST_CONNECTIONS", "WEIGHTED_ROUND_ROBIN"}

// Bounds of a balancer.
const (
	longestBalancerName          = 128
	leastTimeout, mostTimeout    = 30, 120
	mostBalancers, mostNodes     = 25, 25
	mostItems, longestItem       = 25, 256
	mostAccess, mostCertificates = 100, 20
)

func (a *API) createBalancer(c *call) (reply, error) {
	r, err := balancerBody(c)
	if err != nil {
		return reply{}, err
	}
	switch {
	case r.Name == nil:
		return reply{}, invalid("Must provide a name for the load balancer")
	case r.Protocol == nil:
		return reply{}, invalid("Must provide a protocol for the load balancer")
	case len(r.VIPs) == 0:
		return reply{}, invalid("Must have at least one virtual ip for the load balancer")
	}
	lb := &loadBalancer{
		Region: c.region, Algorithm: "RANDOM", Timeout: leastTimeout, Created: c.now, Updated: c.now,
		ActiveAt: c.now.Add(durationOf(c.timing.BalancerActive)), PushAt: c.now,
	}
	if err := lb.take(r); err != nil {
		return reply{}, err
	}
	if err := a.takeParts(c, lb, r); err != nil {
		return reply{}, err
	}
	if limit := a.Faults.Limits().Servers; limit > 0 && a.balancersIn(c.region) >= mostBalancers {
		return reply{}, fail(http.StatusRequestEntityTooLarge, "Load balancer limit reached. Please contact support to increase your limit of %d.", mostBalancers)
	}
	if err := a.takeVIPs(c, lb, r.VIPs); err != nil {
		return reply{}, err
	}
	lb.ID = a.nextID()
	_, lb.Spoiled = cloud.Spoiled(c.Context())
	a.state.Balancers.Put(c.now, lb.ID, lb)
	a.settleBalancer(c.now, lb)
	return reply{status: http.StatusAccepted, body: map[string]any{"loadBalancer": a.viewBalancer(c, lb)}}, nil
}

func (a *API) balancersIn(region string) int {
	n := 0
	for _, lb := range a.state.Balancers.All {
		if lb.Region == region && lb.Deleted.IsZero() {
			n++
		}
	}
	return n
}

func balancerBody(c *call) (*balancerRequest, error) {
	var body struct {
		LoadBalancer *balancerRequest `json:"loadBalancer"`
	}
	if err := c.decode(&body); err != nil {
		return nil, err
	}
	if body.LoadBalancer == nil {
		return nil, &Error{Status: http.StatusBadRequest, Message: badSchema}
	}
	if body.LoadBalancer.SSL != nil {
		return nil, fail(http.StatusBadRequest, "Please visit the ssltermination resource to configure ssl termination.")
	}
	return body.LoadBalancer, nil
}

// take sets what a request says of the balancer itself.
func (lb *loadBalancer) take(r *balancerRequest) error {
	next := *lb
	if r.Name != nil {
		next.Name = *r.Name
	}
	if r.Protocol != nil {
		usual, ok := protocols[*r.Protocol]
		if !ok {
			return invalid("Load balancer protocol is invalid. Please specify a valid protocol.")
		}
		if next.Protocol != *r.Protocol {
			next.Persistence = ""
		}
		next.Protocol = *r.Protocol
		if lb.Port == 0 {
			next.Port = usual
		}
	}
	set(&next.Port, r.Port)
	set(&next.Algorithm, r.Algorithm)
	set(&next.Timeout, r.Timeout)
	set(&next.HalfClosed, r.HalfClosed)
	set(&next.HTTPSRedirect, r.HTTPSRedirect)
	if err := next.check(); err != nil {
		return err
	}
	*lb = next
	return nil
}

func set[V any](into *V, v *V) {
	if v != nil {
		*into = *v
	}
}

func (lb *loadBalancer) check() error {
	switch {
	case lb.Name == "" || len(lb.Name) > longestBalancerName:
		return invalid("Load balancer name is invalid. It must be between 1 and %d characters long.", longestBalancerName)
	case lb.Port < 1 || lb.Port > 65535:
		return invalid("Must provide a port between 1 and 65535 for the load balancer.")
	case !slices.Contains(algorithms, lb.Algorithm):
		return invalid("Load balancer algorithm is invalid. Please specify a valid algorithm.")
	case lb.Timeout < leastTimeout || lb.Timeout > mostTimeout:
		return invalid("Load balancer timeout is invalid. It must be between %d and %d seconds.", leastTimeout, mostTimeout)
	case lb.HTTPSRedirect && lb.Protocol == "HTTPS" && lb.Port != 443:
		return invalid("HTTPS Redirect is only available for HTTPS load balancers on port 443.")
	case lb.HTTPSRedirect && lb.Protocol != "HTTPS" && (lb.SSL == nil || !lb.SSL.SecureOnly || lb.SSL.SecurePort != 443):
		return fail(http.StatusBadRequest, "HTTPS Redirect requires an HTTPS protocol (port 443) or an HTTP protocol with SSL termination (secure port 443, secure traffic only).")
	case lb.SSL != nil && lb.SSL.SecurePort == lb.Port:
		return invalid("The port of the load balancer must differ from its secure port.")
	}
	return nil
}

// takeParts sets what a create says of nodes, health and the rest.
func (a *API) takeParts(c *call, lb *loadBalancer, r *balancerRequest) error {
	if r.Monitor != nil {
		if err := r.Monitor.check(lb); err != nil {
			return err
		}
		if r.Monitor.Type != "CONNECT" && (r.Monitor.Path == "" || r.Monitor.StatusRegex == "") {
			return invalid("Must provide a path and a status regex for the health monitor")
		}
		lb.Monitor = r.Monitor
	}
	if r.Persistence != nil && r.Persistence.Type != "" {
		if err := r.Persistence.check(lb); err != nil {
			return err
		}
		lb.Persistence = r.Persistence.Type
	}
	lb.Logging = r.Logging != nil && r.Logging.Enabled
	lb.Caching = r.Caching != nil && r.Caching.Enabled
	lb.Throttle = r.Throttle
	for _, m := range r.Metadata {
		lb.Metadata = append(lb.Metadata, item{ID: a.nextID(), Key: m.Key, Value: m.Value})
	}
	if err := checkItems(lb.Metadata); err != nil {
		return err
	}
	for _, x := range r.Access {
		lb.Access = append(lb.Access, access{ID: a.nextID(), Address: x.Address, Type: x.Type})
	}
	nodes, err := a.newNodes(lb, r.Nodes)
	if err != nil {
		return err
	}
	if hasDuplicates(nodes) {
		return invalid("Duplicate nodes detected. Please ensure that the ip address and port are unique for each node.")
	}
	lb.Nodes = nodes
	return a.checkNodes(lb)
}

// changeBalancer changes what the body names.
func (a *API) changeBalancer(c *call) (reply, error) {
	r, err := balancerBody(c)
	if err != nil {
		return reply{}, err
	}
	for name, there := range map[string]bool{
		"virtual ips": r.VIPs != nil, "nodes": r.Nodes != nil, "health monitor": r.Monitor != nil, "metadata": r.Metadata != nil,
		"session persistence": r.Persistence != nil, "connection logging": r.Logging != nil, "connection throttle": r.Throttle != nil,
	} {
		if there {
			return reply{}, fail(http.StatusBadRequest, "The %s of a load balancer cannot be changed here.", name)
		}
	}
	lb, err := a.changeable(c)
	if err != nil {
		return reply{}, err
	}
	if err := lb.take(r); err != nil {
		return reply{}, err
	}
	a.changed(c, lb)
	return accepted, nil
}

// vip is an address that a balancer has. Balancers may share one.
type vip struct {
	ID      int    `json:"id"`
	Address string `json:"address"`
	Type    string `json:"type"`
	Version string `json:"ipVersion"`
}

type vipRequest struct {
	ID      int    `json:"id"`
	Type    string `json:"type"`
	Version string `json:"ipVersion"`
}

// takeVIPs gives a new balancer its addresses: new ones, or one that another
// balancer of the account has, on another port.
func (a *API) takeVIPs(_ *call, lb *loadBalancer, wanted []vipRequest) error {
	for _, w := range wanted {
		switch {
		case w.ID != 0:
			shared, err := a.sharedVIP(lb, w.ID)
			if err != nil {
				return err
			}
			lb.VIPs = append(lb.VIPs, shared)
		case w.Type != "PUBLIC" && w.Type != "SERVICENET":
			return invalid("Must provide a valid virtual ip type: PUBLIC or SERVICENET")
		case w.Version != "" && w.Version != "IPV4" && w.Version != "IPV6":
			return invalid("Must provide a valid ip version: IPV4 or IPV6")
		default:
			if w.Version != "IPV6" && lb.address() == "" {
				address, err := a.Addresses.Take()
				if err != nil {
					return fail(http.StatusInternalServerError, "Out of virtual IPs. Please contact support so they can allocate more virtual IPs.")
				}
				lb.VIPs = append(lb.VIPs, vip{a.nextID(), address, w.Type, "IPV4"})
			}
			if w.Version != "IPV4" && w.Type == "PUBLIC" {
				lb.VIPs = append(lb.VIPs, a.newIPv6())
			}
		}
	}
	if lb.address() == "" {
		return invalid("Must have at least one IPv4 virtual ip for the load balancer in the lab")
	}
	return nil
}

// newIPv6 is an address that leads nowhere.
func (a *API) newIPv6() vip {
	id := a.nextID()
	return vip{id, fmt.Sprintf("2001:4800:7901::%x:%x", id>>16, id&0xffff), "PUBLIC", "IPV6"}
}

func (a *API) sharedVIP(lb *loadBalancer, id int) (vip, error) {
	var found *vip
	for _, other := range a.state.Balancers.All {
		if !other.Deleted.IsZero() || other.Region != lb.Region {
			continue
		}
		for i := range other.VIPs {
			if other.VIPs[i].ID != id {
				continue
			}
			if other.Port == lb.Port || other.SSL != nil && other.SSL.SecurePort == lb.Port {
				return vip{}, fail(http.StatusUnprocessableEntity, "Virtual IP %d is already in use on port %d", id, lb.Port)
			}
			found = &other.VIPs[i]
		}
	}
	if found == nil {
		return vip{}, fail(http.StatusUnprocessableEntity, "Virtual ip %d not found", id)
	}
	return *found, nil
}
