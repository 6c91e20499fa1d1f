package digitalocean

import "slices"

// takeSpec completes and checks what a client says of a balancer, and makes
// the balancer so.
func (a *API) takeSpec(c *call, lb *loadBalancer, s balancerSpec) error {
	s.complete()
	s.VPC = lb.VPC
	if err := a.checkBalancer(&s); err != nil {
		return err
	}
	members := s.DropletIDs
	if s.Tag == "" {
		if err := a.checkMembers(lb, members); err != nil {
			return err
		}
	} else {
		members = lb.Members
		if lb.Tag != s.Tag {
			members = a.taggedDroplets(lb, s.Tag)
		}
	}
	s.DropletIDs = nil
	lb.balancerSpec, lb.Members = s, members
	a.changed(c, lb)
	return nil
}

// complete gives every field that was omitted its default.
func (s *balancerSpec) complete() {
	setDefault(&s.Algorithm, "round_robin")
	setDefault(&s.Type, "REGIONAL")
	setDefault(&s.Network, "EXTERNAL")
	setDefault(&s.NetworkStack, "IPV4")
	setDefault(&s.TLSPolicy, "DEFAULT")
	setDefault(&s.IdleTimeoutSecond, 60)
	if s.Size == "" {
		setDefault(&s.SizeUnit, 1)
	}
	if s.HealthCheck == nil {
		s.HealthCheck = &healthCheck{}
	}
	h := s.HealthCheck
	setDefault(&h.Protocol, "http")
	setDefault(&h.Port, 80)
	setDefault(&h.Interval, 10)
	setDefault(&h.Timeout, 5)
	setDefault(&h.Unhealthy, 3)
	setDefault(&h.Healthy, 5)
	if h.Protocol != "tcp" {
		setDefault(&h.Path, "/")
	}
	if s.StickySessions == nil || s.StickySessions.Type == "" {
		s.StickySessions = &stickySessions{Type: "none"}
	}
}

func setDefault[V comparable](field *V, value V) {
	var unset V
	if *field == unset {
		*field = value
	}
}

func (a *API) checkBalancer(s *balancerSpec) error {
	switch {
	case s.Name == "" || len(s.Name) > 255:
		return invalid("name is invalid")
	case s.Tag != "" && len(s.DropletIDs) > 0:
		return invalid("can not provide both a tag and a list of droplets")
	case s.Size != "" && s.SizeUnit != 0:
		return invalid("can not provide both size and size_unit")
	case s.Size == "" && (s.SizeUnit < 1 || s.SizeUnit > 100):
		return invalid("size_unit must be between 1 and 100")
	case !slices.Contains([]string{"REGIONAL", "REGIONAL_NETWORK", "GLOBAL"}, s.Type):
		return invalid("type is invalid")
	case !slices.Contains([]string{"round_robin", "least_connections"}, s.Algorithm):
		return invalid("algorithm is invalid")
	case s.IdleTimeoutSecond < 30 || s.IdleTimeoutSecond > 600:
		return invalid("http_idle_timeout_seconds must be between 30 and 600")
	case s.Tag != "" && !tagName.MatchString(s.Tag):
		return invalid("tag is invalid")
	}
	if s.Type != "GLOBAL" {
		if err := a.checkForwarding(s.ForwardingRules); err != nil {
			return err
		}
	}
	if err := s.checkSticky(); err != nil {
		return err
	}
	if s.RedirectHTTP && !(s.enters("http") && s.enters("https")) {
		return invalid("redirect_http_to_https needs an http and an https forwarding rule")
	}
	return s.HealthCheck.check()
}

func (s *balancerSpec) enters(protocol string) bool {
	return slices.ContainsFunc(s.ForwardingRules, func(r forwardingRule) bool { return r.EntryProtocol == protocol })
}

func (s *balancerSpec) checkSticky() error {
	switch t := s.StickySessions; t.Type {
	case "none":
	case "cookies":
		if len(t.Cookie) < 2 || len(t.Cookie) > 40 {
			return invalid("sticky_sessions.cookie_name must be between 2 and 40 characters")
		}
		if t.TTL < 1 {
			return invalid("sticky_sessions.cookie_ttl_seconds must be at least 1")
		}
	default:
		return invalid("sticky_sessions.type is invalid")
	}
	return nil
}

