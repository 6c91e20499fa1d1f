package deploy

import (
	"context"
	"fmt"
	"slices"

	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/template"
)

// view is what late references see: this host, and the containers of the release that stand.
// Containers on their way out are not in it.
func (r *rollout) view() template.View {
	v := template.View{HostIP: r.hostIP}
	for _, replicas := range r.live {
		for _, one := range replicas {
			c, err := r.engine.ContainerInspect(context.Background(), one.id, client.ContainerInspectOptions{})
			if err == nil {
				v.Containers = append(v.Containers, describe(c.Container))
			}
		}
	}
	return v
}

// refresh writes the rendered files of a running service anew where their content has changed.
// The old content is put back if the rollout fails.
func (r *rollout) refresh(ctx context.Context, name string, bound template.Service, config string) error {
	revealed, err := r.release.Reveal(bound, r.secrets)
	if err != nil {
		return err
	}
	for i, file := range revealed.Files {
		if !file.Bound {
			continue
		}
		at := r.folder.fileAt(name, config, i, file)
		before, err := r.engine.host.ReadFile(ctx, at)
		if err != nil {
			return fmt.Errorf("file %s: %w", file.Path, err)
		}
		now, err := file.Bytes()
		if err != nil {
			return fmt.Errorf("file %s: %w", file.Path, err)
		}
		if slices.Equal(before, now) {
			continue
		}
		r.say(fmt.Sprintf("%s: %s is written anew", name, file.Path))
		if err := r.folder.putFile(ctx, at, file); err != nil {
			return err
		}
		r.undo = append(r.undo, func(ctx context.Context) {
			file.Content, file.Base64 = template.Text(before), false
			if err := r.folder.putFile(ctx, at, file); err != nil {
				r.say(fmt.Sprintf("%s: putting %s back: %v", name, file.Path, err))
			}
		})
		r.changed[name] = true
	}
	return nil
}
