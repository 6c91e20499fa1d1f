package digitalocean

import (
	"fmt"
	"net/http"
	"slices"
	"time"
)

func (a *API) actionRoutes() {
	a.handle("GET /v2/actions", a.listActions)
	a.handle("GET /v2/actions/{action}", a.getAction)
}

// Statuses of an action.
const (
	inProgress = "in-progress"
	completed  = "completed"
	errored    = "errored"
)

// action is something that happens to a resource and takes its time. Its
// effect takes place when it is completed.
type action struct {
	ID           int
	Type         string
	Status       string
	Started      time.Time
	Due          time.Time // completed then, at the earliest
	Completed    time.Time
	ResourceID   int // of a droplet
	ResourceType string
	ResourceName string // of what has no number: a volume's id, an address
	Region       string

	// What it needs for its effect.
	Name    string `json:",omitempty"` // rename: the new name; snapshot: its name
	Size    string `json:",omitempty"` // resize
	Disk    bool   `json:",omitempty"` // resize: of the disk too
	Image   int    `json:",omitempty"` // rebuild, restore
	Droplet int    `json:",omitempty"` // assign, attach
	GB      int    `json:",omitempty"` // resize of a volume
}

// resource names what an action keeps busy.
func (x *action) resource() string {
	if x.ResourceName != "" {
		return x.ResourceType + " " + x.ResourceName
	}
	return dropletResource(x.ResourceID)
}

func dropletResource(id int) string { return fmt.Sprintf("droplet %d", id) }

// begin starts an action that is due after a while.
func (a *API) begin(c *call, x action, due time.Time) *action {
	x.ID, x.Status, x.Started, x.Due = a.nextID(), inProgress, c.now, due
	a.state.Actions.Put(c.now, x.ID, &x)
	a.open[x.ID] = &x
	a.busy[x.resource()]++
	return &x
}

// end finishes an action.
func (a *API) end(now time.Time, x *action, status string) {
	x.Status, x.Completed = status, now
	delete(a.open, x.ID)
	if a.busy[x.resource()]--; a.busy[x.resource()] == 0 {
		delete(a.busy, x.resource())
	}
	a.dirty = true
}

// cancel ends whatever is in progress on a resource that goes away.
func (a *API) cancel(now time.Time, resource string) {
	for _, x := range a.open {
		if x.resource() == resource {
			a.end(now, x, errored)
		}
	}
}

// actionView is an action as the API shows it.
type actionView struct {
	ID           int        `json:"id"`
	Status       string     `json:"status"`
	Type         string     `json:"type"`
	StartedAt    time.Time  `json:"started_at"`
	CompletedAt  *time.Time `json:"completed_at"`
	ResourceID   *int       `json:"resource_id"`
	ResourceType string     `json:"resource_type"`
	Region       *region    `json:"region,omitempty"`
	RegionSlug   *string    `json:"region_slug"`
}

func viewAction(x *action) actionView {
	v := actionView{ID: x.ID, Status: x.Status, Type: x.Type, StartedAt: second(x.Started), ResourceType: x.ResourceType}
	if !x.Completed.IsZero() {
		t := second(x.Completed)
		v.CompletedAt = &t
	}
	if x.ResourceID != 0 {
		v.ResourceID = &x.ResourceID
	}
	if x.Region != "" {
		v.Region, v.RegionSlug = findRegion(x.Region), &x.Region
	}
	return v
}

// second cuts a time to what DigitalOcean shows of it.
func second(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// actionReply answers one action.
func actionReply(status int, x *action) (reply, error) {
	return reply{status, map[string]any{"action": viewAction(x)}}, nil
}

func (a *API) listActions(c *call) (reply, error) {
	return a.pageActions(c, func(*action) bool { return true })
}

// pageActions lists the actions that keep keeps, newest first.
func (a *API) pageActions(c *call, keep func(*action) bool) (reply, error) {
	var found []*action
	for _, x := range a.state.Actions.All {
		if keep(x) {
			found = append(found, x)
		}
	}
	slices.Reverse(found)
	return page(c, "actions", found, viewAction)
}

func (a *API) getAction(c *call) (reply, error) {
	return a.oneAction(c, func(*action) bool { return true })
}

// oneAction answers the action that the path names if keep keeps it.
func (a *API) oneAction(c *call, keep func(*action) bool) (reply, error) {
	id, err := c.number("action")
	if err != nil {
		return reply{}, err
	}
	x, ok := a.state.Actions.Get(id)
	if !ok || !keep(x) {
		return reply{}, notFound()
	}
	return actionReply(http.StatusOK, x)
}
