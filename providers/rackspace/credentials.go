package rackspace

import (
	"cmp"
	"os"
	"strings"

	"github.com/cloudship/cloudship/resource"
)

// defaultAuthURL is where Rackspace's identity service is, but for accounts of the United Kingdom.
const defaultAuthURL = "https://identity.api.rackspacecloud.com/v2.0/"

// families are the first words of the variables that hold credentials, in the order in which they
// are looked at: our own, those of Rackspace's older tools, and OpenStack's.
var families = []string{"RACKSPACE", "RAX", "OS"}

// words are the second words of the variables, some of them in more than one form.
var words = map[string][]string{
	"user":     {"_USERNAME"},
	"key":      {"_API_KEY"},
	"password": {"_PASSWORD"},
	"region":   {"_REGION", "_REGION_NAME"},
	"url":      {"_AUTH_URL"},
	"tenant":   {"_TENANT_ID", "_ACCOUNT"},
}

// variables are the names of all variables that the provider reads.
func variables() []string {
	var names []string
	for _, family := range families {
		for _, word := range []string{"user", "key", "password", "region", "url", "tenant"} {
			for _, w := range words[word] {
				names = append(names, family+w)
			}
		}
	}
	return names
}

// credentials let into an account. They satisfy gophercloud's builder of requests for a token,
// which knows no API keys.
type credentials struct {
	family                      string
	user, key, password, tenant string
	region, url                 string
}

// credentialsFromEnvironment reads the variables of the first family that names a user.
func credentialsFromEnvironment() (credentials, error) {
	for _, family := range families {
		read := func(word string) string {
			for _, w := range words[word] {
				if v := strings.TrimSpace(os.Getenv(family + w)); v != "" {
					return v
				}
			}
			return ""
		}
		c := credentials{family: family, user: read("user"), key: read("key"), password: read("password"), tenant: read("tenant"),
			region: strings.ToUpper(read("region")), url: read("url")}
		switch {
		case c.user == "":
			continue
		case c.key == "" && c.password == "":
			return c, &resource.Error{Kind: resource.Unauthorized, Message: family + "_USERNAME is set, and " + family + "_API_KEY is not",
				Hint: "export " + family + "_API_KEY=...   (it is in the control panel, under My Profile & Settings)"}
		}
		c.url = cmp.Or(c.url, defaultAuthURL)
		return c, nil
	}
	return credentials{}, &resource.Error{Kind: resource.Unauthorized, Message: "no credentials for Rackspace: RACKSPACE_USERNAME is not set",
		Hint: "export RACKSPACE_USERNAME=... RACKSPACE_API_KEY=...   (the key is in the control panel, under My Profile & Settings)"}
}

// ToTokenV2CreateMap is the body of the request for a token. The key goes before the password: it
// needs no second factor.
func (c credentials) ToTokenV2CreateMap() (map[string]any, error) {
	auth := map[string]any{}
	if c.key != "" {
		auth["RAX-KSKEY:apiKeyCredentials"] = map[string]string{"username": c.user, "apiKey": c.key}
	} else {
		auth["passwordCredentials"] = map[string]string{"username": c.user, "password": c.password}
	}
	if c.tenant != "" {
		auth["tenantId"] = c.tenant
	}
	return map[string]any{"auth": auth}, nil
}

// CanReauth lets gophercloud ask for another token when one is refused, once for each request.
func (c credentials) CanReauth() bool { return true }
