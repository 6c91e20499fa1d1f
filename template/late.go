package template

import (
	"slices"
	"strconv"
	"strings"
)

// late checks every late reference, puts random values in, and refuses circles.
func (c *converter) late(r *Release) {
	c.random(r)
	before := len(c.list)
	c.eachBound(r, func(service string, at []string, t Text, made bool) {
		c.check(r, service, at, t, made)
	})
	if slices.ContainsFunc(c.list[before:], func(d *Diagnostic) bool { return d.Severity == SeverityError }) {
		return // an unknown service hides what the order would be
	}
	c.circles(r)
}

// eachBound visits every text in which late references are resolved. made says that a container
// cannot be made before they are.
func (c *converter) eachBound(r *Release, visit func(service string, at []string, t Text, made bool)) {
	for _, name := range sortedKeys(r.Services) {
		s, path := r.Services[name], []string{"services", name}
		for _, key := range sortedKeys(s.Environment) {
			visit(name, append(slices.Clone(path), "environment", key), s.Environment[key], true)
		}
		for _, f := range s.Files {
			if f.Bound {
				visit(name, c.configPath(name, f.Path), f.Content, true)
			}
		}
		hooks := slices.Clone(s.Hooks)
		if s.Drain != nil {
			hooks = appendHooks(hooks, s.Drain.Start, s.Drain.Stop)
		}
		if s.Backup != nil {
			hooks = appendHooks(hooks, s.Backup.Run, s.Backup.Restore)
		}
		for _, h := range hooks {
			at := append(slices.Clone(path), keyExtension)
			for _, a := range h.Args {
				visit(name, at, a.Value, false)
			}
			for _, word := range h.Command {
				visit(name, at, word, false)
			}
		}
	}
}

func appendHooks(hooks []Hook, more ...*Hook) []Hook {
	for _, h := range more {
		if h != nil {
			hooks = append(hooks, *h)
		}
	}
	return hooks
}

// configPath is where the content of a rendered file stands.
func (c *converter) configPath(service, target string) []string {
	for _, ref := range c.project.Services[service].Configs {
		if t := ref.Target; t == target || t == "" && "/"+ref.Source == target || "/"+t == target {
			return []string{"configs", ref.Source}
		}
	}
	return []string{"services", service, "configs"}
}

func (c *converter) check(r *Release, service string, at []string, t Text, made bool) {
	for _, ref := range t.Refs() {
		fail := func(format string, args ...any) {
			d := c.errorf(at, format, args...)
			if place := c.sources.findText(at, ref.Service); place.File != "" {
				d.Place = place
			}
		}
		if err := ref.valid(); err != nil {
			fail("%s: %v", strings.Join(at, "."), err)
			continue
		}
		if ref.Service == Random {
			fail("%s: {{ random }} is for environment values only; others read it with {{ SERVICE | env_NAME }}", strings.Join(at, "."))
			continue
		}
		other, ok := r.Services[ref.Service]
		switch {
		case !ok:
			fail("%s: %s: unknown service %q%s", strings.Join(at, "."), ref, ref.Service, didYouMean(ref.Service, sortedKeys(r.Services)...))
		case ref.Env() != "":
			if _, ok := other.Environment[ref.Env()]; !ok {
				fail("%s: %s: service %s sets no variable %s%s", strings.Join(at, "."), ref, ref.Service, ref.Env(), didYouMean(ref.Env(), sortedKeys(other.Environment)...))
			}
		case ref.Port() != "":
			if !other.publishes(ref.Port()) {
				fail("%s: %s: service %s does not publish port %s", strings.Join(at, "."), ref, ref.Service, ref.Port())
			}
		}
		if ok && made && ref.Service == service && !ref.Static() && ref.Env() == "" {
			fail("%s: %s: a container's own values are not known before it is made", strings.Join(at, "."), ref)
		}
	}
}

func (s Service) publishes(port string) bool {
	return s.PublishAll || slices.ContainsFunc(s.Ports, func(p Port) bool {
		return strconv.Itoa(p.Target)+"/"+p.Protocol == port
	})
}

// circles refuses variables that read each other and services that need each other.
func (c *converter) circles(r *Release) {
	b := binder{release: r}
	for _, name := range sortedKeys(r.Services) {
		for _, key := range sortedKeys(r.Services[name].Environment) {
			if circle := b.circle(Ref{name, "env_" + key}, nil); circle != nil {
				at := []string{"services", name, "environment", key}
				c.errorf(at, "variables need each other in a circle: %s", strings.Join(circle, " -> "))
				return
			}
		}
	}
	if _, err := r.Order(); err != nil {
		first, _, _ := strings.Cut(strings.TrimPrefix(err.Error(), "services need each other in a circle: "), " -> ")
		c.errorf([]string{"services", first}, "%v", err).Hint = "depends_on, shared namespaces and {{ }} in environment and files all count; a hook's arguments do not"
	}
}

// circle follows references to variables and gives the way round, if there is one.
func (b binder) circle(ref Ref, way []string) []string {
	if slices.Contains(way, ref.String()) {
		return append(way, ref.String())
	}
	way = append(slices.Clone(way), ref.String())
	for _, next := range b.release.Services[ref.Service].Environment[ref.Env()].Refs() {
		if next.Env() == "" {
			continue
		}
		if circle := b.circle(next, way); circle != nil {
			return circle
		}
	}
	return nil
}

// random puts values in for {{ random | LENGTH }} of environments. A value belongs to its place:
// the template, the service, the variable, and which one it is there.
func (c *converter) random(r *Release) {
	for _, name := range sortedKeys(r.Services) {
		env := r.Services[name].Environment
		for _, key := range sortedKeys(env) {
			var out strings.Builder
			for i, p := range parse(env[key]) {
				length := p.ref.Length()
				if length == 0 {
					out.WriteString(p.text)
					if p.ref != (Ref{}) {
						out.WriteString(p.ref.String())
					}
					continue
				}
				place := strings.Join([]string{c.options.Name, name, key, strconv.Itoa(i)}, "/")
				value := strings.Repeat("x", length)
				if c.options.Random != nil {
					v, err := c.options.Random(place, length)
					if err != nil {
						c.errorf([]string{"services", name, "environment", key}, "%s: random value: %v", place, err)
						continue
					}
					value = v
				}
				out.WriteString(string(c.vault.text(c.vault.hide(value, "random value of "+key, true))))
			}
			env[key] = Text(out.String())
		}
	}
}
