package template

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
)

// converter turns a Compose project into a release document.
type converter struct {
	*report
	options Options
	project *types.Project
	env     types.Mapping // inputs, sensitive ones as tokens
	builds  map[string]*Build
	images  map[string]ImageRequest // by service
	root    extension               // the project's own x-cloudship
}

// MaxReplicas is the most containers that a service may have on a server.
const MaxReplicas = 1000

func (c *converter) release() *Release {
	r := &Release{Format: Format, Template: c.options.Name, Project: c.project.Name, Services: map[string]Service{}}
	c.images = map[string]ImageRequest{}
	c.root = c.extension([]string{keyExtension}, c.project.Extensions)
	perServer := c.root.boolean("per_server")
	c.root.portRange("port_range")
	c.root.done()
	r.Networks = c.networks()
	r.Volumes = c.volumes(perServer)
	for _, name := range slices.Sorted(maps.Keys(c.project.Services)) {
		s := c.service(name, c.project.Services[name])
		s.PerServer = s.PerServer || perServer
		r.Services[name] = s
	}
	if len(r.Services) == 0 {
		d := c.errorf([]string{"services"}, "the template has no services")
		if off := slices.Sorted(maps.Keys(c.project.DisabledServices)); len(off) > 0 {
			d.Hint = "all are in profiles that are off: " + strings.Join(off, ", ")
		}
	}
	c.nameAnonymous(r)
	c.restarts(r)
	c.classify(r)
	c.late(r)
	c.conflicts(r)
	return r
}

func (c *converter) service(name string, in types.ServiceConfig) Service {
	path := []string{"services", name}
	s := Service{
		Command:       c.vault.texts(in.Command),
		Entrypoint:    c.vault.texts(in.Entrypoint),
		Hostname:      in.Hostname,
		Domainname:    in.DomainName,
		ContainerName: in.ContainerName,
		Labels:        copyMap(in.Labels),
		NetworkMode:   in.NetworkMode,
		ExtraHosts:    sorted(in.ExtraHosts.AsList(":")),
		DNS:           in.DNS,
		DNSSearch:     in.DNSSearch,
		DNSOptions:    in.DNSOpts,
		Expose:        in.Expose,
		StopSignal:    in.StopSignal,
		StopGrace:     duration(in.StopGracePeriod),
		Resources:     c.resources(path, in),
		Process:       process(in),
		Isolation:     isolation(in),
		Healthcheck:   c.healthcheck(path, in.HealthCheck),
		DependsOn:     c.dependencies(in.DependsOn),
		Replicas:      in.GetScale(),
		Update:        Update{Order: StartFirst, Parallelism: 1, FailureAction: "rollback"},
	}
	for what, value := range map[string]types.ShellCommand{"command": in.Command, "entrypoint": in.Entrypoint} {
		if value != nil && len(value) == 0 {
			s.Clear = append(s.Clear, what)
		}
	}
	slices.Sort(s.Clear)
	if in.Logging != nil && (in.Logging.Driver != "" || len(in.Logging.Options) > 0) {
		s.Logging = &Logging{Driver: in.Logging.Driver, Options: in.Logging.Options}
	}
	c.image(path, name, in, &s)
	s.Environment = c.environment(path, in)
	s.Networks = attachments(in)
	s.Ports = c.ports(path, in.Ports)
	c.storage(path, name, in, &s)
	c.deploy(path, in, &s)
	c.restart(path, in, &s)
	c.composeHooks(path, in, &s)
	c.serviceExtension(path, in.Extensions, &s)
	if s.Replicas > MaxReplicas {
		c.errorf(append(path, "deploy", "replicas"), "services.%s: %d replicas are more than %d", name, s.Replicas, MaxReplicas)
	}
	return s
}

func (c *converter) image(path []string, name string, in types.ServiceConfig, s *Service) {
	image := in.Image
	if in.Build != nil {
		c.builds[name] = c.build(path, in)
		if image == "" {
			image = c.project.Name + "-" + name
		}
	}
	if tokens := c.vault.names(image); len(tokens) > 0 {
		c.errorf(append(path, "image"), "services.%s.image: a sensitive value cannot be part of an image's name", name)
		return
	}
	full, err := normalizeImage(image)
	if err != nil {
		c.errorf(append(path, "image"), "services.%s.image: %q is no image reference: %v", name, image, err)
		return
	}
	s.Image = Image{Name: full, Platform: in.Platform}
	c.images[name] = ImageRequest{Name: full, Platform: in.Platform, PullPolicy: in.PullPolicy, Build: c.builds[name]}
}

func (c *converter) healthcheck(path []string, in *types.HealthCheckConfig) *Healthcheck {
	if in == nil {
		return nil
	}
	if in.Disable {
		return &Healthcheck{Test: []Text{"NONE"}}
	}
	h := &Healthcheck{
		Test: c.vault.texts(in.Test), Interval: duration(in.Interval), Timeout: duration(in.Timeout),
		StartPeriod: duration(in.StartPeriod), StartInterval: duration(in.StartInterval),
	}
	if in.Retries != nil {
		h.Retries = int(min(*in.Retries, 1000))
	}
	for key, d := range map[string]*Duration{"interval": h.Interval, "timeout": h.Timeout, "start_period": h.StartPeriod, "start_interval": h.StartInterval} {
		if d != nil && *d != 0 && time.Duration(*d) < time.Millisecond {
			c.errorf(append(slices.Clone(path), "healthcheck", key), "%s.healthcheck.%s: the engine takes no less than 1ms", strings.Join(path, "."), key)
		}
	}
	return h
}

