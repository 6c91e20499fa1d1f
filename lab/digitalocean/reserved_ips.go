package digitalocean

import (
	"fmt"
	"net/http"
	"time"
)

func (a *API) reservedIPRoutes() {
	a.handle("GET /v2/reserved_ips", a.listReservedIPs)
	a.handle("POST /v2/reserved_ips", a.createReservedIP)
	a.handle("GET /v2/reserved_ips/{ip}", a.getReservedIP)
	a.handle("DELETE /v2/reserved_ips/{ip}", a.deleteReservedIP)
	a.handle("GET /v2/reserved_ips/{ip}/actions", a.listReservedIPActions)
	a.handle("POST /v2/reserved_ips/{ip}/actions", a.actOnReservedIP)
	a.handle("GET /v2/reserved_ips/{ip}/actions/{action}", a.getReservedIPAction)
}

// reservedIP is an address that stays when its droplet goes. Nothing listens
// on it in the lab.
type reservedIP struct {
	IP      string
	Region  string
	Droplet int // that has it, 0 if none
	Project string
}

type reservedIPView struct {
	IP        string       `json:"ip"`
	Region    *region      `json:"region"`
	Droplet   *dropletView `json:"droplet"`
	Locked    bool         `json:"locked"`
	ProjectID string       `json:"project_id"`
}

func (r *reservedIP) resource() string { return "reserved_ip " + r.IP }

func (a *API) viewReservedIP(c *call) func(*reservedIP) reservedIPView {
	return func(r *reservedIP) reservedIPView {
		v := reservedIPView{IP: r.IP, Region: findRegion(r.Region), Locked: a.busy[r.resource()] > 0, ProjectID: r.Project}
		if d, ok := a.state.Droplets.Get(r.Droplet); ok {
			view := a.viewDroplet(c.now, d)
			v.Droplet = &view
		}
		return v
	}
}

func (a *API) listReservedIPs(c *call) (reply, error) {
	return page(c, "reserved_ips", a.state.ReservedIPs.List(c.now, c.timing.ListLag), a.viewReservedIP(c))
}

func (a *API) createReservedIP(c *call) (reply, error) {
	var wanted struct {
		Droplet int    `json:"droplet_id"`
		Region  string `json:"region"`
		Project string `json:"project_id"`
	}
	if err := c.decode(&wanted); err != nil {
		return reply{}, err
	}
	d, hasDroplet := a.state.Droplets.Get(wanted.Droplet)
	reg := findRegion(wanted.Region)
	switch {
	case wanted.Droplet != 0 && !hasDroplet:
		return reply{}, notFound()
	case hasDroplet && a.busy[dropletResource(d.ID)] > 0:
		return reply{}, pendingEvent("Droplet")
	case hasDroplet:
		reg = findRegion(d.Region)
	case reg == nil || wanted.Region == "":
		return reply{}, invalid("region or droplet_id is required")
	}
	if wanted.Project == "" {
		wanted.Project = a.defaultProject(c.now).ID
	}
	r := &reservedIP{IP: a.freeIP(), Region: reg.Slug, Project: wanted.Project}
	a.state.ReservedIPs.Put(c.now, r.IP, r)
	body := map[string]any{}
	if hasDroplet {
		x := a.begin(c, action{
			Type: "assign_ip", ResourceType: "reserved_ip", ResourceName: r.IP, Region: r.Region, Droplet: d.ID,
		}, c.now.Add(durationOf(c.timing.ServerAction)))
		body["links"] = map[string]any{
			"droplets": []any{map[string]any{"id": d.ID, "rel": "droplet", "href": fmt.Sprintf("http://%s/v2/droplets/%d", c.Host, d.ID)}},
			"actions":  []any{map[string]any{"id": x.ID, "rel": "assign_ip", "href": fmt.Sprintf("http://%s/v2/actions/%d", c.Host, x.ID)}},
		}
	}
	body["reserved_ip"] = a.viewReservedIP(c)(r)
	return reply{http.StatusAccepted, body}, nil
}

