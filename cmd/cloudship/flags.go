package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cloudship/cloudship/engine"
	"github.com/cloudship/cloudship/plan"
	"github.com/cloudship/cloudship/plugins"
	"github.com/cloudship/cloudship/resource"
)

// global are the flags of all commands.
type global struct {
	dir  string
	json bool
}

// stackFlags are those of commands that read the stack file.
type stackFlags struct {
	vars     []string
	varFiles []string
	newKey   bool
	lockWait time.Duration
	parallel int
	noBuild  bool
	noProbe  bool
	keep     int
	verbose  bool
}

// addVars adds the flags of commands that read the files alone, or only look.
func (f *stackFlags) addVars(fs *pflag.FlagSet) {
	fs.StringArrayVar(&f.vars, "var", nil, "a variable's value, as NAME=VALUE; may be repeated")
	fs.StringArrayVar(&f.varFiles, "var-file", nil, "a file with variables' values; may be repeated")
	fs.BoolVar(&f.verbose, "verbose", false, "print also what builds and package managers say")
}

// add adds the flags of commands that plan.
func (f *stackFlags) add(fs *pflag.FlagSet) {
	f.addVars(fs)
	fs.BoolVar(&f.newKey, "new-key", false, "make a sealing key, should this stack exist nowhere yet")
	fs.DurationVar(&f.lockWait, "lock-wait", 0, "how long to wait for somebody else's lock")
	fs.IntVar(&f.parallel, "parallelism", 10, "calls in flight at a time")
	fs.BoolVar(&f.noBuild, "no-build", false, "take the images of the last build")
	fs.BoolVar(&f.noProbe, "no-probe", false, "switch without probes through the load balancer")
	fs.IntVar(&f.keep, "keep", 5, "releases that each server keeps")
}

// options are what the engine is told by a command's flags. At a terminal, variables that nobody
// gave are asked for.
func (f *stackFlags) options(ctx context.Context, t *terminal, g *global, command string) (engine.Options, error) {
	o, err := f.given(t, g, command)
	if err != nil {
		return o, err
	}
	return o, t.askFor(ctx, o)
}

// given are the options without asking anybody.
func (f *stackFlags) given(t *terminal, g *global, command string) (engine.Options, error) {
	vars := map[string]string{}
	for _, v := range f.vars {
		name, value, ok := strings.Cut(v, "=")
		if !ok {
			return engine.Options{}, &usageError{fmt.Errorf("--var %q: want NAME=VALUE", v)}
		}
		vars[name] = value
	}
	if f.parallel < 0 {
		return engine.Options{}, &usageError{fmt.Errorf("--parallelism %d: want 1 or more", f.parallel)}
	}
	if t.progress == nil {
		t.progress = newProgress(t, f.verbose)
	}
	p := t.progress
	return engine.Options{
		Dir: g.dir, Vars: vars, VarFiles: f.varFiles, Environ: os.Environ(), BuiltIn: builtIn, PluginPath: plugins.Path(os.LookupEnv),
		Command: command, MakeKey: f.newKey || t.interactive && !t.json, LockWait: f.lockWait, Parallel: f.parallel, Pace: pace(),
		NoBuild: f.noBuild, NoProbe: f.noProbe, Keep: f.keep, Redactor: t.secrets,
		Event: p.event, Say: func(line string) { t.say("%s", line) }, Detail: p.detail, Busy: p.busy, Warn: t.warn, Stderr: &plugLog{t: t},
	}, nil
}

// session opens the session of a command that only looks: it needs no variables.
func (f *stackFlags) session(ctx context.Context, t *terminal, g *global, command string) (*engine.Session, error) {
	o, err := f.given(t, g, command)
	if err != nil {
		return nil, err
	}
	o.Looking = true
	return engine.Open(ctx, o)
}

