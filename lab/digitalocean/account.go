package digitalocean

import (
	"crypto/md5"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

func (a *API) accountRoutes() {
	a.handle("GET /v2/account", a.getAccount)
	a.handle("GET /v2/account/keys", a.listKeys)
	a.handle("POST /v2/account/keys", a.createKey)
	a.handle("GET /v2/account/keys/{key}", a.getKey)
	a.handle("PUT /v2/account/keys/{key}", a.renameKey)
	a.handle("DELETE /v2/account/keys/{key}", a.deleteKey)
}

// accountUUID is the lab's one account, which is also the owner of its default
// project.
const accountUUID = "1ab00000-0000-4000-8000-000000000001"

func (a *API) getAccount(c *call) (reply, error) {
	limit := a.Faults.Limits().Servers
	if limit == 0 {
		limit = 1_000_000
	}
	return reply{http.StatusOK, map[string]any{"account": map[string]any{
		"droplet_limit": limit, "floating_ip_limit": 25, "reserved_ip_limit": 25, "volume_limit": 100,
		"email": "lab@example.com", "name": "Lab", "uuid": accountUUID, "email_verified": true,
		"status": "active", "status_message": "",
		"team": map[string]string{"uuid": accountUUID, "name": "Lab"},
	}}}, nil
}

// sshKey is a public key of the account.
type sshKey struct {
	ID          int    `json:"id"`
	Fingerprint string `json:"fingerprint"`
	PublicKey   string `json:"public_key"`
	Name        string `json:"name"`
}

func (a *API) listKeys(c *call) (reply, error) {
	return page(c, "ssh_keys", a.state.Keys.List(c.now, c.timing.ListLag), same)
}

func (a *API) createKey(c *call) (reply, error) {
	var k sshKey
	if err := c.decode(&k); err != nil {
		return reply{}, err
	}
	if k.Name == "" {
		return reply{}, invalid("Name can't be blank")
	}
	parsed, _, _, _, err := ssh.ParseAuthorizedKey([]byte(k.PublicKey))
	if err != nil {
		return reply{}, invalid("Key invalid, key should be of the format 'ssh-rsa AAAAB3... user@host'")
	}
	k.Fingerprint = fingerprint(parsed)
	for _, other := range a.state.Keys.All {
		if other.Fingerprint == k.Fingerprint {
			return reply{}, invalid("SSH Key is already in use on your account")
		}
	}
	k.ID = a.nextID()
	a.state.Keys.Put(c.now, k.ID, &k)
	return reply{http.StatusCreated, map[string]any{"ssh_key": k}}, nil
}

// fingerprint is the MD5 of a key as DigitalOcean shows it.
func fingerprint(k ssh.PublicKey) string {
	sum := md5.Sum(k.Marshal())
	var parts []string
	for _, b := range sum {
		parts = append(parts, hex.EncodeToString([]byte{b}))
	}
	return strings.Join(parts, ":")
}

// findKey finds a key by its id or fingerprint.
func (a *API) findKey(name string) (*sshKey, bool) {
	for _, k := range a.state.Keys.All {
		if k.Fingerprint == name || strconv.Itoa(k.ID) == name {
			return k, true
		}
	}
	return nil, false
}

// shownKey finds a key that a client asks for.
func (a *API) shownKey(c *call) (*sshKey, error) {
	k, ok := a.findKey(c.PathValue("key"))
	if ok {
		_, ok = a.state.Keys.Find(c.now, k.ID, c.timing.NotFound)
	}
	if !ok {
		return nil, notFound()
	}
	return k, nil
}

func (a *API) getKey(c *call) (reply, error) {
	k, err := a.shownKey(c)
	return reply{http.StatusOK, map[string]any{"ssh_key": k}}, err
}

func (a *API) renameKey(c *call) (reply, error) {
	k, err := a.shownKey(c)
	if err != nil {
		return reply{}, err
	}
	var wanted struct{ Name string }
	if err := c.decode(&wanted); err != nil {
		return reply{}, err
	}
	if wanted.Name != "" {
		k.Name = wanted.Name
	}
	return reply{http.StatusOK, map[string]any{"ssh_key": k}}, nil
}

func (a *API) deleteKey(c *call) (reply, error) {
	k, err := a.shownKey(c)
	if err != nil {
		return reply{}, err
	}
	a.state.Keys.Delete(c.now, k.ID, c.now)
	return none, nil
}
