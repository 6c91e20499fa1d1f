package rackspace

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudship/cloudship/lab/machine"
)

func (a *API) serverRoutes() {
	a.handle(compute, "POST /servers", a.createServer)
	a.handle(compute, "GET /servers", a.listServers(false))
	a.handle(compute, "GET /servers/detail", a.listServers(true))
	a.handle(compute, "GET /servers/{server}", a.getServer)
	a.handle(compute, "PUT /servers/{server}", a.changeServer)
	a.handle(compute, "DELETE /servers/{server}", a.deleteServer)
	a.handle(compute, "GET /servers/{server}/ips", a.listAddresses)
}

// server is a Cloud Server.
type server struct {
	ID          string
	Region      string
	Name        string
	Image       string
	Flavor      string
	Key         string   `json:",omitempty"` // name of its key pair
	Keys        []string `json:",omitempty"` // public keys that were put in at create
	ConfigDrive bool     `json:",omitempty"`
	UserData    string   `json:",omitempty"` // its digest in state.UserData
	Metadata    map[string]string
	Networks    []string // which it is attached to
	Access      string   `json:",omitempty"` // an access address that was set
	Created     time.Time
	Updated     time.Time
	ActiveAt    time.Time // active from then on, if its machine is there
	Off         bool
	Rebooting   time.Time        // until then
	Spoiled     *string          `json:",omitempty"` // what went wrong with it
	Deleted     time.Time        `json:",omitzero"`
	Last        *machine.Machine `json:",omitempty"` // its machine when it was deleted
}

// machine is the name of the server's machine.
func (s *server) machine() string { return "rs-" + s.ID }

// A server's machine says whose it is.
const (
	providerLabel = "provider"
	provider      = "rackspace"
)

// spec is the machine that a server needs. User data reaches it by its config
// drive alone.
func (a *API) spec(s *server) machine.Spec {
	f := findFlavor(s.Flavor)
	spec := machine.Spec{
		ID: s.machine(), Name: s.Name, Image: a.slugOf(s.Image), AuthorizedKeys: s.Keys, MemoryMB: f.RAM, CPUs: f.VCPUs,
		Labels: map[string]string{providerLabel: provider},
	}
	if s.ConfigDrive {
		spec.UserData = a.state.UserData[s.UserData]
	}
	return spec
}

// status answers a server's status, and its machine from the time that is
// active.
func (a *API) status(now time.Time, s *server) (string, machine.Machine) {
	m, ok, err := a.Servers.Find(s.machine())
	if s.Last != nil { // deleted, but shown for a while
		m, ok = *s.Last, true
	}
	switch {
	case s.Spoiled != nil && !now.Before(s.ActiveAt), err != nil:
		return "ERROR", machine.Machine{}
	case !ok || now.Before(s.ActiveAt):
		return "BUILD", machine.Machine{}
	case s.Off:
		return "SHUTOFF", m
	case now.Before(s.Rebooting):
		return "REBOOT", m
	}
	return "ACTIVE", m
}

type addressView struct {
	Address string `json:"addr"`
	Version int    `json:"version"`
}

func (s *server) addresses(m machine.Machine) map[string][]addressView {
	all := map[string][]addressView{}
	if m.PublicIP != "" && slices.Contains(s.Networks, publicNet) {
		all["public"] = []addressView{{s.v6(), 6}, {m.PublicIP, 4}}
	}
	if m.PrivateIP != "" && slices.Contains(s.Networks, serviceNet) {
		all["private"] = []addressView{{m.PrivateIP, 4}}
	}
	return all
}

// v6 is an address that belongs to the server alone and leads nowhere.
func (s *server) v6() string { return "2001:4800:7818:104::" + s.ID[:4] }

type link struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
}

func (a *API) links(c *call, kind, id string) []link {
	at := "http://" + c.Host + a.Prefix + "/" + strings.ToLower(c.region) + "/servers"
	return []link{{"self", at + "/v2/" + Tenant + "/" + kind + "/" + id}, {"bookmark", at + "/" + Tenant + "/" + kind + "/" + id}}
}

func (a *API) viewServer(c *call, s *server) map[string]any {
	status, m := a.status(c.now, s)
	states := map[string][3]any{ // vm_state, task_state, power_state
		"BUILD": {"building", "spawning", 0}, "ACTIVE": {"active", nil, 1}, "SHUTOFF": {"stopped", nil, 4},
		"REBOOT": {"active", "rebooting", 1}, "ERROR": {"error", nil, 0},
	}[status]
	if !s.Deleted.IsZero() {
		states[1] = "deleting"
	}
	progress := 100
	if status == "BUILD" {
		progress = 0
	}
	access4, access6 := s.Access, ""
	if public := s.addresses(m)["public"]; len(public) > 0 && access4 == "" {
		access6, access4 = public[0].Address, public[1].Address
	}
	v := map[string]any{
		"id": s.ID, "name": s.Name, "status": status, "progress": progress, "tenant_id": Tenant, "user_id": userID,
		"hostId": strings.Repeat("0", 48) + s.ID[:8], "created": stamp(s.Created), "updated": stamp(s.Updated),
		"accessIPv4": access4, "accessIPv6": access6, "addresses": s.addresses(m), "metadata": s.Metadata,
		"flavor":              map[string]any{"id": s.Flavor, "links": a.links(c, "flavors", s.Flavor)[1:]},
		"image":               map[string]any{"id": s.Image, "links": a.links(c, "images", s.Image)[1:]},
		"links":               a.links(c, "servers", s.ID),
		"key_name":            orNull(s.Key),
		"config_drive":        map[bool]string{true: "True"}[s.ConfigDrive],
		"OS-EXT-STS:vm_state": states[0], "OS-EXT-STS:task_state": states[1], "OS-EXT-STS:power_state": states[2],
		"OS-DCF:diskConfig": "AUTO", "RAX-PUBLIC-IP-ZONE-ID:publicIPZoneId": strings.Repeat("a", 56),
	}
	if status == "ERROR" {
		v["fault"] = a.faultOf(s)
	}
	return v
}

