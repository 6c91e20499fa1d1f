package engine

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2"

	"github.com/cloudship/cloudship/plugins"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// checkOptions holds provider and options blocks against what the providers say they know.
func (s *Session) checkOptions() error {
	var all hcl.Diagnostics
	for _, alias := range slices.Sorted(maps.Keys(s.clouds)) {
		if s.stack.Provider(alias) != nil {
			all = append(all, s.stack.CheckProvider(alias, s.clouds[alias].schema)...)
		}
	}
	if !all.HasErrors() {
		return nil
	}
	return newDiagnosticsError(s.stack, all)
}

// external finds a provider that is no part of this program, pinned in the stack's lock file.
func (s *Session) external(source plugins.Source) (plugins.Source, error) {
	found, err := plugins.Find(s.options.Dir, source.Name, s.options.PluginPath)
	if err != nil {
		names := slices.Sorted(maps.Keys(s.options.BuiltIn))
		return source, resource.WithHint(fmt.Errorf("provider %q: %w", source.Name, err),
			fmt.Sprintf("built in are %q; others are executables cloudship-provider-NAME on the plugin path", names))
	}
	source.Path, source.SHA256 = found.Path, found.SHA256
	return source, nil
}

// documents decodes the releases that matter to a template: the candidate, and what its groups run.
func (s *Session) documents(name string, candidates map[string]resource.ReleaseEntry) []*template.Release {
	var list []*template.Release
	add := func(e resource.ReleaseEntry) {
		if r, err := template.Decode(e.Document); err == nil {
			list = append(list, r)
		}
	}
	if c, ok := candidates[name]; ok {
		add(c)
	}
	memory := s.Memory()
	for _, g := range s.stack.GroupsOf(name) {
		if e, ok := memory.Releases[memory.Intent.Releases[g.Name]]; ok {
			add(e)
		}
	}
	return list
}

// holdsData reports whether a template's servers keep data that would be lost with them.
func (s *Session) holdsData(name string, candidates map[string]resource.ReleaseEntry) bool {
	return slices.ContainsFunc(s.documents(name, candidates), keepsData)
}

// keepsData reports whether a release writes data that would be lost with the server.
func keepsData(r *template.Release) bool { return len(r.Data(template.AnyServer)) > 0 }

// drains reports whether what the groups run can be drained.
func (s *Session) drains(groups []string, candidates map[string]resource.ReleaseEntry) bool {
	for _, name := range groups {
		g := s.stack.Group(name)
		if g == nil || g.Template == "" {
			continue
		}
		for _, r := range s.documents(g.Template, candidates) {
			for _, service := range r.Services {
				if service.Drain != nil {
					return true
				}
			}
		}
	}
	return false
}
