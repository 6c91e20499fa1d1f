package template

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cloudship/cloudship/resource"
)

// View is what late references see: one host and the containers of the release on it. A container
// that is on its way out is left out by whoever makes the view.
type View struct {
	HostIP     string
	Containers []resource.Container
	Ending     bool // what it is for is taken away: a reference to what is not there any more is empty
}

// MissingError says that a late reference could not be resolved because no container of the
// service is there, or not with what is asked of it. It goes away when the container comes.
type MissingError struct {
	Ref Ref
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s: no container of service %s tells it yet", e.Ref, e.Ref.Service)
}

// Bind resolves the late references of a service's environment and files; hooks are bound when
// they run, see BindHook. Secrets stay references. In a variable, the value is repeated once per
// container of the cluster, joined by commas; in a file, the line is repeated.
func (r *Release) Bind(service string, v View) (Service, error) {
	s, ok := r.Services[service]
	if !ok {
		return s, fmt.Errorf("release has no service %q", service)
	}
	b := binder{release: r, view: v}
	env := make(map[string]Text, len(s.Environment))
	for _, name := range slices.Sorted(maps.Keys(s.Environment)) {
		value, err := b.join(s.Environment[name], ",")
		if err != nil {
			return s, fmt.Errorf("service %s: environment %s: %w", service, name, err)
		}
		env[name] = value
	}
	s.Environment = env
	s.Files = slices.Clone(s.Files)
	for i, f := range s.Files {
		if !f.Bound {
			continue
		}
		content, err := b.lines(f.Content)
		if err != nil {
			return s, fmt.Errorf("service %s: file %s: %w", service, f.Path, err)
		}
		s.Files[i].Content = content
	}
	return s, nil
}

// BindHook resolves the late references of a hook's arguments and command, and of its script's
// lines where it is rendered. Secrets stay references.
func (r *Release) BindHook(h Hook, v View) (Hook, error) {
	b := binder{release: r, view: v}
	var args []Argument
	for _, a := range h.Args {
		values, err := b.repeat(a.Value)
		if err != nil {
			return h, fmt.Errorf("hook %s: argument %s: %w", h.Name, cmp.Or(a.Name, string(a.Value)), err)
		}
		if a.Name != "" {
			values = []string{strings.Join(values, " ")}
		}
		for _, value := range values {
			args = append(args, Argument{a.Name, Text(value)})
		}
	}
	h.Args = args
	var command []Text
	for _, word := range h.Command {
		values, err := b.repeat(word)
		if err != nil {
			return h, fmt.Errorf("hook %s: %w", h.Name, err)
		}
		for _, value := range values {
			command = append(command, Text(value))
		}
	}
	h.Command = command
	return h, nil
}

type binder struct {
	release *Release
	view    View
	reading []string // variables whose value is being worked out, to stop at a circle
}

func (b binder) join(t Text, separator string) (Text, error) {
	values, err := b.repeat(t)
	return Text(strings.Join(values, separator)), err
}

func (b binder) lines(t Text) (Text, error) {
	var out strings.Builder
	for line := range strings.Lines(string(t)) {
		body, newline := strings.CutSuffix(line, "\n")
		values, err := b.repeat(Text(body))
		if err != nil {
			return "", err
		}
		for i, value := range values {
			out.WriteString(value)
			if newline || i < len(values)-1 {
				out.WriteByte('\n')
			}
		}
	}
	return Text(out.String()), nil
}