// faultOf tells why a server is in ERROR.
func (a *API) faultOf(s *server) map[string]any {
	message := "No valid host was found. "
	if s.Spoiled != nil && *s.Spoiled != "" {
		message = *s.Spoiled
	}
	if _, _, err := a.Servers.Find(s.machine()); err != nil {
		message = err.Error()
	}
	return map[string]any{"code": 500, "created": stamp(s.ActiveAt), "message": message}
}

// stamp is a time as Nova writes it.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// mostPerPage is how many servers a page holds at most.
const mostPerPage = 1000

// listServers answers a page of the servers that a query asks for, the newest
// first, as Nova does.
func (a *API) listServers(detail bool) func(*call) (reply, error) {
	return func(c *call) (reply, error) {
		query := c.URL.Query()
		all := a.state.Servers.List(c.now, c.timing.ListLag)
		name, err := regexp.Compile(query.Get("name"))
		if err != nil {
			return reply{}, fail(http.StatusBadRequest, "Invalid name filter")
		}
		all = slices.DeleteFunc(all, func(s *server) bool {
			status, _ := a.status(c.now, s)
			return s.Region != c.region || !name.MatchString(s.Name) ||
				differs(query, "status", status) || differs(query, "image", s.Image) || differs(query, "flavor", s.Flavor)
		})
		slices.Reverse(all)
		page, next, err := pageOf(c, all, func(s *server) string { return s.ID }, mostPerPage)
		if err != nil {
			return reply{}, err
		}
		list := []any{}
		for _, s := range page {
			if detail {
				list = append(list, a.viewServer(c, s))
			} else {
				list = append(list, map[string]any{"id": s.ID, "name": s.Name, "links": a.links(c, "servers", s.ID)})
			}
		}
		body := map[string]any{"servers": list}
		if next != "" {
			body["servers_links"] = []link{{"next", next}}
		}
		return reply{status: http.StatusOK, body: body}, nil
	}
}

func differs(query url.Values, name, have string) bool {
	want := query.Get(name)
	return want != "" && !strings.EqualFold(want, have)
}

// pageOf answers the page that a query asks for by limit and by the id of the
// last item seen, and the link to the next one. A page that is just full links
// to an empty one.
func pageOf[V any](c *call, all []V, id func(V) string, most int) (page []V, next string, err error) {
	query := c.URL.Query()
	if marker := query.Get("marker"); marker != "" {
		i := slices.IndexFunc(all, func(v V) bool { return id(v) == marker })
		if i < 0 {
			return nil, "", fail(http.StatusBadRequest, "marker [%s] not found", marker)
		}
		all = all[i+1:]
	}
	limit := most
	if s := query.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 0 {
			return nil, "", fail(http.StatusBadRequest, "limit param must be an integer")
		}
		limit = min(max(n, 1), most)
	}
	if len(all) < limit {
		return all, "", nil
	}
	page = all[:limit]
	query.Set("limit", strconv.Itoa(limit))
	query.Set("marker", id(page[limit-1]))
	return page, "http://" + c.Host + c.URL.Path + "?" + query.Encode(), nil
}

func noServer() error { return fail(http.StatusNotFound, "Instance could not be found") }

// shownServer finds the server that the path names.
func (a *API) shownServer(c *call) (*server, error) {
	s, ok := a.state.Servers.Find(c.now, c.PathValue("server"), c.timing.NotFound)
	if !ok || s.Region != c.region {
		return nil, noServer()
	}
	return s, nil
}

func (a *API) getServer(c *call) (reply, error) {
	s, err := a.shownServer(c)
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: map[string]any{"server": a.viewServer(c, s)}}, nil
}

func (a *API) listAddresses(c *call) (reply, error) {
	s, err := a.shownServer(c)
	if err != nil {
		return reply{}, err
	}
	_, m := a.status(c.now, s)
	return reply{status: http.StatusOK, body: map[string]any{"addresses": s.addresses(m)}}, nil
}

// changeServer changes a server's name and access address.
func (a *API) changeServer(c *call) (reply, error) {
	s, err := a.shownServer(c)
	if err != nil {
		return reply{}, err
	}
	var r struct {
		Server struct {
			Name   *string `json:"name"`
			Access *string `json:"accessIPv4"`
		} `json:"server"`
	}
	if err := c.decode(&r); err != nil {
		return reply{}, err
	}
	if r.Server.Name != nil {
		s.Name = *r.Server.Name
	}
	if r.Server.Access != nil {
		s.Access = *r.Server.Access
	}
	s.Updated = c.now
	return reply{status: http.StatusOK, body: map[string]any{"server": a.viewServer(c, s)}}, nil
}

// deleteServer takes a server away; it is shown for a while.
func (a *API) deleteServer(c *call) (reply, error) {
	s, ok := a.state.Servers.Get(c.PathValue("server"))
	if !ok || s.Region != c.region {
		return reply{}, noServer()
	}
	if m, ok, _ := a.Servers.Find(s.machine()); ok {
		s.Last = &m
	}
	s.Deleted, s.Updated = c.now, c.now
	a.state.Servers.Delete(c.now, s.ID, c.now.Add(durationOf(c.timing.ServerGone)))
	a.Servers.Delete(s.machine())
	return none, nil
}