func (c *converter) dependencies(in types.DependsOnConfig) map[string]Dependency {
	var out map[string]Dependency
	for name, d := range in {
		if _, on := c.project.Services[name]; !on {
			continue // optional, and in a profile that is off
		}
		if out == nil {
			out = map[string]Dependency{}
		}
		condition := map[string]string{
			types.ServiceConditionHealthy:               Healthy,
			types.ServiceConditionCompletedSuccessfully: Completed,
		}[d.Condition]
		if condition == "" {
			condition = Started
		}
		out[name] = Dependency{Condition: condition, Restart: d.Restart, Optional: !d.Required}
	}
	return out
}

func (c *converter) deploy(path []string, in types.ServiceConfig, s *Service) {
	d := in.Deploy
	if d == nil {
		return
	}
	if d.Mode == "global" {
		s.Global = true
		if s.Replicas != 1 {
			c.errorf(append(slices.Clone(path), "deploy", "mode"), "%s.deploy.mode: global is one container on each server, replicas do not go with it", strings.Join(path, "."))
		}
	}
	for name, value := range d.Labels {
		if s.Labels == nil {
			s.Labels = map[string]string{}
		}
		if _, ok := s.Labels[name]; !ok {
			s.Labels[name] = value
		}
	}
	if d.UpdateConfig != nil {
		s.Update = c.update(append(slices.Clone(path), "deploy", "update_config"), d.UpdateConfig, s.Update)
	}
	if d.RollbackConfig != nil {
		u := c.update(append(slices.Clone(path), "deploy", "rollback_config"), d.RollbackConfig, Update{Order: StartFirst, Parallelism: 1, FailureAction: "pause"})
		s.Rollback = &u
	}
}

func (c *converter) update(path []string, in *types.UpdateConfig, u Update) Update {
	if in.Parallelism != nil {
		u.Parallelism = int(min(*in.Parallelism, MaxReplicas))
	}
	u.Delay, u.Monitor = Duration(in.Delay), Duration(in.Monitor)
	u.MaxFailureRatio = float64(in.MaxFailureRatio)
	choose := func(key, value string, to *string, words ...string) {
		if value == "" {
			return
		}
		if !slices.Contains(words, value) {
			c.errorf(append(slices.Clone(path), key), "%s.%s: unknown word %q%s", strings.Join(path, "."), key, value, didYouMean(value, words...))
		}
		*to = value
	}
	choose("order", in.Order, &u.Order, StartFirst, StopFirst)
	choose("failure_action", in.FailureAction, &u.FailureAction, "rollback", "pause", "continue")
	return u
}

// restart reads restart and deploy.restart_policy; the former wins.
func (c *converter) restart(path []string, in types.ServiceConfig, s *Service) {
	policy, retries, limited := strings.Cut(in.Restart, ":")
	s.Restart.Policy = policy
	if limited {
		n, err := strconv.Atoi(retries)
		if err != nil || n < 0 || policy != "on-failure" {
			c.errorf(append(slices.Clone(path), "restart"), "%s.restart: %q, want no, always, unless-stopped, on-failure or on-failure:5", strings.Join(path, "."), in.Restart)
		}
		s.Restart.MaxRetries = n
	}
	if policy == "" && in.Deploy != nil && in.Deploy.RestartPolicy != nil {
		p := in.Deploy.RestartPolicy
		s.Restart.Policy = map[string]string{"none": "no", "on-failure": "on-failure", "any": "always", "": "always"}[p.Condition]
		if p.MaxAttempts != nil && s.Restart.Policy == "on-failure" {
			s.Restart.MaxRetries = int(min(*p.MaxAttempts, 1<<20))
		}
	}
	switch s.Restart.Policy {
	case "", "no", "always", "on-failure", "unless-stopped":
	default:
		c.errorf(append(slices.Clone(path), "restart"), "%s.restart: unknown word %q%s", strings.Join(path, "."), policy, didYouMean(policy, "no", "always", "on-failure", "unless-stopped"))
	}
}

// restarts gives services that say nothing the policy of a server: a dead container comes back.
// One that others wait for to complete runs once.
func (c *converter) restarts(r *Release) {
	once := map[string]bool{}
	for _, s := range r.Services {
		for name, d := range s.DependsOn {
			once[name] = once[name] || d.Condition == Completed
		}
	}
	for name, s := range r.Services {
		switch {
		case s.Restart.Policy == "" && once[name]:
			s.Restart.Policy = "no"
		case s.Restart.Policy == "" && r.Holder(name) && endsAtOnce(s):
			s.Restart.Policy = "no" // its container is all that is wanted of it
		case s.Restart.Policy == "":
			s.Restart.Policy = "unless-stopped"
		case once[name] && s.Restart.Policy != "no" && s.Restart.Policy != "on-failure":
			c.errorf([]string{"services", name, "restart"}, "services.%s.restart: %s never completes, but another service waits for that", name, s.Restart.Policy)
		}
		r.Services[name] = s
	}
}

func duration(d *types.Duration) *Duration {
	if d == nil {
		return nil
	}
	v := Duration(*d)
	return &v
}

func copyMap(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	return maps.Clone(m)
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}
