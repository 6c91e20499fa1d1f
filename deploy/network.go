package deploy

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// putNetworks makes the networks of the release that are missing. One that is there stays as it is:
// containers use it.
func (r *rollout) putNetworks(ctx context.Context) error {
	for _, key := range slices.Sorted(maps.Keys(r.release.Networks)) {
		n := r.release.Networks[key]
		digest, err := digestOf(n)
		if err != nil {
			return err
		}
		there, err := r.engine.NetworkInspect(ctx, n.Name, client.NetworkInspectOptions{})
		if err == nil {
			if made := there.Network.Labels[labelConfig]; made != "" && made != digest && !n.External {
				r.say(fmt.Sprintf("network %s is kept as it was made: what the template changes of it counts once nothing uses it and it is made anew", n.Name))
			}
			continue
		}
		if !errdefs.IsNotFound(err) {
			return fmt.Errorf("look for network %s: %w", n.Name, err)
		}
		if n.External {
			return resource.WithHint(fmt.Errorf("network %s is external and is not on the server", n.Name), "make it there, or take 'external' away")
		}
		options, err := networkOptions(n)
		if err != nil {
			return err
		}
		maps.Copy(options.Labels, map[string]string{labelStack: string(r.engine.stack), labelConfig: digest, composeProject: r.release.Project, composeNetwork: key})
		if err := r.begin(ctx); err != nil {
			return err
		}
		if _, err := r.engine.NetworkCreate(ctx, n.Name, options); err != nil && !errdefs.IsConflict(err) {
			return fmt.Errorf("create network %s: %w", n.Name, err)
		}
	}
	return nil
}

// dropNetworks takes away the stack's networks that the release does not have. One that something
// else uses stays, which is told.
func (r *rollout) dropNetworks(ctx context.Context) error {
	names := map[string]bool{}
	for _, n := range r.release.Networks {
		names[n.Name] = true
	}
	list, err := r.engine.NetworkList(ctx, client.NetworkListOptions{Filters: ours(r.engine.stack)})
	if err != nil {
		return fmt.Errorf("list networks: %w", err)
	}
	for _, n := range list.Items {
		if names[n.Name] {
			continue
		}
		if err := r.begin(ctx); err != nil {
			return err
		}
		r.say("removing network " + n.Name)
		if _, err := r.engine.NetworkRemove(ctx, n.ID, client.NetworkRemoveOptions{}); err != nil && !errdefs.IsNotFound(err) {
			r.say(fmt.Sprintf("network %s stays: %v", n.Name, err))
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
