package deploy

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// hookTimeout is how long a hook may run that says nothing itself.
const hookTimeout = 5 * time.Minute

// hook runs one hook to its end and tells what it printed.
func (r *rollout) hook(ctx context.Context, name, id string, hook template.Hook) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	if hook.Where == template.OneOff {
		return r.oneOff(ctx, name, hook)
	}
	revealed, err := r.bindHook(ctx, hook)
	if err != nil {
		return err
	}
	output, err := r.runHook(ctx, id, revealed)
	r.printed(name, hook, output)
	if err != nil {
		return err
	}
	return r.afterHook(ctx, id, hook)
}

// bindHook resolves a hook's late references and reveals its secrets.
func (r *rollout) bindHook(ctx context.Context, hook template.Hook) (template.Hook, error) {
	v, err := r.view(ctx)
	if err != nil {
		return hook, err
	}
	bound, err := r.release.BindHook(hook, v)
	if err != nil {
		return hook, err
	}
	return r.release.RevealHook(bound, r.secrets)
}

func (r *rollout) printed(name string, hook template.Hook, output string) {
	for line := range strings.Lines(output) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			r.say(fmt.Sprintf("%s %s: %s", name, hook.Name, line))
		}
	}
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
	ctx, cancel := withHookTimeout(ctx, hook)
	defer cancel()
	c := hookCommand(hook)
	if hook.Where == template.OnHost {
		out, err := r.engine.host.Run(ctx, c.onHost())
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return string(out.Stdout) + string(out.Stderr), err
	}
	if stack, service, is := hook.Where.Neighbour(); is {
		return r.engine.inNeighbour(ctx, stack, service, hook, c)
	}
	return r.engine.execHook(ctx, id, hook, c)
}

// execHook runs a hook's command in a container.
func (e *engine) execHook(ctx context.Context, id string, hook template.Hook, c command) (string, error) {
	o := client.ExecCreateOptions{User: hook.User, WorkingDir: hook.WorkingDir, Privileged: hook.Privileged, Cmd: c.argv, Env: c.environ()}
	if len(c.stdin) == 0 {
		return e.exec(ctx, id, o, nil)
	}
	return e.exec(ctx, id, o, bytes.NewReader(c.stdin))
}

// inNeighbour runs a hook's command in every container of another stack's service that runs on the
// server. None is an error: nobody was told.
func (e *engine) inNeighbour(ctx context.Context, stack, service string, hook template.Hook, c command) (string, error) {
	list, err := e.ContainerList(ctx, client.ContainerListOptions{Filters: make(client.Filters).Add("label", composeService+"="+service)})
	if err != nil {
		return "", fmt.Errorf("list containers: %w", err)
	}
	output, ran := "", false
	for _, summary := range list.Items {
		if resource.StackID(summary.Labels[labelStack]).Name() != stack || summary.Labels[composeOneOff] == "True" {
			continue
		}
		ran = true
		said, err := e.execHook(ctx, summary.ID, hook, c)
		output += said
		if err != nil {
			return output, err
		}
	}
	if !ran {
		return "", resource.WithHint(fmt.Errorf("no container of service %s of stack %s runs on this server", service, stack), "apply that stack on this server first")
	}
	return output, nil
}

func withHookTimeout(ctx context.Context, hook template.Hook) (context.Context, context.CancelFunc) {
	timeout := time.Duration(hook.Timeout)
	if timeout == 0 {
		timeout = hookTimeout
	}
	return context.WithTimeoutCause(ctx, timeout, fmt.Errorf("it ran longer than %s", timeout))
}

// command is a hook as it is run. A script goes in by standard input, so that its text is in no
// process list.
type command struct {
	argv  []string
	stdin []byte
	env   map[string]string
}

// hookCommand gives a hook as a command.
func hookCommand(hook template.Hook) command {
	c := command{env: map[string]string{}}
	var args []string
	for _, a := range hook.Args {
		if a.Name != "" {
			c.env[a.Name] = string(a.Value)
			continue
		}
		args = append(args, string(a.Value))
	}
	if len(hook.Command) > 0 {
		c.argv = append(words(hook.Command), args...)
		return c
	}
	script := string(hook.Script)
	c.argv, c.stdin = append(interpreter(script), args...), []byte(script)
	return c
}

// interpreter is what reads a script from standard input, arguments following: what its first line
// names, else the shell. A shell reads it with -s; others by the name of -.
func interpreter(script string) []string {
	first, _, _ := strings.Cut(script, "\n")
	line, named := strings.CutPrefix(first, "#!")
	words := strings.Fields(line)
	if !named || len(words) == 0 {
		return []string{"/bin/sh", "-s", "--"}
	}
	program := words[0]
	if path.Base(program) == "env" && len(words) > 1 {
		program = words[len(words)-1]
		for _, w := range words[1:] {
			if !strings.HasPrefix(w, "-") && !strings.Contains(w, "=") {
				program = w
				break
			}
		}
	}
	if strings.HasSuffix(path.Base(program), "sh") {
		return append(words, "-s", "--")
	}
	return append(words, "-")
}

// environ lists the variables, sorted.
func (c command) environ() []string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(c.env)) {
		list = append(list, name+"="+c.env[name])
	}
	return list
}

// withVariables sets variables from the first bytes that it reads, then runs a program, which reads
// the rest: values are in no process list.
const withVariables = `eval "$(dd bs=1 count="$1" 2>/dev/null)"
shift
exec "$@"`

// onHost is the command for a host.
func (c command) onHost() remote.Command {
	if len(c.env) == 0 {
		return remote.Argv(c.argv[0], c.argv[1:]...).WithStdin(c.stdin).AsRoot()
	}
	var exports strings.Builder
	for _, name := range slices.Sorted(maps.Keys(c.env)) {
		exports.WriteString("export " + name + "=" + remote.Quote(c.env[name]) + "\n")
	}
	args := append([]string{strconv.Itoa(exports.Len())}, c.argv...)
	return remote.Script(withVariables, args...).WithStdin(append([]byte(exports.String()), c.stdin...)).AsRoot()
}
