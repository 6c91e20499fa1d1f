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
//
// Before its first change it leaves a note on the server (see rollingFile), which it takes away
// when all is done. A rollout that was cut short is so found out, and whatever it may not have told
// anybody is told again.
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
	images  map[string]string                         // service to image as the engine knows it
	once    func(context.Context, func() error) error // does what is to be done once per release; nil: nothing is
	say     func(string)
	now     func() time.Time

	old     []container.InspectResponse // what was there, sorted
	live    map[string][]replica        // service to containers of the release that stand
	news    map[string]news             // what happened to services in this rollout
	stood   []string                    // services that are up, in their order
	stopped []container.InspectResponse // old ones that had to stop first
	written []string                    // services whose rendered files were written anew
	bound   map[string]string           // service to digest of it with its late references resolved
	cut     *rollingFile                // an earlier rollout that did not end; nil for none
	begun   bool                        // something was changed
	ending  bool                        // of hooks at the end of a service: none of it is to stand
	paused  bool                        // it failed, and its failure_action is pause
}

// replica is one container of the release.
type replica struct {
	id     string
	number int
	config string
}

// news is what a rollout did to a service, for those that want to be told.
type news struct {
	created int  // new containers
	woken   bool // some that had stopped were started
	leaving int  // old containers that will go
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

// prepare looks at what is there.
func (r *rollout) prepare(ctx context.Context) error {
	r.live, r.news, r.bound = map[string][]replica{}, map[string]news{}, map[string]string{}
	var err error
	if r.old, err = r.engine.containers(ctx); err != nil {
		return err
	}
	r.cut, err = r.folder.rolling(ctx)
	return err
}

// run does the rollout. Its error names the failing container and its last lines.
func (r *rollout) run(ctx context.Context) error {
	if err := r.prepare(ctx); err != nil {
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

// begin leaves the note that says that something is being changed here.
func (r *rollout) begin(ctx context.Context) error {
	if r.begun {
		return nil
	}
	r.begun = true
	if r.cut != nil {
		return nil // the note of the rollout that was cut short goes on to hold
	}
	return r.folder.write(ctx, r.note(false), "rolling.json")
}

// noReturn notes that all that is new has come up, before the first of the old goes.
func (r *rollout) noReturn(ctx context.Context) error {
	r.begun = true
	return r.folder.write(ctx, r.note(true), "rolling.json")
}

func (r *rollout) note(up bool) rollingFile {
	note := rollingFile{Release: r.id, Up: up, Before: []string{}}
	for _, c := range r.old {
		note.Before = append(note.Before, c.ID)
	}
	return note
}

// up starts what is new, service by service.
func (r *rollout) up(ctx context.Context, order []string) error {
	if err := r.putNetworks(ctx); err != nil {
		return err
	}
	if err := r.engine.putVolumes(ctx, r.release); err != nil {
		return err
	}
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
	want, have := r.replicas(name), r.of(name)
	if want == 0 {
		r.news[name] = news{leaving: len(have)}
		return r.tell(ctx, name)
	}
	if err := r.awaitNeeds(ctx, name); err != nil {
		return err
	}
	bound, err := r.bind(ctx, name)
	if err != nil {
		return err
	}
	config, err := r.config(name, bound)
	if err != nil {
		return err
	}
	kept := map[int]container.InspectResponse{}
	for _, c := range have {
		n := numberOf(c.Config.Labels)
		if _, taken := kept[n]; c.Config.Labels[labelConfig] == config && n >= 1 && n <= want && !taken && usable(c) {
			kept[n] = c
		}
	}
	r.news[name] = news{leaving: len(have) - len(kept)}
	if err := r.giveWay(ctx, name, want, kept); err != nil {
		return err
	}
	if err := r.keep(ctx, name, bound, config, kept); err != nil {
		return err
	}
	if err := r.renew(ctx, name, bound, config, want, kept); err != nil {
		return err
	}
	if r.news[name].created > 0 {
		if err := r.hear(ctx, name); err != nil {
			return err
		}
	}
	return r.tell(ctx, name)
}

// usable reports whether a container can be kept: one that was created and never started may lack
// a network, and an unhealthy one is renewed.
func usable(c container.InspectResponse) bool {
	unhealthy := c.State.Running && c.State.Health != nil && c.State.Health.Status == container.Unhealthy
	return c.State.Status != container.StateCreated && c.State.Status != container.StateDead && c.State.Status != container.StateRemoving && !unhealthy
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

// keep makes sure that kept containers run, refreshes their rendered files, and tells them of others
// before they must be healthy: a proxy may be so only by what it is told.
func (r *rollout) keep(ctx context.Context, name string, bound template.Service, config string, kept map[int]container.InspectResponse) error {
	if len(kept) == 0 {
		return nil
	}
	if err := r.refresh(ctx, name, bound, config); err != nil {
		return err
	}
	numbers := slices.Sorted(maps.Keys(kept))
	for _, n := range numbers {
		if err := r.wake(ctx, name, bound, kept[n]); err != nil {
			return err
		}
		r.live[name] = append(r.live[name], replica{kept[n].ID, n, config})
	}
	if err := r.hear(ctx, name); err != nil {
		return err
	}
	for _, n := range numbers {
		if err := r.healthy(ctx, name, bound, kept[n].ID, kept[n].RestartCount); err != nil {
			return err
		}
	}
	return nil
}

// wake starts a kept container that has stopped, goes on with a paused one, and restarts one that
// wants to be when what it needs was renewed. One that a rollout which was cut short had made is
// told again that it was created: nobody knows how far that came.
func (r *rollout) wake(ctx context.Context, name string, bound template.Service, c container.InspectResponse) error {
	plain := strings.TrimPrefix(c.Name, "/")
	var events []string
	if r.cut != nil && !r.cut.Up && !slices.Contains(r.cut.Before, c.ID) && !completed(c) {
		events = []string{template.OnCreate, template.OnStart}
	}
	var err error
	switch {
	case c.State.Paused:
		if err = r.begin(ctx); err == nil {
			r.say("going on with " + plain + ", which was paused")
			_, err = r.engine.ContainerUnpause(ctx, c.ID, client.ContainerUnpauseOptions{})
		}
	case !c.State.Running && !completed(c):
		if err = r.begin(ctx); err == nil {
			r.say(fmt.Sprintf("starting %s, which was %s", plain, c.State.Status))
			_, err = r.engine.ContainerStart(ctx, c.ID, client.ContainerStartOptions{})
			events = union(events, template.OnStart)
		}
	case r.restartsWith(bound):
		if err = r.begin(ctx); err == nil {
			r.say("restarting " + plain + ": what it needs is new")
			_, err = r.engine.ContainerRestart(ctx, c.ID, client.ContainerRestartOptions{})
			events = union(events, template.OnStart)
		}
	}
	if err != nil {
		return fmt.Errorf("start %s: %w", plain, portTaken(err))
	}
	if len(events) > 0 {
		n := r.news[name]
		n.woken = true
		r.news[name] = n
	}
	return r.bornHooks(ctx, name, replica{id: c.ID, number: numberOf(c.Config.Labels)}, events...)
}

func union(list []string, one string) []string {
	if slices.Contains(list, one) {
		return list
	}
	return append(list, one)
}

// restartsWith reports whether something is new that the service wants to be restarted with.
func (r *rollout) restartsWith(s template.Service) bool {
	for other, need := range s.DependsOn {
		if need.Restart && r.news[other].created > 0 {
			return true
		}
	}
	return false
}

// completed reports whether a container that ended did what it is for: it ran to its end with
// success, and nothing says that it should run on.
func completed(c container.InspectResponse) bool {
	if c.State.Status != container.StateExited || c.State.ExitCode != 0 || c.HostConfig == nil {
		return false
	}
	policy := c.HostConfig.RestartPolicy.Name
	return policy != container.RestartPolicyAlways && policy != container.RestartPolicyUnlessStopped
}

// errEmpty says that a service that must run has no container that came up.
var errEmpty = errors.New("none of its containers came up")
