package plugins

import (
	"slices"
	"strings"

	"github.com/cloudship/cloudship/resource"
)

// ordinary are the variables that every plugin is started with, where they are set. None of them
// holds a secret. Credentials follow with Configure, and only those that the schema names.
var ordinary = []string{
	"PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
	"XDG_CONFIG_HOME", "XDG_CACHE_HOME", "GOCOVERDIR", "GOTRACEBACK", "GODEBUG",
}

// environment is what the plugin's process starts with, sorted. NAME_LIST_LAG and NAME_CHECKS_TAKE
// go along for the provider of that name: they say how slow its cloud is, and its schema tells of
// the first before anything is configured.
func (s Source) environment() []string {
	names := append(slices.Clone(ordinary), variable(s.Name, "LIST_LAG"), variable(s.Name, "CHECKS_TAKE"))
	var env []string
	for _, name := range names {
		if value, ok := s.lookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	slices.Sort(env)
	return env
}

// variable names one that belongs to a provider: DIGITALOCEAN_LIST_LAG.
func variable(provider, name string) string {
	return strings.ToUpper(strings.ReplaceAll(provider, "-", "_")) + "_" + name
}

// credentials are the variables that a schema asks for, as far as they are set.
func (s Source) credentials(schema resource.Schema) map[string]string {
	env := map[string]string{}
	for _, name := range schema.Credentials {
		if value, ok := s.lookupEnv(name); ok {
			env[name] = value
		}
	}
	return env
}
