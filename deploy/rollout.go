package deploy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// rollout brings one server from the containers that it has to those of a release. First
// everything new is started and must be healthy, service by service in the order of their needs;
// what is kept is told of it (files, hooks). Only then is the old taken away. When something new
// does not come up, it is removed and the old is as it was: an old container that had to stop
// first is started again, and none is removed before all is well.
type rollout struct {
	engine  *engine
	folder  folder
	release *template.Release
	id      string
	group   string
	server  resource.Address
	hostIP  string
	secrets map[string]string
	scale   map[string]int
	images  map[string]string // service to image as the engine knows it
	say     func(string)
	now     func() time.Time

	old     []container.InspectResponse // what was there, sorted
	live    map[string][]replica        // service to containers of the release that stand
	changed map[string]bool             // services whose set of containers is another than before
	started []string                    // ids of new containers
	stopped []container.InspectResponse // old ones that had to stop first
	undo    []func(context.Context)     // puts refreshed files back
}

// replica is one container of the release.
type replica struct {
	id     string
	number int
	config string
}

// replicas is how many containers of a service this server is to have.
func (r *rollout) replicas(name string) int {
	s := r.release.Services[name]
	if !s.OnServer(r.server.Index) {
		return 0
	}
	if s.Global {
		return 1
	}
	if n, ok := r.scale[name]; ok {
		return n
	}
	return s.Replicas
}

// run does the rollout. Its error names the failing container and its last lines.
func (r *rollout) run(ctx context.Context) error {
	r.live, r.changed = map[string][]replica{}, map[string]bool{}
	var err error
	if r.old, err = r.engine.containers(ctx); err != nil {
		return err
	}
	if err := r.engine.putNetworks(ctx, r.release); err != nil {
		return err
	}
	if err := r.engine.putVolumes(ctx, r.release); err != nil {
		return err
	}
	order, err := r.release.Order()
	if err != nil {
		return err
	}
	if err := r.up(ctx, order); err != nil {
		r.back(context.WithoutCancel(ctx))
		return err
	}
	return r.down(ctx, order)
}

// up starts what is new, service by service.
func (r *rollout) up(ctx context.Context, order []string) error {
	if err := r.before(ctx, order); err != nil {
		return err
	}
	for _, name := range order {
		if err := r.service(ctx, name); err != nil {
			return fmt.Errorf("service %s: %w", name, err)
		}
	}
	return nil
}

// service brings one service up: it keeps what is as wanted, starts what is missing or changed.
func (r *rollout) service(ctx context.Context, name string) error {
	want := r.replicas(name)
	have := r.of(name)
	if want == 0 {
		r.changed[name] = len(have) > 0
		return nil
	}
	if err := r.awaitNeeds(ctx, name); err != nil {
		return err
	}
	bound, err := r.release.Bind(name, r.view())
	if err != nil {
		return err
	}
	config, err := r.config(bound)
	if err != nil {
		return err
	}
	kept := map[int]container.InspectResponse{}
	for _, c := range have {
		n := numberOf(c.Config.Labels)
		if _, taken := kept[n]; c.Config.Labels[labelConfig] == config && n >= 1 && n <= want && !taken {
			kept[n] = c
		}
	}
	if err := r.keep(ctx, name, bound, config, kept); err != nil {
		return err
	}
	if err := r.renew(ctx, name, bound, config, want, kept); err != nil {
		return err
	}
	r.changed[name] = r.changed[name] || len(have) != want
	return r.tell(ctx, name)
}

// of lists the old containers of a service.
func (r *rollout) of(name string) []container.InspectResponse {
	var list []container.InspectResponse
	for _, c := range r.old {
		if c.Config.Labels[composeService] == name {
			list = append(list, c)
		}
	}
	return list
}

// config is the digest of what containers of a service are made from. The content of rendered
// files is left out: it is refreshed in running containers.
func (r *rollout) config(bound template.Service) (string, error) {
	s := bound
	s.Files = slices.Clone(s.Files)
	for i := range s.Files {
		if s.Files[i].Bound {
			s.Files[i].Content = ""
		}
	}
	return r.release.Hash(s)
}

// keep makes sure that kept containers run, and refreshes their rendered files.
func (r *rollout) keep(ctx context.Context, name string, bound template.Service, config string, kept map[int]container.InspectResponse) error {
	if len(kept) == 0 {
		return nil
	}
	if err := r.refresh(ctx, name, bound, config); err != nil {
		return err
	}
	for _, n := range slices.Sorted(maps.Keys(kept)) {
		c := kept[n]
		if !c.State.Running && !r.completed(bound, c) {
			r.say(fmt.Sprintf("starting %s, which was %s", strings.TrimPrefix(c.Name, "/"), c.State.Status))
			if _, err := r.engine.ContainerStart(ctx, c.ID, client.ContainerStartOptions{}); err != nil {
				return fmt.Errorf("start %s: %w", c.Name, err)
			}
			r.changed[name] = true
			if err := r.ownHooks(ctx, name, c.ID, template.OnStart); err != nil {
				return err
			}
		}
		if err := r.healthy(ctx, name, bound, c.ID); err != nil {
			return err
		}
		r.live[name] = append(r.live[name], replica{c.ID, n, config})
	}
	return nil
}

