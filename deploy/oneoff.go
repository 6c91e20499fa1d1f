package deploy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/template"
)

// preparation is what runs once per release, being done by the first server that gets it.
type preparation struct {
	done chan struct{}
	err  error // set before done is closed
}

// once gives who does what is to be done once per release: the first rollout of it that comes, while
// those on other servers wait for it. Where it has been done, nobody does. One that failed is done
// anew by the next that comes.
func (d *releases) once(release string, prepared bool) func(context.Context, func() error) error {
	if prepared {
		return nil
	}
	return func(ctx context.Context, do func() error) error {
		d.mu.Lock()
		p, others := d.preparing[release]
		if !others {
			p = &preparation{done: make(chan struct{})}
			if d.preparing == nil {
				d.preparing = map[string]*preparation{}
			}
			d.preparing[release] = p
		}
		d.mu.Unlock()
		if others {
			select {
			case <-p.done:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			if p.err != nil {
				return fmt.Errorf("what runs once for release %s failed on another server: %w", release, p.err)
			}
			return nil
		}
		if p.err = do(); p.err != nil {
			d.mu.Lock()
			delete(d.preparing, release)
			d.mu.Unlock()
		}
		close(p.done)
		return p.err
	}
}

// before runs the hooks that run once per release, before any container of it starts. Success is
// noted on the server, so that a repeated rollout does not run them again.
func (r *rollout) before(ctx context.Context, order []string) error {
	var names []string
	for _, name := range order {
		if len(r.release.Services[name].HooksOn(template.OnReleaseBefore, "")) > 0 {
			names = append(names, name)
		}
	}
	if len(names) == 0 || r.once == nil {
		return nil
	}
	return r.once(ctx, func() error {
		r.stand() // what runs by now is what hooks can be told of
		defer func() { r.live = map[string][]replica{} }()
		for _, name := range names {
			for _, hook := range r.release.Services[name].HooksOn(template.OnReleaseBefore, "") {
				if err := r.beforeHook(ctx, name, hook); err != nil {
					return err
				}
			}
		}
		return r.ran(ctx, r.id)
	})
}

func (r *rollout) beforeHook(ctx context.Context, name string, hook template.Hook) error {
	mark := r.id + "-" + name + "-" + hook.Name
	if _, err := r.folder.host.ReadFile(ctx, r.folder.path("ran", mark)); !errors.Is(err, fs.ErrNotExist) {
		return err // it has run
	}
	r.say(fmt.Sprintf("running %s of %s, once for release %s", hook.Name, name, r.id))
	if err := r.hook(ctx, name, "", hook); err != nil {
		return fmt.Errorf("hook %s of %s on release:before: %w", hook.Name, name, err)
	}
	return r.ran(ctx, mark)
}

// ran notes that a hook of a release, or all that run once for it, have run.
func (r *rollout) ran(ctx context.Context, mark string) error {
	return r.folder.host.WriteFile(ctx, r.folder.path("ran", mark), 0o600, "root", []byte(r.now().UTC().Format(time.RFC3339)+"\n"))
}

// oneOff runs a hook in a container of its own, made from its service.
func (r *rollout) oneOff(ctx context.Context, name string, hook template.Hook) error {
	bound, err := r.bindEarly(ctx, name)
	if err != nil {
		return err
	}
	revealed, err := r.release.Reveal(bound, r.secrets)
	if err != nil {
		return err
	}
	revealedHook, err := r.bindHook(ctx, hook)
	if err != nil {
		return err
	}
	config, err := r.config(name, bound)
	if err != nil {
		return err
	}
	binds, err := r.folder.putFiles(ctx, name, config, revealed)
	if err != nil {
		return err
	}
	labels := r.labels(name, config, 0)
	labels[composeOneOff] = "True"
	from := r.volumesFrom(bound)
	revealed.Mounts = r.earlyMounts(name, revealed.Mounts)
	c := hookCommand(revealedHook)
	return r.runOneOff(ctx, hook, c.stdin, blueprint{
		image: r.images[name], release: r.release, binds: binds, api: r.engine.ClientVersion(), from: from, labels: labels,
		service:   onceOnly(r.shared(revealed), hook, c),
		container: fmt.Sprintf("%s-%s-%s-%s", r.release.Project, name, hook.Name, strings.TrimPrefix(r.id, "r-")),
	})
}

// earlyMounts are a service's mounts, with those that it takes from services which have no container
// yet mounted by themselves.
func (r *rollout) earlyMounts(name string, own []template.Mount) []template.Mount {
	missing := map[string]template.Mount{}
	for _, m := range own {
		if m.Type == template.MountService && len(r.live[m.Source]) == 0 {
			missing[m.Source] = m
		}
	}
	mounts := slices.Clone(own)
	for _, source := range slices.Sorted(maps.Keys(missing)) {
		for _, m := range r.release.MountsOf(source) {
			taken := slices.ContainsFunc(mounts, func(other template.Mount) bool { return other.Target == m.Target })
			if m.Type == template.MountTree || taken {
				continue
			}
			m.ReadOnly = m.ReadOnly || missing[source].ReadOnly
			mounts = append(mounts, m)
		}
	}
	return mounts
}

// bindEarly resolves a service's late references where not all of its peers may be there yet: files
// that name one which is not are left out.
func (r *rollout) bindEarly(ctx context.Context, name string) (template.Service, error) {
	v, err := r.view(ctx)
	if err != nil {
		return template.Service{}, err
	}
	early := *r.release
	early.Services = maps.Clone(r.release.Services)
	s := early.Services[name]
	for _, file := range s.Files {
		alone := s
		alone.Environment, alone.Files = nil, []template.File{file}
		early.Services[name] = alone
		var missing *template.MissingError
		if _, err := early.Bind(name, v); errors.As(err, &missing) {
			s.Files = slices.DeleteFunc(slices.Clone(s.Files), func(f template.File) bool { return f.Path == file.Path })
		}
	}
	early.Services[name] = s
	return early.Bind(name, v)
}

// onceOnly is a service as it runs a command to its end: reachable by nobody, checked by nobody.
func onceOnly(s template.Service, hook template.Hook, c command) template.Service {
	s.Ports, s.PublishAll, s.Healthcheck, s.Restart = nil, false, &template.Healthcheck{Test: []template.Text{"NONE"}}, template.Restart{Policy: "no"}
	s.Entrypoint, s.Command, s.Clear = []template.Text{template.Text(c.argv[0])}, nil, nil
	for _, word := range c.argv[1:] {
		s.Command = append(s.Command, template.Text(word))
	}
	s.Process.TTY, s.Process.Stdin = false, len(c.stdin) > 0
	environment := map[string]template.Text{}
	for name, value := range s.Environment {
		environment[name] = value
	}
	for name, value := range c.env {
		environment[name] = template.Text(value)
	}
	s.Environment = environment
	s.Process.User, s.Process.WorkingDir = or(hook.User, s.Process.User), or(hook.WorkingDir, s.Process.WorkingDir)
	return s
}

// runOneOff runs a container to its end and takes it away again.
func (r *rollout) runOneOff(ctx context.Context, hook template.Hook, stdin []byte, print blueprint) error {
	ctx, cancel := withHookTimeout(ctx, hook)
	defer cancel()
	done, err := r.takeOver(ctx, print.container)
	if err != nil || done && len(stdin) == 0 {
		return err
	}
	options, err := print.options()
	if err != nil {
		return err
	}
	options.Config.StdinOnce, options.Config.AttachStdin = len(stdin) > 0, len(stdin) > 0
	created, err := r.engine.ContainerCreate(ctx, options)
	if err != nil {
		return fmt.Errorf("create %s: %w", print.container, err)
	}
	defer func() { _ = r.engine.remove(context.WithoutCancel(ctx), created.ID) }()
	if err := r.engine.connect(ctx, print, created.ID); err != nil {
		return err
	}
	if err := r.engine.startWith(ctx, created.ID, stdin); err != nil {
		return err
	}
	err = r.awaitEnd(ctx, created.ID)
	r.printed(print.labels[composeService], hook, r.engine.tail(context.WithoutCancel(ctx), created.ID, 50))
	return err
}

// startWith starts a container and gives it something to read.
func (e *engine) startWith(ctx context.Context, id string, stdin []byte) error {
	if len(stdin) == 0 {
		_, err := e.ContainerStart(ctx, id, client.ContainerStartOptions{})
		return err
	}
	attached, err := e.ContainerAttach(ctx, id, client.ContainerAttachOptions{Stream: true, Stdin: true})
	if err != nil {
		return err
	}
	defer attached.Close()
	stop := context.AfterFunc(ctx, attached.Close)
	defer stop()
	if _, err := e.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		return err
	}
	if _, err := attached.Conn.Write(stdin); err != nil {
		return fmt.Errorf("give it its script: %w", err)
	}
	return attached.CloseWrite()
}

// takeOver deals with what a run that was cut short left of a container that runs once: its end is
// waited for, for its work may not be done twice at a time, and it is taken away. Done says that it
// ended well; one that is fed a script may have ended for want of it. A container of another kind
// with that name is left alone.
func (r *rollout) takeOver(ctx context.Context, name string) (done bool, err error) {
	left, err := r.engine.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if errdefs.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for %s: %w", name, err)
	}
	c := left.Container
	if c.Config.Labels[labelStack] != string(r.engine.stack) || c.Config.Labels[composeOneOff] != "True" {
		return false, fmt.Errorf("there is a container %s that is not ours", name)
	}
	if c.State.Running {
		r.say(name + " still runs: waiting for its end")
	}
	if c.State.Status != container.StateCreated {
		done = r.awaitEnd(ctx, c.ID) == nil
	}
	if ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	return done, r.engine.remove(ctx, c.ID)
}
