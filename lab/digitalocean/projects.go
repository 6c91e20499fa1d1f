package digitalocean

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (a *API) projectRoutes() {
	a.handle("GET /v2/projects", a.listProjects)
	a.handle("POST /v2/projects", a.createProject)
	a.handle("GET /v2/projects/{project}", a.getProject)
	a.handle("PUT /v2/projects/{project}", a.updateProject)
	a.handle("PATCH /v2/projects/{project}", a.updateProject)
	a.handle("DELETE /v2/projects/{project}", a.deleteProject)
	a.handle("GET /v2/projects/{project}/resources", a.listProjectResources)
	a.handle("POST /v2/projects/{project}/resources", a.assignResources)
}

// project is a folder for resources.
type project struct {
	ID          string    `json:"id"`
	OwnerUUID   string    `json:"owner_uuid"`
	OwnerID     int       `json:"owner_id"`
	Name        string    `json:"name"`
	Description string    `json:"description"`
	Purpose     string    `json:"purpose"`
	Environment string    `json:"environment,omitempty"`
	IsDefault   bool      `json:"is_default"`
	CreatedAt   time.Time `json:"created_at"`
	UpdatedAt   time.Time `json:"updated_at"`
}

// assignment says which project a resource was put into. Resources without
// one are in the default project.
type assignment struct {
	Project string
	At      time.Time
}

// defaultProject answers the account's default project, making it if need be.
func (a *API) defaultProject(now time.Time) *project {
	for _, p := range a.state.Projects.All {
		if p.IsDefault {
			return p
		}
	}
	p := &project{
		ID: newUUID(), OwnerUUID: accountUUID, OwnerID: 1, Name: "first-project", Purpose: "Just trying out DigitalOcean",
		IsDefault: true, CreatedAt: second(now), UpdatedAt: second(now),
	}
	a.state.Projects.Put(now, p.ID, p)
	return p
}

func (a *API) listProjects(c *call) (reply, error) {
	a.defaultProject(c.now)
	return page(c, "projects", a.state.Projects.List(c.now, c.timing.ListLag), same)
}

func (a *API) checkProject(p *project) error {
	switch {
	case p.Name == "" || len(p.Name) > 175:
		return invalid("name must be between 1 and 175 characters")
	case p.Purpose == "" || len(p.Purpose) > 255:
		return invalid("purpose must be between 1 and 255 characters")
	case len(p.Description) > 255:
		return invalid("description must be at most 255 characters")
	case !slices.Contains([]string{"", "Development", "Staging", "Production"}, p.Environment):
		return invalid("environment must be one of Development, Staging, Production")
	}
	for _, other := range a.state.Projects.All {
		if other.Name == p.Name && other.ID != p.ID {
			return fail(http.StatusConflict, "name is already in use")
		}
	}
	return nil
}

func (a *API) createProject(c *call) (reply, error) {
	a.defaultProject(c.now)
	var p project
	if err := c.decode(&p); err != nil {
		return reply{}, err
	}
	p.ID, p.OwnerUUID, p.OwnerID, p.IsDefault = newUUID(), accountUUID, 1, false
	p.CreatedAt, p.UpdatedAt = second(c.now), second(c.now)
	if err := a.checkProject(&p); err != nil {
		return reply{}, err
	}
	a.state.Projects.Put(c.now, p.ID, &p)
	return reply{http.StatusCreated, map[string]any{"project": p}}, nil
}

// shownProject finds the project that the path names; "default" is a name too.
func (a *API) shownProject(c *call) (*project, error) {
	id := c.PathValue("project")
	if id == "default" {
		return a.defaultProject(c.now), nil
	}
	p, ok := a.state.Projects.Find(c.now, id, c.timing.NotFound)
	if !ok {
		return nil, notFound()
	}
	return p, nil
}

func (a *API) getProject(c *call) (reply, error) {
	p, err := a.shownProject(c)
	return reply{http.StatusOK, map[string]any{"project": p}}, err
}

// updateProject serves PUT, which needs every field, and PATCH, which changes
// only what is there.
func (a *API) updateProject(c *call) (reply, error) {
	p, err := a.shownProject(c)
	if err != nil {
		return reply{}, err
	}
	wanted := *p
	if c.Method == http.MethodPut {
		wanted.Name, wanted.Description, wanted.Purpose, wanted.Environment = "", "", "", ""
	}
	if err := c.decode(&wanted); err != nil {
		return reply{}, err
	}
	wanted.ID, wanted.OwnerUUID, wanted.OwnerID, wanted.CreatedAt = p.ID, p.OwnerUUID, p.OwnerID, p.CreatedAt
	if err := a.checkProject(&wanted); err != nil {
		return reply{}, err
	}
	if wanted.IsDefault {
		for _, other := range a.state.Projects.All {
			other.IsDefault = other == p
		}
	}
	wanted.IsDefault = wanted.IsDefault || p.IsDefault // there is always one
	wanted.UpdatedAt = second(c.now)
	*p = wanted
	return reply{http.StatusOK, map[string]any{"project": p}}, nil
}

