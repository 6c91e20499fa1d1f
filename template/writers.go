package template

import (
	"fmt"
	"slices"
	"strings"
)

// classify settles which volumes have a single writer: those that one container writes to, unless
// the template says otherwise.
func (c *converter) classify(r *Release) {
	engine := map[string]string{}
	for _, key := range sortedKeys(r.Volumes) {
		v := r.Volumes[key]
		if other := engine[v.Name]; other != "" {
			c.errorf([]string{"volumes", key}, "volumes %s and %s are both %s on the server", other, key, v.Name).Hint = "use one of them in both services, so that it is clear who writes to it"
		}
		engine[v.Name] = key
		writers, containers := r.writers(key, nil)
		switch {
		case len(writers) == 0 && v.Stateful == "" && r.writtenOn(key, AnyServer):
			v.Stateful = SingleWriter // held, for what comes
		case len(writers) == 0:
		case v.Stateful == "" && containers <= 1:
			v.Stateful = SingleWriter
		case v.Stateful == "":
			v.Stateful = Shared
			c.warnf([]string{"volumes", key}, "volume %s is written to by %d containers at once (%s)", key, containers, strings.Join(writers, ", ")).Hint = "if that is meant, say so: volumes." + key + ".x-cloudship.stateful: shared"
		case v.Stateful == SingleWriter && containers > 1:
			c.errorf([]string{"volumes", key}, "volume %s has a single writer, but %d containers write to it (%s)", key, containers, strings.Join(writers, ", ")).Hint = "mount it read-only in the others (:ro), or say stateful: shared"
		}
		r.Volumes[key] = v
	}
	for _, name := range sortedKeys(r.Services) {
		if s := r.Services[name]; s.Stateful == SingleWriter && s.Replicas > 1 {
			c.errorf([]string{"services", name}, "services.%s: stateful with a single writer, but it has %d replicas", name, s.Replicas)
		}
	}
}

// writers lists the services that mount a volume writable, by themselves or by volumes_from, and
// counts their containers, with the replicas of scale where it names a service. A service that only
// holds data for others is none.
func (r *Release) writers(volume string, scale map[string]int) (services []string, containers int) {
	for _, name := range sortedKeys(r.Services) {
		if !r.mountsWritable(name, volume) || r.Holder(name) {
			continue
		}
		replicas := r.Services[name].Replicas
		if n, ok := scale[name]; ok {
			replicas = n
		}
		services = append(services, name)
		containers += replicas
	}
	return services, containers
}

// CheckScale reports where numbers of replicas would give a single writer company: a volume's, or a
// stateful service's own.
func (r *Release) CheckScale(scale map[string]int) []error {
	var errs []error
	if len(scale) == 0 {
		return nil
	}
	for _, key := range sortedKeys(r.Volumes) {
		writers, containers := r.writers(key, scale)
		if r.Volumes[key].Stateful == SingleWriter && containers > 1 {
			errs = append(errs, &Diagnostic{Severity: SeverityError, Message: fmt.Sprintf("template %s: volume %s has a single writer, but scale has %d containers write to it (%s)", r.Template, key, containers, strings.Join(writers, ", ")),
				Hint: "let one container write, or say volumes." + key + ".x-cloudship.stateful: shared"})
		}
	}
	for _, name := range sortedKeys(r.Services) {
		if n := scale[name]; r.Services[name].Stateful == SingleWriter && n > 1 {
			errs = append(errs, &Diagnostic{Severity: SeverityError, Message: fmt.Sprintf("template %s: service %s is stateful with a single writer, but scale says %d replicas", r.Template, name, n),
				Hint: "leave it at one, or say services." + name + ".x-cloudship.stateful: shared"})
		}
	}
	return errs
}

// CheckGroups reports data that each of several groups would have for itself, unless per_server
// says that this is meant.
func (r *Release) CheckGroups(groups []string) []error {
	var errs []error
	if len(groups) < 2 {
		return nil
	}
	for _, d := range r.Data(AnyServer) {
		what, path := "volume "+d.Name, "volumes."+d.Name
		meant := r.Volumes[d.Name].PerServer || r.Volumes[d.Name].External
		if d.Folder {
			what, path = "stateful service "+d.Name, "services."+d.Name
			meant = r.Services[d.Name].PerServer
		}
		if !meant {
			errs = append(errs, &Diagnostic{Severity: SeverityError, Message: fmt.Sprintf("template %s: %s would have its own data in each of the groups %s", r.Template, what, strings.Join(slices.Sorted(slices.Values(groups)), " and ")),
				Hint: "if that is meant, say " + path + ".x-cloudship.per_server: true; else run what writes to it in a group of its own"})
		}
	}
	return errs
}
