package template

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

func sortedKeys[M ~map[string]V, V any](m M) []string { return slices.Sorted(maps.Keys(m)) }

// size writes bytes for a reader: "600 MB".
func size(bytes int64) string {
	for _, unit := range []struct {
		name string
		of   int64
	}{{"GB", 1 << 30}, {"MB", 1 << 20}, {"kB", 1 << 10}} {
		if bytes >= unit.of {
			return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(bytes)/float64(unit.of)), ".0") + " " + unit.name
		}
	}
	return fmt.Sprintf("%d bytes", bytes)
}

// conflicts reports what cannot work on any server.
func (c *converter) conflicts(r *Release) {
	taken := map[string]string{}
	for _, name := range sortedKeys(r.Services) {
		s, path := r.Services[name], []string{"services", name}
		for _, p := range s.Ports {
			if !p.Fixed() {
				if p.To != 0 && p.To-p.Published+1 < s.Replicas {
					c.errorf(append(slices.Clone(path), "ports"), "services.%s: %d replicas need as many host ports, %d-%d has fewer", name, s.Replicas, p.Published, p.To)
				}
				continue
			}
			if s.Replicas > 1 {
				c.errorf(append(slices.Clone(path), "ports"), "services.%s: %d replicas cannot share host port %d", name, s.Replicas, p.Published).Hint = fmt.Sprintf("let the engine choose one for each: - \"%d\"; or put a proxy in front", p.Target)
			}
			key := fmt.Sprintf("%d/%s", p.Published, p.Protocol)
			if other := taken[key]; other != "" && other != name && (p.HostIP == "" || !separate(r, p)) {
				c.errorf(append(slices.Clone(path), "ports"), "services.%s: host port %s is already taken by service %s", name, key, other)
			}
			taken[key] = name
		}
		c.engineSocket(name, s)
		for _, link := range c.project.Services[name].Links {
			if target, alias, ok := strings.Cut(link, ":"); ok && alias != target {
				c.errorf(append(slices.Clone(path), "links"), "services.%s.links: %s: the alias of a link is not supported", name, link).Hint = fmt.Sprintf("give service %s the alias: networks: { default: { aliases: [%s] } }", target, alias)
			}
		}
	}
}

// separate reports whether every service that publishes the port does so on an address of its own.
func separate(r *Release, p Port) bool {
	addresses := map[string]int{}
	for _, s := range r.Services {
		for _, q := range s.Ports {
			if q.Published == p.Published && q.Protocol == p.Protocol {
				addresses[q.HostIP]++
			}
		}
	}
	return addresses[""] == 0 && addresses[p.HostIP] == 1
}

// CheckServers reports what cannot work on that many servers: services that host keeps from what
// they need, or from every server, and data that each server would have for itself, unless
// per_server says that this is meant. Its errors carry hints.
func (r *Release) CheckServers(count int) []error {
	errs := r.apart(count)
	if count <= 1 {
		return errs
	}
	for _, key := range sortedKeys(r.Volumes) {
		writers, _ := r.writers(key, nil)
		if v := r.Volumes[key]; !v.PerServer && !v.External && v.Stateful != Scratch && len(writers) > 0 && r.everywhere(writers, count) {
			errs = append(errs, &Diagnostic{Severity: SeverityError, Message: fmt.Sprintf("template %s: volume %s would have its own data on each of %d servers", r.Template, key, count),
				Hint: "if that is meant, say volumes." + key + ".x-cloudship.per_server: true; else keep its service on one server: services." + writers[0] + ".x-cloudship.host: 0"})
		}
	}
	for _, name := range sortedKeys(r.Services) {
		if s := r.Services[name]; s.Stateful != "" && !s.PerServer && r.everywhere([]string{name}, count) {
			errs = append(errs, &Diagnostic{Severity: SeverityError, Message: fmt.Sprintf("template %s: stateful service %s would have its own data on each of %d servers", r.Template, name, count),
				Hint: "if that is meant, say services." + name + ".x-cloudship.per_server: true; else keep it on one server: host: 0"})
		}
	}
	return errs
}

// apart reports services that run on no server, or on one where something they need does not.
func (r *Release) apart(count int) []error {
	var errs []error
	for _, name := range sortedKeys(r.Services) {
		s, on := r.Services[name], 0
		for i := range count {
			if !s.OnServer(i) {
				continue
			}
			on++
			for _, need := range r.Needs(name) {
				if other, ok := r.Services[need]; ok && !other.OnServer(i) {
					errs = append(errs, &Diagnostic{Severity: SeverityError, Message: fmt.Sprintf("template %s: service %s runs on server %d, but %s, which it needs, does not", r.Template, name, i, need),
						Hint: "containers reach each other on one server only: give both the same x-cloudship.host"})
				}
			}
		}
		if on == 0 && count > 0 {
			errs = append(errs, &Diagnostic{Severity: SeverityError, Message: fmt.Sprintf("template %s: service %s would run nowhere: host says %s, and the group has %d servers", r.Template, name, strings.Join(s.Host, ", "), count),
				Hint: "servers are counted from 0"})
		}
	}
	return errs
}

// everywhere reports whether the services together are on more than one of the servers.
func (r *Release) everywhere(services []string, count int) bool {
	on := map[int]bool{}
	for i := range count {
		for _, name := range services {
			if r.Services[name].OnServer(i) {
				on[i] = true
			}
		}
	}
	return len(on) > 1
}

// Reserved is the memory, in bytes, and the CPUs that the containers of a server reserve, with the
// replicas of scale where it names a service. index counts the group's servers from 0.
func (r *Release) Reserved(index int, scale map[string]int) (memory int64, cpus float64) {
	for name, s := range r.Services {
		replicas := s.Replicas
		if n, ok := scale[name]; ok {
			replicas = n
		}
		if s.OnServer(index) {
			memory += s.Resources.ReservedMemory * int64(replicas)
			cpus += s.Resources.ReservedCPUs * float64(replicas)
		}
	}
	return memory, cpus
}

// CheckMemory reports when a server of so much memory cannot hold what the containers reserve.
// 0 means that the server's memory is not known.
func (r *Release) CheckMemory(index, serverMB int, scale map[string]int) error {
	memory, _ := r.Reserved(index, scale)
	if serverMB == 0 || memory <= int64(serverMB)<<20 {
		return nil
	}
	var parts []string
	for _, name := range sortedKeys(r.Services) {
		s := r.Services[name]
		replicas := s.Replicas
		if n, ok := scale[name]; ok {
			replicas = n
		}
		if s.OnServer(index) && s.Resources.ReservedMemory*int64(replicas) > 0 {
			parts = append(parts, fmt.Sprintf("%s %d x %s", name, replicas, size(s.Resources.ReservedMemory)))
		}
	}
	return &Diagnostic{Severity: SeverityError, Message: fmt.Sprintf("template %s reserves %s of memory on a server that has %s: %s", r.Template, size(memory), size(int64(serverMB)<<20), strings.Join(parts, ", ")),
		Hint: "take a larger size, fewer replicas, or lower deploy.resources.reservations.memory"}
}
