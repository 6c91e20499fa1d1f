package rackspace

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudship/cloudship/lab/cloud"
)

func (a *API) balancerRoutes() {
	a.handle(loadBalancers, "GET /loadbalancers", a.listBalancers)
	a.handle(loadBalancers, "POST /loadbalancers", a.createBalancer)
	a.handle(loadBalancers, "DELETE /loadbalancers", a.deleteBalancers)
	a.handle(loadBalancers, "GET /loadbalancers/{lb}", a.getBalancer)
	a.handle(loadBalancers, "PUT /loadbalancers/{lb}", a.changeBalancer)
	a.handle(loadBalancers, "DELETE /loadbalancers/{lb}", a.deleteBalancer)
}

// loadBalancer is a Cloud Load Balancer: one port, and one more for TLS.
type loadBalancer struct {
	ID            int
	Region        string
	Name          string
	Protocol      string
	Port          int
	Algorithm     string
	Timeout       int // seconds
	HalfClosed    bool
	HTTPSRedirect bool
	VIPs          []vip
	Nodes         []*node
	Monitor       *monitor  `json:",omitempty"`
	Persistence   string    `json:",omitempty"`
	Logging       bool      `json:",omitempty"`
	Caching       bool      `json:",omitempty"`
	Throttle      *throttle `json:",omitempty"`
	SSL           *sslTerm  `json:",omitempty"`
	Metadata      []item    `json:",omitempty"`
	Access        []access  `json:",omitempty"`
	Created       time.Time
	Updated       time.Time
	ActiveAt      time.Time
	ChangedAt     time.Time // it is busy with a change from then on for a while
	Deleted       time.Time `json:",omitzero"`
	PushAt        time.Time // its listener learns of its changes then, if not zero
	Spoiled       bool      `json:",omitempty"` // it is in ERROR

	pushed  bool // its listener knows a configuration
	partial bool // a node had no machine yet when it learned it
}

// listener is the name of the balancer's listener.
func (lb *loadBalancer) listener() string { return "rs-lb-" + strconv.Itoa(lb.ID) }

// address is the one that it listens on.
func (lb *loadBalancer) address() string {
	for _, v := range lb.VIPs {
		if v.Version == "IPV4" {
			return v.Address
		}
	}
	return ""
}

// balancerStatus is BUILD, ACTIVE, PENDING_UPDATE, PENDING_DELETE, DELETED or
// ERROR.
func (a *API) balancerStatus(now time.Time, lb *loadBalancer) string {
	timing := a.Faults.Timing()
	running, err := a.Balancers.Find(lb.listener())
	switch {
	case !lb.Deleted.IsZero() && now.Before(lb.Deleted.Add(durationOf(timing.ServerGone))):
		return "PENDING_DELETE"
	case !lb.Deleted.IsZero():
		return "DELETED"
	case !running && err != nil:
		return "ERROR"
	case now.Before(lb.ActiveAt), !running:
		return "BUILD"
	case now.Before(lb.ChangedAt.Add(durationOf(timing.BalancerBusy))):
		return "PENDING_UPDATE"
	case lb.Spoiled:
		return "ERROR"
	}
	return "ACTIVE"
}

type clock struct {
	Time string `json:"time"`
}

func (a *API) shortBalancer(c *call, lb *loadBalancer) map[string]any {
	return map[string]any{
		"id": lb.ID, "name": lb.Name, "protocol": lb.Protocol, "port": lb.Port, "algorithm": lb.Algorithm, "timeout": lb.Timeout,
		"status": a.balancerStatus(c.now, lb), "nodeCount": len(lb.Nodes), "virtualIps": lb.VIPs,
		"created": clock{stamp(lb.Created)}, "updated": clock{stamp(lb.Updated)},
	}
}

func (a *API) viewBalancer(c *call, lb *loadBalancer) map[string]any {
	v := a.shortBalancer(c, lb)
	delete(v, "nodeCount")
	if v["status"] == "DELETED" { // what is left of it
		for _, gone := range []string{"virtualIps", "timeout"} {
			delete(v, gone)
		}
		return v
	}
	v["nodes"] = a.viewNodes(c, lb)
	v["halfClosed"], v["httpsRedirect"] = lb.HalfClosed, lb.HTTPSRedirect
	v["cluster"] = map[string]string{"name": "ztm-n01." + strings.ToLower(lb.Region) + "1.lbaas.rackspace.net"}
	v["sourceAddresses"] = map[string]string{"ipv6Public": "2001:4801:79f1:1::1/64", "ipv4Servicenet": "127.0.0.1", "ipv4Public": "127.0.0.1"}
	v["connectionLogging"], v["contentCaching"] = map[string]bool{"enabled": lb.Logging}, map[string]bool{"enabled": lb.Caching}
	if lb.Persistence != "" {
		v["sessionPersistence"] = map[string]string{"persistenceType": lb.Persistence}
	}
	if lb.Throttle != nil {
		v["connectionThrottle"] = lb.Throttle
	}
	if len(lb.Metadata) > 0 {
		v["metadata"] = lb.Metadata
	}
	return v
}

// mostBalancersPerPage is the size of a page, and the largest.
const mostBalancersPerPage = 100

