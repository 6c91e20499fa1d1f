package rackspace

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"
)

func (a *API) identityRoutes() {
	a.handle(identity, "POST /tokens", a.authenticate)
	a.handle(identity, "GET /tokens/{token}", a.validateToken)
	a.handle(identity, "DELETE /tokens", a.revokeToken)
}

// token is what lets a client in, until it expires.
type token struct {
	Made time.Time
	By   string // APIKEY or PASSWORD
}

// regionNames are the regions of an account outside of the United Kingdom.
var regionNames = []string{"DFW", "ORD", "IAD", "SYD", "HKG"}

// homeRegion is the account's default region.
const homeRegion = "IAD"

func servesRegion(name string) bool { return slices.Contains(regionNames, name) }

// userID is the number of the lab's one user.
const userID = "172157"

// tokenLife is how long a token is good unless the settings say otherwise.
const tokenLife = 24 * time.Hour

func (a *API) expiry(c *call, t token) time.Time {
	if life := time.Duration(c.timing.Token); life > 0 {
		return t.Made.Add(life)
	}
	return t.Made.Add(tokenLife)
}

// authentic tells whether a call carries a token that is good now.
func (a *API) authentic(c *call) bool {
	t, ok := a.state.Tokens[c.Header.Get("X-Auth-Token")]
	return ok && c.now.Before(a.expiry(c, t))
}

// authRequest is the body of a request for a token.
type authRequest struct {
	Auth struct {
		APIKey *struct {
			Username string `json:"username"`
			APIKey   string `json:"apiKey"`
		} `json:"RAX-KSKEY:apiKeyCredentials"`
		Password *struct {
			Username string `json:"username"`
			Password string `json:"password"`
		} `json:"passwordCredentials"`
		Token *struct {
			ID string `json:"id"`
		} `json:"token"`
		TenantID   string `json:"tenantId"`
		TenantName string `json:"tenantName"`
	} `json:"auth"`
}

func (a *API) authenticate(c *call) (reply, error) {
	var r authRequest
	if err := c.decode(&r); err != nil {
		return reply{}, err
	}
	if r.Auth.TenantID != "" && r.Auth.TenantName != "" {
		return reply{}, fail(http.StatusBadRequest, "Invalid request body: tenantId and tenantName are mutually exclusive")
	}
	by, ok := "", false
	switch {
	case r.Auth.APIKey != nil:
		by, ok = "APIKEY", r.Auth.APIKey.Username == a.Username && r.Auth.APIKey.APIKey == a.APIKey
	case r.Auth.Password != nil:
		by, ok = "PASSWORD", r.Auth.Password.Username == a.Username && r.Auth.Password.Password == a.APIKey
	case r.Auth.Token != nil:
		t, known := a.state.Tokens[r.Auth.Token.ID]
		if ok = known && c.now.Before(a.expiry(c, t)); ok {
			return a.access(c, r.Auth.Token.ID, t), nil
		}
	default:
		return reply{}, fail(http.StatusBadRequest, "Invalid request body: unable to parse Auth data. Please review XML or JSON formatting.")
	}
	if tenant := r.Auth.TenantID + r.Auth.TenantName; ok && tenant != "" {
		ok = tenant == Tenant
	}
	if !ok {
		return reply{}, fail(http.StatusUnauthorized, "Unable to authenticate user with credentials provided.")
	}
	a.forgetExpired(c)
	var b [16]byte
	rand.Read(b[:])
	id, t := hex.EncodeToString(b[:]), token{Made: c.now, By: by}
	a.state.Tokens[id] = t
	return a.access(c, id, t), nil
}

func (a *API) forgetExpired(c *call) {
	for id, t := range a.state.Tokens {
		if !c.now.Before(a.expiry(c, t)) {
			delete(a.state.Tokens, id)
		}
	}
}

// access is the answer that holds a token and the catalogue of services.
func (a *API) access(c *call, id string, t token) reply {
	expires := a.expiry(c, t).Format("2006-01-02T15:04:05.000Z")
	return reply{status: http.StatusOK, body: map[string]any{"access": map[string]any{
		"token": map[string]any{
			"id": id, "expires": expires, "tenant": map[string]string{"id": Tenant, "name": Tenant},
			"RAX-AUTH:authenticatedBy": []string{t.By},
		},
		"user": map[string]any{
			"id": userID, "name": a.Username, "RAX-AUTH:defaultRegion": homeRegion, "RAX-AUTH:domainId": Tenant,
			"roles": []map[string]string{
				{"id": "3", "name": "identity:user-admin", "description": "User Admin Role."},
				{"id": "6", "name": "compute:default", "tenantId": Tenant, "description": "A Role that allows a user access to keystone Service methods"},
			},
		},
		"serviceCatalog": a.catalogue("http://" + c.Host + a.Prefix),
	}}}
}

// catalogue are the services: those that the lab has, and, as the real one,
// the first generation of servers, of the same type and without a region.
func (a *API) catalogue(base string) []any {
	var computes, balancers []any
	for _, region := range regionNames {
		at := base + "/" + strings.ToLower(region)
		computes = append(computes, map[string]string{
			"region": region, "tenantId": Tenant, "publicURL": at + "/servers/v2/" + Tenant,
			"versionId": "2", "versionInfo": at + "/servers/v2", "versionList": at + "/servers/",
		})
		balancers = append(balancers, map[string]string{
			"region": region, "tenantId": Tenant, "publicURL": at + "/loadbalancers/v1.0/" + Tenant,
		})
	}
	return []any{
		map[string]any{"name": "cloudServers", "type": "compute", "endpoints": []any{
			map[string]string{"tenantId": Tenant, "publicURL": base + "/servers/v1.0/" + Tenant},
		}},
		map[string]any{"name": "cloudServersOpenStack", "type": "compute", "endpoints": computes},
		map[string]any{"name": "cloudLoadBalancers", "type": "rax:load-balancer", "endpoints": balancers},
	}
}

// validateToken tells of a token to who has one.
func (a *API) validateToken(c *call) (reply, error) {
	if !a.authentic(c) {
		return reply{}, fail(http.StatusUnauthorized, "No valid token provided. Please use the 'X-Auth-Token' header with a valid token.")
	}
	id := c.PathValue("token")
	t, ok := a.state.Tokens[id]
	if !ok || !c.now.Before(a.expiry(c, t)) {
		return reply{}, fail(http.StatusNotFound, "Token not found.")
	}
	return a.access(c, id, t), nil
}

// revokeToken ends the caller's own token.
func (a *API) revokeToken(c *call) (reply, error) {
	if !a.authentic(c) {
		return reply{}, fail(http.StatusUnauthorized, "No valid token provided. Please use the 'X-Auth-Token' header with a valid token.")
	}
	delete(a.state.Tokens, c.Header.Get("X-Auth-Token"))
	return none, nil
}
