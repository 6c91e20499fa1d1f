package deploy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"

	"github.com/cloudship/cloudship/template"
)

// ownHooks runs a service's hooks on something that happens to its own container.
func (r *rollout) ownHooks(ctx context.Context, name, id, what string) error {
	for _, hook := range r.release.Services[name].HooksOn(what, "") {
		if err := r.hook(ctx, name, id, hook); err != nil {
			return fmt.Errorf("hook %s on %s: %w", hook.Name, what, err)
		}
	}
	return nil
}

// bornHooks runs a service's hooks on what happens to a container of its own that does not stand
// yet: what they are told of their service has it already.
func (r *rollout) bornHooks(ctx context.Context, name string, one replica, events ...string) error {
	own := *r
	own.live = maps.Clone(r.live)
	own.live[name] = append(slices.Clone(r.live[name]), one)
	for _, event := range events {
		if err := own.ownHooks(ctx, name, one.id, event); err != nil {
			return err
		}
	}
	return nil
}

// hear runs a service's hooks on what happened to those before it in this rollout.
func (r *rollout) hear(ctx context.Context, name string) error {
	for _, other := range r.stood {
		if err := r.tellOf(ctx, name, other); err != nil {
			return err
		}
	}
	return nil
}

// tell runs the hooks of those that stand on what happened to a service that stands now, and its own
// that wait for what happens to it as a whole.
func (r *rollout) tell(ctx context.Context, name string) error {
	for _, other := range r.stood {
		if err := r.tellOf(ctx, other, name); err != nil {
			return err
		}
	}
	r.stood = append(r.stood, name)
	return r.tellOf(ctx, name, name)
}

// tellOf runs one service's hooks on what happened to another. Who may have missed something hears
// of everything: after a rollout that was cut short, or when its files were written anew although
// nothing was done here to the others, whose addresses change when they are started again.
func (r *rollout) tellOf(ctx context.Context, name, other string) error {
	n := r.news[other]
	missed := r.cut != nil || slices.Contains(r.written, name)
	var events []string
	if n.created > 0 {
		events = append(events, template.OnCreate)
	}
	if n.created > 0 || n.woken || missed {
		events = append(events, template.OnStart)
	}
	if n.created > 0 || missed {
		events = append(events, template.OnScaleOut)
	}
	if n.leaving > 0 || missed {
		events = append(events, template.OnScaleIn)
	}
	return r.hooksFor(ctx, name, other, events...)
}

// othersHooks tells all services of what has happened to one of them. It has happened: a failure
// is told, and stops nothing.
func (r *rollout) othersHooks(ctx context.Context, other string, events ...string) {
	for _, name := range r.stood {
		if name == other {
			continue
		}
		if err := r.hooksFor(ctx, name, other, events...); err != nil {
			r.say(err.Error())
		}
	}
}

// hooksFor runs each hook of a service that waits for one of the events at another, once.
func (r *rollout) hooksFor(ctx context.Context, name, other string, events ...string) error {
	done := map[string]bool{}
	for _, event := range events {
		for _, hook := range r.release.Services[name].HooksOn(event, other) {
			if done[hook.Name] || len(r.live[name]) == 0 {
				continue
			}
			done[hook.Name] = true
			if err := r.begin(ctx); err != nil {
				return err
			}
			for _, one := range r.live[name] {
				if err := r.hook(ctx, name, one.id, hook); err != nil {
					return fmt.Errorf("hook %s of %s on %s:%s: %w", hook.Name, name, event, other, err)
				}
				if !hook.PerReplica || hook.Where != template.InContainer {
					break
				}
			}
		}
	}
	return nil
}

// hooksOfOld runs the hooks that a container's own release has for its end. It ends all the same
// when they fail, which is told.
func (r *rollout) hooksOfOld(ctx context.Context, c container.InspectResponse, what string) {
	name := c.Config.Labels[composeService]
	ending := *r
	ending.ending = len(r.live[name]) == 0
	own := &ending
	if id := c.Config.Labels[labelRelease]; id != r.id {
		document, err := r.folder.release(ctx, id)
		if err != nil || document == nil {
			return // it is not kept any more
		}
		past := *own
		past.release, past.id = document, id
		own = &past
	}
	if !c.State.Running {
		own = own.outsideOnly(name)
	}
	if err := own.ownHooks(ctx, name, c.ID, what); err != nil {
		r.say(fmt.Sprintf("%s: %v", strings.TrimPrefix(c.Name, "/"), err))
	}
}

// outsideOnly is the rollout with those hooks of a service alone that do not run in its container,
// which has stopped.
func (r *rollout) outsideOnly(name string) *rollout {
	alone := *r
	release := *r.release
	release.Services = maps.Clone(release.Services)
	s := release.Services[name]
	s.Hooks = slices.DeleteFunc(slices.Clone(s.Hooks), func(h template.Hook) bool { return !h.Where.Outside() })
	release.Services[name] = s
	alone.release = &release
	return &alone
}
