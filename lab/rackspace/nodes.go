package rackspace

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

func (a *API) nodeRoutes() {
	a.handle(loadBalancers, "GET /loadbalancers/{lb}/nodes", a.listNodes)
	a.handle(loadBalancers, "POST /loadbalancers/{lb}/nodes", a.addNodes)
	a.handle(loadBalancers, "PUT /loadbalancers/{lb}/nodes", a.changeNodes)
	a.handle(loadBalancers, "DELETE /loadbalancers/{lb}/nodes", a.deleteNodes)
	a.handle(loadBalancers, "GET /loadbalancers/{lb}/nodes/events", a.listNodeEvents)
	a.handle(loadBalancers, "GET /loadbalancers/{lb}/nodes/{node}", a.getNode)
	a.handle(loadBalancers, "PUT /loadbalancers/{lb}/nodes/{node}", a.changeNode)
	a.handle(loadBalancers, "DELETE /loadbalancers/{lb}/nodes/{node}", a.deleteNode)
}

// node is where a balancer sends to.
type node struct {
	ID        int
	Address   string
	Port      int
	Condition string // ENABLED, DISABLED or DRAINING
	Type      string // PRIMARY or SECONDARY
	Weight    int
}

// nodeRequest is a node of a create or a change.
type nodeRequest struct {
	ID        int     `json:"id"`
	NodeID    int     `json:"nodeId"`
	Address   *string `json:"address"`
	Port      *int    `json:"port"`
	Status    *string `json:"status"`
	Condition *string `json:"condition"`
	Type      *string `json:"type"`
	Weight    *int    `json:"weight"`
}

// nodeView shows the weight only with an algorithm that heeds it.
type nodeView struct {
	ID        int    `json:"id"`
	Address   string `json:"address"`
	Port      int    `json:"port"`
	Status    string `json:"status"`
	Condition string `json:"condition"`
	Type      string `json:"type"`
	Weight    int    `json:"weight,omitempty"`
}

// viewNodes tells of every node; a new one is ONLINE until its checks say else.
func (a *API) viewNodes(_ *call, lb *loadBalancer) []nodeView {
	health := map[string]bool{}
	if lb.Monitor != nil {
		health = a.Balancers.Health(lb.listener())
	}
	list := []nodeView{}
	for _, n := range lb.Nodes {
		v := nodeView{n.ID, n.Address, n.Port, "ONLINE", n.Condition, n.Type, 0}
		if up, known := health[n.backend()]; known && !up {
			v.Status = "OFFLINE"
		}
		if strings.HasPrefix(lb.Algorithm, "WEIGHTED") {
			v.Weight = n.Weight
		}
		list = append(list, v)
	}
	return list
}

func (a *API) listNodes(c *call) (reply, error) {
	lb, err := a.part(c)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: map[string]any{"nodes": a.viewNodes(c, lb)}}, nil
}

func (a *API) listNodeEvents(c *call) (reply, error) {
	if _, err := a.part(c); err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: map[string]any{"nodeServiceEvents": []any{}}}, nil
}

// take sets what a request says of a node.
func (n *node) take(r nodeRequest) error {
	set(&n.Condition, r.Condition)
	set(&n.Type, r.Type)
	set(&n.Weight, r.Weight)
	switch {
	case !slices.Contains([]string{"ENABLED", "DISABLED", "DRAINING"}, n.Condition):
		return invalid("Node condition is invalid. Please specify a valid condition.")
	case n.Type != "PRIMARY" && n.Type != "SECONDARY":
		return invalid("Node type is invalid. Please specify a valid type.")
	case n.Weight < 1 || n.Weight > 100:
		return invalid("Node weight is invalid. Range is 1-100. Please specify a valid weight.")
	}
	return nil
}

