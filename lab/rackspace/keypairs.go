package rackspace

import (
	"crypto/ed25519"
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"golang.org/x/crypto/ssh"
)

func (a *API) keypairRoutes() {
	a.handle(compute, "GET /os-keypairs", a.listKeypairs)
	a.handle(compute, "POST /os-keypairs", a.createKeypair)
	a.handle(compute, "DELETE /os-keypairs/{key}", a.deleteKeypair)
}

// keypair is a public key of the user in a region.
type keypair struct {
	Region      string
	Name        string
	PublicKey   string
	Fingerprint string
}

func keypairKey(region, name string) string { return region + "/" + name }

func (k *keypair) view() map[string]any {
	return map[string]any{"name": k.Name, "public_key": k.PublicKey, "fingerprint": k.Fingerprint, "user_id": userID}
}

var keypairName = regexp.MustCompile(`^[A-Za-z0-9 _-]{1,255}$`)

func (a *API) listKeypairs(c *call) (reply, error) {
	list := []any{}
	for _, k := range a.state.Keypairs.List(c.now, c.timing.ListLag) {
		if k.Region == c.region {
			v := k.view()
			delete(v, "user_id")
			list = append(list, map[string]any{"keypair": v})
		}
	}
	return reply{status: http.StatusOK, body: map[string]any{"keypairs": list}}, nil
}

// createKeypair takes a public key, or makes a pair and shows its private key
// this once.
func (a *API) createKeypair(c *call) (reply, error) {
	var r struct {
		Keypair struct {
			Name      string `json:"name"`
			PublicKey string `json:"public_key"`
		} `json:"keypair"`
	}
	if err := c.decode(&r); err != nil {
		return reply{}, err
	}
	k := &keypair{Region: c.region, Name: r.Keypair.Name, PublicKey: r.Keypair.PublicKey}
	if !keypairName.MatchString(k.Name) {
		return reply{}, fail(http.StatusBadRequest, "Keypair data is invalid: Keypair name contains unsafe characters")
	}
	if _, ok := a.state.Keypairs.Get(keypairKey(c.region, k.Name)); ok {
		return reply{}, fail(http.StatusConflict, "Key pair '%s' already exists.", k.Name)
	}
	private := ""
	if k.PublicKey == "" {
		var err error
		if k.PublicKey, private, err = newKey(); err != nil {
			return reply{}, err
		}
	}
	parsed, _, _, _, err := ssh.ParseAuthorizedKey([]byte(k.PublicKey))
	if err != nil {
		return reply{}, fail(http.StatusBadRequest, "Keypair data is invalid: failed to generate fingerprint")
	}
	k.Fingerprint = fingerprint(parsed)
	a.state.Keypairs.Put(c.now, keypairKey(c.region, k.Name), k)
	v := k.view()
	if private != "" {
		v["private_key"] = private
	}
	return reply{status: http.StatusOK, body: map[string]any{"keypair": v}}, nil
}

func newKey() (public, private string, err error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", "", err
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return "", "", err
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		return "", "", err
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))), string(pem.EncodeToMemory(block)), nil
}

// fingerprint is the MD5 of a key as Nova shows it.
func fingerprint(k ssh.PublicKey) string {
	sum := md5.Sum(k.Marshal())
	var parts []string
	for _, b := range sum {
		parts = append(parts, hex.EncodeToString([]byte{b}))
	}
	return strings.Join(parts, ":")
}

func (a *API) deleteKeypair(c *call) (reply, error) {
	name := keypairKey(c.region, c.PathValue("key"))
	if _, ok := a.state.Keypairs.Get(name); !ok {
		return reply{}, fail(http.StatusNotFound, "Keypair %s not found for user %s", c.PathValue("key"), userID)
	}
	a.state.Keypairs.Delete(c.now, name, c.now)
	return accepted, nil
}

// limitsBody are the account's limits in a region, and what of them is used.
func (a *API) limitsBody(c *call) map[string]any {
	servers, memory := a.inUse(c.region)
	most := a.Faults.Limits().Servers
	if most == 0 {
		most = -1
	}
	var rateLimits []any
	for method, list := range documented[compute] {
		for _, r := range list {
			rateLimits = append(rateLimits, map[string]any{"verb": method, "value": r.most, "remaining": r.most, "unit": "MINUTE", "next-available": stamp(c.now)})
		}
	}
	return map[string]any{"limits": map[string]any{
		"rate": []any{map[string]any{"uri": "*", "regex": fmt.Sprintf("/v[0-9.]+/%s/?.*", Tenant), "limit": rateLimits}},
		"absolute": map[string]int{
			"maxTotalInstances": most, "totalInstancesUsed": servers, "maxTotalRAMSize": ramLimit(most), "totalRAMUsed": memory,
			"maxServerMeta": mostMetadata, "maxPersonality": mostFiles, "maxPersonalitySize": largestFile, "maxTotalKeypairs": mostKeypairs,
			"maxTotalPrivateNetworks": mostIsolatedNets, "totalPrivateNetworksUsed": 0, "maxTotalCores": -1, "totalCoresUsed": 0,
		},
	}}
}

// ramLimit is unbounded where the number of servers is.
func ramLimit(most int) int {
	if most < 0 {
		return -1
	}
	return largestMemory
}
