package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/template"
)

// hookTimeout is how long a hook may run that says nothing itself.
const hookTimeout = time.Minute

// ownHooks runs a service's hooks on something that happens to its own container.
func (r *rollout) ownHooks(ctx context.Context, name, id, what string) error {
	for _, hook := range r.release.Services[name].HooksOn(what, "") {
		if err := r.hook(ctx, name, id, hook); err != nil {
			return fmt.Errorf("hook %s on %s: %w", hook.Name, what, err)
		}
	}
	return nil
}

// tell runs a service's hooks on what happened to others in this rollout, once the service itself
// stands: their new containers started, their number changed. When it fails, refreshed files are
// put back and the hooks run once more, so that the service goes on with the old.
func (r *rollout) tell(ctx context.Context, name string) error {
	for other := range r.release.Services {
		if other == name || !r.changed[other] {
			continue
		}
		var events []string
		before, now := len(r.of(other)), len(r.live[other])
		events = append(events, template.OnStart)
		if now > before {
			events = append(events, template.OnScaleOut)
		}
		if now < before {
			events = append(events, template.OnScaleIn)
		}
		if err := r.hooksFor(ctx, name, other, events...); err != nil {
			return err
		}
	}
	return nil
}

// othersHooks tells all services of what happened to one of them.
func (r *rollout) othersHooks(ctx context.Context, other string, events ...string) error {
	for name := range r.release.Services {
		if name == other {
			continue
		}
		if err := r.hooksFor(ctx, name, other, events...); err != nil {
			return err
		}
	}
	return nil
}

// hooksFor runs each hook of a service that waits for one of the events at another, once.
func (r *rollout) hooksFor(ctx context.Context, name, other string, events ...string) error {
	done := map[string]bool{}
	for _, event := range events {
		for _, hook := range r.release.Services[name].HooksOn(event, other) {
			if done[hook.Name] {
				continue
			}
			done[hook.Name] = true
			for _, one := range r.live[name] {
				r.undo = append([]func(context.Context){func(ctx context.Context) {
					_ = r.hook(ctx, name, one.id, hook)
				}}, r.undo...)
				if err := r.hook(ctx, name, one.id, hook); err != nil {
					return fmt.Errorf("hook %s of %s on %s:%s: %w", hook.Name, name, event, other, err)
				}
				if !hook.PerReplica && hook.Where != template.InContainer {
					break
				}
			}
		}
	}
	return nil
}

// hooksOfOld runs the hooks that an old container's own release has for its end.
func (r *rollout) hooksOfOld(ctx context.Context, c container.InspectResponse, what string) error {
	name := c.Config.Labels[composeService]
	if _, known := r.release.Services[name]; !known || !c.State.Running {
		return nil
	}
	return r.ownHooks(ctx, name, c.ID, what)
}

// hook runs one hook to its end and keeps what it printed.
func (r *rollout) hook(ctx context.Context, name, id string, hook template.Hook) error {
	bound, err := r.release.BindHook(hook, r.view())
	if err != nil {
		return err
	}
	revealed, err := r.release.RevealHook(bound, r.secrets)
	if err != nil {
		return err
	}
	output, err := r.runHook(ctx, id, revealed)
	for _, line := range strings.Split(strings.TrimRight(output, "\n"), "\n") {
		if line != "" {
			r.say(fmt.Sprintf("%s %s: %s", name, hook.Name, line))
		}
	}
	if err != nil {
		return err
	}
	return r.afterHook(ctx, id, hook)
}

// afterHook restarts or signals the container where the hook says so.
func (r *rollout) afterHook(ctx context.Context, id string, hook template.Hook) error {
	if hook.Restart {
		if _, err := r.engine.ContainerRestart(ctx, id, client.ContainerRestartOptions{}); err != nil {
			return fmt.Errorf("restart after the hook: %w", err)
		}
	}
	if hook.Reload != "" {
		if _, err := r.engine.ContainerKill(ctx, id, client.ContainerKillOptions{Signal: hook.Reload}); err != nil {
			return fmt.Errorf("%s after the hook: %w", hook.Reload, err)
		}
	}
	return nil
}

// runHook runs a bound and revealed hook where it belongs.
func (r *rollout) runHook(ctx context.Context, id string, hook template.Hook) (string, error) {
	timeout := time.Duration(hook.Timeout)
	if timeout == 0 {
		timeout = hookTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("it ran longer than %s", timeout))
	defer cancel()
	argv, stdin, env := hookCommand(hook)
	if hook.Where == template.OnHost {
		c := remote.Argv(argv[0], argv[1:]...).AsRoot()
		c.Env, c.Stdin = env, stdin
		out, err := r.engine.host.Run(ctx, c)
		return string(out.Stdout) + string(out.Stderr), err
	}
	o := client.ExecCreateOptions{User: hook.User, WorkingDir: hook.WorkingDir, Privileged: hook.Privileged, Cmd: argv}
	for name, value := range env {
		o.Env = append(o.Env, name+"="+value)
	}
	if len(stdin) == 0 {
		return r.engine.exec(ctx, id, o, nil)
	}
	return r.engine.exec(ctx, id, o, bytes.NewReader(stdin))
}

