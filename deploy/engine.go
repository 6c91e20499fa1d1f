package deploy

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// engine is a server's Docker engine as seen from one stack.
type engine struct {
	*client.Client
	host  *remote.Host
	stack resource.StackID
}

func (h *Hosts) engine(ctx context.Context, host *remote.Host) (*engine, error) {
	docker, err := host.Docker(ctx)
	if err != nil {
		return nil, err
	}
	return &engine{Client: docker, host: host, stack: h.options.Stack}, nil
}

// containers lists the stack's containers on the server, running or not, by service and number.
func (e *engine) containers(ctx context.Context) ([]container.InspectResponse, error) {
	list, err := e.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: ours(e.stack)})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	var found []container.InspectResponse
	for _, summary := range list.Items {
		if summary.Labels[composeOneOff] == "True" {
			continue
		}
		inspected, err := e.ContainerInspect(ctx, summary.ID, client.ContainerInspectOptions{})
		if errdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("inspect container %s: %w", summary.ID[:12], err)
		}
		found = append(found, inspected.Container)
	}
	slices.SortFunc(found, func(a, b container.InspectResponse) int {
		x, y := a.Config.Labels, b.Config.Labels
		if c := strings.Compare(x[composeService], y[composeService]); c != 0 {
			return c
		}
		if c := numberOf(x) - numberOf(y); c != 0 {
			return c
		}
		return strings.Compare(a.Created, b.Created)
	})
	return found, nil
}

// describe gives a container as a resource's facts have it.
func describe(c container.InspectResponse) resource.Container {
	labels := c.Config.Labels
	d := resource.Container{
		Service: labels[composeService],
		Number:  numberOf(labels),
		Name:    strings.TrimPrefix(c.Name, "/"),
		ID:      c.ID,
		Release: labels[labelRelease],
		Config:  labels[labelConfig],
		State:   string(c.State.Status),
		Ports:   map[string]int{},
	}
	if c.State.Health != nil {
		switch c.State.Health.Status {
		case container.Healthy:
			d.Health = resource.Healthy
		case container.Unhealthy:
			d.Health = resource.Unhealthy
		default:
			d.Health = resource.HealthUnknown
		}
	}
	if c.NetworkSettings == nil {
		return d
	}
	d.PrivateIP = privateIP(c)
	for port, bindings := range c.NetworkSettings.Ports {
		for _, b := range bindings {
			if _, err := fmt.Sscan(b.HostPort, new(int)); err == nil && d.Ports[port.String()] == 0 {
				var n int
				_, _ = fmt.Sscan(b.HostPort, &n)
				d.Ports[port.String()] = n
			}
		}
	}
	return d
}

// privateIP is a container's address in the first of its networks, by name.
func privateIP(c container.InspectResponse) string {
	for _, name := range slices.Sorted(maps.Keys(c.NetworkSettings.Networks)) {
		if ip := c.NetworkSettings.Networks[name].IPAddress; ip.IsValid() && !ip.IsUnspecified() {
			return ip.String()
		}
	}
	return ""
}

// putNetworks makes the networks of a release that are missing.
func (e *engine) putNetworks(ctx context.Context, r *template.Release) error {
	for _, key := range slices.Sorted(maps.Keys(r.Networks)) {
		n := r.Networks[key]
		_, err := e.NetworkInspect(ctx, n.Name, client.NetworkInspectOptions{})
		if err == nil {
			continue
		}
		if !errdefs.IsNotFound(err) {
			return fmt.Errorf("inspect network %s: %w", n.Name, err)
		}
		if n.External {
			return resource.WithHint(fmt.Errorf("network %s is external and is not on the server", n.Name), "make it there, or take 'external' away")
		}
		options, err := networkOptions(n)
		if err != nil {
			return err
		}
		maps.Copy(options.Labels, map[string]string{labelStack: string(e.stack), composeProject: r.Project, composeNetwork: key})
		if _, err := e.NetworkCreate(ctx, n.Name, options); err != nil && !errdefs.IsConflict(err) {
			return fmt.Errorf("create network %s: %w", n.Name, err)
		}
	}
	return nil
}

func networkOptions(n template.Network) (client.NetworkCreateOptions, error) {
	o := client.NetworkCreateOptions{Driver: n.Driver, Options: n.DriverOpts, Internal: n.Internal, Attachable: n.Attachable, Labels: map[string]string{}}
	maps.Copy(o.Labels, n.Labels)
	if n.IPv6 {
		o.EnableIPv6 = &n.IPv6
	}
	if n.IPAMDriver == "" && len(n.IPAM) == 0 {
		return o, nil
	}
	o.IPAM = &network.IPAM{Driver: n.IPAMDriver}
	for _, pool := range n.IPAM {
		var c network.IPAMConfig
		var err error
		if pool.Subnet != "" {
			if c.Subnet, err = netip.ParsePrefix(pool.Subnet); err != nil {
				return o, fmt.Errorf("network %s: subnet: %w", n.Name, err)
			}
		}
		if pool.Range != "" {
			if c.IPRange, err = netip.ParsePrefix(pool.Range); err != nil {
				return o, fmt.Errorf("network %s: ip range: %w", n.Name, err)
			}
		}
		if pool.Gateway != "" {
			if c.Gateway, err = netip.ParseAddr(pool.Gateway); err != nil {
				return o, fmt.Errorf("network %s: gateway: %w", n.Name, err)
			}
		}
		o.IPAM.Config = append(o.IPAM.Config, c)
	}
	return o, nil
}

// putVolumes makes the volumes of a release that are missing.
func (e *engine) putVolumes(ctx context.Context, r *template.Release) error {
	for _, key := range slices.Sorted(maps.Keys(r.Volumes)) {
		v := r.Volumes[key]
		_, err := e.VolumeInspect(ctx, v.Name, client.VolumeInspectOptions{})
		if err == nil {
			continue
		}
		if !errdefs.IsNotFound(err) {
			return fmt.Errorf("inspect volume %s: %w", v.Name, err)
		}
		if v.External {
			return resource.WithHint(fmt.Errorf("volume %s is external and is not on the server", v.Name), "make it there, or take 'external' away")
		}
		labels := map[string]string{labelStack: string(e.stack), composeProject: r.Project, composeVolume: key}
		maps.Copy(labels, v.Labels)
		if _, err := e.VolumeCreate(ctx, client.VolumeCreateOptions{Name: v.Name, Driver: v.Driver, DriverOpts: v.DriverOpts, Labels: labels}); err != nil {
			return fmt.Errorf("create volume %s: %w", v.Name, err)
		}
	}
	return nil
}

// tail is the last lines that a container printed, for errors.
func (e *engine) tail(ctx context.Context, id string, lines int) string {
	logs, err := e.ContainerLogs(ctx, id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true, Tail: fmt.Sprint(lines)})
	if err != nil {
		return ""
	}
	defer func() { _ = logs.Close() }()
	var text strings.Builder
	if err := copyLogs(&text, logs); err != nil && text.Len() == 0 {
		return ""
	}
	return strings.TrimRight(text.String(), "\n")
}
