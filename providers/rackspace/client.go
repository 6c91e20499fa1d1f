package rackspace

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/cloudship/cloudship/resource"
)

// lbClient speaks to Cloud Load Balancers v1.0. It makes every call once.
type lbClient struct{ service *gophercloud.ServiceClient }

// lbView is a load balancer as the API shows it. In lists it has no nodes and no metadata.
type lbView struct {
	ID          int          `json:"id"`
	Name        string       `json:"name"`
	Protocol    string       `json:"protocol"`
	Port        int          `json:"port"`
	Algorithm   string       `json:"algorithm"`
	Status      string       `json:"status"`
	Timeout     int          `json:"timeout"`
	Redirect    flag         `json:"httpsRedirect"`
	Nodes       []node       `json:"nodes"`
	VIPs        []vip        `json:"virtualIps"`
	Persistence *persistence `json:"sessionPersistence"`
	Metadata    []meta       `json:"metadata"`
	Created     stamp        `json:"created"`
	Updated     stamp        `json:"updated"`

	monitor *monitor // asked for apart; nil where there is none
	ssl     *sslTerm // the same
}

// flag is a truth that some answers put into quotes.
type flag bool

func (f *flag) UnmarshalJSON(b []byte) error {
	s := string(b)
	*f = s == "true" || s == `"true"`
	return nil
}

type stamp struct {
	Time time.Time `json:"time"`
}

type vip struct {
	ID      int    `json:"id,omitempty"`
	Address string `json:"address,omitempty"`
	Type    string `json:"type,omitempty"`
	Version string `json:"ipVersion,omitempty"`
}

type meta struct {
	ID    int    `json:"id,omitempty"`
	Key   string `json:"key"`
	Value string `json:"value"`
}

// node is where a balancer sends to.
type node struct {
	ID        int    `json:"id,omitempty"`
	Address   string `json:"address,omitempty"`
	Port      int    `json:"port,omitempty"`
	Condition string `json:"condition,omitempty"` // ENABLED, DISABLED or DRAINING: what is wanted
	Status    string `json:"status,omitempty"`    // ONLINE or OFFLINE: what is found
	Type      string `json:"type,omitempty"`
	Weight    int    `json:"weight,omitempty"`
}

// The conditions of a node.
const (
	enabled  = "ENABLED"
	draining = "DRAINING"
)

type persistence struct {
	Type string `json:"persistenceType,omitempty"`
}

type monitor struct {
	Type     string `json:"type,omitempty"`
	Delay    int    `json:"delay,omitempty"`
	Timeout  int    `json:"timeout,omitempty"`
	Attempts int    `json:"attemptsBeforeDeactivation,omitempty"`
	Path     string `json:"path,omitempty"`
	Status   string `json:"statusRegex,omitempty"`
}

// sslTerm is TLS that ends at a balancer. Its key is sent and never shown.
type sslTerm struct {
	Certificate  string `json:"certificate,omitempty"`
	Intermediate string `json:"intermediateCertificate,omitempty"`
	PrivateKey   string `json:"privatekey,omitempty"`
	Port         int    `json:"securePort,omitempty"`
	Only         bool   `json:"secureTrafficOnly"`
	Enabled      bool   `json:"enabled"`
}

// lbRequest is the body of a create, or, as far as it is set, of a change.
type lbRequest struct {
	Name        string       `json:"name,omitempty"`
	Protocol    string       `json:"protocol,omitempty"`
	Port        int          `json:"port,omitempty"`
	Algorithm   string       `json:"algorithm,omitempty"`
	Timeout     int          `json:"timeout,omitempty"`
	Redirect    *bool        `json:"httpsRedirect,omitempty"`
	VIPs        []vip        `json:"virtualIps,omitempty"`
	Monitor     *monitor     `json:"healthMonitor,omitempty"`
	Persistence *persistence `json:"sessionPersistence,omitempty"`
	Metadata    []meta       `json:"metadata,omitempty"`
}

// done has the statuses of success: documents and servers differ on which.
func done() *gophercloud.RequestOpts {
	return &gophercloud.RequestOpts{OkCodes: []int{http.StatusOK, http.StatusAccepted, http.StatusNoContent}}
}

func (c *lbClient) at(id int, parts ...string) string {
	return c.service.ServiceURL(append([]string{"loadbalancers", strconv.Itoa(id)}, parts...)...)
}

// lbPage is the most that a page holds.
const lbPage = 100

// list gives every balancer of the account in the region, in short. A page's marker is its first
// element, not the last of the page before; nothing else tells that there is another page.
func (c *lbClient) list(ctx context.Context) ([]lbView, error) {
	all := []lbView{}
	query := url.Values{"limit": {strconv.Itoa(lbPage)}}
	for {
		var page struct {
			Balancers []lbView `json:"loadBalancers"`
		}
		if _, err := c.service.Get(ctx, c.service.ServiceURL("loadbalancers")+"?"+query.Encode(), &page, nil); err != nil {
			return nil, fault("list load balancers", resource.Address{}, err, reading)
		}
		fresh := page.Balancers
		if len(all) > 0 && len(fresh) > 0 && fresh[0].ID == all[len(all)-1].ID {
			fresh = fresh[1:]
		}
		all = append(all, fresh...)
		if len(fresh) == 0 || len(page.Balancers) < lbPage {
			return all, nil
		}
		query.Set("marker", strconv.Itoa(all[len(all)-1].ID))
	}
}

// get gives a balancer whole, but for what is asked for apart.
func (c *lbClient) get(ctx context.Context, id int) (*lbView, error) {
	var body struct {
		Balancer *lbView `json:"loadBalancer"`
	}
	if _, err := c.service.Get(ctx, c.at(id), &body, nil); err != nil {
		return nil, err
	}
	if body.Balancer == nil || gone(body.Balancer.Status) {
		return nil, &resource.Error{Kind: resource.Gone, Op: "read load balancer", Message: "it is deleted"}
	}
	return body.Balancer, nil
}

