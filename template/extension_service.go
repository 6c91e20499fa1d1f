package template

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
)

// How long hooks and probes may take unless the template says.
const (
	defaultHookTimeout   = 5 * time.Minute
	defaultBackupTimeout = 12 * time.Hour
	defaultProbeInterval = 2 * time.Second
	defaultProbeTimeout  = 5 * time.Second
	defaultProbeRetries  = 3
	defaultProbeStart    = time.Minute
)

// serviceExtension reads x-cloudship of a service.
func (c *converter) serviceExtension(path []string, in types.Extensions, s *Service) {
	x := c.extension(append(slices.Clone(path), keyExtension), in)
	defer x.done()
	s.PublishAll = x.boolean("publish_all")
	s.PerServer = x.boolean("per_server")
	if s.Stateful = x.stateful(); s.Stateful == Scratch {
		s.Stateful = ""
	}
	s.Host = x.hosts("host")
	s.Probe = c.probe(&x)
	if d := x.m["drain"]; d != nil {
		sub := mapping(x.report, x.at("drain"), d)
		s.Drain = &Drain{Start: c.action(&sub, "start", defaultHookTimeout), Stop: c.action(&sub, "stop", defaultHookTimeout)}
		sub.done()
		if s.Drain.Start == nil {
			x.fail("drain", "want start, a command that makes the health path fail while requests are still served")
		}
	}
	x.value("drain")
	if b := x.m["backup"]; b != nil {
		sub := mapping(x.report, x.at("backup"), b)
		s.Backup = &Backup{Run: c.action(&sub, "run", defaultBackupTimeout), Restore: c.action(&sub, "restore", defaultBackupTimeout)}
		sub.done()
		if s.Backup.Run == nil {
			x.fail("backup", "want run, a command that writes the backup to its output")
		}
	}
	x.value("backup")
	c.buildExtension(&x, path[1])
	switch hooks := x.value("hooks").(type) {
	case nil:
	case []any:
		for i, h := range hooks {
			sub := mapping(x.report, append(x.at("hooks"), strconv.Itoa(i)), h)
			if hook, ok := c.hook(&sub, path[1], len(s.Hooks)+1); ok {
				s.Hooks = append(s.Hooks, hook)
			}
		}
	default:
		x.fail("hooks", "want a list of hooks, not %s", describe(hooks))
	}
	names := map[string]bool{}
	for _, h := range s.Hooks {
		if names[h.Name] {
			x.fail("hooks", "two hooks are named %q", h.Name)
		}
		names[h.Name] = true
	}
}

// buildExtension reads what is to be done with a built image.
func (c *converter) buildExtension(x *extension, service string) {
	value := x.value("build")
	if value == nil {
		return
	}
	sub := mapping(x.report, x.at("build"), value)
	b := c.builds[service]
	tags, push := sub.words("tags"), sub.str("push")
	sub.done()
	if b == nil {
		x.fail("build", "the service has no build of Compose's that this could add to")
		return
	}
	b.Tags, b.Push = append(b.Tags, tags...), push
}

