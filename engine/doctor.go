package engine

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/plugins"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/stack"
	"github.com/cloudship/cloudship/state"
)

// Checkup is one thing that Doctor looked at.
type Checkup struct {
	What string `json:"what"`
	OK   bool   `json:"ok"`
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"`
}

// Doctor looks at all that cloudship needs on this machine and for the stack of the folder, where
// there is one: it asks the providers whether they take the credentials, and changes nothing.
func Doctor(ctx context.Context, o Options) []Checkup {
	if o.Dir == "" {
		o.Dir = "."
	}
	d := &doctor{options: o}
	d.docker(ctx)
	d.clock()
	d.pluginPath()
	if _, err := os.Stat(filepath.Join(o.Dir, stack.File)); err != nil {
		d.note("stack", true, "no "+stack.File+" in "+o.Dir, "'cloudship init' begins one")
		d.credentials(ctx)
		return d.all
	}
	s, err := Load(o)
	if err != nil {
		d.fault("stack", err)
		d.credentials(ctx)
		return d.all
	}
	d.note("stack", true, fmt.Sprintf("%s: %d groups, %d load balancers", s.Name, len(s.Groups), len(s.LoadBalancers)), "")
	d.session(ctx, s)
	return d.all
}

type doctor struct {
	options Options
	all     []Checkup
}

func (d *doctor) note(what string, ok bool, text, hint string) {
	d.all = append(d.all, Checkup{what, ok, text, hint})
}

func (d *doctor) fault(what string, err error) {
	hint := resource.HintOf(err)
	if h, ok := err.(interface{ Hint() string }); ok && hint == "" {
		hint = h.Hint()
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	d.note(what, false, text, hint)
}

func (d *doctor) docker(ctx context.Context) {
	docker, err := client.New(client.FromEnv)
	if err == nil {
		defer func() { _ = docker.Close() }()
		var version client.ServerVersionResult
		asking, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if version, err = docker.ServerVersion(asking, client.ServerVersionOptions{}); err == nil {
			d.note("docker", true, "the engine here is "+version.Version, "")
			return
		}
	}
	d.note("docker", false, "no Docker engine answers on this machine: "+err.Error(),
		"only builds, images that are in no registry, and the lab need it; start it, or set DOCKER_HOST")
}

// clock holds the clock against the time at which this program was made.
func (d *doctor) clock() {
	now := time.Now().UTC()
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if made, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil && now.Before(made) {
				d.note("clock", false, fmt.Sprintf("%s is before this program was made (%s)", now.Format(time.RFC3339), made.Format(time.RFC3339)), "set the clock: leases and certificates count on it")
				return
			}
		}
	}
	d.note("clock", true, now.Format(time.RFC3339), "")
}

func (d *doctor) pluginPath() {
	var found []string
	for _, dir := range d.options.PluginPath {
		list, _ := filepath.Glob(filepath.Join(dir, plugins.Executable+"*"))
		for _, path := range list {
			found = append(found, strings.TrimPrefix(filepath.Base(path), plugins.Executable))
		}
	}
	text := fmt.Sprintf("built in: %s", strings.Join(d.options.BuiltIn.Names(), ", "))
	if len(found) > 0 {
		text += "; on the plugin path: " + strings.Join(found, ", ")
	}
	d.note("providers", true, text, "")
}

// credentials says which built-in providers find theirs in the environment.
func (d *doctor) credentials(ctx context.Context) {
	s := &Session{options: d.options, clouds: map[string]*cloud{}}
	for _, name := range d.options.BuiltIn.Names() {
		source, err := s.plugin(name)
		if err != nil {
			d.fault("provider "+name, err)
			continue
		}
		d.provider(ctx, source, name)
	}
}

// provider says whether a provider would take what is in the environment. Outside a stack nothing is
// wrong with one that nobody uses.
func (d *doctor) provider(ctx context.Context, source plugins.Source, name string) {
	c, err := plugins.Start(ctx, source)
	if err != nil {
		d.fault("provider "+name, err)
		return
	}
	defer func() { _ = c.Close() }()
	schema, err := c.Schema(ctx)
	if err != nil {
		d.fault("provider "+name, err)
		return
	}
	var set []string
	for _, v := range schema.Credentials {
		if value, ok := lookup(d.options.Environ, v); ok && value != "" {
			set = append(set, v)
		}
	}
	if len(set) == 0 {
		d.note("provider "+name, true, "no credentials in the environment", "to use it: "+strings.Join(schema.Credentials, ", "))
		return
	}
	d.note("provider "+name, true, "finds "+strings.Join(set, ", "), "")
}

// session looks at state, key and providers of the folder's stack.
func (d *doctor) session(ctx context.Context, file *stack.Stack) {
	o := d.options
	o.MakeKey, o.Warn = false, nil
	s, err := Open(ctx, o)
	if err != nil {
		d.fault("state", err)
		d.credentials(ctx)
		return
	}
	defer func() { _ = s.Close() }()
	d.state(ctx, s)
	switch err := s.needKey(ctx); {
	case err == nil:
		d.note("key", true, "sealing key "+s.key.ID(), "")
	case s.head.Snapshot == nil:
		d.note("key", true, "none yet", "made at a terminal by 'cloudship plan', or with --new-key")
	default:
		d.fault("key", err)
	}
	for _, alias := range slices.Sorted(maps.Keys(s.blocks())) {
		c, err := s.openCloud(ctx, s.blocks()[alias])
		if err != nil {
			d.fault("provider "+alias, err)
			continue
		}
		s.clouds[alias] = c
		d.note("provider "+alias, true, "takes the credentials", "")
	}
	for _, t := range file.Templates {
		if _, err := TemplateOptions(file, t); err != nil {
			d.fault("template "+t.Name, err)
		}
	}
}

func (d *doctor) state(ctx context.Context, s *Session) {
	head := s.head.Snapshot
	switch {
	case head == nil:
		d.note("state", true, s.store.Name()+": nothing yet", "")
	case head.Time.After(time.Now().Add(time.Minute)):
		d.note("clock", false, fmt.Sprintf("the newest snapshot was written at %s, which is not yet", head.Time.Format(time.RFC3339)), "set this machine's clock, or the other's")
		fallthrough
	default:
		d.note("state", true, fmt.Sprintf("%s: snapshot %s of %s", s.store.Name(), head.Serial, head.Time.Local().Format(time.DateTime)), "")
	}
	holder, err := state.ReadHolder(ctx, s.store)
	switch {
	case err != nil:
		d.fault("lock", err)
	case holder != nil:
		d.note("lock", true, holder.Error(), holder.Hint())
	default:
		d.note("lock", true, "nobody holds it", "")
	}
}
