package rackspace

import (
	"net/http"
	"slices"
	"strings"
)

// featureRoutes are the parts of a balancer that it has once or not at all.
func (a *API) featureRoutes() {
	const at = "/loadbalancers/{lb}/"
	a.handle(loadBalancers, "GET "+at+"healthmonitor", a.showPart("healthMonitor", func(lb *loadBalancer) any {
		if lb.Monitor == nil {
			return struct{}{}
		}
		return lb.Monitor
	}))
	a.handle(loadBalancers, "PUT "+at+"healthmonitor", a.putMonitor)
	a.handle(loadBalancers, "DELETE "+at+"healthmonitor", a.dropPart("No health monitor found to delete.", func(lb *loadBalancer) bool {
		had := lb.Monitor != nil
		lb.Monitor = nil
		return had
	}))
	a.handle(loadBalancers, "GET "+at+"sessionpersistence", a.showPart("sessionPersistence", func(lb *loadBalancer) any {
		if lb.Persistence == "" {
			return struct{}{}
		}
		return persistence{lb.Persistence}
	}))
	a.handle(loadBalancers, "PUT "+at+"sessionpersistence", a.putPersistence)
	a.handle(loadBalancers, "DELETE "+at+"sessionpersistence", a.dropPart("Session persistence is already disabled.", func(lb *loadBalancer) bool {
		had := lb.Persistence != ""
		lb.Persistence = ""
		return had
	}))
	a.handle(loadBalancers, "GET "+at+"connectionthrottle", a.showPart("connectionThrottle", func(lb *loadBalancer) any {
		if lb.Throttle == nil {
			return struct{}{}
		}
		return lb.Throttle
	}))
	a.handle(loadBalancers, "PUT "+at+"connectionthrottle", a.putThrottle)
	a.handle(loadBalancers, "DELETE "+at+"connectionthrottle", a.dropPart("Connection throttle is already disabled.", func(lb *loadBalancer) bool {
		had := lb.Throttle != nil
		lb.Throttle = nil
		return had
	}))
	a.handle(loadBalancers, "GET "+at+"connectionlogging", a.showPart("connectionLogging", func(lb *loadBalancer) any { return enabled{lb.Logging} }))
	a.handle(loadBalancers, "PUT "+at+"connectionlogging", a.putFlag("connectionLogging", func(lb *loadBalancer) *bool { return &lb.Logging }))
	a.handle(loadBalancers, "GET "+at+"contentcaching", a.showPart("contentCaching", func(lb *loadBalancer) any { return enabled{lb.Caching} }))
	a.handle(loadBalancers, "PUT "+at+"contentcaching", a.putFlag("contentCaching", func(lb *loadBalancer) *bool { return &lb.Caching }))
}

type enabled struct {
	Enabled bool `json:"enabled"`
}

// monitor is how a balancer finds out the health of its nodes.
type monitor struct {
	Type        string `json:"type"` // CONNECT, HTTP or HTTPS
	Delay       int    `json:"delay"`
	Timeout     int    `json:"timeout"`
	Attempts    int    `json:"attemptsBeforeDeactivation"`
	Path        string `json:"path,omitempty"`
	StatusRegex string `json:"statusRegex,omitempty"`
	BodyRegex   string `json:"bodyRegex,omitempty"`
	HostHeader  string `json:"hostHeader,omitempty"`
}

func (m *monitor) check(lb *loadBalancer) error {
	switch {
	case !slices.Contains([]string{"CONNECT", "HTTP", "HTTPS"}, m.Type):
		return invalid("Must provide a valid type for the health monitor")
	case m.Delay < 1 || m.Delay > 3600:
		return invalid("Health monitor delay is invalid. Range is 1-3600.")
	case m.Timeout < 1 || m.Timeout > 300:
		return invalid("Health monitor timeout is invalid. Range is 1-300.")
	case m.Attempts < 1 || m.Attempts > 10:
		return invalid("Health monitor attemptsBeforeDeactivation is invalid. Range is 1-10.")
	case m.Type == "CONNECT" && (m.Path != "" || m.StatusRegex != "" || m.BodyRegex != "" || m.HostHeader != ""):
		return invalid("A CONNECT health monitor must not have a path, regex or host header")
	case m.Type != "CONNECT" && !strings.HasPrefix(m.Path, "/"):
		return invalid("Must provide a path that begins with a forward slash for the health monitor")
	case len(m.HostHeader) > longestItem:
		return invalid("Health monitor host header is too long")
	case m.Type != "CONNECT" && m.Type != lb.Protocol:
		return fail(http.StatusBadRequest, "Cannot use a %s health monitor with a load balancer of protocol %s.", m.Type, lb.Protocol)
	case datagrams(lb.Protocol):
		return fail(http.StatusBadRequest, "Protocol %s cannot have a health monitor.", lb.Protocol)
	}
	return nil
}