// listBalancers answers a page without a link to the next one; its marker is
// the first of the page, not the last of the one before. A query by name
// ignores all else.
func (a *API) listBalancers(c *call) (reply, error) {
	query := c.URL.Query()
	name, wanted := query.Get("name"), strings.ToUpper(query.Get("status"))
	limit, offset, marker := c.query("limit", mostBalancersPerPage), c.query("offset", 0), c.query("marker", 0)
	if limit < 1 || limit > mostBalancersPerPage {
		limit = mostBalancersPerPage
	}
	list := []any{}
	for _, lb := range a.state.Balancers.List(c.now, c.timing.ListLag) {
		if lb.Region != c.region {
			continue
		}
		status := a.balancerStatus(c.now, lb)
		switch address := query.Get("nodeaddress"); {
		case address != "":
			if slices.ContainsFunc(lb.Nodes, func(n *node) bool { return n.Address == address }) {
				list = append(list, map[string]any{"id": lb.ID, "name": lb.Name, "status": status})
			}
		case name != "":
			if lb.Name == name {
				list = append(list, a.shortBalancer(c, lb))
			}
		case lb.ID < marker, wanted == "" && status == "DELETED", wanted != "" && wanted != status:
		case offset > 0:
			offset--
		case len(list) < limit:
			list = append(list, a.shortBalancer(c, lb))
		}
	}
	return reply{status: http.StatusOK, body: map[string]any{"loadBalancers": list}}, nil
}

func noBalancer() error { return fail(http.StatusNotFound, "Load balancer not found") }

// shownBalancer finds the balancer that the path names, be it deleted.
func (a *API) shownBalancer(c *call) (*loadBalancer, error) {
	lb, ok := a.state.Balancers.Find(c.now, c.number("lb"), c.timing.NotFound)
	if !ok || lb.Region != c.region {
		return nil, noBalancer()
	}
	return lb, nil
}

// part finds the balancer of which the path names a part; one that is deleted
// has none.
func (a *API) part(c *call) (*loadBalancer, error) {
	lb, err := a.shownBalancer(c)
	if err != nil {
		return nil, err
	}
	if !lb.Deleted.IsZero() {
		return nil, fail(http.StatusGone, "The loadbalancer is marked as deleted.")
	}
	return lb, nil
}

// changeable finds the balancer that the path names if it can be changed now.
func (a *API) changeable(c *call) (*loadBalancer, error) {
	lb, err := a.shownBalancer(c)
	if err != nil {
		return nil, err
	}
	switch status := a.balancerStatus(c.now, lb); status {
	case "ACTIVE":
		return lb, nil
	case "DELETED":
		return nil, fail(http.StatusUnprocessableEntity, "The load balancer is deleted and considered immutable.")
	default:
		return nil, fail(http.StatusUnprocessableEntity, "Load Balancer '%d' has a status of '%s' and is considered immutable.", lb.ID, status)
	}
}

// changed notes that a balancer was changed: it is busy, and its listener
// learns of it a while later.
func (a *API) changed(c *call, lb *loadBalancer) {
	lb.ChangedAt, lb.Updated = c.now, c.now
	if lb.PushAt.IsZero() {
		lb.PushAt = c.now.Add(durationOf(c.timing.Attach))
	}
	if _, spoiled := cloud.Spoiled(c.Context()); spoiled {
		lb.Spoiled = true
	}
}

func (a *API) getBalancer(c *call) (reply, error) {
	lb, err := a.shownBalancer(c)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: map[string]any{"loadBalancer": a.viewBalancer(c, lb)}}, nil
}

func (a *API) deleteBalancer(c *call) (reply, error) {
	lb, ok := a.state.Balancers.Get(c.number("lb"))
	if !ok || lb.Region != c.region {
		return reply{}, noBalancer()
	}
	return a.removeBalancers(c, []int{lb.ID})
}

// mostAtOnce bounds a delete of several things by one call.
const mostAtOnce = 10

func (a *API) deleteBalancers(c *call) (reply, error) {
	ids := idsOf(c)
	switch {
	case len(ids) == 0:
		return reply{}, fail(http.StatusBadRequest, "Must supply one or more id's to process this request.")
	case len(ids) > mostAtOnce:
		return reply{}, fail(http.StatusBadRequest, "Currently, the limit of accepted parameters is: %d :please supply a valid parameter list.", mostAtOnce)
	}
	return a.removeBalancers(c, ids)
}

// idsOf reads the ids of a query: ?id=1&id=2, or ?id=1,2.
func idsOf(c *call) []int {
	var ids []int
	for _, s := range strings.Split(strings.Join(c.URL.Query()["id"], ","), ",") {
		if n, err := strconv.Atoi(s); err == nil {
			ids = append(ids, n)
		}
	}
	return ids
}

// removeBalancers deletes all or none.
func (a *API) removeBalancers(c *call, ids []int) (reply, error) {
	var all []*loadBalancer
	for _, id := range ids {
		lb, ok := a.state.Balancers.Get(id)
		if !ok || lb.Region != c.region || a.balancerStatus(c.now, lb) == "DELETED" {
			return reply{}, fail(http.StatusBadRequest, "Must provide valid load balancers: %d  could not be found.", id)
		}
		if a.balancerStatus(c.now, lb) != "ACTIVE" {
			return reply{}, fail(http.StatusBadRequest, "Must provide valid load balancers: %d  are immutable and could not be processed.", id)
		}
		all = append(all, lb)
	}
	for _, lb := range all {
		lb.Deleted, lb.Updated = c.now, c.now
		a.Balancers.Remove(lb.listener())
		a.giveAddress(lb.address())
	}
	return accepted, nil
}

// giveAddress takes an address back that no balancer has any more.
func (a *API) giveAddress(address string) {
	for _, lb := range a.state.Balancers.All {
		if lb.Deleted.IsZero() && lb.address() == address {
			return
		}
	}
	a.Addresses.Give(address)
}