// hosts reads which servers of the group run a service: indexes from 0, or DCHQ's host1, host2.
func (x *extension) hosts(key string) []string {
	var out []string
	for _, word := range x.words(key) {
		n, err := strconv.Atoi(word)
		if label, ok := strings.CutPrefix(word, "host"); ok && err != nil {
			n, err = strconv.Atoi(label)
			n--
		}
		if err != nil || n < 0 || n > 9999 {
			x.fail(key, "want the number of a server in its group, from 0 on, not %q", word)
			continue
		}
		out = append(out, strconv.Itoa(n))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (c *converter) hook(x *extension, service string, nth int) (Hook, bool) {
	h := Hook{
		Name: x.str("name"), Timeout: x.duration("timeout", defaultHookTimeout), Restart: x.boolean("restart"),
		User: x.str("user"), WorkingDir: x.str("working_dir"), Privileged: x.boolean("privileged"), PerReplica: !x.boolean("once"),
	}
	if h.Name == "" {
		h.Name = fmt.Sprintf("%s-%d", service, nth)
	}
	h.Reload = x.reload()
	where := x.where()
	h.On = c.events(x)
	c.code(x, &h)
	h.Args = c.arguments(x)
	x.done()
	before := slices.Contains(h.On, Event{What: OnReleaseBefore})
	if _, _, is := Where(where).Neighbour(); is && (h.Restart || h.Reload != "") {
		x.fail("where", "restart and reload are for the hook's own containers: have the script do it")
	}
	switch {
	case before && len(h.On) > 1:
		x.fail("on", "release:before runs before any container starts: give it a hook of its own")
	case before && (where == "" || where == string(InContainer)):
		h.Where = OneOff
	case where == "":
		h.Where = InContainer
	default:
		h.Where = Where(where)
	}
	if before {
		h.PerReplica = false
	}
	return h, len(h.On) > 0 && (h.Script != "" || len(h.Command) > 0)
}

// where reads where a hook runs: a word, or another stack's service.
func (x *extension) where() string {
	s := x.str("where")
	words := []string{string(InContainer), string(OnHost), string(OneOff)}
	if _, _, is := Where(s).Neighbour(); s == "" || is || slices.Contains(words, s) {
		return s
	}
	x.fail("where", "unknown word %q%s", s, didYouMean(s, words...)).Hint = "or another stack's service on the same server: STACK/SERVICE"
	return ""
}

// reload reads the signal that makes a container's process read its files again: true is SIGHUP.
func (x *extension) reload() string {
	switch v := x.value("reload").(type) {
	case nil:
	case bool:
		if v {
			return "SIGHUP"
		}
	case string:
		name := strings.ToUpper(v)
		if !strings.HasPrefix(name, "SIG") {
			name = "SIG" + name
		}
		return name
	default:
		x.fail("reload", "want true or the name of a signal, not %s", describe(v))
	}
	return ""
}

func (c *converter) events(x *extension) []Event {
	words := x.words("on")
	if len(words) == 0 && x.m["on"] == nil {
		words = []string{OnCreate}
	}
	var events []Event
	for _, word := range words {
		if strings.HasPrefix(word, "cron") {
			x.fail("on", "%s: hooks on a schedule are not supported yet", word).Hint = "run it by hand with cloudship run-hook, from a CI pipeline's schedule, or from cron inside a container"
			continue
		}
		e, err := ParseEvent(word)
		if err != nil {
			what, _, _ := strings.Cut(word, ":")
			x.fail("on", "unknown event %q%s", word, didYouMean(what, Events()...))
			continue
		}
		if _, ok := c.project.Services[e.Service]; e.Service != "" && !ok {
			x.fail("on", "%s: unknown service %q%s", word, e.Service, didYouMean(e.Service, c.project.ServiceNames()...))
			continue
		}
		events = append(events, e)
	}
	return events
}

// code reads run (a script, inline or the path of a file in the stack's folder) or command.
func (c *converter) code(x *extension, h *Hook) {
	run, command := x.str("run"), x.value("command")
	switch v := command.(type) {
	case nil:
	case string:
		h.Command = []Text{"/bin/sh", "-c", c.vault.text(v)}
	default:
		h.Command = c.vault.texts(x.words("command"))
	}
	switch {
	case run != "" && command != nil:
		x.fail("command", "run and command are two ways to say the same: leave one out")
	case run != "":
		h.Script = c.script(x, run)
	case len(h.Command) == 0:
		x.errorf(x.path, "%s: want run (a script or the path of one) or command", strings.Join(x.path, "."))
	}
}

func (c *converter) script(x *extension, run string) Text {
	if strings.Contains(run, "\n") || strings.Contains(run, tokenOpen) {
		return c.vault.text(run)
	}
	file := filepath.Join(c.options.Dir, run)
	info, err := os.Stat(file)
	if err != nil || info.IsDir() || filepath.IsAbs(run) {
		if strings.HasPrefix(run, "./") || strings.HasPrefix(run, "../") {
			x.fail("run", "%s is no file in the stack's folder", run)
		}
		return Text(run)
	}
	f, ok := c.readFile(x.at("run"), file, info, false)
	if ok && f.Base64 {
		x.fail("run", "%s is no text", run)
	}
	return f.Content
}

// arguments reads args: a mapping of names and values, or a list of values.
func (c *converter) arguments(x *extension) []Argument {
	var args []Argument
	switch v := x.value("args").(type) {
	case nil:
	case map[string]any:
		sub := mapping(x.report, x.at("args"), v)
		for _, name := range sortedKeys(v) {
			args = append(args, Argument{Name: name, Value: c.vault.text(sub.str(name))})
		}
	default:
		for _, word := range x.words("args") {
			args = append(args, Argument{Value: c.vault.text(word)})
		}
	}
	return args
}

// action reads a command of drain or backup: a text for the shell, a list, or a mapping as in a
// hook.
func (c *converter) action(x *extension, key string, timeout time.Duration) *Hook {
	switch v := x.value(key).(type) {
	case nil:
		return nil
	case map[string]any:
		sub := mapping(x.report, x.at(key), v)
		h := &Hook{Name: key, Where: Where(sub.word("where", string(InContainer), string(OnHost))), Timeout: sub.duration("timeout", timeout),
			User: sub.str("user"), WorkingDir: sub.str("working_dir"), Reload: sub.reload(), PerReplica: true}
		if h.Where == "" {
			h.Where = InContainer
		}
		c.code(&sub, h)
		h.Args = c.arguments(&sub)
		sub.done()
		return h
	case string:
		return &Hook{Name: key, Where: InContainer, Timeout: Duration(timeout), Script: c.script(x, v), PerReplica: true}
	default:
		return &Hook{Name: key, Where: InContainer, Timeout: Duration(timeout), Command: c.vault.texts(x.words(key)), PerReplica: true}
	}
}

func (c *converter) probe(parent *extension) *Probe {
	value := parent.value("probe")
	if value == nil {
		return nil
	}
	x := mapping(parent.report, parent.at("probe"), value)
	p := &Probe{
		TCP:      x.integer("tcp", 0, 1, 65535),
		Interval: x.duration("interval", defaultProbeInterval), Timeout: x.duration("timeout", defaultProbeTimeout),
		Retries: x.integer("retries", defaultProbeRetries, 1, 1000), StartPeriod: x.duration("start_period", defaultProbeStart),
	}
	if http := x.value("http"); http != nil {
		h := mapping(x.report, x.at("http"), http)
		p.HTTP = &HTTPProbe{Port: h.integer("port", 80, 1, 65535), Path: h.str("path"), Host: h.str("host"), Expect: h.integer("expect", 0, 100, 599), Contains: h.str("contains")}
		if !strings.HasPrefix(p.HTTP.Path, "/") {
			p.HTTP.Path = "/" + p.HTTP.Path
		}
		h.done()
	}
	switch v := x.value("command").(type) {
	case nil:
	case string:
		p.Command = []Text{"/bin/sh", "-c", c.vault.text(v)}
	default:
		p.Command = c.vault.texts(x.words("command"))
	}
	x.done()
	said := 0
	for _, is := range []bool{p.HTTP != nil, p.TCP != 0, len(p.Command) > 0} {
		if is {
			said++
		}
	}
	if said != 1 {
		parent.fail("probe", "want exactly one of http, tcp and command")
	}
	if p.Interval <= 0 || p.Timeout <= 0 {
		parent.fail("probe", "interval and timeout must be longer than nothing")
	}
	return p
}

// composeHooks maps Compose's own hooks to ours.
func (c *converter) composeHooks(path []string, in types.ServiceConfig, s *Service) {
	add := func(what, key string, i int, hook types.ServiceHook) {
		h := Hook{
			Name: fmt.Sprintf("%s-%d", key, i+1), On: []Event{{What: what}}, Where: InContainer, Command: c.vault.texts(hook.Command),
			Timeout: Duration(defaultHookTimeout), User: hook.User, WorkingDir: hook.WorkingDir, Privileged: hook.Privileged, PerReplica: true,
		}
		for _, name := range sortedKeys(hook.Environment) {
			if value := hook.Environment[name]; value != nil {
				h.Args = append(h.Args, Argument{Name: name, Value: c.vault.text(*value)})
			}
		}
		s.Hooks = append(s.Hooks, h)
	}
	for i, hook := range in.PostStart {
		add(OnStart, "post_start", i, hook)
	}
	for i, hook := range in.PreStop {
		add(OnStop, "pre_stop", i, hook)
	}
	for i, hook := range in.PreStart {
		at := append(slices.Clone(path), "pre_start", strconv.Itoa(i))
		if hook.PerReplica || hook.Image != in.Image && in.Image != "" || len(hook.Volumes) > 0 || len(hook.Command) == 0 {
			c.errorf(at, "%s: only a command in the service's own image, once per release, is supported", strings.Join(at, "."))
			continue
		}
		s.Hooks = append(s.Hooks, Hook{
			Name: fmt.Sprintf("pre_start-%d", i+1), On: []Event{{What: OnReleaseBefore}}, Where: OneOff, Command: c.vault.texts(hook.Command),
			Timeout: Duration(defaultHookTimeout), User: hook.User, WorkingDir: hook.WorkingDir,
		})
	}
}