// freeIP is an address of the network that is set apart for documents.
func (a *API) freeIP() string {
	for n := 1; ; n++ {
		ip := fmt.Sprintf("203.0.%d.%d", 113+n/254, 1+(n-1)%254)
		if _, ok := a.state.ReservedIPs.Get(ip); !ok {
			return ip
		}
	}
}

func (a *API) shownReservedIP(c *call) (*reservedIP, error) {
	r, ok := a.state.ReservedIPs.Find(c.now, c.PathValue("ip"), c.timing.NotFound)
	if !ok {
		return nil, notFound()
	}
	return r, nil
}

func (a *API) getReservedIP(c *call) (reply, error) {
	r, err := a.shownReservedIP(c)
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusOK, map[string]any{"reserved_ip": a.viewReservedIP(c)(r)}}, nil
}

func (a *API) deleteReservedIP(c *call) (reply, error) {
	r, err := a.shownReservedIP(c)
	if err != nil {
		return reply{}, err
	}
	if a.busy[r.resource()] > 0 {
		return reply{}, pendingEvent("Reserved IP")
	}
	a.state.ReservedIPs.Delete(c.now, r.IP, c.now)
	return none, nil
}

func (a *API) actOnReservedIP(c *call) (reply, error) {
	r, err := a.shownReservedIP(c)
	if err != nil {
		return reply{}, err
	}
	var wanted struct {
		Type    string `json:"type"`
		Droplet int    `json:"droplet_id"`
	}
	if err := c.decode(&wanted); err != nil {
		return reply{}, err
	}
	if a.busy[r.resource()] > 0 {
		return reply{}, pendingEvent("Reserved IP")
	}
	x := action{ResourceType: "reserved_ip", ResourceName: r.IP, Region: r.Region, Droplet: wanted.Droplet}
	switch wanted.Type {
	case "assign":
		d, ok := a.state.Droplets.Get(wanted.Droplet)
		switch {
		case !ok:
			return reply{}, notFound()
		case d.Region != r.Region:
			return reply{}, invalid("Droplet and reserved IP are not in the same region")
		case a.busy[dropletResource(d.ID)] > 0:
			return reply{}, pendingEvent("Droplet")
		}
		x.Type = "assign_ip"
	case "unassign":
		if r.Droplet == 0 {
			return reply{}, invalid("The reserved IP is not assigned")
		}
		x.Type = "unassign_ip"
	default:
		return reply{}, invalid("%q is not a valid action type", wanted.Type)
	}
	return actionReply(http.StatusCreated, a.begin(c, x, c.now.Add(durationOf(c.timing.ServerAction))))
}

// finishReservedIP lets the effect of an action on an address take place.
func (a *API) finishReservedIP(now time.Time, x *action) {
	r, ok := a.state.ReservedIPs.Get(x.ResourceName)
	if !ok {
		a.end(now, x, errored)
		return
	}
	r.Droplet = 0
	if x.Type == "assign_ip" {
		if _, ok := a.state.Droplets.Get(x.Droplet); !ok {
			a.end(now, x, errored)
			return
		}
		for _, other := range a.state.ReservedIPs.All {
			if other.Droplet == x.Droplet { // a droplet has one
				other.Droplet = 0
			}
		}
		r.Droplet = x.Droplet
	}
	a.end(now, x, completed)
}

func (a *API) listReservedIPActions(c *call) (reply, error) {
	r, err := a.shownReservedIP(c)
	if err != nil {
		return reply{}, err
	}
	return a.pageActions(c, func(x *action) bool { return x.ResourceName == r.IP })
}

func (a *API) getReservedIPAction(c *call) (reply, error) {
	r, err := a.shownReservedIP(c)
	if err != nil {
		return reply{}, err
	}
	return a.oneAction(c, func(x *action) bool { return x.ResourceName == r.IP })
}
