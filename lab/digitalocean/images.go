package digitalocean

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

func (a *API) imageRoutes() {
	a.handle("GET /v2/images", a.listImages)
	a.handle("GET /v2/images/{image}", a.getImage)
	a.handle("PUT /v2/images/{image}", a.renameImage)
	a.handle("DELETE /v2/images/{image}", a.deleteImage)
	a.handle("GET /v2/images/{image}/actions", a.listImageActions)
}

// image is what a droplet starts from.
type image struct {
	ID            int       `json:"id"`
	Name          string    `json:"name"`
	Type          string    `json:"type"`
	Distribution  string    `json:"distribution"`
	Slug          *string   `json:"slug"`
	Public        bool      `json:"public"`
	Regions       []string  `json:"regions"`
	CreatedAt     time.Time `json:"created_at"`
	MinDiskSize   int       `json:"min_disk_size"`
	SizeGigabytes float64   `json:"size_gigabytes"`
	Description   string    `json:"description"`
	Tags          []string  `json:"tags"`
	Status        string    `json:"status"`

	application bool
}

// publicImages are DigitalOcean's own, of which the lab may have only some.
var publicImages = makeImages()

func makeImages() []*image {
	kinds := []struct {
		id                       int
		slug, distribution, name string
		application              bool
	}{
		{155133621, "debian-12-x64", "Debian", "12 x64", false},
		{195932981, "debian-13-x64", "Debian", "13 x64", false},
		{155133622, "ubuntu-22-04-x64", "Ubuntu", "22.04 (LTS) x64", false},
		{162088250, "ubuntu-24-04-x64", "Ubuntu", "24.04 (LTS) x64", false},
		{173812711, "rockylinux-9-x64", "Rocky Linux", "9 x64", false},
		{118541523, "docker-20-04", "Ubuntu", "Docker 25.0.3 on Ubuntu 22.04", true},
	}
	var all []*image
	for _, k := range kinds {
		all = append(all, &image{
			ID: k.id, Name: k.name, Type: "base", Distribution: k.distribution, Slug: &k.slug, Public: true,
			Regions: regionSlugs(), CreatedAt: time.Date(2025, 3, 1, 12, 0, 0, 0, time.UTC), MinDiskSize: 7,
			SizeGigabytes: 2.5, Description: k.distribution + " " + k.name, Tags: []string{}, Status: "available",
			application: k.application,
		})
	}
	return all
}

// offered are the public images that the lab has.
func offered(slugs []string) []*image {
	if slugs == nil {
		return publicImages
	}
	return slices.DeleteFunc(slices.Clone(publicImages), func(i *image) bool { return !slices.Contains(slugs, *i.Slug) })
}

// findImage finds an image by its slug or id, nil if there is none.
func (a *API) findImage(name string) *image {
	for _, i := range a.images {
		if *i.Slug == name || strconv.Itoa(i.ID) == name {
			return i
		}
	}
	if s, ok := a.state.Snapshots.Get(name); ok && s.ResourceType == "droplet" {
		return s.image()
	}
	return nil
}

// imageOf is what a droplet was started from, also if it is gone by now.
func (a *API) imageOf(d *droplet) *image {
	if i := a.findImage(strconv.Itoa(d.Image)); i != nil {
		return i
	}
	return &image{
		ID: d.Image, Name: "deleted", Type: "snapshot", Distribution: "Unknown",
		Regions: []string{}, CreatedAt: second(d.Created), Tags: []string{}, Status: "deleted",
	}
}

// machineImage is the slug that a droplet's machine starts from: that of a
// snapshot is the one that the snapshot's own droplet was started from.
func (a *API) machineImage(id int) string {
	for range 100 {
		for _, i := range a.images {
			if i.ID == id {
				return *i.Slug
			}
		}
		s, ok := a.state.Snapshots.Get(strconv.Itoa(id))
		if !ok {
			break
		}
		id = s.Image
	}
	return *a.images[0].Slug
}

func (a *API) listImages(c *call) (reply, error) {
	query := c.URL.Query()
	tag, kind := query.Get("tag_name"), query.Get("type")
	found := []*image{}
	if query.Get("private") != "true" && tag == "" {
		for _, i := range a.images {
			if kind == "" || i.application == (kind == "application") {
				found = append(found, i)
			}
		}
	}
	if kind == "" {
		for _, s := range a.state.Snapshots.List(c.now, c.timing.ListLag) {
			if s.ResourceType == "droplet" && (tag == "" || hasTag(s.Tags, tag)) {
				found = append(found, s.image())
			}
		}
	}
	return page(c, "images", found, same)
}

func (a *API) getImage(c *call) (reply, error) {
	i := a.findImage(c.PathValue("image"))
	if i == nil {
		return reply{}, notFound()
	}
	return reply{http.StatusOK, map[string]any{"image": i}}, nil
}

// ownImage finds the account's image that the path names.
func (a *API) ownImage(c *call) (*snapshot, error) {
	s, ok := a.state.Snapshots.Get(c.PathValue("image"))
	if ok && s.ResourceType == "droplet" {
		return s, nil
	}
	if a.findImage(c.PathValue("image")) != nil {
		return nil, fail(http.StatusForbidden, "You are not authorized to perform this operation")
	}
	return nil, notFound()
}

func (a *API) renameImage(c *call) (reply, error) {
	s, err := a.ownImage(c)
	if err != nil {
		return reply{}, err
	}
	var wanted struct{ Name string }
	if err := c.decode(&wanted); err != nil {
		return reply{}, err
	}
	if wanted.Name != "" {
		s.Name = wanted.Name
	}
	return reply{http.StatusOK, map[string]any{"image": s.image()}}, nil
}

func (a *API) deleteImage(c *call) (reply, error) {
	s, err := a.ownImage(c)
	if err != nil {
		return reply{}, err
	}
	a.removeSnapshot(c, s)
	return none, nil
}

func (a *API) listImageActions(c *call) (reply, error) {
	if a.findImage(c.PathValue("image")) == nil {
		return reply{}, notFound()
	}
	return page(c, "actions", []struct{}{}, same)
}