// newNodes makes nodes of a request; they belong to no balancer yet.
func (a *API) newNodes(lb *loadBalancer, requests []nodeRequest) ([]*node, error) {
	var nodes []*node
	for _, r := range requests {
		switch {
		case r.Address == nil || *r.Address == "":
			return nil, invalid("Must provide a valid ip for the node")
		case r.Port == nil || *r.Port < 1 || *r.Port > 65535:
			return nil, invalid("Must provide a port between 1 and 65535 for the node")
		case r.Condition == nil:
			return nil, invalid("Must provide a condition for the node")
		case r.Status != nil || r.ID != 0:
			return nil, invalid("Node status and id must not be provided")
		}
		ip, err := netip.ParseAddr(*r.Address)
		switch {
		case err == nil && (ip.IsUnspecified() || *r.Address == "255.255.255.255"):
			return nil, invalid("Node ip is invalid. Please specify a valid ip.")
		case err == nil && slices.ContainsFunc(lb.VIPs, func(v vip) bool { return v.Address == *r.Address }):
			return nil, invalid("The ip of one of the nodes to be added is the load balancer's own.")
		}
		n := &node{ID: a.nextID(), Address: *r.Address, Port: *r.Port, Type: "PRIMARY", Weight: 1}
		if err := n.take(r); err != nil {
			return nil, err
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

func hasDuplicates(nodes []*node) bool {
	type at struct {
		address string
		port    int
	}
	seen := map[at]bool{}
	for _, n := range nodes {
		if seen[at{n.Address, n.Port}] {
			return true
		}
		seen[at{n.Address, n.Port}] = true
	}
	return false
}

// checkNodes checks what must hold of a balancer's nodes together.
func (a *API) checkNodes(lb *loadBalancer) error {
	if len(lb.Nodes) > mostNodes {
		return fail(http.StatusRequestEntityTooLarge, "Nodes must not exceed %d per load balancer.", mostNodes)
	}
	primary, secondary := false, false
	for _, n := range lb.Nodes {
		primary = primary || n.Type == "PRIMARY" && n.Condition == "ENABLED"
		secondary = secondary || n.Type == "SECONDARY"
	}
	switch {
	case secondary && lb.Monitor == nil:
		return fail(http.StatusBadRequest, "you must enable health monitoring to use secondary nodes")
	case secondary && !primary:
		return fail(http.StatusBadRequest, "you must have at least one primary node enabled")
	}
	return nil
}

func (a *API) addNodes(c *call) (reply, error) {
	var body struct {
		Nodes []nodeRequest `json:"nodes"`
	}
	if err := c.decode(&body); err != nil {
		return reply{}, err
	}
	if len(body.Nodes) == 0 {
		return reply{}, invalid("Must provide at least one node")
	}
	lb, err := a.shownBalancer(c)
	if err != nil {
		return reply{}, err
	}
	added, err := a.newNodes(lb, body.Nodes)
	if err != nil {
		return reply{}, err
	}
	if lb, err = a.changeable(c); err != nil {
		return reply{}, err
	}
	next := *lb
	next.Nodes = slices.Concat(lb.Nodes, added)
	if err := a.checkNodes(&next); err != nil {
		return reply{}, err
	}
	if hasDuplicates(next.Nodes) {
		return reply{}, fail(http.StatusUnprocessableEntity, "Duplicate nodes detected. One or more nodes already configured on load balancer.")
	}
	lb.Nodes = next.Nodes
	a.changed(c, lb)
	views := a.viewNodes(c, lb)
	return reply{status: http.StatusAccepted, body: map[string]any{"nodes": views[len(views)-len(added):]}}, nil
}

// changeNodes changes several nodes at once: one change of the balancer.
func (a *API) changeNodes(c *call) (reply, error) {
	var body struct {
		Nodes []nodeRequest `json:"nodes"`
	}
	if err := c.decode(&body); err != nil {
		return reply{}, err
	}
	lb, err := a.shownBalancer(c)
	if err != nil {
		return reply{}, err
	}
	if err := a.bring(c, lb, body.Nodes); err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusAccepted, body: map[string]any{"nodes": a.viewNodes(c, lb)}}, nil
}

// bring makes nodes of a balancer as requests say, all of them or none.
func (a *API) bring(c *call, lb *loadBalancer, requests []nodeRequest) error {
	next := *lb
	next.Nodes = nil
	for _, n := range lb.Nodes {
		copied := *n
		next.Nodes = append(next.Nodes, &copied)
	}
	for _, r := range requests {
		switch {
		case r.Address != nil:
			return invalid("Node ip field cannot be modified.")
		case r.Port != nil:
			return invalid("Port field cannot be modified.")
		case r.Status != nil:
			return invalid("Node status field cannot be modified.")
		case r.Condition == nil && r.Type == nil && r.Weight == nil:
			return invalid("The node must have at least one of the following to update: condition, weight, type.")
		}
		id := max(r.ID, r.NodeID)
		i := slices.IndexFunc(next.Nodes, func(n *node) bool { return n.ID == id })
		if i < 0 {
			return noNode(id, lb.ID)
		}
		if err := next.Nodes[i].take(r); err != nil {
			return err
		}
	}
	if _, err := a.changeable(c); err != nil {
		return err
	}
	if err := a.checkNodes(&next); err != nil {
		return err
	}
	lb.Nodes = next.Nodes
	a.changed(c, lb)
	return nil
}

func noNode(id, balancer int) error {
	return fail(http.StatusNotFound, "Node with id #%d not found for loadbalancer #%d", id, balancer)
}

func (a *API) getNode(c *call) (reply, error) {
	lb, err := a.part(c)
	if err != nil {
		return reply{}, err
	}
	for _, v := range a.viewNodes(c, lb) {
		if v.ID == c.number("node") {
			return reply{status: http.StatusOK, body: map[string]any{"node": v}}, nil
		}
	}
	return reply{}, noNode(c.number("node"), lb.ID)
}

func (a *API) changeNode(c *call) (reply, error) {
	var body struct {
		Node nodeRequest `json:"node"`
	}
	if err := c.decode(&body); err != nil {
		return reply{}, err
	}
	if body.Node.ID != 0 || body.Node.NodeID != 0 {
		return reply{}, invalid("Node id field cannot be modified.")
	}
	lb, err := a.shownBalancer(c)
	if err != nil {
		return reply{}, err
	}
	body.Node.ID = c.number("node")
	return accepted, a.bring(c, lb, []nodeRequest{body.Node})
}

func (a *API) deleteNode(c *call) (reply, error) {
	lb, err := a.shownBalancer(c)
	if err != nil {
		return reply{}, err
	}
	id := c.number("node")
	if !slices.ContainsFunc(lb.Nodes, func(n *node) bool { return n.ID == id }) {
		return reply{}, noNode(id, lb.ID)
	}
	if _, err := a.changeable(c); err != nil {
		return reply{}, err
	}
	return accepted, a.removeNodes(c, lb, []int{id})
}

// deleteNodes deletes several nodes at once, all or none.
func (a *API) deleteNodes(c *call) (reply, error) {
	ids := idsOf(c)
	if len(ids) == 0 {
		return reply{}, fail(http.StatusBadRequest, "Must supply one or more id's to process this request.")
	}
	if len(ids) > mostAtOnce {
		return reply{}, invalid("Request to delete %d nodes exceeds the account limit BATCH_DELETE_LIMIT of %d please attempt to delete fewer then %d nodes", len(ids), mostAtOnce, mostAtOnce)
	}
	lb, err := a.part(c)
	if err != nil {
		return reply{}, err
	}
	if a.balancerStatus(c.now, lb) != "ACTIVE" {
		return reply{}, fail(http.StatusUnprocessableEntity, "LoadBalancer is not ACTIVE")
	}
	return accepted, a.removeNodes(c, lb, ids)
}

func (a *API) removeNodes(c *call, lb *loadBalancer, ids []int) error {
	for _, id := range ids {
		if !slices.ContainsFunc(lb.Nodes, func(n *node) bool { return n.ID == id }) {
			return invalid("Node ids %d are not a part of your loadbalancer", id)
		}
	}
	next := *lb
	next.Nodes = slices.DeleteFunc(slices.Clone(lb.Nodes), func(n *node) bool { return slices.Contains(ids, n.ID) })
	if err := a.checkNodes(&next); err != nil {
		return err
	}
	lb.Nodes = next.Nodes
	a.changed(c, lb)
	return nil
}
