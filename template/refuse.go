package template

import (
	"fmt"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/tree"
)

// A refusal is a key of Compose that cloudship does not take, and why.
type refusal struct {
	key    string // pattern of its path
	why    string
	warn   bool
	detect func(any) bool
}

func is(words ...string) func(any) bool {
	return func(v any) bool {
		for _, word := range words {
			if fmt.Sprint(v) == word {
				return true
			}
		}
		return false
	}
}

var refusals = []refusal{
	{key: "jobs", why: "jobs are not supported; a hook on release:before runs once per release"},
	{key: "models", why: "models are not supported"},
	{key: "services.*.models", why: "models are not supported"},
	{key: "services.*.provider", why: "provider services are not supported"},
	{key: "services.*.credential_spec", why: "credential_spec is for Windows only"},
	{key: "services.*.isolation", why: "isolation is for Windows only"},
	{key: "services.*.cpu_count", why: "cpu_count is for Windows only, use cpus"},
	{key: "services.*.cpu_percent", why: "cpu_percent is for Windows only, use cpus"},
	{key: "services.*.gpus", why: "GPUs are not supported"},
	{key: "services.*.deploy.resources.reservations.devices", why: "reserved devices are not supported; devices are"},
	{key: "services.*.deploy.resources.reservations.generic_resources", why: "generic resources are for Swarm only"},
	{key: "services.*.deploy.endpoint_mode", why: "endpoint_mode is for Swarm only"},
	{key: "services.*.deploy.mode", why: "the mode must be replicated or global", detect: func(v any) bool { return !is("replicated", "global")(v) }},
	{key: "services.*.deploy.placement.constraints", why: "constraints on Swarm nodes mean nothing here; x-cloudship.host names servers of the group"},
	{key: "services.*.deploy.placement.max_replicas_per_node", why: "replicas are counted per server here: set deploy.replicas"},
	{key: "services.*.deploy.placement.preferences", why: "placement preferences are for Swarm only and are ignored", warn: true},
	{key: "services.*.blkio_config", why: "blkio_config is not supported"},
	{key: "services.*.cpu_rt_period", why: "real-time scheduling is not supported"},
	{key: "services.*.cpu_rt_runtime", why: "real-time scheduling is not supported"},
	{key: "services.*.umask", why: "umask is not supported"},
	{key: "services.*.use_api_socket", why: "the engine's API is not handed to containers"},
	{key: "services.*.external_links", why: "external_links are not supported: put both services into one network"},
	{key: "services.*.links", why: "links are outdated: services of one network find each other by name; an alias is set under networks", warn: true},
	{key: "services.*.mac_address", why: "mac_address is set under networks since Compose 2.24"},
	{key: "services.*.volume_driver", why: "a driver is set under volumes"},
	{key: "services.*.log_driver", why: "the log driver is set under logging"},
	{key: "services.*.annotations", why: "annotations are ignored", warn: true},
	{key: "services.*.network_mode", why: "container: is not supported, use service:NAME", detect: prefixed("container:")},
	{key: "services.*.pid", why: "container: is not supported, use service:NAME", detect: prefixed("container:")},
	{key: "services.*.ipc", why: "container: is not supported, use service:NAME", detect: prefixed("container:")},
	{key: "services.*.volumes_from.*", why: "container: is not supported, name a service", detect: prefixed("container:")},
	{key: "services.*.networks.*.use_service_name_alias", why: "a service is always known by its name", detect: is("false")},
	{key: "services.*.volumes.*.type", why: "the type must be volume, bind or tmpfs", detect: func(v any) bool { return !is("volume", "bind", "tmpfs")(v) }},
	{key: "services.*.build.ssh", why: "SSH keys are not handed to builds"},
	{key: "services.*.build.privileged", why: "privileged builds are not supported"},
	{key: "services.*.build.entitlements", why: "build entitlements are not supported"},
	{key: "services.*.build.isolation", why: "isolation is for Windows only"},
	{key: "services.*.build.cache_to", why: "build caches are not written", warn: true},
	{key: "networks.*.enable_ipv4", why: "networks without IPv4 are not supported", detect: is("false")},
	{key: "configs.*.external", why: "external configs are for Swarm only: use file, content or environment", detect: is("true")},
	{key: "secrets.*.external", why: "external secrets are for Swarm only: use file or environment", detect: is("true")},
	{key: "configs.*.driver", why: "drivers of configs are for Swarm only"},
	{key: "secrets.*.driver", why: "drivers of secrets are for Swarm only"},
	{key: "configs.*.template_driver", why: "template drivers are for Swarm only; x-cloudship.render resolves {{ }}"},
	{key: "secrets.*.template_driver", why: "template drivers are for Swarm only"},
}

func prefixed(prefix string) func(any) bool {
	return func(v any) bool { return strings.HasPrefix(fmt.Sprint(v), prefix) }
}

// refused is the refusals in compose-go's form.
func refused() []loader.UnsupportedAttributePattern {
	patterns := make([]loader.UnsupportedAttributePattern, len(refusals))
	for i, r := range refusals {
		patterns[i] = loader.UnsupportedAttributePattern{Path: tree.Path(r.key), Detect: r.detect}
	}
	return patterns
}

// refuse reports what compose-go found of them.
func (r *report) refuse(found []loader.UnsupportedAttribute) {
	for _, f := range found {
		for _, known := range refusals {
			if !f.Path.Matches(tree.Path(known.key)) {
				continue
			}
			path := f.Path.Parts()
			what := strings.Join(path, ".")
			if known.warn {
				r.warnf(path, "%s: %s", what, known.why)
			} else {
				r.errorf(path, "%s: %s", what, known.why)
			}
			break
		}
	}
}
