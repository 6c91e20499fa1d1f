package template

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// ID names the release: "r-" and ten hex digits of the hash of its document. Replicas, and the
// name and source of an image whose digest is known, are not part of it.
func (r *Release) ID() (string, error) {
	c := *r
	c.Services = make(map[string]Service, len(r.Services))
	for name, s := range r.Services {
		s.Replicas = 0
		s.Image = s.Image.identity()
		c.Services[name] = s
	}
	sum, err := digestOf(&c)
	if err != nil {
		return "", err
	}
	return "r-" + sum[:10], nil
}

// Hash is a digest of everything that containers of a bound service are made from. A container
// whose hash differs must be renewed; one whose hash is equal must not.
func (r *Release) Hash(bound Service) (string, error) {
	s := bound
	s.Image = s.Image.identity()
	s.Probe, s.DependsOn, s.Rollback, s.Hooks, s.Drain, s.Backup, s.Host = nil, nil, nil, nil, nil, nil, nil
	s.Update, s.Replicas, s.Global, s.Stateful, s.PerServer = Update{}, 0, false, "", false
	networks, volumes := map[string]Network{}, map[string]Volume{}
	for key := range s.Networks {
		networks[key] = r.Networks[key]
	}
	for _, m := range s.Mounts {
		if v, ok := r.Volumes[m.Source]; ok && m.Type == MountVolume {
			v.Stateful, v.PerServer = "", false
			volumes[m.Source] = v
		}
	}
	return digestOf(struct {
		Service  Service
		Networks map[string]Network
		Volumes  map[string]Volume
	}{s, networks, volumes})
}

// identity is what tells one image from another: the digest where it is known.
func (i Image) identity() Image {
	if i.Digest == "" {
		return Image{Name: i.Name, Platform: i.Platform}
	}
	return Image{Digest: i.Digest, Platform: i.Platform}
}

func digestOf(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("release document: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// repository cuts tag and digest off an image's name.
func repository(name string) string {
	name, _, _ = strings.Cut(name, "@")
	if colon := strings.LastIndexByte(name, ':'); colon > strings.LastIndexByte(name, '/') {
		name = name[:colon]
	}
	return name
}

// Needs lists the services that must be there before a container of the service can be made:
// what depends_on names, what shares a namespace or mounts with it, and what late references in
// its environment and files read. Sorted, each once.
func (r *Release) Needs(service string) []string {
	s, needs := r.Services[service], map[string]bool{}
	for name := range s.DependsOn {
		needs[name] = true
	}
	for _, mode := range []string{s.NetworkMode, s.Isolation.PID, s.Isolation.IPC} {
		if name, ok := strings.CutPrefix(mode, "service:"); ok {
			needs[name] = true
		}
	}
	for _, m := range s.Mounts {
		if m.Type == MountService {
			needs[m.Source] = true
		}
	}
	for _, ref := range r.madeFrom(service) {
		if !ref.Static() {
			needs[ref.Service] = true
		}
	}
	delete(needs, service)
	return slices.Sorted(maps.Keys(needs))
}

// Dependents lists the services whose containers need the service (see Needs). Sorted.
func (r *Release) Dependents(service string) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(r.Services)) {
		if slices.Contains(r.Needs(name), service) {
			names = append(names, name)
		}
	}
	return names
}

// Order lists the services so that each comes after all that it needs; ties are in the order of
// their names. Its reverse is the order of removal. Render refuses cycles, so that an error
// means a document that was not made by Render.
func (r *Release) Order() ([]string, error) {
	var order, path []string
	done := map[string]bool{}
	var visit func(name string) error
	visit = func(name string) error {
		if done[name] {
			return nil
		}
		if at := slices.Index(path, name); at >= 0 {
			return fmt.Errorf("services need each other in a circle: %s", strings.Join(append(path[at:], name), " -> "))
		}
		path = append(path, name)
		for _, need := range r.Needs(name) {
			if _, ok := r.Services[need]; !ok {
				continue
			}
			if err := visit(need); err != nil {
				return err
			}
		}
		path = path[:len(path)-1]
		done[name] = true
		order = append(order, name)
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(r.Services)) {
		if err := visit(name); err != nil {
			return nil, err
		}
	}
	return order, nil
}

// StopFirst tells why a container of the service must stop before its successor starts: a fixed
// host port, a single-writer volume, a fixed name or address, or that the template says so. It is
// empty when the successor can start first.
func (r *Release) StopFirst(service string) string {
	s := r.Services[service]
	for _, p := range s.Ports {
		if p.Fixed() {
			return "host port " + strconv.Itoa(p.Published) + " is fixed"
		}
	}
	if s.Stateful == SingleWriter {
		return "the service is stateful with a single writer"
	}
	for _, m := range r.MountsOf(service) {
		if m.Type == MountVolume && !m.ReadOnly && r.Volumes[m.Source].Stateful == SingleWriter && !r.Holder(service) {
			return "volume " + m.Source + " has a single writer"
		}
	}
	if s.ContainerName != "" {
		return "container_name is fixed"
	}
	if s.NetworkMode == "host" && (s.Healthcheck != nil || s.Probe != nil || len(s.Expose) > 0) {
		return "it uses the host's network"
	}
	for _, name := range slices.Sorted(maps.Keys(s.Networks)) {
		if a := s.Networks[name]; a.IPv4 != "" || a.IPv6 != "" || a.MAC != "" {
			return "its address in network " + name + " is fixed"
		}
	}
	if s.Update.Order == StopFirst {
		return "deploy.update_config.order says so"
	}
	return ""
}

// OnServer reports whether server index (from 0) of a group runs the service.
func (s Service) OnServer(index int) bool {
	return len(s.Host) == 0 || slices.Contains(s.Host, strconv.Itoa(index))
}
