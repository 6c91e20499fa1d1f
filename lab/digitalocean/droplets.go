package digitalocean

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cloudship/cloudship/lab/cloud"
	"github.com/cloudship/cloudship/lab/machine"
)

func (a *API) dropletRoutes() {
	a.handle("GET /v2/droplets", a.listDroplets)
	a.handle("POST /v2/droplets", a.createDroplets)
	a.handle("DELETE /v2/droplets", a.deleteTagged)
	a.handle("GET /v2/droplets/{droplet}", a.getDroplet)
	a.handle("DELETE /v2/droplets/{droplet}", a.deleteDroplet)
	a.handle("GET /v2/droplets/{droplet}/actions", a.listDropletActions)
	a.handle("POST /v2/droplets/{droplet}/actions", a.actOnDroplet)
	a.handle("GET /v2/droplets/{droplet}/actions/{action}", a.getDropletAction)
	a.handle("POST /v2/droplets/actions", a.actOnTagged)
	a.handle("GET /v2/droplets/{droplet}/kernels", a.emptyOfDroplet("kernels"))
	a.handle("GET /v2/droplets/{droplet}/backups", a.emptyOfDroplet("backups"))
	a.handle("GET /v2/droplets/{droplet}/neighbors", a.emptyOfDroplet("droplets"))
	a.handle("GET /v2/droplets/{droplet}/firewalls", a.listDropletFirewalls)
}

// droplet is a server.
type droplet struct {
	ID       int
	Name     string
	Region   string
	Size     string
	Disk     int // GB; a resize may leave it
	Image    int
	VPC      string
	Tags     []string
	Keys     []string // public keys that were put in at create
	UserData string   `json:",omitempty"` // its digest in state.UserData
	Created  time.Time
	ActiveAt time.Time // active from then on, if its machine is there
	Off      bool
	Last     *machine.Machine `json:",omitempty"` // its machine when it was deleted

	NoPublic   bool `json:",omitempty"`
	IPv6       bool `json:",omitempty"`
	Monitoring bool `json:",omitempty"`
	Agent      bool `json:",omitempty"`
	Backups    bool `json:",omitempty"`

	Volumes   []string `json:",omitempty"`
	Snapshots []int    `json:",omitempty"`
}

// server is the name of the droplet's machine.
func (d *droplet) server() string { return "do-" + strconv.Itoa(d.ID) }

// A droplet's machine says whose it is.
const (
	providerLabel = "provider"
	provider      = "digitalocean"
)

// spec is the machine that a droplet needs.
func (a *API) spec(d *droplet) machine.Spec {
	s := findSize(d.Size)
	return machine.Spec{
		ID: d.server(), Name: d.Name, Image: a.machineImage(d.Image), UserData: a.state.UserData[d.UserData],
		AuthorizedKeys: d.Keys, MemoryMB: s.Memory, CPUs: s.VCPUs,
		Labels: map[string]string{providerLabel: provider},
	}
}

// status answers a droplet's status, and its machine from the time that is
// active.
func (a *API) status(now time.Time, d *droplet) (string, machine.Machine) {
	m, ok, _ := a.Servers.Find(d.server())
	if d.Last != nil { // deleted, but shown for a while
		m, ok = *d.Last, true
	}
	switch {
	case !ok || now.Before(d.ActiveAt):
		return "new", machine.Machine{}
	case d.Off:
		return "off", m
	}
	return "active", m
}

type network struct {
	IP      string `json:"ip_address"`
	Netmask any    `json:"netmask"` // of IPv6 a number
	Gateway string `json:"gateway"`
	Type    string `json:"type"`
}

type networks struct {
	V4 []network `json:"v4"`
	V6 []network `json:"v6"`
}

type dropletView struct {
	ID               int        `json:"id"`
	Name             string     `json:"name"`
	Memory           int        `json:"memory"`
	VCPUs            int        `json:"vcpus"`
	Disk             int        `json:"disk"`
	DiskInfo         []diskInfo `json:"disk_info"`
	Locked           bool       `json:"locked"`
	Status           string     `json:"status"`
	Kernel           *struct{}  `json:"kernel"`
	CreatedAt        time.Time  `json:"created_at"`
	Features         []string   `json:"features"`
	BackupIDs        []int      `json:"backup_ids"`
	NextBackupWindow *struct{}  `json:"next_backup_window"`
	SnapshotIDs      []int      `json:"snapshot_ids"`
	Image            *image     `json:"image"`
	VolumeIDs        []string   `json:"volume_ids"`
	Size             *size      `json:"size"`
	SizeSlug         string     `json:"size_slug"`
	Networks         networks   `json:"networks"`
	Region           *region    `json:"region"`
	Tags             []string   `json:"tags"`
	VPC              string     `json:"vpc_uuid"`
}

func (a *API) viewDroplet(now time.Time, d *droplet) dropletView {
	s := findSize(d.Size)
	status, m := a.status(now, d)
	return dropletView{
		ID: d.ID, Name: d.Name, Memory: s.Memory, VCPUs: s.VCPUs, Disk: d.Disk,
		DiskInfo: []diskInfo{{"local", diskSize{d.Disk, "gib"}}},
		Locked:   a.busy[dropletResource(d.ID)] > 0, Status: status, CreatedAt: second(d.Created),
		Features: d.features(), BackupIDs: []int{}, SnapshotIDs: some(d.Snapshots), Image: a.imageOf(d),
		VolumeIDs: some(d.Volumes), Size: s, SizeSlug: d.Size, Networks: d.networks(m),
		Region: findRegion(d.Region), Tags: some(d.Tags), VPC: d.VPC,
	}
}

