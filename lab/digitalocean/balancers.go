package digitalocean

import (
	"net/http"
	"slices"
	"time"
)

func (a *API) balancerRoutes() {
	a.handle("GET /v2/load_balancers", a.listBalancers)
	a.handle("POST /v2/load_balancers", a.createBalancer)
	a.handle("GET /v2/load_balancers/{lb}", a.getBalancer)
	a.handle("PUT /v2/load_balancers/{lb}", a.replaceBalancer)
	a.handle("DELETE /v2/load_balancers/{lb}", a.deleteBalancer)
	a.handle("DELETE /v2/load_balancers/{lb}/cache", a.purgeCache)
	a.handle("POST /v2/load_balancers/{lb}/droplets", a.changeMembers(true))
	a.handle("DELETE /v2/load_balancers/{lb}/droplets", a.changeMembers(false))
	a.handle("POST /v2/load_balancers/{lb}/forwarding_rules", a.changeForwarding(true))
	a.handle("DELETE /v2/load_balancers/{lb}/forwarding_rules", a.changeForwarding(false))
}

type forwardingRule struct {
	EntryProtocol  string `json:"entry_protocol"`
	EntryPort      int    `json:"entry_port"`
	TargetProtocol string `json:"target_protocol"`
	TargetPort     int    `json:"target_port"`
	CertificateID  string `json:"certificate_id"`
	TLSPassthrough bool   `json:"tls_passthrough"`
}

type healthCheck struct {
	Protocol  string `json:"protocol"`
	Port      int    `json:"port"`
	Path      string `json:"path,omitempty"`
	Interval  int    `json:"check_interval_seconds"`
	Timeout   int    `json:"response_timeout_seconds"`
	Unhealthy int    `json:"unhealthy_threshold"`
	Healthy   int    `json:"healthy_threshold"`
	Proxy     *bool  `json:"proxy_protocol,omitempty"`
}

type stickySessions struct {
	Type   string `json:"type"`
	Cookie string `json:"cookie_name,omitempty"`
	TTL    int    `json:"cookie_ttl_seconds,omitempty"`
}

type balancerFirewall struct {
	Deny  []string `json:"deny"`
	Allow []string `json:"allow"`
}

type balancerDomain struct {
	Name          string `json:"name"`
	IsManaged     bool   `json:"is_managed"`
	CertificateID string `json:"certificate_id,omitempty"`
}

// balancerSpec is what a client says of a load balancer.
type balancerSpec struct {
	Name            string            `json:"name"`
	ProjectID       string            `json:"project_id,omitempty"`
	SizeUnit        int               `json:"size_unit,omitempty"`
	Size            string            `json:"size,omitempty"`
	Algorithm       string            `json:"algorithm"`
	Type            string            `json:"type"`
	Network         string            `json:"network"`
	NetworkStack    string            `json:"network_stack"`
	TLSPolicy       string            `json:"tls_cipher_policy"`
	VPC             string            `json:"vpc_uuid,omitempty"`
	ForwardingRules []forwardingRule  `json:"forwarding_rules"`
	HealthCheck     *healthCheck      `json:"health_check"`
	StickySessions  *stickySessions   `json:"sticky_sessions"`
	Firewall        *balancerFirewall `json:"firewall,omitempty"`
	Domains         []balancerDomain  `json:"domains,omitempty"`
	Tag             string            `json:"tag,omitempty"`
	DropletIDs      []int             `json:"droplet_ids"`

	RedirectHTTP      bool `json:"redirect_http_to_https"`
	ProxyProtocol     bool `json:"enable_proxy_protocol"`
	BackendKeepalive  bool `json:"enable_backend_keepalive"`
	NoLetsEncryptDNS  bool `json:"disable_lets_encrypt_dns_records"`
	IdleTimeoutSecond int  `json:"http_idle_timeout_seconds"`
}

// balancerRequest is the body of a create or a PUT.
type balancerRequest struct {
	balancerSpec
	Region string `json:"region"`
}