// askFor asks for the variables that nobody gave, where somebody is there to answer.
func (t *terminal) askFor(ctx context.Context, o engine.Options) error {
	if !t.interactive || t.json {
		return nil
	}
	for _, v := range engine.Missing(o) {
		question := "variable " + v.Name
		if v.Description != "" {
			question += " (" + v.Description + ")"
		}
		value, err := t.prompt(ctx, question+": ", v.Sensitive)
		if err != nil {
			return err
		}
		if v.Sensitive {
			t.secrets.Add(value)
		}
		o.Vars[v.Name] = value
	}
	return nil
}

// pace is how fast things are asked again: as real clouds like it, unless CLOUDSHIP_PACE names the
// shortest interval, for tests over a lab in which nothing takes long.
func pace() plan.Pace {
	first, err := time.ParseDuration(os.Getenv("CLOUDSHIP_PACE"))
	if err != nil || first <= 0 {
		return plan.DefaultPace
	}
	return plan.Pace{PollFirst: first, PollMost: 5 * first, RetryFirst: first, RetryMost: 30 * first, Patience: time.Minute, Ready: time.Minute}
}

// plugLog tells what plugins write to their standard error.
type plugLog struct{ t *terminal }

func (p *plugLog) Write(b []byte) (int, error) {
	for _, line := range strings.Split(strings.TrimRight(string(b), "\n"), "\n") {
		if line != "" && os.Getenv("CLOUDSHIP_LOG") != "" {
			p.t.say("plugin: %s", line)
		}
	}
	return len(b), nil
}

// planFlags are those of commands that plan.
type planFlags struct {
	targets []string
	replace []string
	refresh string
	again   bool
	destroy []string
}

func (f *planFlags) add(fs *pflag.FlagSet) {
	fs.StringArrayVar(&f.targets, "target", nil, "plan nothing but this address (or group.NAME) and what it rests on; may be repeated")
	fs.StringArrayVar(&f.replace, "replace", nil, "replace this address although nothing asks for it; may be repeated")
	fs.StringVar(&f.refresh, "refresh", "all", "whom to ask first: all, clouds (no hosts), none")
	fs.StringArrayVar(&f.destroy, "destroy-data", nil, "this data may be lost with its server: a volume's name in the Compose file, or GROUP.NAME; may be repeated")
	fs.BoolVar(&f.again, "again", false, "take a release that was switched or rolled back from before")
}

func (f *planFlags) request() (engine.Request, error) {
	var r engine.Request
	for _, list := range []struct {
		from []string
		to   *[]resource.Address
		flag string
	}{{f.targets, &r.Targets, "--target"}, {f.replace, &r.Replace, "--replace"}} {
		for _, text := range list.from {
			a, err := parseTarget(text)
			if err != nil {
				return r, &usageError{fmt.Errorf("%s: %w", list.flag, err)}
			}
			*list.to = append(*list.to, a)
		}
	}
	switch f.refresh {
	case "all":
	case "clouds":
		r.NoHosts = true
	case "none":
		r.NoHosts, r.NoClouds = true, true
	default:
		return r, &usageError{fmt.Errorf("--refresh %q: want all, clouds or none", f.refresh)}
	}
	r.Flags.Again, r.DestroyData = f.again, f.destroy
	return r, nil
}

// parseTarget reads an address; group.blue alone is all that is in the group.
func parseTarget(text string) (resource.Address, error) {
	if name, ok := strings.CutPrefix(text, "group."); ok && resource.Label.MatchString(name) {
		return resource.Address{Block: "group", Name: name}, nil
	}
	return resource.ParseAddress(text)
}

// environ gives every flag that was not said its twin in the environment: --lock-wait is
// CLOUDSHIP_LOCK_WAIT.
func environ(cmd *cobra.Command) error {
	var err error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		value, ok := os.LookupEnv(twin(f.Name))
		if f.Changed || !ok || err != nil || f.Name == "var" {
			return
		}
		if e := cmd.Flags().Set(f.Name, value); e != nil {
			err = &usageError{fmt.Errorf("%s: %w", twin(f.Name), e)}
		}
	})
	return err
}

func twin(flag string) string {
	return "CLOUDSHIP_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}