// some makes a nil list an empty one.
func some[V any](list []V) []V {
	if list == nil {
		return []V{}
	}
	return list
}

func (d *droplet) features() []string {
	features := []string{"private_networking"}
	for _, f := range []struct {
		name string
		has  bool
	}{{"backups", d.Backups}, {"ipv6", d.IPv6}, {"monitoring", d.Monitoring}, {"droplet_agent", d.Agent}} {
		if f.has {
			features = append(features, f.name)
		}
	}
	return features
}

// networks lists the private address first, as DigitalOcean's examples do.
func (d *droplet) networks(m machine.Machine) networks {
	n := networks{V4: []network{}, V6: []network{}}
	if m.PrivateIP != "" {
		n.V4 = append(n.V4, network{m.PrivateIP, "255.255.240.0", "nil", "private"})
	}
	if m.PublicIP != "" && !d.NoPublic {
		n.V4 = append(n.V4, network{m.PublicIP, "255.255.240.0", gateway(m.PublicIP), "public"})
	}
	if d.IPv6 && m.PublicIP != "" {
		v6 := "2604:a880:0:1::" + strconv.FormatInt(int64(d.ID%0xffff), 16)
		n.V6 = append(n.V6, network{v6, 64, "2604:a880:0:1::1", "public"})
	}
	return n
}

// gateway is the first address of the /24 around ip.
func gateway(ip string) string { return ip[:strings.LastIndex(ip, ".")+1] + "1" }

func (a *API) view(c *call) func(*droplet) dropletView {
	return func(d *droplet) dropletView { return a.viewDroplet(c.now, d) }
}

func (a *API) listDroplets(c *call) (reply, error) {
	query := c.URL.Query()
	name, tag, kind := query.Get("name"), query.Get("tag_name"), query.Get("type")
	if tag != "" && (name != "" || kind != "") {
		return reply{}, invalid("tag_name can not be combined with other filters")
	}
	all := a.state.Droplets.List(c.now, c.timing.ListLag)
	if name != "" || tag != "" || kind == "gpus" {
		all = slices.DeleteFunc(all, func(d *droplet) bool {
			return kind == "gpus" || name != "" && !strings.EqualFold(d.Name, name) || tag != "" && !hasTag(d.Tags, tag)
		})
	}
	return page(c, "droplets", all, a.view(c))
}

// shownDroplet finds the droplet that the path names.
func (a *API) shownDroplet(c *call) (*droplet, error) {
	id, err := c.number("droplet")
	if err != nil {
		return nil, err
	}
	d, ok := a.state.Droplets.Find(c.now, id, c.timing.NotFound)
	if !ok {
		return nil, notFound()
	}
	return d, nil
}

func (a *API) getDroplet(c *call) (reply, error) {
	d, err := a.shownDroplet(c)
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusOK, map[string]any{"droplet": a.viewDroplet(c.now, d)}}, nil
}

// emptyOfDroplet lists what no droplet of the lab has.
func (a *API) emptyOfDroplet(name string) func(*call) (reply, error) {
	return func(c *call) (reply, error) {
		if _, err := a.shownDroplet(c); err != nil {
			return reply{}, err
		}
		return page(c, name, []struct{}{}, same)
	}
}

func (a *API) deleteDroplet(c *call) (reply, error) {
	id, err := c.number("droplet")
	if err != nil {
		return reply{}, err
	}
	d, ok := a.state.Droplets.Get(id)
	if !ok {
		return reply{}, notFound()
	}
	a.removeDroplet(c.now, c.timing, d)
	return none, nil
}

// deleteTagged deletes every droplet that carries a tag.
func (a *API) deleteTagged(c *call) (reply, error) {
	name := c.URL.Query().Get("tag_name")
	if name == "" {
		return reply{}, invalid("tag_name is required")
	}
	if _, ok := a.findTag(name); !ok {
		return reply{}, notFound()
	}
	for _, d := range a.state.Droplets.All {
		if hasTag(d.Tags, name) {
			a.removeDroplet(c.now, c.timing, d)
		}
	}
	return none, nil
}

// removeDroplet takes a droplet away from everything that knows it.
func (a *API) removeDroplet(now time.Time, timing cloud.Timing, d *droplet) {
	a.cancel(now, dropletResource(d.ID))
	if m, ok, _ := a.Servers.Find(d.server()); ok {
		d.Last = &m
	}
	a.state.Droplets.Delete(now, d.ID, now.Add(durationOf(timing.ServerGone)))
	a.Servers.Delete(d.server())
	for _, lb := range a.state.Balancers.All {
		if slices.Contains(lb.Members, d.ID) {
			lb.Members = withoutIDs(lb.Members, d.ID)
			lb.PushAt = now
		}
	}
	for _, f := range a.state.Firewalls.All {
		f.DropletIDs = withoutIDs(f.DropletIDs, d.ID)
	}
	for _, v := range a.state.Volumes.All {
		if v.Droplet == d.ID {
			v.Droplet = 0
		}
	}
	for _, r := range a.state.ReservedIPs.All {
		if r.Droplet == d.ID {
			r.Droplet = 0
		}
	}
	a.dirty = true
}

func withoutIDs(ids []int, gone ...int) []int {
	return slices.DeleteFunc(slices.Clone(ids), func(id int) bool { return slices.Contains(gone, id) })
}

func durationOf(d cloud.Duration) time.Duration { return time.Duration(d) }
