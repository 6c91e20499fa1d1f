package digitalocean

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"
)

// dropletAction is the body of an action on a droplet.
type dropletAction struct {
	Type  string          `json:"type"`
	Name  string          `json:"name"`
	Size  string          `json:"size"`
	Disk  bool            `json:"disk"`
	Image json.RawMessage `json:"image"`
}

func (a *API) actOnDroplet(c *call) (reply, error) {
	d, err := a.shownDroplet(c)
	if err != nil {
		return reply{}, err
	}
	var wanted dropletAction
	if err := c.decode(&wanted); err != nil {
		return reply{}, err
	}
	x, err := a.act(c, d, wanted)
	if err != nil {
		return reply{}, err
	}
	return actionReply(http.StatusCreated, x)
}

// bulkActions are those that can be asked of all droplets with a tag.
var bulkActions = []string{
	"power_cycle", "power_on", "power_off", "shutdown", "enable_ipv6",
	"enable_backups", "disable_backups", "snapshot", "enable_private_networking",
}

func (a *API) actOnTagged(c *call) (reply, error) {
	name := c.URL.Query().Get("tag_name")
	var wanted dropletAction
	if err := c.decode(&wanted); err != nil {
		return reply{}, err
	}
	if !slices.Contains(bulkActions, wanted.Type) {
		return reply{}, invalid("%s can not be done on all droplets with a tag", wanted.Type)
	}
	views := []actionView{}
	for _, d := range a.state.Droplets.All {
		if !hasTag(d.Tags, name) {
			continue
		}
		x, err := a.act(c, d, wanted)
		if err != nil {
			return reply{}, err
		}
		views = append(views, viewAction(x))
	}
	return reply{http.StatusCreated, map[string]any{"actions": views}}, nil
}

// act starts an action on a droplet.
func (a *API) act(c *call, d *droplet, wanted dropletAction) (*action, error) {
	if _, ok := a.state.Droplets.Get(d.ID); !ok {
		return nil, notFound()
	}
	if a.busy[dropletResource(d.ID)] > 0 {
		return nil, pendingEvent("Droplet")
	}
	x := action{
		Type: wanted.Type, ResourceID: d.ID, ResourceType: "droplet", Region: d.Region,
		Name: wanted.Name, Size: wanted.Size, Disk: wanted.Disk,
	}
	if err := a.checkAction(d, wanted, &x); err != nil {
		return nil, err
	}
	switch x.Type { // what stops the machine stops it now
	case "power_off", "shutdown":
		a.Servers.SetPower(d.server(), false)
	case "reboot", "power_cycle":
		a.Servers.Reboot(d.server())
	}
	return a.begin(c, x, c.now.Add(durationOf(c.timing.ServerAction))), nil
}

// checkAction tells what speaks against an action, and completes x.
func (a *API) checkAction(d *droplet, wanted dropletAction, x *action) error {
	switch wanted.Type {
	case "reboot", "power_cycle", "power_off", "shutdown", "power_on", "snapshot", "password_reset",
		"enable_ipv6", "enable_backups", "disable_backups", "change_backup_policy", "change_kernel",
		"enable_private_networking":
		return nil
	case "rename":
		if !dropletName.MatchString(wanted.Name) {
			return invalid("Name Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)")
		}
		return nil
	case "resize":
		s := findSize(wanted.Size)
		switch {
		case s == nil:
			return invalid("Size is not available")
		case s.Disk < d.Disk:
			return invalid("You can not decrease size of Droplet's disk image")
		case !d.Off:
			return invalid("Droplet must be off to be resized")
		}
		return nil
	case "rebuild", "restore":
		img := a.findImage(text(wanted.Image))
		if img == nil {
			return invalid("Image is not available")
		}
		x.Image = img.ID
		return nil
	}
	return invalid("%q is not a valid action type", wanted.Type)
}

// finishDroplet lets the effect of an action on a droplet take place. A create
// goes on until its machine is there.
func (a *API) finishDroplet(now time.Time, x *action) {
	d, ok := a.state.Droplets.Get(x.ResourceID)
	if !ok {
		a.end(now, x, errored)
		return
	}
	switch x.Type {
	case "create":
		_, made, err := a.Servers.Find(d.server())
		if err != nil {
			a.end(now, x, errored)
			a.removeDroplet(now, a.Faults.Timing(), d)
			return
		}
		if !made {
			return
		}
	case "power_off", "shutdown":
		d.Off = true
	case "power_on":
		d.Off = false
		a.Servers.SetPower(d.server(), true)
	case "reboot", "power_cycle":
		d.Off = false
	case "rename":
		d.Name = x.Name
	case "resize":
		d.Size = x.Size
		if x.Disk {
			d.Disk = findSize(x.Size).Disk
		}
	case "rebuild", "restore":
		d.Image = x.Image
		a.Servers.Delete(d.server())
		a.Servers.Create(a.spec(d))
	case "snapshot":
		a.snapshotDroplet(now, d, x.Name)
	case "enable_ipv6":
		d.IPv6 = true
	case "enable_backups":
		d.Backups = true
	case "disable_backups":
		d.Backups = false
	}
	a.end(now, x, completed)
}

func (a *API) listDropletActions(c *call) (reply, error) {
	d, err := a.shownDroplet(c)
	if err != nil {
		return reply{}, err
	}
	return a.pageActions(c, func(x *action) bool { return x.ResourceID == d.ID })
}

func (a *API) getDropletAction(c *call) (reply, error) {
	d, err := a.shownDroplet(c)
	if err != nil {
		return reply{}, err
	}
	return a.oneAction(c, func(x *action) bool { return x.ResourceID == d.ID })
}
