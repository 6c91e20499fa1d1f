package digitalocean

import (
	"fmt"
	"net/http"
	"net/netip"
	"regexp"
	"time"
)

func (a *API) vpcRoutes() {
	a.handle("GET /v2/vpcs", a.listVPCs)
	a.handle("POST /v2/vpcs", a.createVPC)
	a.handle("GET /v2/vpcs/{vpc}", a.getVPC)
	a.handle("PUT /v2/vpcs/{vpc}", a.updateVPC)
	a.handle("PATCH /v2/vpcs/{vpc}", a.updateVPC)
	a.handle("DELETE /v2/vpcs/{vpc}", a.deleteVPC)
	a.handle("GET /v2/vpcs/{vpc}/members", a.listVPCMembers)
}

// vpc is a private network of a region.
type vpc struct {
	ID          string    `json:"id"`
	URN         string    `json:"urn"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	Region      string    `json:"region"`
	IPRange     string    `json:"ip_range"`
	Default     bool      `json:"default"`
	CreatedAt   time.Time `json:"created_at"`
}

var vpcName = regexp.MustCompile(`^[a-zA-Z0-9\-.]+$`)

// defaultVPC answers a region's default network, making it if need be.
func (a *API) defaultVPC(c *call, region string) *vpc {
	for _, v := range a.state.VPCs.All {
		if v.Region == region && v.Default {
			return v
		}
	}
	v := &vpc{Name: "default-" + region, Region: region, Default: true}
	a.addVPC(c, v)
	return v
}

// addVPC completes a network and keeps it.
func (a *API) addVPC(c *call, v *vpc) {
	v.ID, v.CreatedAt = newUUID(), second(c.now)
	v.URN = "do:vpc:" + v.ID
	if v.IPRange == "" {
		v.IPRange = a.freeRange()
	}
	a.state.VPCs.Put(c.now, v.ID, v)
}

// freeRange answers a /20 that no network has.
func (a *API) freeRange() string {
	for n := range 1 << 12 {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(100 + n/16), byte(n % 16 * 16), 0}), 20)
		if !a.overlaps(p) {
			return p.String()
		}
	}
	return "10.10.0.0/20"
}

func (a *API) overlaps(p netip.Prefix) bool {
	for _, v := range a.state.VPCs.All {
		if q, err := netip.ParsePrefix(v.IPRange); err == nil && q.Overlaps(p) {
			return true
		}
	}
	return false
}

func (a *API) listVPCs(c *call) (reply, error) {
	return page(c, "vpcs", a.state.VPCs.List(c.now, c.timing.ListLag), same)
}

func (a *API) createVPC(c *call) (reply, error) {
	var v vpc
	if err := c.decode(&v); err != nil {
		return reply{}, err
	}
	v.Default = false
	if err := a.checkVPC(v.Name, v.Description, ""); err != nil {
		return reply{}, err
	}
	if r := findRegion(v.Region); r == nil || r.Slug != v.Region {
		return reply{}, invalid("region is not available")
	}
	if v.IPRange != "" {
		if err := a.checkRange(v.IPRange); err != nil {
			return reply{}, err
		}
	}
	first := true
	for _, other := range a.state.VPCs.All {
		first = first && other.Region != v.Region
	}
	v.Default = first
	a.addVPC(c, &v)
	return reply{http.StatusCreated, map[string]any{"vpc": v}}, nil
}

func (a *API) checkVPC(name, description, id string) error {
	if !vpcName.MatchString(name) {
		return invalid("name may only contain alphanumeric characters, dashes, and periods")
	}
	if len(description) > 255 {
		return invalid("description is too long (maximum is 255 characters)")
	}
	for _, other := range a.state.VPCs.All {
		if other.Name == name && other.ID != id {
			return invalid("a VPC with this name already exists")
		}
	}
	return nil
}

func (a *API) checkRange(s string) error {
	p, err := netip.ParsePrefix(s)
	if err != nil || !p.Addr().Is4() || p.Bits() < 16 || p.Bits() > 28 || !p.Addr().IsPrivate() {
		return invalid("ip_range must be a private network between /16 and /28")
	}
	if a.overlaps(p) {
		return invalid("This range/size overlaps with another VPC network in your account")
	}
	return nil
}

func (a *API) shownVPC(c *call) (*vpc, error) {
	v, ok := a.state.VPCs.Find(c.now, c.PathValue("vpc"), c.timing.NotFound)
	if !ok {
		return nil, notFound()
	}
	return v, nil
}

func (a *API) getVPC(c *call) (reply, error) {
	v, err := a.shownVPC(c)
	return reply{http.StatusOK, map[string]any{"vpc": v}}, err
}

// updateVPC serves PUT, which needs a name and resets the description, and
// PATCH, which changes only what is there.
func (a *API) updateVPC(c *call) (reply, error) {
	v, err := a.shownVPC(c)
	if err != nil {
		return reply{}, err
	}
	var wanted struct {
		Name, Description *string
		Default           *bool
	}
	if err := c.decode(&wanted); err != nil {
		return reply{}, err
	}
	name, description := v.Name, v.Description
	if c.Method == http.MethodPut {
		name, description = "", ""
	}
	if wanted.Name != nil {
		name = *wanted.Name
	}
	if wanted.Description != nil {
		description = *wanted.Description
	}
	if err := a.checkVPC(name, description, v.ID); err != nil {
		return reply{}, err
	}
	v.Name, v.Description = name, description
	if wanted.Default != nil && *wanted.Default {
		for _, other := range a.state.VPCs.All {
			if other.Region == v.Region {
				other.Default = other == v
			}
		}
	}
	return reply{http.StatusOK, map[string]any{"vpc": v}}, nil
}

func (a *API) deleteVPC(c *call) (reply, error) {
	v, err := a.shownVPC(c)
	if err != nil {
		return reply{}, err
	}
	if v.Default {
		return reply{}, fail(http.StatusForbidden, "Can not delete default VPCs")
	}
	if len(a.vpcMembers(c, v.ID)) > 0 {
		return reply{}, fail(http.StatusConflict, "Can not delete VPC with members")
	}
	a.state.VPCs.Delete(c.now, v.ID, c.now)
	return none, nil
}

// vpcMember is what lives in a network.
type vpcMember struct {
	Name      string    `json:"name"`
	URN       string    `json:"urn"`
	CreatedAt time.Time `json:"created_at"`
	kind      string
}

// vpcMembers lists what lives in a network, also what was deleted a moment ago.
func (a *API) vpcMembers(c *call, id string) []vpcMember {
	var members []vpcMember
	for _, d := range a.state.Droplets.List(c.now, 0) {
		if d.VPC == id {
			members = append(members, vpcMember{d.Name, fmt.Sprintf("do:droplet:%d", d.ID), second(d.Created), "droplet"})
		}
	}
	for _, lb := range a.state.Balancers.List(c.now, 0) {
		if lb.VPC == id {
			members = append(members, vpcMember{lb.Name, "do:loadbalancer:" + lb.ID, second(lb.Created), "loadbalancer"})
		}
	}
	return members
}

func (a *API) listVPCMembers(c *call) (reply, error) {
	v, err := a.shownVPC(c)
	if err != nil {
		return reply{}, err
	}
	kind := c.URL.Query().Get("resource_type")
	var found []vpcMember
	for _, m := range a.vpcMembers(c, v.ID) {
		if kind == "" || kind == m.kind {
			found = append(found, m)
		}
	}
	return page(c, "members", found, same)
}
