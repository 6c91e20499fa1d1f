package template

import (
	"path"
	"slices"
	"strings"
)

// Data is what services of a release write on a server, and what is lost with that server.
type Data struct {
	Name   string // the volume's key in the Compose file, or the service whose folder it is
	Place  string // the engine's volume, or the folder on the server
	Folder bool
}

// Data lists what the services on a server (from 0; AnyServer for all) write and what is not said
// to be scratch: named volumes, and folders of the server that stateful services mount.
func (r *Release) Data(server int) []Data {
	var list []Data
	for _, key := range sortedKeys(r.Volumes) {
		if v := r.Volumes[key]; v.keeps() && r.writtenOn(key, server) {
			list = append(list, Data{Name: key, Place: v.Name})
		}
	}
	for _, name := range sortedKeys(r.Services) {
		s := r.Services[name]
		if s.Stateful == "" || server != AnyServer && !s.OnServer(server) {
			continue
		}
		for _, m := range r.MountsOf(name) {
			if m.Type == MountBind && !m.ReadOnly {
				list = append(list, Data{Name: name, Place: m.Source, Folder: true})
			}
		}
	}
	return list
}

// AnyServer stands for all servers of a group.
const AnyServer = -1

// keeps reports whether what is in a volume is to be kept, and lies on the server itself.
func (v Volume) keeps() bool {
	remote := slices.Contains([]string{"nfs", "nfs4", "cifs", "tmpfs"}, v.DriverOpts["type"])
	return v.Stateful != "" && v.Stateful != Scratch && (v.Driver == "" || v.Driver == "local") && !remote
}

// writtenOn reports whether a service on a server mounts a volume writable.
func (r *Release) writtenOn(volume string, server int) bool {
	for name, s := range r.Services {
		if (server == AnyServer || s.OnServer(server)) && r.mountsWritable(name, volume) {
			return true
		}
	}
	return false
}

func (r *Release) mountsWritable(service, volume string) bool {
	return slices.ContainsFunc(r.MountsOf(service), func(m Mount) bool {
		return m.Type == MountVolume && m.Source == volume && !m.ReadOnly
	})
}

// MountsOf lists what a service's containers mount: its own mounts, and those that it takes from
// other services. Its own win where both have a target.
func (r *Release) MountsOf(service string) []Mount {
	return r.mountsOf(service, map[string]bool{})
}

func (r *Release) mountsOf(service string, seen map[string]bool) []Mount {
	if seen[service] {
		return nil
	}
	seen[service] = true
	defer delete(seen, service)
	var mounts, taken []Mount
	for _, m := range r.Services[service].Mounts {
		if m.Type != MountService {
			mounts = append(mounts, m)
			continue
		}
		for _, from := range r.mountsOf(m.Source, seen) {
			from.ReadOnly = from.ReadOnly || m.ReadOnly
			taken = append(taken, from)
		}
	}
	for _, m := range taken {
		if !slices.ContainsFunc(mounts, func(own Mount) bool { return own.Target == m.Target }) {
			mounts = append(mounts, m)
		}
	}
	return mounts
}

// takenFrom reports whether some service takes its mounts from this one.
func (r *Release) takenFrom(name string) bool {
	for _, s := range r.Services {
		if slices.ContainsFunc(s.Mounts, func(m Mount) bool { return m.Type == MountService && m.Source == name }) {
			return true
		}
	}
	return false
}

// Holder reports whether a service only holds data: others take its mounts, and its command does
// nothing with them. It is no writer, whatever it mounts.
func (r *Release) Holder(name string) bool {
	s := r.Services[name]
	ends, idles := doesNothing(s)
	return (ends || idles) && r.takenFrom(name) && len(s.Ports) == 0 && !s.PublishAll && len(s.Hooks) == 0
}

// doesNothing reports whether a service's command ends at once, or waits for nothing.
func doesNothing(s Service) (ends, idles bool) {
	var words []string
	for _, list := range [][]Text{s.Entrypoint, s.Command} {
		for _, t := range list {
			words = append(words, strings.Fields(string(t))...)
		}
	}
	if len(words) > 2 && (path.Base(words[0]) == "sh" || path.Base(words[0]) == "bash") && words[1] == "-c" {
		words = words[2:]
	}
	if len(words) == 0 || strings.ContainsAny(strings.Join(words, " "), ";&|<>`$(") {
		return false, false
	}
	switch path.Base(words[0]) {
	case "true", ":", "exit", "echo":
		return true, false
	case "sleep", "pause":
		return false, true
	case "tail":
		return false, words[len(words)-1] == "/dev/null"
	}
	return false, false
}

func endsAtOnce(s Service) bool { ends, _ := doesNothing(s); return ends }

// nameAnonymous gives the anonymous volumes of services that others take mounts from a name of
// their own, so that they outlive the container: SERVICE-PATH.
func (c *converter) nameAnonymous(r *Release) {
	for _, name := range sortedKeys(r.Services) {
		s := r.Services[name]
		kept := r.takenFrom(name) && s.Replicas <= 1
		for i, m := range s.Mounts {
			if m.Type != MountVolume || m.Source != "" {
				continue
			}
			key := name + strings.ReplaceAll(m.Target, "/", "-")
			if _, taken := r.Volumes[key]; taken || !kept {
				c.warnf([]string{"services", name, "volumes"}, "services.%s: what is written to %s goes with each container", name, m.Target).Hint = "to keep it, give the volume a name: - NAME:" + m.Target + "; else tmpfs says what is meant"
				continue
			}
			if r.Volumes == nil {
				r.Volumes = map[string]Volume{}
			}
			r.Volumes[key] = Volume{Name: r.Project + "_" + key}
			s.Mounts[i].Source = key
		}
		r.Services[name] = s
	}
}