func (a *API) putMonitor(c *call) (reply, error) {
	var body struct {
		Monitor *monitor `json:"healthMonitor"`
	}
	if err := c.decode(&body); err != nil {
		return reply{}, err
	}
	if body.Monitor == nil {
		return reply{}, &Error{Status: http.StatusBadRequest, Message: badSchema}
	}
	lb, err := a.shownBalancer(c)
	if err != nil {
		return reply{}, err
	}
	m := *body.Monitor
	if m.Type != "CONNECT" && m.StatusRegex == "" {
		m.StatusRegex = "^[234][0-9][0-9]$"
	}
	if err := m.check(lb); err != nil {
		return reply{}, err
	}
	if lb, err = a.changeable(c); err != nil {
		return reply{}, err
	}
	lb.Monitor = &m
	a.changed(c, lb)
	return accepted, nil
}

// persistence keeps a client at its node.
type persistence struct {
	Type string `json:"persistenceType"`
}

func (p *persistence) check(lb *loadBalancer) error {
	switch {
	case !slices.Contains([]string{"HTTP_COOKIE", "SOURCE_IP", "SSL_ID"}, p.Type):
		return invalid("Must provide a valid persistence type")
	case p.Type == "HTTP_COOKIE" && lb.Protocol != "HTTP":
		return fail(http.StatusBadRequest, "HTTP_COOKIE Session persistence is only valid with HTTP and HTTP pass-through(ssl-termination) load balancers.")
	case p.Type == "SSL_ID" && lb.Protocol != "HTTPS":
		return fail(http.StatusBadRequest, "SSL_ID session persistence is only valid with the HTTPS protocol.")
	}
	return nil
}

func (a *API) putPersistence(c *call) (reply, error) {
	var body struct {
		Persistence *persistence `json:"sessionPersistence"`
	}
	if err := c.decode(&body); err != nil {
		return reply{}, err
	}
	lb, err := a.changeable(c)
	if err != nil {
		return reply{}, err
	}
	if body.Persistence == nil {
		return reply{}, &Error{Status: http.StatusBadRequest, Message: badSchema}
	}
	if err := body.Persistence.check(lb); err != nil {
		return reply{}, err
	}
	lb.Persistence = body.Persistence.Type
	a.changed(c, lb)
	return accepted, nil
}

// throttle bounds the connections of one client; only the first has effect.
type throttle struct {
	Most     int `json:"maxConnections"`
	Least    int `json:"minConnections,omitempty"`
	Rate     int `json:"maxConnectionRate,omitempty"`
	Interval int `json:"rateInterval,omitempty"`
}

func (a *API) putThrottle(c *call) (reply, error) {
	var body struct {
		Throttle *throttle `json:"connectionThrottle"`
	}
	if err := c.decode(&body); err != nil {
		return reply{}, err
	}
	lb, err := a.changeable(c)
	if err != nil {
		return reply{}, err
	}
	if body.Throttle == nil || body.Throttle.Most < 0 {
		return reply{}, invalid("Must provide maxConnections for the connection throttle")
	}
	lb.Throttle = body.Throttle
	a.changed(c, lb)
	return accepted, nil
}

func (a *API) putFlag(name string, of func(*loadBalancer) *bool) func(*call) (reply, error) {
	return func(c *call) (reply, error) {
		var body map[string]enabled
		if err := c.decode(&body); err != nil {
			return reply{}, err
		}
		lb, err := a.changeable(c)
		if err != nil {
			return reply{}, err
		}
		*of(lb) = body[name].Enabled
		a.changed(c, lb)
		return accepted, nil
	}
}

// showPart answers a part under its name.
func (a *API) showPart(name string, of func(*loadBalancer) any) func(*call) (reply, error) {
	return func(c *call) (reply, error) {
		lb, err := a.part(c)
		if err != nil {
			return reply{}, err
		}
		return reply{status: http.StatusOK, body: map[string]any{name: of(lb)}}, nil
	}
}

// dropPart takes a part away; drop tells whether it was there.
func (a *API) dropPart(missing string, drop func(*loadBalancer) bool) func(*call) (reply, error) {
	return func(c *call) (reply, error) {
		lb, err := a.changeable(c)
		if err != nil {
			return reply{}, err
		}
		if !drop(lb) {
			return reply{}, fail(http.StatusUnprocessableEntity, "%s", missing)
		}
		a.changed(c, lb)
		return accepted, nil
	}
}
