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

// environment is what the plugin's process starts with, sorted. NAME_LIST_LAG goes along for the
// provider of that name: its schema tells how long lists may lag before anything is configured.
func (s Source) environment() []string {
	names := append(slices.Clone(ordinary), lagVariable(s.Name))
	var env []string
	for _, name := range names {
		if value, ok := s.lookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	slices.Sort(env)
	return env
}

// lagVariable names the variable that overrides how long a provider's lists may lag:
// DIGITALOCEAN_LIST_LAG.
func lagVariable(provider string) string {
	return strings.ToUpper(strings.ReplaceAll(provider, "-", "_")) + "_LIST_LAG"
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
