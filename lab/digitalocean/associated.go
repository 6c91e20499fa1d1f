package digitalocean

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

func (a *API) associatedRoutes() {
	const path = "/v2/droplets/{droplet}/destroy_with_associated_resources"
	a.handle("GET "+path, a.listAssociated)
	a.handle("DELETE "+path+"/dangerous", a.destroyWithAll)
	a.handle("DELETE "+path+"/selective", a.destroyWithSome)
	a.handle("GET "+path+"/status", a.destroyStatus)
	a.handle("POST "+path+"/retry", a.retryDestroy)
}

// associates are what would be left when a droplet is destroyed.
type associates struct {
	ReservedIPs     []associate `json:"reserved_ips"`
	FloatingIPs     []associate `json:"floating_ips"`
	Snapshots       []associate `json:"snapshots"`
	Volumes         []associate `json:"volumes"`
	VolumeSnapshots []associate `json:"volume_snapshots"`
}

type associate struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Cost string `json:"cost"` // US dollars a month
}

func (a *API) associatesOf(d *droplet) associates {
	all := associates{[]associate{}, []associate{}, []associate{}, []associate{}, []associate{}}
	for ip, r := range a.state.ReservedIPs.All {
		if r.Droplet == d.ID {
			all.ReservedIPs = append(all.ReservedIPs, associate{ip, ip, "0.00"})
			all.FloatingIPs = append(all.FloatingIPs, associate{ip, ip, "0.00"})
		}
	}
	for _, id := range d.Volumes {
		if v, ok := a.state.Volumes.Get(id); ok {
			all.Volumes = append(all.Volumes, associate{id, v.Name, strconv.FormatFloat(float64(v.GB)/10, 'f', 2, 64)})
		}
	}
	for id, s := range a.state.Snapshots.All {
		switch {
		case s.ResourceType == "droplet" && s.ResourceID == strconv.Itoa(d.ID):
			all.Snapshots = append(all.Snapshots, associate{id, s.Name, "0.05"})
		case slices.Contains(d.Volumes, s.ResourceID):
			all.VolumeSnapshots = append(all.VolumeSnapshots, associate{id, s.Name, "0.05"})
		}
	}
	return all
}

func (a *API) listAssociated(c *call) (reply, error) {
	d, err := a.shownDroplet(c)
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusOK, a.associatesOf(d)}, nil
}

// destroyed tells how the destruction of a droplet with others went.
type destroyed struct {
	Droplet     map[string]any              `json:"droplet"`
	Resources   map[string][]map[string]any `json:"resources"`
	CompletedAt time.Time                   `json:"completed_at"`
	Failures    int                         `json:"failures"`
}

func (a *API) destroyWithAll(c *call) (reply, error) {
	if c.Header.Get("X-Dangerous") != "true" {
		return reply{}, fail(http.StatusBadRequest, "header X-Dangerous: true is required")
	}
	d, err := a.shownDroplet(c)
	if err != nil {
		return reply{}, err
	}
	all := a.associatesOf(d)
	var ids []string
	for _, list := range [][]associate{all.ReservedIPs, all.Snapshots, all.Volumes, all.VolumeSnapshots} {
		for _, x := range list {
			ids = append(ids, x.ID)
		}
	}
	a.destroyWith(c, d, ids)
	return reply{status: http.StatusAccepted}, nil
}

func (a *API) destroyWithSome(c *call) (reply, error) {
	d, err := a.shownDroplet(c)
	if err != nil {
		return reply{}, err
	}
	var wanted struct {
		ReservedIPs     []string `json:"reserved_ips"`
		FloatingIPs     []string `json:"floating_ips"`
		Snapshots       []string `json:"snapshots"`
		Volumes         []string `json:"volumes"`
		VolumeSnapshots []string `json:"volume_snapshots"`
	}
	if err := c.decode(&wanted); err != nil {
		return reply{}, err
	}
	a.destroyWith(c, d, slices.Concat(wanted.ReservedIPs, wanted.FloatingIPs, wanted.Snapshots, wanted.Volumes, wanted.VolumeSnapshots))
	return reply{status: http.StatusAccepted}, nil
}

// destroyWith destroys a droplet and, of what is associated with it, the ids.
func (a *API) destroyWith(c *call, d *droplet, ids []string) {
	all := a.associatesOf(d)
	report := &destroyed{
		Droplet:     map[string]any{"id": strconv.Itoa(d.ID), "name": d.Name, "destroyed_at": second(c.now), "error_message": ""},
		Resources:   map[string][]map[string]any{},
		CompletedAt: second(c.now),
	}
	a.removeDroplet(c.now, c.timing, d)
	remove := func(kind string, list []associate, remove func(id string)) {
		report.Resources[kind] = []map[string]any{}
		for _, x := range list {
			if slices.Contains(ids, x.ID) {
				remove(x.ID)
				report.Resources[kind] = append(report.Resources[kind], map[string]any{
					"id": x.ID, "name": x.Name, "destroyed_at": second(c.now), "error_message": "",
				})
			}
		}
	}
	dropSnapshot := func(id string) { a.state.Snapshots.Delete(c.now, id, c.now) }
	dropAddress := func(ip string) { a.state.ReservedIPs.Delete(c.now, ip, c.now) }
	remove("reserved_ips", all.ReservedIPs, dropAddress)
	remove("floating_ips", all.FloatingIPs, dropAddress)
	remove("snapshots", all.Snapshots, dropSnapshot)
	remove("volume_snapshots", all.VolumeSnapshots, dropSnapshot)
	remove("volumes", all.Volumes, func(id string) { a.state.Volumes.Delete(c.now, id, c.now) })
	a.state.Destroyed[d.ID] = report
}

func (a *API) destroyStatus(c *call) (reply, error) {
	id, err := c.number("droplet")
	if err != nil {
		return reply{}, err
	}
	report, ok := a.state.Destroyed[id]
	if !ok {
		return reply{}, notFound()
	}
	return reply{http.StatusOK, report}, nil
}

// retryDestroy has nothing to repeat, for nothing is left half-way here.
func (a *API) retryDestroy(c *call) (reply, error) {
	id, err := c.number("droplet")
	if err != nil {
		return reply{}, err
	}
	if _, ok := a.state.Destroyed[id]; !ok {
		return reply{}, notFound()
	}
	return reply{status: http.StatusAccepted}, nil
}