func (a *API) deleteProject(c *call) (reply, error) {
	p, err := a.shownProject(c)
	if err != nil {
		return reply{}, err
	}
	if p.IsDefault {
		return reply{}, fail(http.StatusPreconditionFailed, "cannot delete the default project")
	}
	if len(a.projectResources(c, p)) > 0 {
		return reply{}, fail(http.StatusPreconditionFailed, "cannot delete a project with resources. move or remove the resources first")
	}
	a.state.Projects.Delete(c.now, p.ID, c.now)
	return none, nil
}

// projectResource is a resource as a project lists it.
type projectResource struct {
	URN        string            `json:"urn"`
	AssignedAt *time.Time        `json:"assigned_at,omitempty"`
	Links      map[string]string `json:"links"`
	Status     string            `json:"status"`
}

// urns lists everything that can be in a project, with the place where it is
// read and when it was made.
func (a *API) urns(yield func(urn, path string, made time.Time) bool) {
	for id, d := range a.state.Droplets.All {
		if !yield("do:droplet:"+strconv.Itoa(id), "/v2/droplets/"+strconv.Itoa(id), d.Created) {
			return
		}
	}
	for id, lb := range a.state.Balancers.All {
		if !yield("do:loadbalancer:"+id, "/v2/load_balancers/"+id, lb.Created) {
			return
		}
	}
	for id, v := range a.state.Volumes.All {
		if !yield("do:volume:"+id, "/v2/volumes/"+id, v.Created) {
			return
		}
	}
	for name := range a.state.Domains.All {
		if !yield("do:domain:"+name, "/v2/domains/"+name, time.Time{}) {
			return
		}
	}
	for ip := range a.state.ReservedIPs.All {
		if !yield("do:floatingip:"+ip, "/v2/reserved_ips/"+ip, time.Time{}) {
			return
		}
	}
}

// placeOf answers a resource's project.
func (a *API) placeOf(c *call, urn string) string {
	if as, ok := a.state.Assignments[urn]; ok {
		return as.Project
	}
	if id, ok := strings.CutPrefix(urn, "do:loadbalancer:"); ok {
		if lb, ok := a.state.Balancers.Get(id); ok && lb.ProjectID != "" {
			return lb.ProjectID
		}
	}
	return a.defaultProject(c.now).ID
}

func (a *API) projectResources(c *call, p *project) []projectResource {
	var found []projectResource
	a.urns(func(urn, path string, made time.Time) bool {
		if a.placeOf(c, urn) == p.ID {
			r := projectResource{URN: urn, Links: map[string]string{"self": "http://" + c.Host + path}, Status: "ok"}
			if as, ok := a.state.Assignments[urn]; ok {
				made = as.At
			}
			if !made.IsZero() {
				at := second(made)
				r.AssignedAt = &at
			}
			found = append(found, r)
		}
		return true
	})
	return found
}

func (a *API) listProjectResources(c *call) (reply, error) {
	p, err := a.shownProject(c)
	if err != nil {
		return reply{}, err
	}
	return page(c, "resources", a.projectResources(c, p), same)
}

// assignResources puts resources into a project and tells of each how it went.
func (a *API) assignResources(c *call) (reply, error) {
	p, err := a.shownProject(c)
	if err != nil {
		return reply{}, err
	}
	var wanted struct {
		Resources []string `json:"resources"`
	}
	if err := c.decode(&wanted); err != nil {
		return reply{}, err
	}
	paths := map[string]string{}
	a.urns(func(urn, path string, _ time.Time) bool {
		paths[urn] = path
		return true
	})
	results := []projectResource{}
	for _, urn := range wanted.Resources {
		if !strings.HasPrefix(urn, "do:") {
			return reply{}, invalid("%q is no URN", urn)
		}
		at := second(c.now)
		r := projectResource{URN: urn, Links: map[string]string{"self": "http://" + c.Host + paths[urn]}, AssignedAt: &at}
		switch {
		case paths[urn] == "":
			r.Status, r.AssignedAt = "not_found", nil
		case a.placeOf(c, urn) == p.ID:
			r.Status = "already_assigned"
		default:
			r.Status = "assigned"
			a.state.Assignments[urn] = assignment{p.ID, c.now}
		}
		results = append(results, r)
	}
	return reply{http.StatusOK, map[string]any{
		"resources": results, "links": map[string]any{}, "meta": map[string]int{"total": len(results)},
	}}, nil
}
