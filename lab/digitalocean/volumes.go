package digitalocean

import (
	"net/http"
	"regexp"
	"slices"
	"time"
)

func (a *API) volumeRoutes() {
	a.handle("GET /v2/volumes", a.listVolumes)
	a.handle("POST /v2/volumes", a.createVolume)
	a.handle("DELETE /v2/volumes", a.deleteVolumeByName)
	a.handle("POST /v2/volumes/actions", a.actOnVolumeByName)
	a.handle("GET /v2/volumes/{volume}", a.getVolume)
	a.handle("DELETE /v2/volumes/{volume}", a.deleteVolume)
	a.handle("GET /v2/volumes/{volume}/actions", a.listVolumeActions)
	a.handle("POST /v2/volumes/{volume}/actions", a.actOnVolume)
	a.handle("GET /v2/volumes/{volume}/actions/{action}", a.getVolumeAction)
}

// volume is a disk that one droplet at a time can have.
type volume struct {
	ID          string
	Name        string
	Description string
	Region      string
	GB          int
	Filesystem  string
	Label       string
	Tags        []string
	Droplet     int // that has it, 0 if none
	Created     time.Time
}

type volumeView struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	GB          int       `json:"size_gigabytes"`
	Filesystem  string    `json:"filesystem_type"`
	Label       string    `json:"filesystem_label"`
	DropletIDs  []int     `json:"droplet_ids"`
	CreatedAt   time.Time `json:"created_at"`
	Tags        []string  `json:"tags"`
	Region      *region   `json:"region"`
}

func viewVolume(v *volume) volumeView {
	view := volumeView{
		ID: v.ID, Name: v.Name, Description: v.Description, GB: v.GB, Filesystem: v.Filesystem, Label: v.Label,
		DropletIDs: []int{}, CreatedAt: second(v.Created), Tags: some(v.Tags), Region: findRegion(v.Region),
	}
	if v.Droplet != 0 {
		view.DropletIDs = []int{v.Droplet}
	}
	return view
}

func volumeReply(status int, v *volume) (reply, error) {
	return reply{status, map[string]any{"volume": viewVolume(v)}}, nil
}

func (a *API) listVolumes(c *call) (reply, error) {
	name, reg := c.URL.Query().Get("name"), c.URL.Query().Get("region")
	all := slices.DeleteFunc(a.state.Volumes.List(c.now, c.timing.ListLag), func(v *volume) bool {
		return name != "" && v.Name != name || reg != "" && v.Region != reg
	})
	return page(c, "volumes", all, viewVolume)
}

// Bounds of volumes.
const (
	largestVolume = 16 << 10 // GB
	mostVolumes   = 15       // at one droplet
)

