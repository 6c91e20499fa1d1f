package deploy

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/template"
)

// blueprint is all that a container is made from: a service whose late references are resolved and
// whose secrets are revealed, and what the host adds.
type blueprint struct {
	container string // its name
	image     string // as the host's engine knows it
	name      string // of the service, by which others find it; empty for one that nobody is to find
	service   template.Service
	release   *template.Release
	binds     []mount.Mount // uploaded files and trees
	from      []string      // containers whose volumes it takes
	labels    map[string]string
	api       string // the engine's API version
}

// options translates a blueprint to the engine's API. Networks beyond the first are connected
// afterwards: engines before API 1.44 take only one.
func (b blueprint) options() (client.ContainerCreateOptions, error) {
	s := b.service
	config, err := b.config()
	if err != nil {
		return client.ContainerCreateOptions{}, err
	}
	host, err := b.hostConfig()
	if err != nil {
		return client.ContainerCreateOptions{}, err
	}
	o := client.ContainerCreateOptions{Name: b.container, Config: config, HostConfig: host}
	if s.NetworkMode == "" {
		first := b.networks()
		if len(first) > 0 {
			endpoint, err := b.endpoint(first[0])
			if err != nil {
				return o, err
			}
			name := b.release.Networks[first[0]].Name
			host.NetworkMode = container.NetworkMode(name)
			o.NetworkingConfig = &network.NetworkingConfig{EndpointsConfig: map[string]*network.EndpointSettings{name: endpoint}}
		}
	}
	return o, nil
}

// networks lists the keys of the service's networks, the one of highest priority first.
func (b blueprint) networks() []string {
	keys := slices.Sorted(maps.Keys(b.service.Networks))
	slices.SortStableFunc(keys, func(x, y string) int {
		return b.service.Networks[y].Priority - b.service.Networks[x].Priority
	})
	return keys
}

func (b blueprint) config() (*container.Config, error) {
	s := b.service
	c := &container.Config{
		Image:      b.image,
		Hostname:   s.Hostname,
		Domainname: s.Domainname,
		User:       s.Process.User,
		Tty:        s.Process.TTY,
		OpenStdin:  s.Process.Stdin,
		WorkingDir: s.Process.WorkingDir,
		StopSignal: s.StopSignal,
		Labels:     maps.Clone(s.Labels),
		Cmd:        words(s.Command),
		Entrypoint: words(s.Entrypoint),
	}
	if slices.Contains(s.Clear, "command") {
		c.Cmd = []string{}
	}
	if slices.Contains(s.Clear, "entrypoint") {
		c.Entrypoint = []string{""}
	}
	if c.Labels == nil {
		c.Labels = map[string]string{}
	}
	maps.Copy(c.Labels, b.labels)
	for _, name := range slices.Sorted(maps.Keys(s.Environment)) {
		c.Env = append(c.Env, name+"="+string(s.Environment[name]))
	}
	if s.StopGrace != nil {
		seconds := int(time.Duration(*s.StopGrace).Round(time.Second) / time.Second)
		c.StopTimeout = &seconds
	}
	c.Healthcheck = b.healthcheck()
	ports, err := exposed(s)
	c.ExposedPorts = ports
	return c, err
}

// words turns texts into strings, nil for none.
func words(texts []template.Text) []string {
	var out []string
	for _, t := range texts {
		out = append(out, string(t))
	}
	return out
}

func (b blueprint) healthcheck() *container.HealthConfig {
	h := b.service.Healthcheck
	if h == nil {
		return nil
	}
	c := &container.HealthConfig{Test: words(h.Test), Retries: h.Retries}
	set := func(to *time.Duration, d *template.Duration) {
		if d != nil {
			*to = time.Duration(*d)
		}
	}
	set(&c.Interval, h.Interval)
	set(&c.Timeout, h.Timeout)
	set(&c.StartPeriod, h.StartPeriod)
	if atLeast(b.api, "1.44") {
		set(&c.StartInterval, h.StartInterval)
	}
	return c
}

// exposed lists the ports that a service exposes or publishes.
func exposed(s template.Service) (network.PortSet, error) {
	set := network.PortSet{}
	add := func(text string) error {
		port, err := network.ParsePort(text)
		if err != nil {
			return fmt.Errorf("port %q: %w", text, err)
		}
		set[port] = struct{}{}
		return nil
	}
	for _, e := range s.Expose {
		if err := add(e); err != nil {
			return nil, err
		}
	}
	for _, p := range s.Ports {
		if err := add(portName(p)); err != nil {
			return nil, err
		}
	}
	return set, nil
}

