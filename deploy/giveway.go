package deploy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/template"
)

// forced tells why a service's containers cannot be up side by side with their successors, or "".
// That the template says so is no such reason: then they give way number by number.
func (r *rollout) forced(name string) string {
	s := r.release.Services[name]
	s.Update.Order = template.StartFirst
	with := template.Release{Services: maps.Clone(r.release.Services), Volumes: r.release.Volumes}
	with.Services[name] = s
	return with.StopFirst(name)
}

// giveWay stops what stands in the way of containers that are to start: of the service's own,
// those whose successors cannot start beside them, and of other services, those that hold a host
// port which the service has now, or write to a volume whose single writer it is now. They are kept,
// to be started again if the successors fail.
func (r *rollout) giveWay(ctx context.Context, name string, want int, kept map[int]container.InspectResponse) error {
	starts := len(kept) < want || slices.ContainsFunc(r.of(name), func(c container.InspectResponse) bool {
		k, ok := kept[numberOf(c.Config.Labels)]
		return ok && k.ID == c.ID && !c.State.Running
	})
	if !starts {
		return nil
	}
	why := r.forced(name)
	for _, c := range r.old {
		service := c.Config.Labels[composeService]
		k, stays := kept[numberOf(c.Config.Labels)]
		switch {
		case service == name && stays && k.ID == c.ID, !c.State.Running:
		case service == name && why != "":
			if err := r.stopFirst(ctx, c, why); err != nil {
				return err
			}
		case service != name && r.holdsPort(c, name):
			if err := r.stopFirst(ctx, c, "it has a host port that "+name+" needs"); err != nil {
				return err
			}
		case service != name && r.holdsVolume(c, name) != "":
			if err := r.stopFirst(ctx, c, "volume "+r.holdsVolume(c, name)+" has a single writer, which is "+name+" now"); err != nil {
				return err
			}
		}
	}
	return nil
}

// holdsPort reports whether a container of another service has a host port that a service needs
// and that its own no longer wants.
func (r *rollout) holdsPort(c container.InspectResponse, name string) bool {
	if c.HostConfig == nil {
		return false
	}
	own := fixedPorts(r.release.Services[c.Config.Labels[composeService]])
	for _, port := range fixedPorts(r.release.Services[name]) {
		if slices.Contains(own, port) {
			continue
		}
		for bound, bindings := range c.HostConfig.PortBindings {
			for _, b := range bindings {
				if b.HostPort+"/"+string(bound.Proto()) == port {
					return true
				}
			}
		}
	}
	return false
}

// holdsVolume names a volume that a container of another service writes to, though its single writer
// is a service that is about to start; or "".
func (r *rollout) holdsVolume(c container.InspectResponse, name string) string {
	if r.release.Holder(c.Config.Labels[composeService]) {
		return ""
	}
	for _, m := range r.release.MountsOf(name) {
		v, ok := r.release.Volumes[m.Source]
		if !ok || m.Type != template.MountVolume || m.ReadOnly || v.Stateful != template.SingleWriter || r.release.Holder(name) {
			continue
		}
		if slices.ContainsFunc(c.Mounts, func(has container.MountPoint) bool { return has.Name == v.Name && has.RW }) {
			return m.Source
		}
	}
	return ""
}

// fixedPorts lists the host ports that a service certainly takes, as "80/tcp".
func fixedPorts(s template.Service) []string {
	var ports []string
	for _, p := range s.Ports {
		if p.Fixed() {
			ports = append(ports, strconv.Itoa(p.Published)+"/"+or(p.Protocol, "tcp"))
		}
	}
	return ports
}

// stopNumber stops the old container of one number, before its successor starts.
func (r *rollout) stopNumber(ctx context.Context, name string, n int) error {
	for _, c := range r.of(name) {
		if numberOf(c.Config.Labels) == n && c.State.Running {
			if err := r.stopFirst(ctx, c, r.release.StopFirst(name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *rollout) stopFirst(ctx context.Context, c container.InspectResponse, why string) error {
	if slices.ContainsFunc(r.stopped, func(s container.InspectResponse) bool { return s.ID == c.ID }) {
		return nil
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	r.say(fmt.Sprintf("stopping %s first: %s", strings.TrimPrefix(c.Name, "/"), why))
	r.stopped = append(r.stopped, c)
	return r.stop(ctx, c)
}

// stop stops one container: its own stop hooks, the stop signal, the grace period.
func (r *rollout) stop(ctx context.Context, c container.InspectResponse) error {
	if c.State.Running {
		r.hooksOfOld(ctx, c, template.OnStop)
	}
	_, err := r.engine.ContainerStop(ctx, c.ID, client.ContainerStopOptions{})
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("stop %s: %w", strings.TrimPrefix(c.Name, "/"), err)
	}
	return nil
}

// remove takes a container away with its anonymous volumes. One that is gone, or is just being
// removed, is no error.
func (e *engine) remove(ctx context.Context, id string) error {
	_, err := e.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if err != nil && !errdefs.IsNotFound(err) && !errdefs.IsConflict(err) {
		return err
	}
	return nil
}
