package deploy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/template"
)

// back undoes a rollout that did not come up: the new goes, the old is as it was, and who is told
// of others is told of the old. When all of that succeeds, nothing is left of the rollout, nor of
// the one before it that was cut short.
//
// Where the failing service's failure_action is pause, what is healthy of the new stays beside the
// old.
func (r *rollout) back(ctx context.Context) {
	if !r.begun {
		return
	}
	whole := true
	did := func(err error, what string) {
		if err != nil {
			whole = false
			r.say(what + ": " + err.Error())
		}
	}
	have, err := r.engine.containers(ctx)
	did(err, "looking at what is left")
	stays := r.staying()
	for _, c := range slices.Backward(have) {
		if !stays[c.ID] {
			did(r.engine.remove(ctx, c.ID), "removing "+strings.TrimPrefix(c.Name, "/"))
		}
	}
	for _, c := range have {
		if !stays[c.ID] || c.State.Running || completed(c) {
			continue
		}
		name := strings.TrimPrefix(c.Name, "/")
		r.say("starting " + name + " again")
		_, err := r.engine.ContainerStart(ctx, c.ID, client.ContainerStartOptions{})
		did(err, "starting "+name+" again")
	}
	did(r.settle(ctx), "telling the old release's services of each other")
	if whole && !r.paused && !r.goesOn() {
		did(r.folder.host.RemoveFile(ctx, r.folder.path("rolling.json")), "forgetting the rollout")
	}
}

// goesOn reports whether the rollout that was cut short before this one had come up: old containers
// may have gone by then, and there is no way back behind it.
func (r *rollout) goesOn() bool { return r.cut != nil && r.cut.Up }

// staying lists the containers that the way back leaves: those that there were before this rollout,
// or before the one that was cut short.
func (r *rollout) staying() map[string]bool {
	stays := map[string]bool{}
	if r.cut != nil && !r.cut.Up {
		for _, id := range r.cut.Before {
			stays[id] = true
		}
	} else {
		for _, c := range r.old {
			stays[c.ID] = true
		}
	}
	if r.paused {
		for _, replicas := range r.live {
			for _, one := range replicas {
				stays[one.id] = true
			}
		}
	}
	return stays
}

// settle brings what the release that runs was told of its own containers to what is true now:
// rendered files, and hooks that wait for events of others. It does nothing where no release has
// ever come up.
func (r *rollout) settle(ctx context.Context) error {
	old, err := r.standing(ctx)
	if err != nil || old == nil {
		return err
	}
	order, err := old.release.Order()
	if err != nil {
		return err
	}
	old.cut = &rollingFile{} // nobody knows what was told
	for _, name := range order {
		if err := old.remind(ctx, name); err != nil {
			return fmt.Errorf("service %s: %w", name, err)
		}
	}
	var current currentFile
	if _, err := r.folder.read(ctx, &current, "current.json"); err != nil {
		return err
	}
	if current.Bound == nil {
		current.Bound = map[string]string{}
	}
	maps.Copy(current.Bound, old.bound)
	return r.folder.write(ctx, current, "current.json")
}

// standing gives what runs beside a rollout, by what the server last noted, or nil.
func (r *rollout) standing(ctx context.Context) (*rollout, error) {
	document, current, err := r.folder.current(ctx)
	if err != nil || document == nil {
		return nil, err
	}
	old := &rollout{
		engine: r.engine, folder: r.folder, release: document, id: current.Release, group: r.group, server: r.server, hostIP: r.hostIP,
		secrets: r.secrets, scale: current.Scale, say: r.say, now: r.now, begun: true,
	}
	if err := old.prepare(ctx); err != nil {
		return nil, err
	}
	old.stand()
	return old, nil
}

// stand takes what runs for what is wanted.
func (r *rollout) stand() {
	r.live = map[string][]replica{}
	for _, c := range r.old {
		if c.State.Running {
			name := c.Config.Labels[composeService]
			r.live[name] = append(r.live[name], replica{c.ID, numberOf(c.Config.Labels), c.Config.Labels[labelConfig]})
		}
	}
}

