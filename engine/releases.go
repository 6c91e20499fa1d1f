package engine

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/stack"
	"github.com/cloudship/cloudship/state"
	"github.com/cloudship/cloudship/template"
)

// candidates renders every template that a group runs: the releases that the files describe now.
// Images are built first. With targets it is those of which one rests on a release: what others
// rest on may not be there yet.
func (s *Session) candidates(ctx context.Context, targets []resource.Address) (map[string]resource.ReleaseEntry, error) {
	entries := map[string]resource.ReleaseEntry{}
	if err := s.builds(ctx); err != nil {
		return nil, err
	}
	commit := commitOf(ctx, s.options.Dir)
	var errs []error
	for _, t := range s.stack.Templates {
		if len(s.stack.GroupsOf(t.Name)) == 0 || !s.targeted(t, targets) {
			continue
		}
		entry, err := s.render(ctx, t)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		entry.Commit = commit
		for _, l := range s.stack.LateOf(t.Name) {
			if one, ok := s.built[l.Build]; ok {
				entry.Tags = append(entry.Tags, one.tags...)
				entry.Commit = or(one.commit, commit)
			}
		}
		entries[t.Name] = *entry
	}
	return entries, errors.Join(errs...)
}

// targeted reports whether a template's release can matter to a plan of these targets.
func (s *Session) targeted(t *stack.Template, targets []resource.Address) bool {
	if len(targets) == 0 {
		return true
	}
	return slices.ContainsFunc(targets, func(a resource.Address) bool {
		switch a.Kind() {
		case resource.KindRelease, "group":
			g := s.stack.Group(a.Name)
			return g != nil && g.Template == t.Name
		case resource.KindCertificate:
			return slices.ContainsFunc(s.stack.Certificates, func(c *stack.Certificate) bool {
				return c.Name == a.Name && s.stack.Group(c.Group).Template == t.Name
			})
		case resource.KindMembers, resource.KindRoute:
			return true
		}
		return false
	})
}

// render makes one template's release, with its secrets sealed beside it.
func (s *Session) render(ctx context.Context, t *stack.Template) (*resource.ReleaseEntry, error) {
	inputs, err := s.inputs(t)
	if err != nil {
		return nil, err
	}
	rendered, err := template.Render(ctx, template.Options{
		Name: t.Name, Dir: s.options.Dir, Compose: t.Compose, Project: s.stack.Name, Inputs: inputs, Profiles: t.Profiles,
		Digest: func(value string) string { return s.key.Digest("release", value) },
		Random: func(place string, n int) (string, error) { return s.random(t.Name+"/"+place, n), nil },
		Images: s.images(),
	})
	if err != nil {
		return nil, fmt.Errorf("template %s: %w", t.Name, err)
	}
	for _, w := range rendered.Warnings {
		s.warn("%s", w.Text())
	}
	if err := s.addLog(ctx, rendered); err != nil {
		return nil, fmt.Errorf("template %s: %w", t.Name, err)
	}
	if errs := misfits(s.stack, t, rendered.Release); len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	s.keepSecrets(rendered.Secrets, rendered.Sensitive)
	document, err := rendered.Release.Encode()
	if err != nil {
		return nil, err
	}
	entry := &resource.ReleaseEntry{
		ID: rendered.ID, Template: t.Name, Document: document, Secrets: rendered.Release.Secrets, Sensitive: rendered.Sensitive,
		Made: time.Now().UTC(), Actor: state.DefaultActor(), Images: rendered.Images,
	}
	if len(rendered.Secrets) > 0 {
		if entry.Sealed, err = s.seal(rendered.Secrets); err != nil {
			return nil, err
		}
	}
	return entry, nil
}

// inputs evaluates a template's inputs with what is known of the world.
func (s *Session) inputs(t *stack.Template) (map[string]template.Input, error) {
	facts := stack.Facts{Found: map[resource.Address]resource.Found{}, Images: map[string]string{}}
	for name, one := range s.built {
		facts.Images[name] = one.image
	}
	for a, r := range s.Memory().Records {
		facts.Found[a] = r.Found
	}
	values, diags := s.stack.Inputs(t.Name, facts)
	if diags.HasErrors() {
		return nil, newDiagnosticsError(s.stack, diags)
	}
	inputs := map[string]template.Input{}
	for name, v := range values {
		if len(v.Late) > 0 {
			return nil, resource.WithHint(
				fmt.Errorf("template %s: input %s needs %s, which is known only when it is there", t.Name, name, v.Late[0]),
				fmt.Sprintf("make it first: cloudship apply --target %s", v.Late[0].Address))
		}
		inputs[name] = template.Input{Value: v.Text, Sensitive: v.Sensitive}
	}
	return inputs, nil
}

// random derives a random value of letters and digits from the stack's key: the same for the same
// place for as long as the key lives, so that no state can lose it.
func (s *Session) random(place string, n int) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	var b strings.Builder
	for round := 0; b.Len() < n; round++ {
		for _, x := range s.key.Derive(fmt.Sprintf("random|%d|%s|%s", round, s.id, place), 255) {
			if int(x) < 4*len(letters) && b.Len() < n { // the rest would favour some letters
				b.WriteByte(letters[int(x)%len(letters)])
			}
		}
	}
	return b.String()
}

// misfits says what keeps a release from running on the servers that are to run it.
func misfits(s *stack.Stack, t *stack.Template, r *template.Release) []error {
	errs := append(r.CheckScale(t.Scale), unsavable(s, t, r)...)
	var names []string
	for _, g := range s.GroupsOf(t.Name) {
		names = append(names, g.Name)
		for _, err := range r.CheckServers(g.Servers) {
			errs = append(errs, fmt.Errorf("group %s: %w", g.Name, err))
		}
		if g.Need == nil {
			continue
		}
		for i := range g.Servers {
			if err := r.CheckMemory(i, g.Need.MemoryMB, t.Scale); err != nil {
				errs = append(errs, fmt.Errorf("group %s: %w", g.Name, err))
				break
			}
		}
	}
	return append(errs, r.CheckGroups(names)...)
}

// commitOf is the git commit of a folder, "-dirty" when something in it has changed, or "".
func commitOf(ctx context.Context, dir string) string {
	out, err := exec.CommandContext(ctx, "git", "-C", dir, "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return ""
	}
	commit := strings.TrimSpace(string(out))
	if out, err := exec.CommandContext(ctx, "git", "-C", dir, "status", "--porcelain", "--", ".").Output(); err == nil && len(out) > 0 {
		commit += "-dirty"
	}
	return commit
}

// printed runs a command of the stack file and gives what it printed, as a secret.
func (s *Session) printed(ctx context.Context, argv []string) (string, error) {
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
	command.Dir, command.Env = s.options.Dir, s.options.Environ
	out, err := command.Output()
	text := strings.TrimRight(string(out), "\r\n")
	s.options.Redactor.Add(text)
	return text, err
}
