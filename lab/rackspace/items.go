package rackspace

import (
	"net/http"
	"slices"
)

// itemRoutes are the parts of a balancer that it has any number of, each with
// a number of its own.
func (a *API) itemRoutes() {
	const at = "/loadbalancers/{lb}/"
	a.handle(loadBalancers, "GET "+at+"metadata", a.showPart("metadata", func(lb *loadBalancer) any { return append([]item{}, lb.Metadata...) }))
	a.handle(loadBalancers, "POST "+at+"metadata", a.addItems)
	a.handle(loadBalancers, "DELETE "+at+"metadata", a.deleteItems)
	a.handle(loadBalancers, "PUT "+at+"metadata/{item}", a.putItem)
	a.handle(loadBalancers, "DELETE "+at+"metadata/{item}", a.deleteItem)
	a.handle(loadBalancers, "GET "+at+"virtualips", a.showPart("virtualIps", func(lb *loadBalancer) any { return lb.VIPs }))
	a.handle(loadBalancers, "POST "+at+"virtualips", a.addVIP)
	a.handle(loadBalancers, "DELETE "+at+"virtualips/{vip}", a.deleteVIP)
	a.handle(loadBalancers, "GET "+at+"accesslist", a.showPart("accessList", func(lb *loadBalancer) any { return append([]access{}, lb.Access...) }))
	a.handle(loadBalancers, "POST "+at+"accesslist", a.addAccess)
	a.handle(loadBalancers, "DELETE "+at+"accesslist", a.dropPart("No access list found to delete.", func(lb *loadBalancer) bool {
		had := len(lb.Access) > 0
		lb.Access = nil
		return had
	}))
}

// item is one of a balancer's metadata.
type item struct {
	ID    int    `json:"id"`
	Key   string `json:"key"`
	Value string `json:"value"`
}

func checkItems(items []item) error {
	if len(items) > mostItems {
		return fail(http.StatusRequestEntityTooLarge, "Metadata must not exceed %d items per load balancer.", mostItems)
	}
	seen := map[string]bool{}
	for _, m := range items {
		switch {
		case m.Key == "" || len(m.Key) > longestItem || len(m.Value) > longestItem:
			return invalid("Metadata key and value must be between 1 and %d characters long", longestItem)
		case seen[m.Key]:
			return fail(http.StatusUnprocessableEntity, "Duplicate metadata keys: %s", m.Key)
		}
		seen[m.Key] = true
	}
	return nil
}

// addItems is at once, as are all changes of metadata, but not while the
// balancer is busy.
func (a *API) addItems(c *call) (reply, error) {
	var body struct {
		Metadata []struct{ Key, Value string } `json:"metadata"`
	}
	if err := c.decode(&body); err != nil {
		return reply{}, err
	}
	lb, err := a.part(c)
	if err != nil {
		return reply{}, err
	}
	next := slices.Clone(lb.Metadata)
	for _, m := range body.Metadata {
		next = append(next, item{ID: a.nextID(), Key: m.Key, Value: m.Value})
	}
	if err := checkItems(next); err != nil {
		return reply{}, err
	}
	added := next[len(lb.Metadata):]
	lb.Metadata, lb.Updated = next, c.now
	return reply{status: http.StatusOK, body: map[string]any{"metadata": added}}, nil
}

func (a *API) putItem(c *call) (reply, error) {
	var body struct {
		Meta struct{ Value string } `json:"meta"`
	}
	if err := c.decode(&body); err != nil {
		return reply{}, err
	}
	lb, err := a.part(c)
	if err != nil {
		return reply{}, err
	}
	next := slices.Clone(lb.Metadata)
	i := slices.IndexFunc(next, func(m item) bool { return m.ID == c.number("item") })
	if i < 0 {
		return reply{}, fail(http.StatusNotFound, "Metadata not found")
	}
	next[i].Value = body.Meta.Value
	if err := checkItems(next); err != nil {
		return reply{}, err
	}
	lb.Metadata, lb.Updated = next, c.now
	return reply{status: http.StatusOK}, nil
}

func (a *API) deleteItem(c *call) (reply, error) { return a.removeItems(c, []int{c.number("item")}) }

func (a *API) deleteItems(c *call) (reply, error) { return a.removeItems(c, idsOf(c)) }

func (a *API) removeItems(c *call, ids []int) (reply, error) {
	lb, err := a.part(c)
	if err != nil {
		return reply{}, err
	}
	for _, id := range ids {
		if !slices.ContainsFunc(lb.Metadata, func(m item) bool { return m.ID == id }) {
			return reply{}, invalid("Metadata ids %d are not a part of your loadbalancer", id)
		}
	}
	lb.Metadata = slices.DeleteFunc(slices.Clone(lb.Metadata), func(m item) bool { return slices.Contains(ids, m.ID) })
	lb.Updated = c.now
	return reply{status: http.StatusOK}, nil
}