// loadBalancer is a load balancer.
type loadBalancer struct {
	balancerSpec
	ID        string
	Region    string
	Address   string
	Created   time.Time
	ActiveAt  time.Time
	BusyUntil time.Time // changes are refused until then
	Members   []int     // droplets that it knows, by id or by its tag
	LookAt    time.Time // its tag is looked at again then, if not zero
	PushAt    time.Time // its listeners learn of its changes then, if not zero

	pushed   bool // its listeners know a configuration
	partial  bool // a member had no address yet when they learned it
	sampleAt time.Time
	samples  []healthSample
}

type balancerView struct {
	balancerSpec
	ID        string    `json:"id"`
	IP        string    `json:"ip"`
	IPv6      string    `json:"ipv6"`
	Status    string    `json:"status"`
	CreatedAt time.Time `json:"created_at"`
	Region    *region   `json:"region,omitempty"`
}

func (a *API) viewBalancer(now time.Time, lb *loadBalancer) balancerView {
	v := balancerView{
		balancerSpec: lb.balancerSpec, ID: lb.ID, Status: a.balancerStatus(now, lb),
		CreatedAt: second(lb.Created), Region: findRegion(lb.Region),
	}
	if lb.Type == "GLOBAL" {
		v.Region = nil
	}
	v.DropletIDs = some(lb.Members)
	if v.Status == "active" {
		v.IP = lb.Address
	}
	return v
}

func (a *API) balancerStatus(now time.Time, lb *loadBalancer) string {
	running, err := a.Balancers.Find(lb.ID)
	switch {
	case !running && err != nil:
		return "errored"
	case now.Before(lb.ActiveAt), !running:
		return "new"
	}
	return "active"
}

func (a *API) listBalancers(c *call) (reply, error) {
	return page(c, "load_balancers", a.state.Balancers.List(c.now, c.timing.ListLag),
		func(lb *loadBalancer) balancerView { return a.viewBalancer(c.now, lb) })
}

func (a *API) createBalancer(c *call) (reply, error) {
	var r balancerRequest
	if err := c.decode(&r); err != nil {
		return reply{}, err
	}
	lb := &loadBalancer{ID: newUUID(), Created: c.now, ActiveAt: c.now.Add(durationOf(c.timing.BalancerActive))}
	reg := findRegion(r.Region)
	if reg == nil || r.Region == "" && r.Type != "GLOBAL" {
		return reply{}, invalid("region is invalid")
	}
	lb.Region = reg.Slug
	if r.VPC == "" {
		r.VPC = a.defaultVPC(c, lb.Region).ID
	}
	if v, ok := a.state.VPCs.Get(r.VPC); !ok || v.Region != lb.Region {
		return reply{}, invalid("vpc_uuid is invalid")
	}
	lb.VPC = r.VPC
	if err := a.takeSpec(c, lb, r.balancerSpec); err != nil {
		return reply{}, err
	}
	address, err := a.Addresses.Take()
	if err != nil {
		return reply{}, invalid("no address for a load balancer: %v", err)
	}
	lb.Address, lb.PushAt = address, c.now
	lb.BusyUntil = time.Time{} // it is new: that keeps it busy
	a.state.Balancers.Put(c.now, lb.ID, lb)
	a.settleBalancer(c.now, lb)
	return a.balancerReply(c, http.StatusAccepted, lb)
}

func (a *API) balancerReply(c *call, status int, lb *loadBalancer) (reply, error) {
	return reply{status, map[string]any{"load_balancer": a.viewBalancer(c.now, lb)}}, nil
}

func (a *API) shownBalancer(c *call) (*loadBalancer, error) {
	lb, ok := a.state.Balancers.Find(c.now, c.PathValue("lb"), c.timing.NotFound)
	if !ok {
		return nil, notFound()
	}
	return lb, nil
}

// changeable finds the balancer that the path names if it can be changed now.
func (a *API) changeable(c *call) (*loadBalancer, error) {
	lb, err := a.shownBalancer(c)
	if err != nil {
		return nil, err
	}
	if c.now.Before(lb.BusyUntil) || a.balancerStatus(c.now, lb) == "new" {
		return nil, fail(http.StatusForbidden, "Load Balancer can't be updated while it processes previous actions")
	}
	return lb, nil
}