// completed reports whether a container that ended did what it is for: others wait for its end.
func (r *rollout) completed(s template.Service, c container.InspectResponse) bool {
	return c.State.Status == container.StateExited && c.State.ExitCode == 0 && s.Restart.Policy != "always" && s.Restart.Policy != "unless-stopped"
}

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
	r.changed[name] = true
	revealed, err := r.release.Reveal(bound, r.secrets)
	if err != nil {
		return err
	}
	binds, err := r.folder.putFiles(ctx, name, config, revealed)
	if err != nil {
		return err
	}
	stopFirst := r.release.StopFirst(name)
	if stopFirst != "" {
		if err := r.stopOld(ctx, name, kept, stopFirst); err != nil {
			return err
		}
	}
	print := blueprint{image: r.images[name], service: revealed, release: r.release, binds: binds, api: r.engine.ClientVersion(), from: r.volumesFrom(bound), shared: r.shares()}
	batch := bound.Update.Parallelism
	if batch <= 0 || batch > len(missing) {
		batch = len(missing)
	}
	for len(missing) > 0 {
		now := missing[:min(batch, len(missing))]
		missing = missing[len(now):]
		if err := r.startBatch(ctx, name, bound, config, print, now); err != nil {
			return err
		}
		if d := time.Duration(bound.Update.Delay); d > 0 && len(missing) > 0 {
			if err := pause(ctx, d); err != nil {
				return err
			}
		}
	}
	return nil
}

// startBatch starts some containers and waits until all of them are healthy.
func (r *rollout) startBatch(ctx context.Context, name string, bound template.Service, config string, print blueprint, numbers []int) error {
	var fresh []replica
	for _, n := range numbers {
		print.labels = r.labels(name, config, n)
		print.name = r.freeName(bound, name, n)
		id, err := r.engine.start(ctx, print)
		if id != "" {
			r.started = append(r.started, id)
			fresh = append(fresh, replica{id, n, config})
		}
		if err != nil {
			return r.explain(ctx, print.name, id, err)
		}
		r.say("started " + print.name)
		for _, event := range []string{template.OnCreate, template.OnStart} {
			if err := r.ownHooks(ctx, name, id, event); err != nil {
				return r.explain(ctx, print.name, id, err)
			}
		}
	}
	for _, f := range fresh {
		if err := r.healthy(ctx, name, bound, f.id); err != nil {
			return err
		}
	}
	r.live[name] = append(r.live[name], fresh...)
	return nil
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

// freeName is a container's name: Compose's, unless the one that it replaces still has it.
func (r *rollout) freeName(s template.Service, service string, n int) string {
	name := s.ContainerName
	if name == "" {
		name = fmt.Sprintf("%s-%s-%d", r.release.Project, service, n)
	}
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
		return "", fmt.Errorf("create %s: %w", b.name, err)
	}
	if b.service.NetworkMode == "" {
		for i, key := range b.networks() {
			if i == 0 {
				continue
			}
			endpoint, err := endpoint(b.service, key)
			if err != nil {
				return created.ID, err
			}
			n := b.release.Networks[key].Name
			if _, err := e.NetworkConnect(ctx, n, client.NetworkConnectOptions{Container: created.ID, EndpointConfig: endpoint}); err != nil {
				return created.ID, fmt.Errorf("connect %s to network %s: %w", b.name, n, err)
			}
		}
	}
	if _, err := e.ContainerStart(ctx, created.ID, client.ContainerStartOptions{}); err != nil {
		return created.ID, fmt.Errorf("start %s: %w", b.name, portTaken(err))
	}
	return created.ID, nil
}

// portTaken adds what to do about the commonest reason why a container does not start.
func portTaken(err error) error {
	text := err.Error()
	if strings.Contains(text, "port is already allocated") || strings.Contains(text, "address already in use") {
		return resource.WithHint(err, "something else on the server listens on that port: stop it ('cloudship ssh' gets you there), or publish another port")
	}
	return err
}

// volumesFrom names the containers whose volumes a service takes.
func (r *rollout) volumesFrom(s template.Service) []string {
	var from []string
	for _, m := range s.Mounts {
		if m.Type != template.MountService {
			continue
		}
		for _, other := range r.live[m.Source] {
			id := other.id
			if m.ReadOnly {
				id += ":ro"
			}
			from = append(from, id)
			break
		}
	}
	return from
}

// shares maps services to a container each, for shared namespaces.
func (r *rollout) shares() map[string]string {
	shared := map[string]string{}
	for name, replicas := range r.live {
		if len(replicas) > 0 {
			shared[name] = replicas[0].id
		}
	}
	return shared
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
	return &containerError{name: name, err: err, lines: r.engine.tail(context.WithoutCancel(ctx), id, 10)}
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