func (h *healthCheck) check() error {
	between := func(name string, v, least, most int) error {
		if v < least || v > most {
			return invalid("health_check.%s must be between %d and %d", name, least, most)
		}
		return nil
	}
	switch {
	case !slices.Contains([]string{"http", "https", "tcp"}, h.Protocol):
		return invalid("health_check.protocol is invalid")
	case h.Protocol == "tcp" && h.Path != "":
		return invalid("health_check.path must be empty for tcp")
	}
	for _, err := range []error{
		between("port", h.Port, 1, 65535),
		between("check_interval_seconds", h.Interval, 3, 300),
		between("response_timeout_seconds", h.Timeout, 3, 300),
		between("unhealthy_threshold", h.Unhealthy, 2, 10),
		between("healthy_threshold", h.Healthy, 2, 10),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// mostForwarding is how many forwarding rules a balancer takes.
const mostForwarding = 40

func (a *API) checkForwarding(rules []forwardingRule) error {
	if len(rules) == 0 || len(rules) > mostForwarding {
		return invalid("forwarding_rules must be between 1 and %d", mostForwarding)
	}
	entries := map[int]bool{}
	for _, r := range rules {
		if err := a.checkForwardingRule(r); err != nil {
			return err
		}
		if entries[r.EntryPort] && r.EntryProtocol != "http3" && r.EntryProtocol != "udp" {
			return invalid("forwarding_rules: duplicate entry_port %d", r.EntryPort)
		}
		entries[r.EntryPort] = true
		if r.EntryProtocol == "http3" && !slices.ContainsFunc(rules, func(o forwardingRule) bool {
			return o.EntryProtocol == "https" || o.EntryProtocol == "http2"
		}) {
			return invalid("forwarding_rules: http3 needs an https or http2 rule too")
		}
	}
	return nil
}

func (a *API) checkForwardingRule(r forwardingRule) error {
	reserved := func(port int) bool { return port < 1 || port > 65535 || port >= 50053 && port <= 50055 }
	secure := r.EntryProtocol == "https" || r.EntryProtocol == "http2" || r.EntryProtocol == "http3"
	switch {
	case !slices.Contains([]string{"http", "https", "http2", "http3", "tcp", "udp"}, r.EntryProtocol):
		return invalid("forwarding_rules: invalid entry_protocol %q", r.EntryProtocol)
	case !slices.Contains([]string{"http", "https", "http2", "tcp", "udp"}, r.TargetProtocol):
		return invalid("forwarding_rules: invalid target_protocol %q", r.TargetProtocol)
	case reserved(r.EntryPort):
		return invalid("forwarding_rules: invalid entry_port %d", r.EntryPort)
	case reserved(r.TargetPort):
		return invalid("forwarding_rules: invalid target_port %d", r.TargetPort)
	case (r.EntryProtocol == "tcp") != (r.TargetProtocol == "tcp"), (r.EntryProtocol == "udp") != (r.TargetProtocol == "udp"):
		return invalid("forwarding_rules: %s can not be forwarded to %s", r.EntryProtocol, r.TargetProtocol)
	case secure && !r.TLSPassthrough && r.CertificateID == "":
		return invalid("forwarding_rules: %s needs a certificate_id or tls_passthrough", r.EntryProtocol)
	case r.CertificateID != "" && !a.hasCertificate(r.CertificateID):
		return invalid("forwarding_rules: certificate %s not found", r.CertificateID)
	}
	return nil
}

// checkMembers tells what speaks against droplets as members by id.
func (a *API) checkMembers(lb *loadBalancer, ids []int) error {
	if len(ids) > mostMembers {
		return invalid("a load balancer can have at most %d droplets by id, use a tag", mostMembers)
	}
	for _, id := range ids {
		d, ok := a.state.Droplets.Get(id)
		switch {
		case !ok:
			return invalid("droplet %d was not found", id)
		case d.Region != lb.Region:
			return invalid("droplet %d is not in region %s", id, lb.Region)
		case d.VPC != lb.VPC:
			return invalid("droplet %d is not in the load balancer's VPC", id)
		}
	}
	return nil
}

// taggedDroplets are the droplets with a tag that a balancer can reach.
func (a *API) taggedDroplets(lb *loadBalancer, tag string) []int {
	var ids []int
	for _, d := range a.state.Droplets.All {
		if d.Region == lb.Region && d.VPC == lb.VPC && hasTag(d.Tags, tag) {
			ids = append(ids, d.ID)
		}
	}
	return ids
}