// hookCommand gives a hook as a command: a script goes in by standard input, so that its text is
// in no process list.
func hookCommand(hook template.Hook) (argv []string, stdin []byte, env map[string]string) {
	env = map[string]string{}
	var args []string
	for _, a := range hook.Args {
		if a.Name != "" {
			env[a.Name] = string(a.Value)
			continue
		}
		args = append(args, string(a.Value))
	}
	if len(hook.Command) > 0 {
		return append(words(hook.Command), args...), nil, env
	}
	interpreter := []string{"/bin/sh", "-s", "--"}
	script := string(hook.Script)
	if first, _, _ := strings.Cut(script, "\n"); strings.HasPrefix(first, "#!") {
		words := strings.Fields(strings.TrimPrefix(first, "#!"))
		if len(words) > 0 && !strings.HasSuffix(words[len(words)-1], "sh") {
			// Other interpreters read a script from standard input by the name of -.
			return append(append(words, "-"), args...), []byte(script), env
		}
		if len(words) > 0 {
			interpreter = append(words, "-s", "--")
		}
	}
	return append(interpreter, args...), []byte(script), env
}

// before runs the hooks that run once per release, before any container of it starts. Success is
// noted on the server, so that a repeated rollout does not run them again.
func (r *rollout) before(ctx context.Context, order []string) error {
	for _, name := range order {
		for _, hook := range r.release.Services[name].HooksOn(template.OnReleaseBefore, "") {
			if r.server.Index != 0 {
				continue // once per release: on the group's first server
			}
			mark := r.folder.path("ran", r.id+"-"+name+"-"+hook.Name)
			if _, err := r.engine.host.ReadFile(ctx, mark); err == nil {
				continue
			} else if !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			r.say(fmt.Sprintf("running %s of %s, once for release %s", hook.Name, name, r.id))
			if err := r.oneOff(ctx, name, hook); err != nil {
				return fmt.Errorf("hook %s of %s on release:before: %w", hook.Name, name, err)
			}
			if err := r.engine.host.WriteFile(ctx, mark, 0o600, "root", []byte(r.now().UTC().Format(time.RFC3339)+"\n")); err != nil {
				return err
			}
		}
	}
	return nil
}

// oneOff runs a hook in a container of its own, made from its service, or on the host.
func (r *rollout) oneOff(ctx context.Context, name string, hook template.Hook) error {
	if hook.Where == template.OnHost {
		return r.hook(ctx, name, "", hook)
	}
	bound, err := r.release.Bind(name, r.view())
	if err != nil {
		return err
	}
	revealed, err := r.release.Reveal(bound, r.secrets)
	if err != nil {
		return err
	}
	boundHook, err := r.release.BindHook(hook, r.view())
	if err != nil {
		return err
	}
	revealedHook, err := r.release.RevealHook(boundHook, r.secrets)
	if err != nil {
		return err
	}
	config, err := r.config(bound)
	if err != nil {
		return err
	}
	binds, err := r.folder.putFiles(ctx, name, config, revealed)
	if err != nil {
		return err
	}
	return r.runOneOff(ctx, name, revealed, revealedHook, blueprint{
		image: r.images[name], release: r.release, binds: binds, api: r.engine.ClientVersion(),
		from: r.volumesFrom(bound), shared: r.shares(), labels: r.labels(name, config, 0),
	})
}

func (r *rollout) runOneOff(ctx context.Context, name string, s template.Service, hook template.Hook, print blueprint) error {
	timeout := time.Duration(hook.Timeout)
	if timeout == 0 {
		timeout = 10 * hookTimeout
	}
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("it ran longer than %s", timeout))
	defer cancel()
	s.Entrypoint, s.Command, s.Ports, s.PublishAll = nil, nil, nil, false
	s.Healthcheck, s.Restart = nil, template.Restart{Policy: "no"}
	argv, stdin, env := hookCommand(hook)
	s.Entrypoint = []template.Text{template.Text(argv[0])}
	for _, a := range argv[1:] {
		s.Command = append(s.Command, template.Text(a))
	}
	if len(stdin) > 0 { // no terminal to feed it by: the script is an argument
		s.Command = []template.Text{"-c", template.Text(stdin), "hook"}
		for _, a := range hook.Args {
			if a.Name == "" {
				s.Command = append(s.Command, a.Value)
			}
		}
	}
	for key, value := range env {
		s.Environment[key] = template.Text(value)
	}
	if hook.User != "" {
		s.Process.User = hook.User
	}
	print.service = s
	print.name = fmt.Sprintf("%s-%s-%s", r.release.Project, name, strings.TrimPrefix(r.id, "r-"))
	print.labels[composeOneOff] = "True"
	_ = r.engine.remove(ctx, print.name) // what a killed run left
	id, err := r.engine.start(ctx, print)
	if id != "" {
		defer func() { _ = r.engine.remove(context.WithoutCancel(ctx), id) }()
	}
	if err != nil {
		return err
	}
	err = r.awaitEnd(ctx, name, id)
	if text := r.engine.tail(context.WithoutCancel(ctx), id, 50); text != "" {
		for _, line := range strings.Split(text, "\n") {
			r.say(fmt.Sprintf("%s %s: %s", name, hook.Name, line))
		}
	}
	return err
}
