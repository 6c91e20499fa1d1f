package template

import (
	"maps"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/distribution/reference"
)

// normalizeImage writes an image's name in full: "ruby" is "docker.io/library/ruby:latest".
func normalizeImage(name string) (string, error) {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return "", err
	}
	return reference.TagNameOnly(named).String(), nil
}

func (c *converter) build(path []string, in types.ServiceConfig) *Build {
	b := in.Build
	out := &Build{
		Context: b.Context, Dockerfile: b.Dockerfile, DockerfileInline: b.DockerfileInline, Target: b.Target,
		Labels: Labels(copyMap(b.Labels)), Contexts: Labels(copyMap(b.AdditionalContexts)), CacheFrom: b.CacheFrom,
		ExtraHosts: sorted(b.ExtraHosts.AsList(":")), Network: b.Network, Platforms: b.Platforms,
		NoCache: b.NoCache, Pull: b.Pull, ShmSize: int64(b.ShmSize), Tags: b.Tags,
	}
	if u, err := url.Parse(b.Context); err == nil && (u.Scheme == "" || len(u.Scheme) == 1) && !filepath.IsAbs(b.Context) {
		out.Context = filepath.Join(c.options.Dir, b.Context)
	}
	for name, value := range b.Args {
		if value == nil {
			v, ok := c.env[name]
			if !ok {
				continue // the Dockerfile's own default
			}
			value = &v
		}
		if out.Args == nil {
			out.Args = map[string]Text{}
		}
		out.Args[name] = c.vault.text(*value)
	}
	for _, s := range b.Secrets {
		f, ok := c.secretFile(append(slices.Clone(path), "build", "secrets"), s.Source)
		if !ok {
			continue
		}
		if out.Secrets == nil {
			out.Secrets = map[string]Text{}
		}
		id := s.Target
		if id == "" {
			id = s.Source
		}
		out.Secrets[id] = f.Content
	}
	return out
}

// requests lists the images that the release needs, each once with its services. A service without
// a build whose image another one builds runs what that builds.
func (c *converter) requests() []ImageRequest {
	var list []ImageRequest
	add := func(built bool) {
		for _, service := range sortedKeys(c.images) {
			request := c.images[service]
			if (request.Build != nil) != built {
				continue
			}
			at := slices.IndexFunc(list, func(r ImageRequest) bool {
				return r.Name == request.Name && r.Platform == request.Platform && (request.Build == nil || reflect.DeepEqual(r.Build, request.Build))
			})
			if at < 0 {
				at = len(list)
				list = append(list, request)
			}
			list[at].Services = append(list[at].Services, service)
			slices.Sort(list[at].Services)
		}
	}
	add(true)
	add(false)
	return list
}

func (c *converter) resources(path []string, in types.ServiceConfig) Resources {
	r := Resources{
		CPUs: round(float64(in.CPUS)), Memory: int64(in.MemLimit), PIDs: in.PidsLimit, ReservedMemory: int64(in.MemReservation),
		MemorySwap: int64(in.MemSwapLimit), CPUShares: in.CPUShares, CPUSet: in.CPUSet, CPUPeriod: in.CPUPeriod, CPUQuota: in.CPUQuota,
		ShmSize: int64(in.ShmSize), OOMKillDisable: in.OomKillDisable, OOMScoreAdj: int(in.OomScoreAdj),
	}
	if in.MemSwappiness != 0 {
		v := int64(in.MemSwappiness)
		r.MemorySwappiness = &v
	}
	if in.Deploy != nil {
		if l := in.Deploy.Resources.Limits; l != nil {
			set(&r.CPUs, round(float64(l.NanoCPUs)))
			set(&r.Memory, int64(l.MemoryBytes))
			set(&r.PIDs, l.Pids)
		}
		if l := in.Deploy.Resources.Reservations; l != nil {
			set(&r.ReservedCPUs, round(float64(l.NanoCPUs)))
			set(&r.ReservedMemory, int64(l.MemoryBytes))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(in.Ulimits)) {
		u := in.Ulimits[name]
		if u == nil {
			continue
		}
		limit := Ulimit{Name: name, Soft: int64(u.Soft), Hard: int64(u.Hard)}
		if u.Single != 0 {
			limit.Soft, limit.Hard = int64(u.Single), int64(u.Single)
		}
		r.Ulimits = append(r.Ulimits, limit)
	}
	if r.Memory != 0 && r.ReservedMemory > r.Memory {
		c.errorf(append(slices.Clone(path), "deploy", "resources"), "%s: %s of memory are reserved, but the limit is %s", strings.Join(path, "."), size(r.ReservedMemory), size(r.Memory))
	}
	return r
}

// round takes the noise of Compose's single precision away.
func round(cpus float64) float64 { return float64(int64(cpus*1000+0.5)) / 1000 }

func set[T comparable](to *T, value T) {
	var zero T
	if value != zero {
		*to = value
	}
}

func process(in types.ServiceConfig) Process {
	return Process{User: in.User, WorkingDir: in.WorkingDir, Groups: in.GroupAdd, Init: in.Init, TTY: in.Tty, Stdin: in.StdinOpen, Runtime: in.Runtime}
}

func isolation(in types.ServiceConfig) Isolation {
	i := Isolation{
		Privileged: in.Privileged, ReadOnly: in.ReadOnly, CapAdd: in.CapAdd, CapDrop: in.CapDrop, SecurityOpts: in.SecurityOpt,
		Sysctls: copyMap(in.Sysctls), DeviceRules: in.DeviceCgroupRules, PID: in.Pid, IPC: in.Ipc, UTS: in.Uts,
		UserNS: in.UserNSMode, Cgroup: in.Cgroup, CgroupParent: in.CgroupParent, StorageOpts: copyMap(in.StorageOpt),
	}
	for _, d := range in.Devices {
		target := d.Target
		if target == "" {
			target = d.Source
		}
		i.Devices = append(i.Devices, Device{Source: d.Source, Target: target, Permissions: d.Permissions})
	}
	return i
}
