package deploy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// renew starts the containers that are missing or made from something else, a batch at a time.
func (r *rollout) renew(ctx context.Context, name string, bound template.Service, config string, want int, kept map[int]container.InspectResponse) error {
	var missing []int
	for n := 1; n <= want; n++ {
		if _, ok := kept[n]; !ok {
			missing = append(missing, n)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	revealed, err := r.release.Reveal(bound, r.secrets)
	if err != nil {
		return err
	}
	binds, err := r.folder.putFiles(ctx, name, config, revealed)
	if err != nil {
		return err
	}
	print := blueprint{
		image: r.images[name], service: r.shared(revealed), release: r.release, name: name, binds: binds,
		api: r.engine.ClientVersion(), from: r.volumesFrom(bound),
	}
	t := tries{action: bound.Update.FailureAction, ratio: bound.Update.MaxFailureRatio, all: len(missing)}
	batch := bound.Update.Parallelism
	if batch <= 0 || batch > len(missing) || r.first(name) {
		batch = len(missing)
	}
	for now := range slices.Chunk(missing, batch) {
		if d := time.Duration(bound.Update.Delay); d > 0 && now[0] != missing[0] {
			if err := pause(ctx, d); err != nil {
				return err
			}
		}
		if err := r.startBatch(ctx, name, bound, config, print, now, &t); err != nil {
			r.paused = t.action == "pause"
			return err
		}
	}
	if len(r.live[name]) == 0 {
		return errEmpty
	}
	return nil
}

// first reports whether a service has nothing on the server that still serves: then it need not be
// renewed with care.
func (r *rollout) first(name string) bool {
	return !slices.ContainsFunc(r.of(name), func(c container.InspectResponse) bool { return c.State.Running })
}

// tries counts what may fail of a service's new containers.
type tries struct {
	action      string // deploy.update_config.failure_action
	ratio       float64
	all, failed int
}

// tolerates counts a failure and reports whether the rollout goes on.
func (t *tries) tolerates() bool {
	t.failed++
	return t.action == "continue" || float64(t.failed) <= t.ratio*float64(t.all)
}

// startBatch starts some containers and waits until all of them are healthy.
func (r *rollout) startBatch(ctx context.Context, name string, bound template.Service, config string, print blueprint, numbers []int, t *tries) error {
	var fresh []replica
	fail := func(one replica, err error) error {
		if ctx.Err() != nil || !t.tolerates() {
			return err
		}
		r.say(fmt.Sprintf("%s: going on without number %d, as update_config has it: %v", name, one.number, err))
		if one.id == "" {
			return nil
		}
		return r.engine.remove(ctx, one.id)
	}
	for _, n := range numbers {
		if r.forced(name) == "" && r.release.StopFirst(name) != "" {
			if err := r.stopNumber(ctx, name, n); err != nil {
				return err
			}
		}
		one, err := r.startOne(ctx, name, bound, config, print, n)
		if err == nil {
			fresh = append(fresh, one)
		} else if err = fail(one, err); err != nil {
			return err
		}
	}
	for _, one := range fresh {
		err := r.healthy(ctx, name, bound, one.id, 0)
		if err == nil {
			r.live[name] = append(r.live[name], one)
		} else if err = fail(one, err); err != nil {
			return err
		}
	}
	return nil
}

// startOne starts one container and runs the hooks that it has for that. Its id comes back with an
// error when it was made.
func (r *rollout) startOne(ctx context.Context, name string, bound template.Service, config string, print blueprint, n int) (replica, error) {
	print.labels = r.labels(name, config, n)
	print.container = r.freeName(bound, name, n)
	id, err := r.engine.start(ctx, print)
	one := replica{id, n, config}
	if err != nil {
		return one, r.explain(ctx, print.container, id, err)
	}
	r.say("started " + print.container)
	made := r.news[name]
	made.created++
	r.news[name] = made
	if err := r.bornHooks(ctx, name, one, template.OnCreate, template.OnStart); err != nil {
		return one, r.explain(ctx, print.container, id, err)
	}
	return one, nil
}

// labels are those of one container.
func (r *rollout) labels(service, config string, n int) map[string]string {
	return map[string]string{
		labelStack:     string(r.engine.stack),
		labelGroup:     r.group,
		labelRelease:   r.id,
		labelConfig:    config,
		composeProject: r.release.Project,
		composeService: service,
		composeNumber:  fmt.Sprint(n),
		composeOneOff:  "False",
		composeHash:    config,
	}
}

// plainName is the name that Compose gives a container.
func (r *rollout) plainName(s template.Service, service string, n int) string {
	return or(s.ContainerName, fmt.Sprintf("%s-%s-%d", r.release.Project, service, n))
}

// freeName is a container's name: Compose's, unless the one that it replaces still has it.
func (r *rollout) freeName(s template.Service, service string, n int) string {
	name := r.plainName(s, service, n)
	taken := func(name string) bool {
		return slices.ContainsFunc(r.old, func(c container.InspectResponse) bool { return c.Name == "/"+name })
	}
	if !taken(name) {
		return name
	}
	short := strings.TrimPrefix(r.id, "r-")
	for i := 0; ; i++ {
		free := name + "-" + short[:min(6, len(short))]
		if i > 0 {
			free += fmt.Sprint("-", i)
		}
		if !taken(free) {
			return free
		}
	}
}

// start creates, connects and starts one container. An id comes back with an error when the
// container was made.
func (e *engine) start(ctx context.Context, b blueprint) (string, error) {
	options, err := b.options()
	if err != nil {
		return "", err
	}
	created, err := e.ContainerCreate(ctx, options)
	if err != nil {
		return "", fmt.Errorf("create %s: %w", b.container, err)
	}
	if err := e.connect(ctx, b, created.ID); err != nil {
		return created.ID, err
	}
	if _, err := e.ContainerStart(ctx, created.ID, client.ContainerStartOptions{}); err != nil {
		return created.ID, fmt.Errorf("start %s: %w", b.container, portTaken(err))
	}
	return created.ID, nil
}

// connect puts a container that was created into its networks beyond the first.
func (e *engine) connect(ctx context.Context, b blueprint, id string) error {
	if b.service.NetworkMode != "" {
		return nil
	}
	for i, key := range b.networks() {
		if i == 0 {
			continue
		}
		endpoint, err := b.endpoint(key)
		if err != nil {
			return err
		}
		n := b.release.Networks[key].Name
		if _, err := e.NetworkConnect(ctx, n, client.NetworkConnectOptions{Container: id, EndpointConfig: endpoint}); err != nil {
			return fmt.Errorf("connect %s to network %s: %w", b.container, n, err)
		}
	}
	return nil
}

// portTaken adds what to do about the commonest reason why a container does not start.
func portTaken(err error) error {
	text := err.Error()
	if strings.Contains(text, "port is already allocated") || strings.Contains(text, "address already in use") {
		return resource.WithHint(err, "something else on the server listens on that port: stop it ('cloudship ssh' gets you there), or publish another port")
	}
	return err
}

// explain adds a container's last lines to an error about it.
func (r *rollout) explain(ctx context.Context, name, id string, err error) error {
	if id == "" {
		return err
	}
	var said *containerError
	if errors.As(err, &said) {
		return err
	}
	return &containerError{name: name, err: err, lines: r.engine.tail(context.WithoutCancel(ctx), id, 20)}
}

// containerError is an error about a container, with what the container last printed.
type containerError struct {
	name, lines string
	err         error
}

func (e *containerError) Error() string {
	text := fmt.Sprintf("container %s: %v", e.name, e.err)
	if e.lines != "" {
		text += "\nits last lines:\n  " + strings.ReplaceAll(e.lines, "\n", "\n  ")
	}
	return text
}

func (e *containerError) Unwrap() error { return e.err }