func (a *API) getBalancer(c *call) (reply, error) {
	lb, err := a.shownBalancer(c)
	if err != nil {
		return reply{}, err
	}
	return a.balancerReply(c, http.StatusOK, lb)
}

// replaceBalancer gives every field that the body omits its default.
func (a *API) replaceBalancer(c *call) (reply, error) {
	lb, err := a.changeable(c)
	if err != nil {
		return reply{}, err
	}
	var r balancerRequest
	if err := c.decode(&r); err != nil {
		return reply{}, err
	}
	if r.Region != "" && r.Region != lb.Region {
		return reply{}, invalid("region can not be changed")
	}
	if r.VPC != "" && r.VPC != lb.VPC {
		return reply{}, invalid("vpc_uuid can not be changed")
	}
	if r.Type == "" {
		r.Type = lb.Type
	}
	if r.Type != lb.Type {
		return reply{}, invalid("type can not be changed")
	}
	if err := a.takeSpec(c, lb, r.balancerSpec); err != nil {
		return reply{}, err
	}
	return a.balancerReply(c, http.StatusOK, lb)
}

func (a *API) deleteBalancer(c *call) (reply, error) {
	lb, err := a.shownBalancer(c)
	if err != nil {
		return reply{}, err
	}
	a.state.Balancers.Delete(c.now, lb.ID, c.now)
	a.Balancers.Remove(lb.ID)
	a.Addresses.Give(lb.Address)
	return none, nil
}

func (a *API) purgeCache(c *call) (reply, error) {
	_, err := a.shownBalancer(c)
	return none, err
}

// mostMembers is how many droplets a balancer takes by id; by tag there is no
// bound.
const mostMembers = 10

// changeMembers adds droplets by id, or takes them away.
func (a *API) changeMembers(add bool) func(*call) (reply, error) {
	return func(c *call) (reply, error) {
		lb, err := a.changeable(c)
		if err != nil {
			return reply{}, err
		}
		var wanted struct {
			DropletIDs []int `json:"droplet_ids"`
		}
		if err := c.decode(&wanted); err != nil {
			return reply{}, err
		}
		if lb.Tag != "" {
			return reply{}, invalid("Load balancer %s gets its droplets by tag %s", lb.ID, lb.Tag)
		}
		if len(wanted.DropletIDs) == 0 {
			return reply{}, invalid("need to provide either a tag or a list of droplets")
		}
		members := slices.Clone(lb.Members)
		change(&members, wanted.DropletIDs, add)
		if add {
			if err := a.checkMembers(lb, members); err != nil {
				return reply{}, err
			}
		}
		lb.Members = members
		a.changed(c, lb)
		return none, nil
	}
}

// changeForwarding adds forwarding rules, or takes them away.
func (a *API) changeForwarding(add bool) func(*call) (reply, error) {
	return func(c *call) (reply, error) {
		lb, err := a.changeable(c)
		if err != nil {
			return reply{}, err
		}
		var wanted struct {
			Rules []forwardingRule `json:"forwarding_rules"`
		}
		if err := c.decode(&wanted); err != nil {
			return reply{}, err
		}
		if len(wanted.Rules) == 0 {
			return reply{}, invalid("forwarding_rules can't be blank")
		}
		s := lb.balancerSpec
		change(&s.ForwardingRules, wanted.Rules, add)
		if err := a.checkForwarding(s.ForwardingRules); err != nil {
			return reply{}, err
		}
		lb.balancerSpec = s
		a.changed(c, lb)
		return none, nil
	}
}

// changed notes that a balancer was changed: it is busy, and its listeners
// learn of it a while later.
func (a *API) changed(c *call, lb *loadBalancer) {
	lb.BusyUntil = c.now.Add(durationOf(c.timing.BalancerBusy))
	if lb.PushAt.IsZero() {
		lb.PushAt = c.now.Add(durationOf(c.timing.Attach))
	}
}
