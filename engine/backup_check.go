package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cloudship/cloudship/deploy"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/stack"
	"github.com/cloudship/cloudship/template"
)

// unsavable says which backup blocks are of something that a template's release does not have.
func unsavable(s *stack.Stack, t *stack.Template, r *template.Release) []error {
	var errs []error
	for _, b := range s.Backups {
		if g := s.Group(b.Group); g == nil || g.Template != t.Name {
			continue
		}
		service, known := r.Services[b.Service]
		switch {
		case b.Service != "" && !known:
			errs = append(errs, fmt.Errorf("%s: backup %s: template %s has no service %q: it has %s", b.Place, b.Name, t.Name, b.Service, namesOf(r.Services)))
		case b.Volume != "" && !has(r.Volumes, b.Volume):
			errs = append(errs, fmt.Errorf("%s: backup %s: template %s has no volume %q: it has %s", b.Place, b.Name, t.Name, b.Volume, namesOf(r.Volumes)))
		case b.Kind == deploy.DataCommand && service.Backup == nil:
			errs = append(errs, resource.WithHint(fmt.Errorf("%s: backup %s: service %s has no x-cloudship.backup", b.Place, b.Name, b.Service),
				"write one into the template, or say which kind of data it is: "+strings.Join(stack.BackupKinds, ", ")))
		}
	}
	return errs
}

func has[T any](m map[string]T, name string) bool { _, ok := m[name]; return ok }

func namesOf[T any](m map[string]T) string {
	if len(m) == 0 {
		return "none"
	}
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}