func portName(p template.Port) string {
	protocol := p.Protocol
	if protocol == "" {
		protocol = "tcp"
	}
	return strconv.Itoa(p.Target) + "/" + protocol
}

func (b blueprint) hostConfig() (*container.HostConfig, error) {
	s := b.service
	h := &container.HostConfig{
		RestartPolicy:   container.RestartPolicy{Name: container.RestartPolicyMode(s.Restart.Policy), MaximumRetryCount: s.Restart.MaxRetries},
		PublishAllPorts: s.PublishAll,
		NetworkMode:     container.NetworkMode(s.NetworkMode),
		ExtraHosts:      s.ExtraHosts,
		DNSSearch:       s.DNSSearch,
		DNSOptions:      s.DNSOptions,
		GroupAdd:        s.Process.Groups,
		Init:            s.Process.Init,
		Runtime:         s.Process.Runtime,
		Privileged:      s.Isolation.Privileged,
		ReadonlyRootfs:  s.Isolation.ReadOnly,
		CapAdd:          s.Isolation.CapAdd,
		CapDrop:         s.Isolation.CapDrop,
		SecurityOpt:     s.Isolation.SecurityOpts,
		Sysctls:         s.Isolation.Sysctls,
		PidMode:         container.PidMode(s.Isolation.PID),
		IpcMode:         container.IpcMode(s.Isolation.IPC),
		UTSMode:         container.UTSMode(s.Isolation.UTS),
		UsernsMode:      container.UsernsMode(s.Isolation.UserNS),
		CgroupnsMode:    container.CgroupnsMode(s.Isolation.Cgroup),
		StorageOpt:      s.Isolation.StorageOpts,
		ShmSize:         s.Resources.ShmSize,
		OomScoreAdj:     s.Resources.OOMScoreAdj,
		VolumesFrom:     b.from,
		Resources:       resources(s),
	}
	if s.Logging != nil {
		h.LogConfig = container.LogConfig{Type: s.Logging.Driver, Config: s.Logging.Options}
	}
	for _, d := range s.DNS {
		addr, err := netip.ParseAddr(d)
		if err != nil {
			return nil, fmt.Errorf("dns %q: %w", d, err)
		}
		h.DNS = append(h.DNS, addr)
	}
	var err error
	if h.PortBindings, err = bindings(s); err != nil {
		return nil, err
	}
	return h, b.mount(h)
}

func bindings(s template.Service) (network.PortMap, error) {
	m := network.PortMap{}
	for _, p := range s.Ports {
		port, err := network.ParsePort(portName(p))
		if err != nil {
			return nil, fmt.Errorf("port %s: %w", portName(p), err)
		}
		binding := network.PortBinding{}
		if p.HostIP != "" {
			if binding.HostIP, err = netip.ParseAddr(p.HostIP); err != nil {
				return nil, fmt.Errorf("port %s: host address: %w", portName(p), err)
			}
		}
		if p.Published != 0 {
			binding.HostPort = strconv.Itoa(p.Published)
			if p.To > p.Published {
				binding.HostPort += "-" + strconv.Itoa(p.To)
			}
		}
		m[port] = append(m[port], binding)
	}
	return m, nil
}

func resources(s template.Service) container.Resources {
	r := s.Resources
	out := container.Resources{
		CPUShares:         r.CPUShares,
		Memory:            r.Memory,
		NanoCPUs:          int64(r.CPUs * 1e9),
		CpusetCpus:        r.CPUSet,
		CPUPeriod:         r.CPUPeriod,
		CPUQuota:          r.CPUQuota,
		MemoryReservation: r.ReservedMemory,
		MemorySwap:        r.MemorySwap,
		MemorySwappiness:  r.MemorySwappiness,
		CgroupParent:      s.Isolation.CgroupParent,
		DeviceCgroupRules: s.Isolation.DeviceRules,
	}
	if r.OOMKillDisable {
		out.OomKillDisable = &r.OOMKillDisable
	}
	if r.PIDs != 0 {
		out.PidsLimit = &r.PIDs
	}
	for _, u := range r.Ulimits {
		out.Ulimits = append(out.Ulimits, &units.Ulimit{Name: u.Name, Soft: u.Soft, Hard: u.Hard})
	}
	for _, d := range s.Isolation.Devices {
		out.Devices = append(out.Devices, container.DeviceMapping{PathOnHost: d.Source, PathInContainer: d.Target, CgroupPermissions: d.Permissions})
	}
	return out
}

