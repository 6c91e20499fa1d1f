package digitalocean

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

func (a *API) tagRoutes() {
	a.handle("GET /v2/tags", a.listTags)
	a.handle("POST /v2/tags", a.createTag)
	a.handle("GET /v2/tags/{tag}", a.getTag)
	a.handle("DELETE /v2/tags/{tag}", a.deleteTag)
	a.handle("POST /v2/tags/{tag}/resources", a.tagResources)
	a.handle("DELETE /v2/tags/{tag}/resources", a.untagResources)
}

// tag is a name that resources can carry. Its first spelling is kept.
type tag struct{ Name string }

var tagName = regexp.MustCompile(`^[a-zA-Z0-9_\-:]{1,255}$`)

// findTag finds a tag in whatever spelling.
func (a *API) findTag(name string) (*tag, bool) {
	return a.state.Tags.Get(strings.ToLower(name))
}

// spell answers a tag as it was first spelled, making it if need be.
func (a *API) spell(c *call, name string) string {
	if t, ok := a.findTag(name); ok {
		return t.Name
	}
	a.state.Tags.Put(c.now, strings.ToLower(name), &tag{name})
	return name
}

// spellAll answers tags as they were first spelled, each once.
func (a *API) spellAll(c *call, names []string) ([]string, error) {
	tags := []string{}
	for _, name := range names {
		if !tagName.MatchString(name) {
			return nil, invalid("Tag names may only contain letters, numbers, colons, dashes and underscores, got %q", name)
		}
	}
	for _, name := range names {
		if t := a.spell(c, name); !slices.Contains(tags, t) {
			tags = append(tags, t)
		}
	}
	return tags, nil
}

// hasTag compares as DigitalOcean does: without regard to case.
func hasTag(tags []string, name string) bool {
	return slices.ContainsFunc(tags, func(t string) bool { return strings.EqualFold(t, name) })
}

// shownTag finds the tag that the path names, which must be spelled as it was
// first.
func (a *API) shownTag(c *call) (*tag, error) {
	name := c.PathValue("tag")
	t, ok := a.state.Tags.Find(c.now, strings.ToLower(name), c.timing.NotFound)
	if !ok || t.Name != name {
		return nil, notFound()
	}
	return t, nil
}

// tagged counts what carries a tag.
type tagged struct {
	Count         int    `json:"count"`
	LastTaggedURI string `json:"last_tagged_uri,omitempty"`
}

type tagView struct {
	Name      string `json:"name"`
	Resources struct {
		tagged
		Droplets        tagged `json:"droplets"`
		Images          tagged `json:"images"`
		Volumes         tagged `json:"volumes"`
		VolumeSnapshots tagged `json:"volume_snapshots"`
		Databases       tagged `json:"databases"`
	} `json:"resources"`
}

func (a *API) viewTag(t *tag) tagView {
	v := tagView{Name: t.Name}
	r := &v.Resources
	add := func(what *tagged, uri string) {
		what.Count++
		what.LastTaggedURI = uri
		r.Count++
		r.LastTaggedURI = uri
	}
	for _, d := range a.state.Droplets.All {
		if slices.Contains(d.Tags, t.Name) {
			add(&r.Droplets, fmt.Sprintf("https://api.digitalocean.com/v2/droplets/%d", d.ID))
		}
	}
	for _, vol := range a.state.Volumes.All {
		if slices.Contains(vol.Tags, t.Name) {
			add(&r.Volumes, "https://api.digitalocean.com/v2/volumes/"+vol.ID)
		}
	}
	for _, s := range a.state.Snapshots.All {
		switch {
		case !slices.Contains(s.Tags, t.Name):
		case s.ResourceType == "volume":
			add(&r.VolumeSnapshots, "https://api.digitalocean.com/v2/snapshots/"+s.ID)
		default:
			add(&r.Images, "https://api.digitalocean.com/v2/images/"+s.ID)
		}
	}
	return v
}

func (a *API) listTags(c *call) (reply, error) {
	return page(c, "tags", a.state.Tags.List(c.now, c.timing.ListLag), a.viewTag)
}

func (a *API) createTag(c *call) (reply, error) {
	var wanted tag
	if err := c.decode(&wanted); err != nil {
		return reply{}, err
	}
	if !tagName.MatchString(wanted.Name) {
		return reply{}, fail(http.StatusBadRequest, "tag names may only contain letters, numbers, colons, dashes and underscores")
	}
	a.spell(c, wanted.Name)
	t, _ := a.findTag(wanted.Name)
	return reply{http.StatusCreated, map[string]any{"tag": a.viewTag(t)}}, nil
}

func (a *API) getTag(c *call) (reply, error) {
	t, err := a.shownTag(c)
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusOK, map[string]any{"tag": a.viewTag(t)}}, nil
}

func (a *API) deleteTag(c *call) (reply, error) {
	t, err := a.shownTag(c)
	if err != nil {
		return reply{}, err
	}
	for _, d := range a.state.Droplets.All {
		d.Tags = without(d.Tags, t.Name)
	}
	for _, v := range a.state.Volumes.All {
		v.Tags = without(v.Tags, t.Name)
	}
	for _, s := range a.state.Snapshots.All {
		s.Tags = without(s.Tags, t.Name)
	}
	a.retagged(c, t.Name)
	a.state.Tags.Delete(c.now, strings.ToLower(t.Name), c.now)
	return none, nil
}

func without(tags []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(tags), func(t string) bool { return t == name })
}

func (a *API) tagResources(c *call) (reply, error) {
	return a.changeTagged(c, func(tags []string, name string) []string {
		if slices.Contains(tags, name) {
			return tags
		}
		return append(slices.Clone(tags), name)
	})
}

func (a *API) untagResources(c *call) (reply, error) { return a.changeTagged(c, without) }

// changeTagged changes the tags of the resources that the body lists: all of
// them, or none if one does not exist.
func (a *API) changeTagged(c *call, change func(tags []string, name string) []string) (reply, error) {
	t, err := a.shownTag(c)
	if err != nil {
		return reply{}, err
	}
	var wanted struct {
		Resources []struct {
			ID   string `json:"resource_id"`
			Type string `json:"resource_type"`
		}
	}
	if err := c.decode(&wanted); err != nil {
		return reply{}, err
	}
	if len(wanted.Resources) == 0 {
		return reply{}, invalid("resources can't be blank")
	}
	var found []*[]string
	for _, r := range wanted.Resources {
		tags := a.tagsOf(r.Type, r.ID)
		if tags == nil {
			return reply{}, notFound()
		}
		found = append(found, tags)
	}
	for _, tags := range found {
		*tags = change(*tags, t.Name)
	}
	a.retagged(c, t.Name)
	return none, nil
}

// tagsOf answers where the tags of a resource are kept, nil if there is none.
func (a *API) tagsOf(kind, id string) *[]string {
	switch kind {
	case "droplet":
		n, err := strconv.Atoi(id)
		if d, ok := a.state.Droplets.Get(n); ok && err == nil {
			return &d.Tags
		}
	case "volume":
		if v, ok := a.state.Volumes.Get(id); ok {
			return &v.Tags
		}
	case "image", "volume_snapshot":
		if s, ok := a.state.Snapshots.Get(id); ok {
			return &s.Tags
		}
	}
	return nil
}

// retagged lets those who go by tag look again, after a while.
func (a *API) retagged(c *call, names ...string) {
	for _, lb := range a.state.Balancers.All {
		if lb.Tag != "" && hasTag(names, lb.Tag) && lb.LookAt.IsZero() {
			lb.LookAt = c.now.Add(durationOf(c.timing.Tag))
		}
	}
}
