package rackspace

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"

	"github.com/cloudship/cloudship/lab/cloud"
)

// serverRequest is the body of a create.
type serverRequest struct {
	Name        string                     `json:"name"`
	Image       string                     `json:"imageRef"`
	Flavor      string                     `json:"flavorRef"`
	Key         string                     `json:"key_name"`
	ConfigDrive any                        `json:"config_drive"`
	UserData    string                     `json:"user_data"`
	Metadata    map[string]json.RawMessage `json:"metadata"`
	Personality []struct {
		Path     string `json:"path"`
		Contents string `json:"contents"`
	} `json:"personality"`
	Networks []struct {
		UUID string `json:"uuid"`
	} `json:"networks"`
	DiskConfig string `json:"OS-DCF:diskConfig"`
	MinCount   int    `json:"min_count"`
}

// Bounds of a create.
const (
	longestUserData  = 65535 // base64 as it is sent
	mostMetadata     = 40
	longestMetadata  = 255
	mostFiles        = 5
	largestFile      = 1000
	longestName      = 255
	largestMemory    = 131072 // MB of all servers
	mostServers      = 100
	mostKeypairs     = 100
	mostIsolatedNets = 10
)

func (a *API) createServer(c *call) (reply, error) {
	var body struct {
		Server *serverRequest `json:"server"`
	}
	if err := c.decode(&body); err != nil {
		return reply{}, err
	}
	if body.Server == nil {
		return reply{}, fail(http.StatusBadRequest, "The server could not comply with the request since it is either malformed or otherwise incorrect.")
	}
	s, err := a.newServer(c, body.Server)
	if err != nil {
		return reply{}, err
	}
	if message, spoiled := cloud.Spoiled(c.Context()); spoiled {
		s.Spoiled = &message
	} else {
		a.Servers.Create(a.spec(s))
	}
	a.state.Servers.Put(c.now, s.ID, s)
	links := a.links(c, "servers", s.ID)
	return reply{status: http.StatusAccepted, header: map[string]string{"Location": links[0].Href}, body: map[string]any{"server": map[string]any{
		"id": s.ID, "links": links, "adminPass": newUUID()[:12], "OS-DCF:diskConfig": "AUTO",
	}}}, nil
}