// addVIP adds an IPv6 address: there is no other that can be added.
func (a *API) addVIP(c *call) (reply, error) {
	var r vipRequest
	if err := c.decode(&r); err != nil {
		return reply{}, err
	}
	if r.Type != "PUBLIC" || r.Version != "IPV6" {
		return reply{}, invalid("Only IPv6 virtual ips may be added to a load balancer.")
	}
	lb, err := a.changeable(c)
	if err != nil {
		return reply{}, err
	}
	added := a.newIPv6()
	lb.VIPs = append(lb.VIPs, added)
	a.changed(c, lb)
	return reply{status: http.StatusAccepted, body: added}, nil
}

func (a *API) deleteVIP(c *call) (reply, error) {
	lb, err := a.changeable(c)
	if err != nil {
		return reply{}, err
	}
	i := slices.IndexFunc(lb.VIPs, func(v vip) bool { return v.ID == c.number("vip") })
	switch {
	case i < 0:
		return reply{}, fail(http.StatusNotFound, "Virtual ip not found")
	case len(lb.VIPs) == 1 || lb.VIPs[i].Version == "IPV4":
		return reply{}, fail(http.StatusBadRequest, "Cannot delete the last virtual IP. At least one must be present on the load balancer.")
	}
	lb.VIPs = slices.Delete(slices.Clone(lb.VIPs), i, i+1)
	a.changed(c, lb)
	return accepted, nil
}

// access is who may come, or may not.
type access struct {
	ID      int    `json:"id"`
	Address string `json:"address"`
	Type    string `json:"type"`
}

func (a *API) addAccess(c *call) (reply, error) {
	var body struct {
		Access []struct{ Address, Type string } `json:"accessList"`
	}
	if err := c.decode(&body); err != nil {
		return reply{}, err
	}
	lb, err := a.changeable(c)
	if err != nil {
		return reply{}, err
	}
	next := slices.Clone(lb.Access)
	for _, x := range body.Access {
		if x.Type != "ALLOW" && x.Type != "DENY" || x.Address == "" {
			return reply{}, invalid("Must provide an address and a type of ALLOW or DENY for the access list")
		}
		next = append(next, access{ID: a.nextID(), Address: x.Address, Type: x.Type})
	}
	if len(next) > mostAccess {
		return reply{}, fail(http.StatusRequestEntityTooLarge, "Access list size must not exceed %d", mostAccess)
	}
	lb.Access = next
	a.changed(c, lb)
	return accepted, nil
}

// usageRoutes tell of what there is and how much of it one may have.
func (a *API) usageRoutes() {
	named := func(name string, list []map[string]any) func(*call) (reply, error) {
		return func(*call) (reply, error) { return reply{status: http.StatusOK, body: map[string]any{name: list}}, nil }
	}
	var all, spoken, absolute []map[string]any
	for _, name := range algorithms {
		all = append(all, map[string]any{"name": name})
	}
	for name, port := range protocols {
		spoken = append(spoken, map[string]any{"name": name, "port": port})
	}
	for name, value := range map[string]int{
		"LOADBALANCER_LIMIT": mostBalancers, "NODE_LIMIT": mostNodes, "BATCH_DELETE_LIMIT": mostAtOnce, "IPV6_LIMIT": 25,
		"ACCESS_LIST_LIMIT": mostAccess, "NODE_META_LIMIT": mostItems, "LOADBALANCER_META_LIMIT": mostItems, "CERTIFICATE_MAPPING_LIMIT": mostCertificates,
	} {
		absolute = append(absolute, map[string]any{"name": name, "value": value})
	}
	a.handle(loadBalancers, "GET /loadbalancers/algorithms", named("algorithms", all))
	a.handle(loadBalancers, "GET /loadbalancers/protocols", named("protocols", spoken))
	a.handle(loadBalancers, "GET /loadbalancers/alloweddomains", named("allowedDomains", []map[string]any{}))
	a.handle(loadBalancers, "GET /loadbalancers/absolutelimits", named("absolute", absolute))
	a.handle(loadBalancers, "GET /loadbalancers/{lb}/stats", func(c *call) (reply, error) {
		if _, err := a.part(c); err != nil {
			return reply{}, err
		}
		return reply{status: http.StatusOK, body: map[string]int{"connectTimeOut": 0, "connectError": 0, "connectFailure": 0, "dataTimedOut": 0, "keepAliveTimedOut": 0, "maxConn": 0}}, nil
	})
}