// remind refreshes a standing service's rendered files and runs its hooks that wait for others.
func (r *rollout) remind(ctx context.Context, name string) error {
	configs := map[string]bool{}
	for _, one := range r.live[name] {
		configs[one.config] = true
	}
	if len(configs) == 0 || !listens(name, r.release.Services[name]) {
		return r.tell(ctx, name)
	}
	bound, err := r.bind(ctx, name)
	if err != nil {
		return err
	}
	for config := range configs {
		if err := r.refresh(ctx, name, bound, config); err != nil {
			return err
		}
	}
	if err := r.hear(ctx, name); err != nil {
		return err
	}
	return r.tell(ctx, name)
}

// down takes away what the release does not have, those that need others first, and tells the
// rest.
func (r *rollout) down(ctx context.Context, order []string) error {
	gone, leaving := map[string]bool{}, r.leaving(order)
	if len(leaving) > 0 {
		if err := r.noReturn(ctx); err != nil {
			return err
		}
	}
	for _, c := range leaving {
		name := strings.TrimPrefix(c.Name, "/")
		r.say("stopping " + name)
		r.hooksOfOld(ctx, c, template.OnDestroy)
		if err := r.stop(ctx, c); err != nil {
			return err
		}
		if err := r.engine.remove(ctx, c.ID); err != nil {
			return fmt.Errorf("remove %s: %w", name, err)
		}
		gone[c.Config.Labels[composeService]] = true
	}
	for _, service := range order {
		if gone[service] {
			r.othersHooks(ctx, service, template.OnStop, template.OnDestroy)
		}
	}
	if err := r.tidy(ctx); err != nil {
		return err
	}
	return r.dropNetworks(ctx)
}

// leaving lists the old containers that do not belong to the release, in the order in which they
// go.
func (r *rollout) leaving(order []string) []container.InspectResponse {
	keep := map[string]bool{}
	for _, replicas := range r.live {
		for _, one := range replicas {
			keep[one.id] = true
		}
	}
	var leaving []container.InspectResponse
	for _, c := range r.old {
		if !keep[c.ID] {
			leaving = append(leaving, c)
		}
	}
	position := func(c container.InspectResponse) int { return slices.Index(order, c.Config.Labels[composeService]) }
	slices.SortStableFunc(leaving, func(a, b container.InspectResponse) int { return position(b) - position(a) })
	return leaving
}

// tidy gives containers Compose's plain names back, where the old ones had them. Where something
// was told a container's name, it keeps it.
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
		want := r.plainName(r.release.Services[service], service, numberOf(c.Config.Labels))
		if names[want] || namesTold(r.release, service) {
			continue
		}
		if err := r.begin(ctx); err != nil {
			return err
		}
		if _, err := r.engine.ContainerRename(ctx, c.ID, client.ContainerRenameOptions{NewName: want}); err != nil {
			return fmt.Errorf("rename %s to %s: %w", strings.TrimPrefix(c.Name, "/"), want, err)
		}
		names[want] = true
	}
	return nil
}

// namesTold reports whether a release's environment, files or hooks hold the names of a service's
// containers.
func namesTold(release *template.Release, service string) bool {
	told := func(t template.Text) bool {
		return slices.ContainsFunc(t.Refs(), func(ref template.Ref) bool {
			return ref.Service == service && ref.What == template.ContainerName
		})
	}
	for _, s := range release.Services {
		for _, value := range s.Environment {
			if told(value) {
				return true
			}
		}
		for _, file := range s.Files {
			if file.Bound && told(file.Content) {
				return true
			}
		}
		for _, hook := range s.Hooks {
			if slices.ContainsFunc(hook.Args, func(a template.Argument) bool { return told(a.Value) }) || slices.ContainsFunc(hook.Command, told) {
				return true
			}
		}
	}
	return false
}
