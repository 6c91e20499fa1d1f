package digitalocean

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

func (a *API) snapshotRoutes() {
	a.handle("GET /v2/snapshots", a.listSnapshots)
	a.handle("GET /v2/snapshots/{snapshot}", a.getSnapshot)
	a.handle("DELETE /v2/snapshots/{snapshot}", a.deleteSnapshot)
	a.handle("GET /v2/volumes/{volume}/{part}", a.getVolumePart)
	a.handle("POST /v2/volumes/{volume}/snapshots", a.snapshotVolume)
	a.handle("DELETE /v2/volumes/snapshots/{snapshot}", a.deleteSnapshot)
	a.handle("GET /v2/droplets/{droplet}/snapshots", a.listDropletSnapshots)
}

// snapshot is a copy of a droplet's disk, then also an image with the same
// number, or of a volume.
type snapshot struct {
	ID           string
	Name         string
	Created      time.Time
	Region       string
	ResourceID   string
	ResourceType string // "droplet" or "volume"
	GB           int
	Image        int // that a droplet's was started from
	Tags         []string
}

type snapshotView struct {
	ID           string    `json:"id"`
	Name         string    `json:"name"`
	CreatedAt    time.Time `json:"created_at"`
	Regions      []string  `json:"regions"`
	MinDiskSize  int       `json:"min_disk_size"`
	GB           float64   `json:"size_gigabytes"`
	ResourceID   string    `json:"resource_id"`
	ResourceType string    `json:"resource_type"`
	Tags         []string  `json:"tags"`
}

func viewSnapshot(s *snapshot) snapshotView {
	return snapshotView{
		ID: s.ID, Name: s.Name, CreatedAt: second(s.Created), Regions: []string{s.Region}, MinDiskSize: s.GB,
		GB: float64(s.GB) / 10, ResourceID: s.ResourceID, ResourceType: s.ResourceType, Tags: some(s.Tags),
	}
}

// image shows a droplet's snapshot as an image.
func (s *snapshot) image() *image {
	id, _ := strconv.Atoi(s.ID)
	return &image{
		ID: id, Name: s.Name, Type: "snapshot", Distribution: "Debian", Regions: []string{s.Region},
		CreatedAt: second(s.Created), MinDiskSize: s.GB, SizeGigabytes: float64(s.GB) / 10, Tags: some(s.Tags), Status: "available",
	}
}

// pageSnapshots lists the snapshots that keep keeps.
func (a *API) pageSnapshots(c *call, keep func(*snapshot) bool) (reply, error) {
	all := slices.DeleteFunc(a.state.Snapshots.List(c.now, c.timing.ListLag), func(s *snapshot) bool { return !keep(s) })
	return page(c, "snapshots", all, viewSnapshot)
}

func (a *API) listSnapshots(c *call) (reply, error) {
	kind := c.URL.Query().Get("resource_type")
	return a.pageSnapshots(c, func(s *snapshot) bool { return kind == "" || s.ResourceType == kind })
}

// getVolumePart serves /volumes/VOLUME/snapshots and /volumes/snapshots/SNAPSHOT.
func (a *API) getVolumePart(c *call) (reply, error) {
	switch part := c.PathValue("part"); {
	case part == "snapshots":
		return a.listVolumeSnapshots(c)
	case c.PathValue("volume") == "snapshots":
		c.SetPathValue("snapshot", part)
		return a.getSnapshot(c)
	}
	return reply{}, notFound()
}

func (a *API) getSnapshot(c *call) (reply, error) {
	s, ok := a.state.Snapshots.Find(c.now, c.PathValue("snapshot"), c.timing.NotFound)
	if !ok {
		return reply{}, notFound()
	}
	return reply{http.StatusOK, map[string]any{"snapshot": viewSnapshot(s)}}, nil
}

func (a *API) deleteSnapshot(c *call) (reply, error) {
	s, ok := a.state.Snapshots.Get(c.PathValue("snapshot"))
	if !ok {
		return reply{}, notFound()
	}
	a.removeSnapshot(c, s)
	return none, nil
}

func (a *API) removeSnapshot(c *call, s *snapshot) {
	a.state.Snapshots.Delete(c.now, s.ID, c.now)
	id, _ := strconv.Atoi(s.ID)
	for _, d := range a.state.Droplets.All {
		d.Snapshots = withoutIDs(d.Snapshots, id)
	}
}

func (a *API) listVolumeSnapshots(c *call) (reply, error) {
	v, err := a.shownVolume(c)
	if err != nil {
		return reply{}, err
	}
	return a.pageSnapshots(c, func(s *snapshot) bool { return s.ResourceID == v.ID })
}

func (a *API) snapshotVolume(c *call) (reply, error) {
	v, err := a.shownVolume(c)
	if err != nil {
		return reply{}, err
	}
	var wanted struct {
		Name string   `json:"name"`
		Tags []string `json:"tags"`
	}
	if err := c.decode(&wanted); err != nil {
		return reply{}, err
	}
	if wanted.Name == "" {
		return reply{}, invalid("name can't be blank")
	}
	tags, err := a.spellAll(c, wanted.Tags)
	if err != nil {
		return reply{}, err
	}
	s := &snapshot{
		ID: newUUID(), Name: wanted.Name, Created: c.now, Region: v.Region,
		ResourceID: v.ID, ResourceType: "volume", GB: v.GB, Tags: tags,
	}
	a.state.Snapshots.Put(c.now, s.ID, s)
	return reply{http.StatusCreated, map[string]any{"snapshot": viewSnapshot(s)}}, nil
}

// snapshotDroplet keeps a copy of a droplet's disk.
func (a *API) snapshotDroplet(now time.Time, d *droplet, name string) {
	if name == "" {
		name = d.Name + "-" + strconv.FormatInt(now.Unix(), 10)
	}
	id := a.nextID()
	s := &snapshot{
		ID: strconv.Itoa(id), Name: name, Created: now, Region: d.Region, Image: d.Image,
		ResourceID: strconv.Itoa(d.ID), ResourceType: "droplet", GB: d.Disk,
	}
	a.state.Snapshots.Put(now, s.ID, s)
	d.Snapshots = append(slices.Clone(d.Snapshots), id)
}

// listDropletSnapshots shows the snapshots of a droplet, which have the shape
// of images here.
func (a *API) listDropletSnapshots(c *call) (reply, error) {
	d, err := a.shownDroplet(c)
	if err != nil {
		return reply{}, err
	}
	var found []*snapshot
	for _, s := range a.state.Snapshots.All {
		if s.ResourceType == "droplet" && s.ResourceID == strconv.Itoa(d.ID) {
			found = append(found, s)
		}
	}
	return page(c, "snapshots", found, func(s *snapshot) map[string]any {
		i := s.image()
		return map[string]any{
			"id": i.ID, "name": i.Name, "type": "snapshot", "created_at": i.CreatedAt, "regions": i.Regions,
			"min_disk_size": i.MinDiskSize, "size_gigabytes": i.SizeGigabytes,
		}
	})
}
