package lab

import (
	"crypto/sha256"
	"encoding/hex"
)

// What Rackspace's APIs accept, and where the lab's stacks are by default.
const (
	rackspaceUser   = "lab"
	rackspaceRegion = "IAD"
)

// rackspaceKey is the API key of a lab with a token.
func rackspaceKey(token string) string {
	sum := sha256.Sum256([]byte("rackspace " + token))
	return hex.EncodeToString(sum[:16])
}

// credentials are the variables that point the ordinary providers at a lab.
func credentials(token string, url func(provider string) string) [][2]string {
	return [][2]string{
		{"DIGITALOCEAN_API_URL", url(DigitalOcean)},
		{"DIGITALOCEAN_TOKEN", token},
		{"RACKSPACE_AUTH_URL", url(Rackspace) + "/identity/v2.0/"},
		{"RACKSPACE_USERNAME", rackspaceUser},
		{"RACKSPACE_API_KEY", rackspaceKey(token)},
		{"RACKSPACE_REGION", rackspaceRegion},
	}
}

// Environment are the variables that point the ordinary providers at the lab.
func (l *Lab) Environment() map[string]string {
	env := map[string]string{}
	for _, v := range credentials(l.Token(), l.URL) {
		env[v[0]] = v[1]
	}
	return env
}
