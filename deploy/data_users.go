package deploy

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/resource"
)

// restoringFile says which containers a restore has stopped. It is there until they run again, so
// that a restore that was cut short is gone on with.
type restoringFile struct {
	Containers []string `json:"containers"`
}

const restoringName = "restoring.json"

// users are the containers that a restore stops meanwhile.
type users struct {
	h       *Holding
	place   place
	all     *engine // of all groups
	note    restoringFile
	stopped []container.InspectResponse
}

// users finds the running containers that have a place mounted. Those of others than this stack are
// named: nobody stops them.
func (h *Holding) users(ctx context.Context, p place) (*users, error) {
	u := &users{h: h, place: p, all: h.standing.engine.of("")}
	if _, err := h.standing.folder.read(ctx, &u.note, restoringName); err != nil {
		return nil, err
	}
	list, err := u.all.ContainerList(ctx, client.ContainerListOptions{All: true})
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	for _, summary := range list.Items {
		inspected, err := u.all.ContainerInspect(ctx, summary.ID, client.ContainerInspectOptions{})
		if errdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("inspect container %s: %w", summary.ID[:12], err)
		}
		c := inspected.Container
		before := slices.Contains(u.note.Containers, c.ID)
		if !before && (!c.State.Running || !slices.ContainsFunc(c.Mounts, p.under)) {
			continue
		}
		if c.Config.Labels[labelStack] != string(u.all.stack) {
			return nil, resource.WithHint(fmt.Errorf("container %s uses %s, and is not of this stack", strings.TrimPrefix(c.Name, "/"), p.path), "stop it for the time of the restore")
		}
		u.stopped = append(u.stopped, c)
	}
	return u, nil
}

// under reports whether a mount shows the place, or a part of it, to its container.
func (p place) under(m container.MountPoint) bool {
	source := path.Clean(m.Source)
	return m.Source != "" && (within(p.path, source) || within(source, p.path))
}

func within(inner, outer string) bool {
	return inner == outer || strings.HasPrefix(inner, strings.TrimSuffix(outer, "/")+"/")
}

// stop stops them, after it was noted which they are.
func (u *users) stop(ctx context.Context) error {
	u.note.Containers = nil
	for _, c := range u.stopped {
		u.note.Containers = append(u.note.Containers, c.ID)
	}
	if err := u.h.standing.folder.write(ctx, u.note, restoringName); err != nil {
		return err
	}
	for _, c := range u.stopped {
		u.h.say("stopping " + strings.TrimPrefix(c.Name, "/") + " for the time of the swap")
		if err := u.h.standing.stop(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// halt stops them again, for the way back.
func (u *users) halt(ctx context.Context) error {
	var errs []error
	for _, c := range u.stopped {
		_, err := u.all.ContainerStop(ctx, c.ID, client.ContainerStopOptions{})
		if err != nil && !errdefs.IsNotFound(err) {
			errs = append(errs, fmt.Errorf("stop %s: %w", strings.TrimPrefix(c.Name, "/"), err))
		}
	}
	return errors.Join(errs...)
}

// start starts them, waits until they are healthy, and tells the others of their new addresses.
func (u *users) start(ctx context.Context) error {
	for _, c := range u.stopped {
		name := strings.TrimPrefix(c.Name, "/")
		if _, err := u.all.ContainerStart(ctx, c.ID, client.ContainerStartOptions{}); err != nil {
			return fmt.Errorf("start %s: %w", name, err)
		}
		u.h.say("started " + name)
	}
	for _, c := range u.stopped {
		service := c.Config.Labels[composeService]
		s, known := u.h.standing.release.Services[service]
		if !known || c.Config.Labels[labelGroup] != u.h.standing.group {
			continue
		}
		if err := u.h.standing.healthy(ctx, service, s, c.ID, 0); err != nil {
			return err
		}
	}
	if err := u.h.standing.settle(ctx); err != nil {
		return fmt.Errorf("tell the others of the containers that were started: %w", err)
	}
	return u.h.standing.folder.host.RemoveFile(ctx, u.h.standing.folder.path(restoringName))
}

// backPatience is how long the way back may take.
const backPatience = 5 * time.Minute

// swapped swaps the data while nobody uses it. When anything fails, the old is back in its place and
// runs.
func (u *users) swapped(ctx context.Context, s swapping) error {
	err := u.stop(ctx)
	if err == nil {
		err = s.swap(ctx)
	}
	done := err == nil
	if done {
		u.h.say("the restored data is in its place; starting what uses it")
		if err = u.start(ctx); err == nil {
			return nil
		}
		err = fmt.Errorf("with the restored data: %w", err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), backPatience)
	defer cancel()
	u.h.say("putting the data back as it was: " + err.Error())
	if back := u.back(ctx, s, done); back != nil {
		return resource.WithHint(fmt.Errorf("%w; and on the way back: %w", err, back), "the old data is "+s.before+", or still in its place; 'cloudship backup restore' may be run again")
	}
	return fmt.Errorf("%w; the data is as it was before", err)
}

// back puts the old data back in its place, if the swap came that far, and starts what was stopped.
func (u *users) back(ctx context.Context, s swapping, done bool) error {
	if err := u.halt(ctx); err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	replaced, err := s.replaced(ctx)
	if err != nil {
		return err
	}
	if replaced || done && u.place.is == "nothing" {
		if err := s.back(ctx); err != nil {
			return err
		}
	}
	return u.start(ctx)
}