// gone reports whether a status says that a balancer is no more: it is shown by its id for months.
func gone(status string) bool { return status == "DELETED" || status == "PENDING_DELETE" }

// monitored gives a balancer with its health monitor.
func (c *lbClient) monitored(ctx context.Context, id int) (*lbView, error) {
	lb, err := c.get(ctx, id)
	if err != nil {
		return nil, err
	}
	var m struct {
		Monitor monitor `json:"healthMonitor"`
	}
	if _, err := c.service.Get(ctx, c.at(id, "healthmonitor"), &m, nil); err != nil {
		return nil, err
	}
	if m.Monitor.Type != "" {
		lb.monitor = &m.Monitor
	}
	return lb, nil
}

// whole gives a balancer with its health monitor and its TLS.
func (c *lbClient) whole(ctx context.Context, id int) (*lbView, error) {
	lb, err := c.monitored(ctx, id)
	if err != nil {
		return nil, err
	}
	var s struct {
		SSL *sslTerm `json:"sslTermination"`
	}
	_, err = c.service.Get(ctx, c.at(id, "ssltermination"), &s, nil)
	switch {
	case gophercloud.ResponseCodeIs(err, http.StatusNotFound): // there is none
	case err != nil:
		return nil, err
	case s.SSL != nil && s.SSL.Enabled && s.SSL.Certificate != "":
		lb.ssl = s.SSL
	}
	return lb, nil
}

func (c *lbClient) create(ctx context.Context, r lbRequest) (*lbView, error) {
	var body struct {
		Balancer *lbView `json:"loadBalancer"`
	}
	_, err := c.service.Post(ctx, c.service.ServiceURL("loadbalancers"), map[string]any{"loadBalancer": r}, &body, done())
	if err == nil && body.Balancer == nil {
		err = &resource.Error{Kind: resource.Ambiguous, Op: "create load balancer", Message: "the answer holds no load balancer"}
	}
	return body.Balancer, err
}

// put changes a balancer, or, with a part, that part of it. Answers have bodies or not.
func (c *lbClient) put(ctx context.Context, id int, name string, body any, part ...string) error {
	_, err := c.service.Put(ctx, c.at(id, part...), map[string]any{name: body}, nil, done())
	return err
}

func (c *lbClient) remove(ctx context.Context, id int, part ...string) error {
	_, err := c.service.Delete(ctx, c.at(id, part...), done())
	return err
}

func (c *lbClient) addNodes(ctx context.Context, id int, nodes []node) ([]node, error) {
	var body struct {
		Nodes []node `json:"nodes"`
	}
	_, err := c.service.Post(ctx, c.at(id, "nodes"), map[string]any{"nodes": nodes}, &body, done())
	return body.Nodes, err
}

// changeNodes changes the conditions of nodes, which is one change of the balancer. Servers of
// before August 2021 know no such call: there it is the first node's alone, and the rest is left.
func (c *lbClient) changeNodes(ctx context.Context, id int, nodes []node) (all bool, err error) {
	err = c.put(ctx, id, "nodes", nodes, "nodes")
	if gophercloud.ResponseCodeIs(err, http.StatusMethodNotAllowed) {
		err = c.put(ctx, id, "node", node{Condition: nodes[0].Condition}, "nodes", strconv.Itoa(nodes[0].ID))
		return len(nodes) == 1, err
	}
	return true, err
}

// mostDeleted is how many nodes go with one call.
const mostDeleted = 10

func (c *lbClient) removeNodes(ctx context.Context, id int, nodes []node) error {
	query := url.Values{}
	for _, n := range nodes {
		query.Add("id", strconv.Itoa(n.ID))
	}
	_, err := c.service.Delete(ctx, c.at(id, "nodes")+"?"+query.Encode(), done())
	return err
}

// setMetadata brings metadata to what is wanted; an empty value takes an item away. It is at once.
func (c *lbClient) setMetadata(ctx context.Context, lb *lbView, wanted map[string]string) error {
	have := map[string]meta{}
	for _, m := range lb.Metadata {
		have[m.Key] = m
	}
	var add []meta
	for _, key := range noteKeys {
		value, named := wanted[key]
		m, there := have[key]
		switch {
		case !named || value == m.Value:
		case value == "":
			if err := c.remove(ctx, lb.ID, "metadata", strconv.Itoa(m.ID)); err != nil {
				return err
			}
		case there:
			if err := c.put(ctx, lb.ID, "meta", map[string]string{"value": value}, "metadata", strconv.Itoa(m.ID)); err != nil {
				return err
			}
		default:
			add = append(add, meta{Key: key, Value: value})
		}
	}
	if len(add) == 0 {
		return nil
	}
	_, err := c.service.Post(ctx, c.at(lb.ID, "metadata"), map[string]any{"metadata": add}, nil, done())
	return err
}

// limits are the account's: by name, such as NODE_LIMIT.
func (c *lbClient) limits(ctx context.Context) (map[string]int, error) {
	var body struct {
		Absolute []struct {
			Name  string      `json:"name"`
			Value json.Number `json:"value"`
		} `json:"absolute"`
	}
	if _, err := c.service.Get(ctx, c.service.ServiceURL("loadbalancers", "absolutelimits"), &body, nil); err != nil {
		return nil, fault("read the limits of load balancers", resource.Address{}, err, reading)
	}
	limits := map[string]int{}
	for _, l := range body.Absolute {
		if n, err := l.Value.Int64(); err == nil {
			limits[l.Name] = int(n)
		}
	}
	return limits, nil
}
