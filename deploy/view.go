package deploy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/template"
)

// view is what late references see: this host, and the containers of the release that stand.
// Containers on their way out are not in it. Ports and addresses are asked for anew: they may be
// others after a container was started again.
func (r *rollout) view(ctx context.Context) (template.View, error) {
	v := template.View{HostIP: r.hostIP, Ending: r.ending}
	for name, replicas := range r.live {
		for _, one := range replicas {
			c, err := r.engine.ContainerInspect(ctx, one.id, client.ContainerInspectOptions{})
			if errdefs.IsNotFound(err) {
				continue
			}
			if err != nil {
				return v, fmt.Errorf("look at the containers of %s: %w", name, err)
			}
			v.Containers = append(v.Containers, describe(c.Container))
		}
	}
	return v, nil
}

// bind resolves a service's late references and notes what came of it.
func (r *rollout) bind(ctx context.Context, name string) (template.Service, error) {
	v, err := r.view(ctx)
	if err != nil {
		return template.Service{}, err
	}
	bound, err := r.release.Bind(name, v)
	if err != nil {
		return bound, err
	}
	r.bound[name], err = r.release.Hash(bound)
	return bound, err
}

// config is the digest of what containers of a service are made from. The content of rendered
// files is left out where the service hears of changes: then it is refreshed in running containers.
// Other services' containers that it shares something with are part of it.
func (r *rollout) config(name string, bound template.Service) (string, error) {
	s := r.shared(bound)
	s.Files = slices.Clone(s.Files)
	for i := range s.Files {
		if s.Files[i].Bound && listens(name, r.release.Services[name]) {
			s.Files[i].Content = ""
		}
	}
	s.Mounts = slices.Clone(s.Mounts)
	for i, m := range s.Mounts {
		if m.Type == template.MountService {
			s.Mounts[i].Source = strings.Join(r.volumesFrom(template.Service{Mounts: []template.Mount{m}}), ",")
		}
	}
	return r.release.Hash(s)
}

// listens reports whether a service has hooks that wait for events of others.
func listens(name string, s template.Service) bool {
	return slices.ContainsFunc(s.Hooks, func(h template.Hook) bool {
		return slices.ContainsFunc(h.On, func(e template.Event) bool { return e.Service != "" && e.Service != name })
	})
}

// shared is a service whose namespaces of other services are those of their containers.
func (r *rollout) shared(s template.Service) template.Service {
	of := func(mode string) string {
		if name, ok := strings.CutPrefix(mode, "service:"); ok && len(r.live[name]) > 0 {
			return "container:" + r.live[name][0].id
		}
		return mode
	}
	s.NetworkMode, s.Isolation.PID, s.Isolation.IPC = of(s.NetworkMode), of(s.Isolation.PID), of(s.Isolation.IPC)
	return s
}

// volumesFrom names the containers whose volumes a service takes.
func (r *rollout) volumesFrom(s template.Service) []string {
	var from []string
	for _, m := range s.Mounts {
		if m.Type != template.MountService || len(r.live[m.Source]) == 0 {
			continue
		}
		id := r.live[m.Source][0].id
		if m.ReadOnly {
			id += ":ro"
		}
		from = append(from, id)
	}
	return from
}

// refresh writes the rendered files of a running service anew where their content has changed.
func (r *rollout) refresh(ctx context.Context, name string, bound template.Service, config string) error {
	if !slices.ContainsFunc(bound.Files, func(f template.File) bool { return f.Bound }) {
		return nil
	}
	revealed, err := r.release.Reveal(bound, r.secrets)
	if err != nil {
		return err
	}
	for i, file := range revealed.Files {
		if !file.Bound {
			continue
		}
		at := r.folder.fileAt(name, config, i, file)
		before, err := r.folder.host.ReadFile(ctx, at)
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
		if err := r.begin(ctx); err != nil {
			return err
		}
		r.say(fmt.Sprintf("%s: %s is written anew", name, file.Path))
		if err := r.folder.putFile(ctx, at, file); err != nil {
			return err
		}
		r.written = append(r.written, name)
	}
	return nil
}