// newServer checks a request and answers the server that it asks for.
func (a *API) newServer(c *call, r *serverRequest) (*server, error) {
	f := findFlavor(r.Flavor)
	switch {
	case r.Name == "" || len(r.Name) > longestName:
		return nil, fail(http.StatusBadRequest, "Invalid input received: Server name is an empty string")
	case f == nil:
		return nil, fail(http.StatusBadRequest, "Invalid flavorRef provided.")
	case f.Disk == 0:
		return nil, fail(http.StatusForbidden, "Policy doesn't allow compute_flavor:create:image_backed to be performed.")
	case a.findImage(r.Image) == nil:
		return nil, fail(http.StatusBadRequest, "Can not find requested image")
	case a.findImage(r.Image).MinDisk > f.Disk || a.findImage(r.Image).MinRAM > f.RAM:
		return nil, fail(http.StatusBadRequest, "Flavor's memory is too small for requested image.")
	}
	s := &server{
		ID: newUUID(), Region: c.region, Name: r.Name, Image: r.Image, Flavor: f.ID, Key: r.Key, ConfigDrive: truth(r.ConfigDrive),
		Metadata: map[string]string{}, Created: c.now, Updated: c.now, ActiveAt: c.now.Add(durationOf(c.timing.ServerActive)),
	}
	if r.Key != "" {
		k, ok := a.state.Keypairs.Get(keypairKey(c.region, r.Key))
		if !ok {
			return nil, fail(http.StatusBadRequest, "Invalid key_name provided.")
		}
		s.Keys = []string{k.PublicKey}
	}
	for _, check := range []func(*call, *serverRequest, *server) error{a.takeUserData, a.takeMetadata, a.takeNetworks, a.checkQuota} {
		if err := check(c, r, s); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// truth reads the forms in which clients say true.
func truth(v any) bool { return v == true || v == "true" || v == "True" }

func (a *API) takeUserData(_ *call, r *serverRequest, s *server) error {
	if len(r.Personality) > mostFiles {
		return fail(http.StatusForbidden, "Personality file limit exceeded")
	}
	for _, f := range r.Personality {
		if b, err := base64.StdEncoding.DecodeString(f.Contents); err != nil {
			return fail(http.StatusBadRequest, "Personality content for %s cannot be decoded", f.Path)
		} else if len(b) > largestFile {
			return fail(http.StatusForbidden, "Personality content limit exceeded")
		}
	}
	if r.UserData == "" {
		return nil
	}
	if len(r.UserData) > longestUserData {
		return fail(http.StatusBadRequest, "User data too large. User data must be no larger than %d bytes once base64 encoded. Your data is %d bytes", longestUserData, len(r.UserData))
	}
	data, err := base64.StdEncoding.DecodeString(r.UserData)
	if err != nil {
		return fail(http.StatusBadRequest, "Userdata content cannot be decoded")
	}
	sum := sha256.Sum256(data)
	s.UserData = hex.EncodeToString(sum[:])
	a.state.UserData[s.UserData] = string(data)
	return nil
}

func (a *API) takeMetadata(_ *call, r *serverRequest, s *server) error {
	metadata, err := texts(r.Metadata)
	if err != nil {
		return err
	}
	s.Metadata = metadata
	return checkMetadata(metadata)
}

// texts reads metadata, whose values are texts and nothing else.
func texts(raw map[string]json.RawMessage) (map[string]string, error) {
	m := map[string]string{}
	for k, v := range raw {
		var text string
		if json.Unmarshal(v, &text) != nil {
			return nil, fail(http.StatusBadRequest, "Invalid metadata: The input is not a string or unicode")
		}
		m[k] = text
	}
	return m, nil
}

func checkMetadata(m map[string]string) error {
	if len(m) > mostMetadata {
		return fail(http.StatusForbidden, "Maximum number of metadata items exceeds %d", mostMetadata)
	}
	for k, v := range m {
		if k == "" || len(k) > longestMetadata || len(v) > longestMetadata {
			return fail(http.StatusBadRequest, "Invalid metadata size: Metadata property key or value is blank or greater than 255 characters")
		}
	}
	return nil
}

// The networks that every server is attached to unless its request says else.
const (
	publicNet  = "00000000-0000-0000-0000-000000000000"
	serviceNet = "11111111-1111-1111-1111-111111111111"
)

func (a *API) takeNetworks(_ *call, r *serverRequest, s *server) error {
	if r.Networks == nil {
		s.Networks = []string{publicNet, serviceNet}
		return nil
	}
	for _, n := range r.Networks {
		switch n.UUID {
		case publicNet, serviceNet:
			s.Networks = append(s.Networks, n.UUID)
		default:
			return fail(http.StatusBadRequest, "Bad networks format: network uuid is not in proper format (%s)", n.UUID)
		}
	}
	return nil
}

// checkQuota refuses what is above the account's limits.
func (a *API) checkQuota(c *call, _ *serverRequest, s *server) error {
	servers, memory := a.inUse(c.region)
	limit := a.Faults.Limits().Servers
	if limit == 0 {
		return nil
	}
	if servers+1 > limit {
		return fail(http.StatusForbidden, "Quota exceeded for instances: Requested 1, but already used %d of %d instances", servers, limit)
	}
	if ram := findFlavor(s.Flavor).RAM; memory+ram > largestMemory {
		return fail(http.StatusForbidden, "Quota exceeded for ram: Requested %d, but already used %d of %d ram", ram, memory, largestMemory)
	}
	return nil
}

// inUse tells how many servers a region has, and their memory.
func (a *API) inUse(region string) (servers, memory int) {
	for _, s := range a.state.Servers.All {
		if s.Region == region {
			servers++
			memory += findFlavor(s.Flavor).RAM
		}
	}
	return servers, memory
}