var volumeName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,63}$`)

func (a *API) createVolume(c *call) (reply, error) {
	var r struct {
		Name        string   `json:"name"`
		Description string   `json:"description"`
		Region      string   `json:"region"`
		GB          int      `json:"size_gigabytes"`
		SnapshotID  string   `json:"snapshot_id"`
		Filesystem  string   `json:"filesystem_type"`
		Label       string   `json:"filesystem_label"`
		Tags        []string `json:"tags"`
	}
	if err := c.decode(&r); err != nil {
		return reply{}, err
	}
	if r.SnapshotID != "" {
		s, ok := a.state.Snapshots.Get(r.SnapshotID)
		if !ok {
			return reply{}, invalid("snapshot %s not found", r.SnapshotID)
		}
		r.GB, r.Region = max(r.GB, s.GB), s.Region
	}
	v := &volume{
		Name: r.Name, Description: r.Description, Region: r.Region, GB: r.GB,
		Filesystem: r.Filesystem, Label: r.Label, Created: c.now,
	}
	if err := a.checkVolume(v); err != nil {
		return reply{}, err
	}
	var err error
	if v.Tags, err = a.spellAll(c, r.Tags); err != nil {
		return reply{}, err
	}
	v.ID = newUUID()
	a.state.Volumes.Put(c.now, v.ID, v)
	return volumeReply(http.StatusCreated, v)
}

func (a *API) checkVolume(v *volume) error {
	label := map[string]int{"": 16, "ext4": 16, "xfs": 12}
	switch {
	case !volumeName.MatchString(v.Name):
		return invalid("name must start with a letter and contain only lower case letters, digits and dashes")
	case findRegion(v.Region) == nil || findRegion(v.Region).Slug != v.Region:
		return invalid("region is invalid")
	case v.GB < 1 || v.GB > largestVolume:
		return invalid("size_gigabytes must be between 1 and %d", largestVolume)
	case label[v.Filesystem] == 0:
		return invalid("filesystem_type must be ext4 or xfs")
	case len(v.Label) > label[v.Filesystem]:
		return invalid("filesystem_label is too long")
	}
	if a.volumeNamed(v.Name, v.Region) != nil {
		return fail(http.StatusConflict, "A volume with the name %s already exists in region %s", v.Name, v.Region)
	}
	return nil
}

func (a *API) volumeNamed(name, region string) *volume {
	for _, v := range a.state.Volumes.All {
		if v.Name == name && v.Region == region {
			return v
		}
	}
	return nil
}

func (a *API) shownVolume(c *call) (*volume, error) {
	v, ok := a.state.Volumes.Find(c.now, c.PathValue("volume"), c.timing.NotFound)
	if !ok {
		return nil, notFound()
	}
	return v, nil
}

func (a *API) getVolume(c *call) (reply, error) {
	v, err := a.shownVolume(c)
	if err != nil {
		return reply{}, err
	}
	return volumeReply(http.StatusOK, v)
}

func (a *API) deleteVolume(c *call) (reply, error) {
	v, err := a.shownVolume(c)
	if err != nil {
		return reply{}, err
	}
	return a.removeVolume(c, v)
}

func (a *API) deleteVolumeByName(c *call) (reply, error) {
	v := a.volumeNamed(c.URL.Query().Get("name"), c.URL.Query().Get("region"))
	if v == nil {
		return reply{}, notFound()
	}
	return a.removeVolume(c, v)
}

func (a *API) removeVolume(c *call, v *volume) (reply, error) {
	if v.Droplet != 0 {
		return reply{}, fail(http.StatusConflict, "A volume that's attached to a Droplet cannot be deleted.")
	}
	a.state.Volumes.Delete(c.now, v.ID, c.now)
	return none, nil
}

// volumeAction is the body of an action on a volume.
type volumeAction struct {
	Type    string `json:"type"`
	Name    string `json:"volume_name"`
	Region  string `json:"region"`
	Droplet int    `json:"droplet_id"`
	GB      int    `json:"size_gigabytes"`
}

func (a *API) actOnVolume(c *call) (reply, error) {
	v, err := a.shownVolume(c)
	if err != nil {
		return reply{}, err
	}
	var wanted volumeAction
	if err := c.decode(&wanted); err != nil {
		return reply{}, err
	}
	return a.beginVolume(c, v, wanted)
}

func (a *API) actOnVolumeByName(c *call) (reply, error) {
	var wanted volumeAction
	if err := c.decode(&wanted); err != nil {
		return reply{}, err
	}
	v := a.volumeNamed(wanted.Name, wanted.Region)
	if v == nil {
		return reply{}, notFound()
	}
	return a.beginVolume(c, v, wanted)
}

// beginVolume starts an action on a volume; both it and the droplet are busy.
func (a *API) beginVolume(c *call, v *volume, wanted volumeAction) (reply, error) {
	x := action{Type: wanted.Type, ResourceType: "volume", ResourceName: v.ID, Region: v.Region, Droplet: wanted.Droplet, GB: wanted.GB}
	if wanted.Region != "" && wanted.Region != v.Region {
		return reply{}, invalid("volume is not in region %s", wanted.Region)
	}
	if a.busy[x.resource()] > 0 {
		return reply{}, pendingEvent("Volume")
	}
	d, ok := a.state.Droplets.Get(wanted.Droplet)
	switch wanted.Type {
	case "attach":
		switch {
		case !ok:
			return reply{}, notFound()
		case d.Region != v.Region:
			return reply{}, invalid("Droplet and volume are not in the same region")
		case v.Droplet != 0:
			return reply{}, invalid("Volume is already attached to a Droplet")
		case len(d.Volumes) >= mostVolumes:
			return reply{}, invalid("Droplet has already %d volumes", mostVolumes)
		case a.busy[dropletResource(d.ID)] > 0:
			return reply{}, pendingEvent("Droplet")
		}
	case "detach":
		if v.Droplet == 0 || wanted.Droplet != 0 && wanted.Droplet != v.Droplet {
			return reply{}, invalid("Volume is not attached to that Droplet")
		}
	case "resize":
		if wanted.GB <= v.GB || wanted.GB > largestVolume {
			return reply{}, invalid("size_gigabytes must be larger than %d and at most %d", v.GB, largestVolume)
		}
	default:
		return reply{}, invalid("%q is not a valid action type", wanted.Type)
	}
	return actionReply(http.StatusAccepted, a.begin(c, x, c.now.Add(durationOf(c.timing.ServerAction))))
}

// finishVolume lets the effect of an action on a volume take place.
func (a *API) finishVolume(now time.Time, x *action) {
	v, ok := a.state.Volumes.Get(x.ResourceName)
	if !ok {
		a.end(now, x, errored)
		return
	}
	switch x.Type {
	case "attach":
		d, ok := a.state.Droplets.Get(x.Droplet)
		if !ok || v.Droplet != 0 {
			a.end(now, x, errored)
			return
		}
		v.Droplet = d.ID
		d.Volumes = append(slices.Clone(d.Volumes), v.ID)
	case "detach":
		if d, ok := a.state.Droplets.Get(v.Droplet); ok {
			d.Volumes = without(d.Volumes, v.ID)
		}
		v.Droplet = 0
	case "resize":
		v.GB = x.GB
	}
	a.end(now, x, completed)
}

func (a *API) listVolumeActions(c *call) (reply, error) {
	v, err := a.shownVolume(c)
	if err != nil {
		return reply{}, err
	}
	return a.pageActions(c, func(x *action) bool { return x.ResourceName == v.ID })
}

func (a *API) getVolumeAction(c *call) (reply, error) {
	v, err := a.shownVolume(c)
	if err != nil {
		return reply{}, err
	}
	return a.oneAction(c, func(x *action) bool { return x.ResourceName == v.ID })
}