// repeat works a text out once for every container of the clusters that it refers to; references
// to one cluster go through it in step. A text without references is itself.
func (b binder) repeat(t Text) ([]string, error) {
	pieces := parse(t)
	choices := []map[string]resource.Container{{}}
	for _, p := range pieces {
		if p.ref == (Ref{}) || !p.ref.perContainer() {
			continue
		}
		if len(choices) > 0 {
			if _, chosen := choices[0][p.ref.Service]; chosen {
				continue
			}
		}
		cluster := b.cluster(p.ref.Service)
		if len(cluster) == 0 && b.release.Services[p.ref.Service].Replicas != 0 && !b.view.Ending {
			return nil, &MissingError{p.ref}
		}
		choices = spread(choices, p.ref.Service, cluster)
	}
	values := make([]string, 0, len(choices))
	for _, chosen := range choices {
		var value strings.Builder
		for _, p := range pieces {
			text, err := b.resolve(p, chosen)
			if err != nil {
				return nil, err
			}
			value.WriteString(text)
		}
		values = append(values, value.String())
	}
	return values, nil
}

func spread(choices []map[string]resource.Container, service string, cluster []resource.Container) []map[string]resource.Container {
	var out []map[string]resource.Container
	for _, c := range choices {
		for _, container := range cluster {
			with := maps.Clone(c)
			with[service] = container
			out = append(out, with)
		}
	}
	return out
}

// perContainer reports whether the reference has a value of its own for each container.
func (r Ref) perContainer() bool { return !r.Static() && r.Env() == "" }

func (b binder) cluster(service string) []resource.Container {
	var cluster []resource.Container
	for _, c := range b.view.Containers {
		if c.Service == service {
			cluster = append(cluster, c)
		}
	}
	slices.SortFunc(cluster, func(x, y resource.Container) int {
		return cmp.Or(cmp.Compare(x.Number, y.Number), cmp.Compare(x.Name, y.Name))
	})
	return cluster
}

func (b binder) resolve(p piece, chosen map[string]resource.Container) (string, error) {
	if p.ref == (Ref{}) {
		return p.text, nil
	}
	c := chosen[p.ref.Service]
	value := ""
	switch {
	case p.ref.Service == Random:
		return "", fmt.Errorf("%s: random values are made when a release is rendered", p.ref)
	case p.ref.Env() != "":
		return b.variable(p.ref)
	case p.ref.Port() != "":
		if port := c.Ports[p.ref.Port()]; port != 0 {
			value = strconv.Itoa(port)
		}
	case p.ref.What == ContainerName:
		value = c.Name
	case p.ref.What == ContainerPrivateIP:
		value = c.PrivateIP
	case p.ref.What == HostIP:
		value = b.view.HostIP
	default:
		return "", p.ref.valid()
	}
	if value == "" {
		return "", &MissingError{p.ref}
	}
	return value, nil
}

// variable is the value that another service's variable has in its own containers.
func (b binder) variable(ref Ref) (string, error) {
	if slices.Contains(b.reading, ref.String()) {
		return "", fmt.Errorf("variables need each other in a circle: %s", strings.Join(append(b.reading, ref.String()), " -> "))
	}
	value, ok := b.release.Services[ref.Service].Environment[ref.Env()]
	if !ok {
		return "", fmt.Errorf("%s: service %s sets no variable %s", ref, ref.Service, ref.Env())
	}
	b.reading = append(slices.Clone(b.reading), ref.String())
	text, err := b.join(value, ",")
	return string(text), err
}

// madeFrom lists the references in what containers of a service are made from. A reference to a
// variable stands for those in the variable's value.
func (r *Release) madeFrom(service string) []Ref {
	s := r.Services[service]
	var texts []Text
	for _, name := range slices.Sorted(maps.Keys(s.Environment)) {
		texts = append(texts, s.Environment[name])
	}
	for _, f := range s.Files {
		if f.Bound {
			texts = append(texts, f.Content)
		}
	}
	var refs []Ref
	seen := map[Ref]bool{}
	for len(texts) > 0 {
		found := texts[0].Refs()
		texts = texts[1:]
		for _, ref := range found {
			if seen[ref] {
				continue
			}
			seen[ref] = true
			if name := ref.Env(); name != "" {
				texts = append(texts, r.Services[ref.Service].Environment[name])
				continue
			}
			refs = append(refs, ref)
		}
	}
	return refs
}
