package digitalocean

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"unicode/utf8"
)

// dropletRequest is the body of a create.
type dropletRequest struct {
	Name  string   `json:"name"`
	Names []string `json:"names"`

	Region           string            `json:"region"`
	Size             string            `json:"size"`
	Image            json.RawMessage   `json:"image"`
	SSHKeys          []json.RawMessage `json:"ssh_keys"`
	Backups          bool              `json:"backups"`
	IPv6             bool              `json:"ipv6"`
	Monitoring       bool              `json:"monitoring"`
	Tags             []string          `json:"tags"`
	UserData         string            `json:"user_data"`
	Volumes          []json.RawMessage `json:"volumes"`
	VPC              string            `json:"vpc_uuid"`
	WithAgent        *bool             `json:"with_droplet_agent"`
	PublicNetworking *bool             `json:"public_networking"`
}

// Bounds of a create.
const (
	mostNames    = 10
	longestName  = 255
	mostUserData = 64 << 10
)

var dropletName = regexp.MustCompile(`^[a-zA-Z0-9]?[a-z0-9A-Z.\-]*[a-z0-9A-Z]$`)

func (a *API) createDroplets(c *call) (reply, error) {
	var r dropletRequest
	if err := c.decode(&r); err != nil {
		return reply{}, err
	}
	names := r.Names
	if len(names) == 0 {
		names = []string{r.Name}
	}
	if err := a.checkNames(&r, names); err != nil {
		return reply{}, err
	}
	model, err := a.modelDroplet(c, &r)
	if err != nil {
		return reply{}, err
	}
	var made []dropletView
	var links []any
	for _, name := range names {
		d := *model
		d.Name = name
		x := a.addDroplet(c, &d)
		made = append(made, a.viewDroplet(c.now, &d))
		links = append(links, map[string]any{
			"id": x.ID, "rel": "create", "href": fmt.Sprintf("http://%s/v2/actions/%d", c.Host, x.ID),
		})
	}
	a.retagged(c, model.Tags...)
	body := map[string]any{"links": map[string]any{"actions": links}}
	if len(r.Names) > 0 {
		body["droplets"] = made
	} else {
		body["droplet"] = made[0]
	}
	return reply{http.StatusAccepted, body}, nil
}

func (a *API) checkNames(r *dropletRequest, names []string) error {
	if r.Name != "" && len(r.Names) > 0 {
		return invalid("name and names can not both be given")
	}
	if len(names) > mostNames {
		return invalid("You can only create up to %d Droplets at a time", mostNames)
	}
	for _, name := range names {
		if name == "" {
			return invalid("Name can't be blank")
		}
		if len(name) > longestName || !dropletName.MatchString(name) {
			return invalid("Name Only valid hostname characters are allowed. (a-z, A-Z, 0-9, . and -)")
		}
	}
	limit := a.Faults.Limits().Servers
	if limit > 0 && a.state.Droplets.Len()+len(names) > limit {
		return invalid("creating this/these droplet(s) will exceed your droplet limit")
	}
	return nil
}

// modelDroplet checks a request and answers the droplet that it asks for, with
// no name yet.
func (a *API) modelDroplet(c *call, r *dropletRequest) (*droplet, error) {
	s, reg, img := findSize(r.Size), findRegion(r.Region), a.findImage(text(r.Image))
	switch {
	case s == nil:
		return nil, invalid("You specified an invalid size for Droplet creation.")
	case reg == nil:
		return nil, invalid("You specified an invalid region for Droplet creation.")
	case img == nil:
		return nil, invalid("You specified an invalid image for Droplet creation.")
	case len(r.UserData) > mostUserData:
		return nil, invalid("User data is too long (maximum is 64 KiB)")
	case !utf8.ValidString(r.UserData):
		return nil, invalid("User data must be plain text")
	case r.PublicNetworking != nil && !*r.PublicNetworking && r.IPv6:
		return nil, invalid("ipv6 can not be enabled without public networking")
	}
	d := &droplet{
		Region: reg.Slug, Size: s.Slug, Disk: s.Disk, Image: img.ID, Created: c.now,
		ActiveAt: c.now.Add(durationOf(c.timing.ServerActive)),
		NoPublic: r.PublicNetworking != nil && !*r.PublicNetworking,
		IPv6:     r.IPv6, Monitoring: r.Monitoring, Backups: r.Backups,
		Agent: r.WithAgent == nil || *r.WithAgent,
	}
	for _, raw := range r.SSHKeys {
		k, ok := a.findKey(text(raw))
		if !ok {
			return nil, invalid("%s are invalid key identifiers for Droplet creation.", text(raw))
		}
		d.Keys = append(d.Keys, k.PublicKey)
	}
	if err := a.placeDroplet(c, r, d); err != nil {
		return nil, err
	}
	if err := a.checkNewVolumes(r, d); err != nil {
		return nil, err
	}
	tags, err := a.spellAll(c, r.Tags)
	d.Tags = tags
	if err == nil && r.UserData != "" {
		sum := sha256.Sum256([]byte(r.UserData))
		d.UserData = hex.EncodeToString(sum[:])
		a.state.UserData[d.UserData] = r.UserData
	}
	return d, err
}

// placeDroplet puts a droplet into its network.
func (a *API) placeDroplet(c *call, r *dropletRequest, d *droplet) error {
	if r.VPC == "" {
		d.VPC = a.defaultVPC(c, d.Region).ID
		return nil
	}
	v, ok := a.state.VPCs.Get(r.VPC)
	if !ok {
		return invalid("VPC %s not found", r.VPC)
	}
	if v.Region != d.Region {
		if r.Region != "" {
			return invalid("VPC %s is not in region %s", r.VPC, d.Region)
		}
		d.Region = v.Region
	}
	d.VPC = v.ID
	return nil
}

// checkNewVolumes gives a droplet the volumes of its request, which can only be
// for one droplet then.
func (a *API) checkNewVolumes(r *dropletRequest, d *droplet) error {
	if len(r.Volumes) > 0 && len(r.Names) > 1 {
		return invalid("volumes can not be attached to more than one Droplet")
	}
	for _, raw := range r.Volumes {
		v, ok := a.state.Volumes.Get(text(raw))
		switch {
		case !ok:
			return invalid("volume %s not found", text(raw))
		case v.Region != d.Region:
			return invalid("volume %s is not in region %s", v.ID, d.Region)
		case v.Droplet != 0:
			return invalid("volume %s is already attached to a Droplet", v.ID)
		}
		d.Volumes = append(d.Volumes, v.ID)
	}
	return nil
}

// text is the value of a JSON string or number, or the id of an object, as
// some clients send it.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var object struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(raw, &object) == nil {
		return object.ID
	}
	return string(raw)
}

// addDroplet gives a droplet its number and starts its making.
func (a *API) addDroplet(c *call, d *droplet) *action {
	d.ID = a.nextID()
	a.state.Droplets.Put(c.now, d.ID, d)
	for _, id := range d.Volumes {
		if v, ok := a.state.Volumes.Get(id); ok {
			v.Droplet = d.ID
		}
	}
	a.Servers.Create(a.spec(d))
	return a.begin(c, action{
		Type: "create", ResourceID: d.ID, ResourceType: "droplet", Region: d.Region,
	}, d.ActiveAt)
}