// mount gives the container its storage.
func (b blueprint) mount(h *container.HostConfig) error {
	h.Mounts, h.Tmpfs = slices.Clone(b.binds), map[string]string{}
	for _, m := range b.service.Mounts {
		switch m.Type {
		case template.MountVolume:
			options := &mount.VolumeOptions{NoCopy: m.NoCopy, Subpath: m.Subpath}
			h.Mounts = append(h.Mounts, mount.Mount{Type: mount.TypeVolume, Source: b.release.Volumes[m.Source].Name, Target: m.Target, ReadOnly: m.ReadOnly, VolumeOptions: options})
		case template.MountBind:
			if m.CreatePath && !atLeast(b.api, "1.42") {
				h.Binds = append(h.Binds, oldBind(m)) // in this form only, older engines make a missing folder
				continue
			}
			options := &mount.BindOptions{Propagation: mount.Propagation(m.Propagation), CreateMountpoint: m.CreatePath}
			h.Mounts = append(h.Mounts, mount.Mount{Type: mount.TypeBind, Source: m.Source, Target: m.Target, ReadOnly: m.ReadOnly, BindOptions: options})
		case template.MountTmpfs:
			h.Tmpfs[m.Target] = tmpfsOptions(m)
		case template.MountService, template.MountTree: // in from and binds
		default:
			return fmt.Errorf("mount of %s: unknown type %q", m.Target, m.Type)
		}
	}
	return nil
}

func oldBind(m template.Mount) string {
	var options []string
	if m.ReadOnly {
		options = append(options, "ro")
	}
	if m.Propagation != "" {
		options = append(options, m.Propagation)
	}
	text := m.Source + ":" + m.Target
	if len(options) > 0 {
		text += ":" + strings.Join(options, ",")
	}
	return text
}

func tmpfsOptions(m template.Mount) string {
	var options []string
	if m.Options != "" {
		options = append(options, m.Options)
	}
	if m.Size > 0 {
		options = append(options, "size="+strconv.FormatInt(m.Size, 10))
	}
	if m.Mode != 0 {
		options = append(options, "mode="+strconv.FormatUint(uint64(m.Mode), 8))
	}
	return strings.Join(options, ",")
}

// endpoint is the container's place in one network. There it is found by its service's name, as
// Compose has it, and by the aliases that the service gives itself.
func (b blueprint) endpoint(key string) (*network.EndpointSettings, error) {
	a := b.service.Networks[key]
	e := &network.EndpointSettings{DriverOpts: a.DriverOpts}
	if b.name != "" {
		e.Aliases = append([]string{b.name}, a.Aliases...)
	}
	if atLeast(b.api, "1.48") {
		e.GwPriority = a.GatewayPrio
	}
	if a.MAC != "" {
		if err := e.MacAddress.UnmarshalText([]byte(a.MAC)); err != nil {
			return nil, fmt.Errorf("address in network %s: %w", key, err)
		}
	}
	if a.IPv4 == "" && a.IPv6 == "" && len(a.LinkLocal) == 0 {
		return e, nil
	}
	e.IPAMConfig = &network.EndpointIPAMConfig{}
	for _, one := range []struct {
		text string
		to   *netip.Addr
	}{{a.IPv4, &e.IPAMConfig.IPv4Address}, {a.IPv6, &e.IPAMConfig.IPv6Address}} {
		if one.text == "" {
			continue
		}
		var err error
		if *one.to, err = netip.ParseAddr(one.text); err != nil {
			return nil, fmt.Errorf("address in network %s: %w", key, err)
		}
	}
	for _, text := range a.LinkLocal {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return nil, fmt.Errorf("address in network %s: %w", key, err)
		}
		e.IPAMConfig.LinkLocalIPs = append(e.IPAMConfig.LinkLocalIPs, addr)
	}
	return e, nil
}

// atLeast compares API versions: "1.44" is at least "1.9".
func atLeast(have, want string) bool {
	number := func(s string) (int, int) {
		major, minor, _ := strings.Cut(s, ".")
		a, _ := strconv.Atoi(major)
		b, _ := strconv.Atoi(minor)
		return a, b
	}
	a, b := number(have)
	c, d := number(want)
	return a > c || a == c && b >= d
}
