package template

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"sync"

	"github.com/compose-spec/compose-go/v2/loader"
	variables "github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/sirupsen/logrus"
)

// silence keeps compose-go from printing: what it would say is in our diagnostics.
var silence = sync.OnceFunc(func() { logrus.SetOutput(io.Discard) })

// Template is a template that was read and checked; only its images are not known yet.
type Template struct {
	options  Options
	release  *Release
	requests []ImageRequest
	builds   map[string]*Build
	vault    *vault
	warnings Diagnostics
}

// Load reads a template's files and checks all that can be checked without its images. The error
// is of type Diagnostics when something is wrong with the files.
func Load(ctx context.Context, o Options) (*Template, error) {
	silence()
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("template %s: %w", o.Name, err)
	}
	o.Dir = dir
	paths, problem := o.files()
	if problem != nil {
		return nil, Diagnostics{problem}
	}
	r := &report{sources: &sources{dir: dir}, vault: newVault(o.Digest)}
	for _, path := range paths {
		if d := r.sources.read(path, Place{}); d != nil {
			r.list = append(r.list, d)
		}
	}
	if err := r.failed(); err != nil {
		return nil, err
	}
	env := types.Mapping{}
	for name, in := range o.Inputs {
		env[name] = in.Value
		if in.Sensitive {
			env[name] = r.vault.hide(in.Value, "sensitive input "+name, true)
		}
	}
	project, err := parseCompose(ctx, o, paths, env, r)
	if err != nil {
		r.compose(err, o)
		return nil, r.failed()
	}
	c := &converter{report: r, options: o, project: project, env: env, builds: map[string]*Build{}}
	release := c.release()
	r.secretsPlaced(release)
	if err := r.failed(); err != nil {
		return nil, err
	}
	return &Template{options: o, release: release, requests: c.requests(), builds: c.builds, vault: r.vault, warnings: r.sorted()}, nil
}

// parseCompose has compose-go read, merge and check the files. It guards against panics of the
// parser, which third parties' files can cause.
func parseCompose(ctx context.Context, o Options, paths []string, env types.Mapping, r *report) (project *types.Project, err error) {
	defer func() {
		if p := recover(); p != nil {
			project, err = nil, fmt.Errorf("the Compose parser cannot make sense of the file (%v)", p)
		}
	}()
	details := types.ConfigDetails{WorkingDir: o.Dir, Environment: env.Clone()}
	if details.Environment == nil {
		details.Environment = types.Mapping{}
	}
	for _, path := range paths {
		details.ConfigFiles = append(details.ConfigFiles, types.ConfigFile{Filename: path})
	}
	return loader.LoadWithContext(ctx, details, func(l *loader.Options) {
		l.Interpolate.Substitute = func(s string, lookup variables.Mapping) (string, error) {
			return substitute(s, lookup)
		}
		l.SkipResolveEnvironment = true
		l.Profiles = o.Profiles
		l.MaxNodeVisits = 100_000
		switch {
		case o.Project != "":
			l.SetProjectName(loader.NormalizeProjectName(o.Project), true)
		default:
			l.SetProjectName(loader.NormalizeProjectName(o.Name), false)
		}
		loader.WithUnsupportedAttributesCheck(refused(), r.refuse)(l)
	})
}
