package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/template"
)

// stopOld stops the old containers of a service whose successors cannot start beside them. They
// are kept, to be started again if the successors fail.
func (r *rollout) stopOld(ctx context.Context, name string, kept map[int]container.InspectResponse, why string) error {
	for _, c := range r.of(name) {
		if k, ok := kept[numberOf(c.Config.Labels)]; ok && k.ID == c.ID || !c.State.Running {
			continue
		}
		r.say(fmt.Sprintf("stopping %s first: %s", strings.TrimPrefix(c.Name, "/"), why))
		r.stopped = append(r.stopped, c)
		if err := r.stop(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// stop drains and stops one container: its own stop hooks, the stop signal, the grace period.
func (r *rollout) stop(ctx context.Context, c container.InspectResponse) error {
	if c.State.Running {
		if err := r.hooksOfOld(ctx, c, template.OnStop); err != nil {
			r.say(fmt.Sprintf("%s: %v", strings.TrimPrefix(c.Name, "/"), err))
		}
	}
	_, err := r.engine.ContainerStop(ctx, c.ID, client.ContainerStopOptions{})
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("stop %s: %w", c.Name, err)
	}
	return nil
}

// back undoes a rollout that did not come up: the new goes, the old is as it was.
func (r *rollout) back(ctx context.Context) {
	for _, id := range slices.Backward(r.started) {
		if err := r.engine.remove(ctx, id); err != nil {
			r.say(fmt.Sprintf("removing %s: %v", id[:12], err))
		}
	}
	for _, c := range slices.Backward(r.stopped) {
		r.say("starting " + strings.TrimPrefix(c.Name, "/") + " again")
		if _, err := r.engine.ContainerStart(ctx, c.ID, client.ContainerStartOptions{}); err != nil {
			r.say(fmt.Sprintf("starting %s again: %v", c.Name, err))
		}
	}
	r.stand() // what hooks see from here on is the old
	for _, undo := range slices.Backward(r.undo) {
		undo(ctx)
	}
}

// remove takes a container away with its anonymous volumes. One that is gone is no error.
func (e *engine) remove(ctx context.Context, id string) error {
	_, err := e.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	if err != nil && !errdefs.IsNotFound(err) && !errdefs.IsConflict(err) {
		return err
	}
	return nil
}

// down takes away what the release does not have, those that need first, and tells the rest.
func (r *rollout) down(ctx context.Context, order []string) error {
	keep := map[string]bool{}
	for _, replicas := range r.live {
		for _, one := range replicas {
			keep[one.id] = true
		}
	}
	position := func(c container.InspectResponse) int { return slices.Index(order, c.Config.Labels[composeService]) }
	var leaving []container.InspectResponse
	for _, c := range r.old {
		if !keep[c.ID] {
			leaving = append(leaving, c)
		}
	}
	slices.SortStableFunc(leaving, func(a, b container.InspectResponse) int { return position(b) - position(a) })
	gone := map[string]bool{}
	for _, c := range leaving {
		name := strings.TrimPrefix(c.Name, "/")
		r.say("stopping " + name)
		if err := r.stop(ctx, c); err != nil {
			return err
		}
		if err := r.hooksOfOld(ctx, c, template.OnDestroy); err != nil {
			r.say(fmt.Sprintf("%s: %v", name, err))
		}
		if err := r.engine.remove(ctx, c.ID); err != nil {
			return fmt.Errorf("remove %s: %w", name, err)
		}
		gone[c.Config.Labels[composeService]] = true
	}
	for _, service := range order {
		if gone[service] {
			if err := r.othersHooks(ctx, service, template.OnStop, template.OnDestroy); err != nil {
				return err
			}
		}
	}
	return r.tidy(ctx)
}

// tidy gives containers Compose's plain names back, where the old ones had them.
func (r *rollout) tidy(ctx context.Context) error {
	have, err := r.engine.containers(ctx)
	if err != nil {
		return err
	}
	names := map[string]bool{}
	for _, c := range have {
		names[strings.TrimPrefix(c.Name, "/")] = true
	}
	for _, c := range have {
		service := c.Config.Labels[composeService]
		want := r.release.Services[service].ContainerName
		if want == "" {
			want = fmt.Sprintf("%s-%s-%d", r.release.Project, service, numberOf(c.Config.Labels))
		}
		if names[want] {
			continue
		}
		if _, err := r.engine.ContainerRename(ctx, c.ID, client.ContainerRenameOptions{NewName: want}); err != nil {
			return fmt.Errorf("rename %s to %s: %w", c.Name, want, err)
		}
		names[want] = true
	}
	return nil
}

// monitor is how long a container without any check must run before it counts as up.
const monitor = time.Second
