package template

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/schema"
	"github.com/compose-spec/compose-go/v2/tree"
	"go.yaml.in/yaml/v4"
)

var (
	interpolating  = regexp.MustCompile(`^(?:error while interpolating|invalid interpolation format for) ([^\s:]+)[:.]\s*`)
	validating     = regexp.MustCompile(`(?s)validating \S+?: ([A-Za-z0-9_.-]+) (.*)`)
	validatingRoot = regexp.MustCompile(`(?s)validating \S+?:\s+(.*)`)
	additional     = regexp.MustCompile(`additional properties? (.+) not allowed`)
	quoted         = regexp.MustCompile(`'([^']+)'`)
	namedService   = regexp.MustCompile(`services?[ .]"?([A-Za-z0-9_-]+)"?`)
	namedContainer = regexp.MustCompile(`can't set container_name and (\S+) as`)
	casting        = regexp.MustCompile(`failed to cast to expected type: strconv\.\w+: parsing "(.*)": .*`)
	decoding       = regexp.MustCompile(`'([^'\n]+)' (.*)`)
	number64       = regexp.MustCompile(`strconv\.\w+: parsing ("[^"]*"?): .*`)
	undefined      = regexp.MustCompile(`undefined (service|network|volume|config|secret) "?([A-Za-z0-9._-]+)"?`)
)

// compose turns an error of compose-go into diagnostics with their places.
func (r *report) compose(err error, o Options) {
	if list, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range list.Unwrap() {
			r.compose(one, o)
		}
		return
	}
	message := err.Error()
	if m := interpolating.FindStringSubmatch(message); m != nil {
		r.interpolation(strings.Split(m[1], "."), message[len(m[0]):], err, o)
		return
	}
	message = strings.TrimSuffix(message, ": invalid compose project")
	for _, f := range r.sources.files {
		message = strings.ReplaceAll(message, f.path, f.name)
	}
	if m := validating.FindStringSubmatch(message); m != nil {
		r.invalid(strings.Split(m[1], "."), m[2])
		return
	}
	if m := validatingRoot.FindStringSubmatch(message); m != nil {
		r.invalid(nil, m[1])
		return
	}
	if m := namedContainer.FindStringSubmatch(message); m != nil {
		r.errorf([]string{"services", m[1], "container_name"}, "services.%s.container_name: a name is for one container, but there are several replicas", m[1])
		return
	}
	if strings.HasPrefix(message, "decoding failed") {
		for _, m := range decoding.FindAllStringSubmatch(message, -1) {
			path := strings.Split(strings.NewReplacer("[", ".", "]", "").Replace(m[1]), ".")
			r.errorf(path, "%s: %s", strings.Join(path, "."), number64.ReplaceAllString(m[2], "$1 is no number"))
		}
		if r.failed() != nil {
			return
		}
	}
	d := r.errorf(pathIn(message), "%s", message)
	if m := undefined.FindStringSubmatch(message); m != nil {
		if n := nearest(m[2], r.sources.keys(m[1]+"s")...); n != "" {
			d.Hint = "did you mean " + n + "?"
		}
	}
}

// pathIn guesses what a message of compose-go is about.
func pathIn(message string) []string {
	if m := namedService.FindStringSubmatch(message); m != nil {
		return []string{"services", m[1]}
	}
	return nil
}

// interpolation reports a ${VARIABLE} that could not be replaced.
func (r *report) interpolation(path []string, message string, err error, o Options) {
	what := strings.ReplaceAll(strings.Join(path, "."), ".[]", "")
	var unset *unsetError
	if !errors.As(err, &unset) {
		message = casting.ReplaceAllString(message, `want a number or true or false, not "$1"`)
		d := r.errorf(path, "%s: %s", what, message)
		d.Place = r.sources.findText(path, "$")
		return
	}
	names := make([]string, 0, len(o.Inputs))
	for name := range o.Inputs {
		names = append(names, name)
	}
	slices.Sort(names)
	near := ""
	if n := nearest(unset.name, names...); n != "" {
		near = ", did you mean " + n + "?"
	}
	d := r.errorf(path, "%s: %s%s", what, unset.Error(), near)
	d.Place = r.sources.findText(path, unset.name)
	d.Hint = "give it in the template block: inputs = { " + unset.name + ` = "..." }, or a default here: ${` + unset.name + ":-...}"
	if slices.ContainsFunc(path, func(s string) bool {
		return slices.Contains([]string{"command", "entrypoint", "test", "run", "x-cloudship"}, s)
	}) {
		d.Hint += "; a variable that a shell is to see is written $$" + unset.name
	}
}

// invalid reports what the schema of Compose does not allow.
func (r *report) invalid(path []string, message string) {
	if at := len(path) - 1; at >= 0 && message == "false schema" { // how the schema says that a key must not be there
		r.unknown(path[:at], path[at])
		return
	}
	m := additional.FindStringSubmatch(message)
	if m == nil {
		r.errorf(path, "%s %s", strings.Join(path, "."), message)
		return
	}
	for _, q := range quoted.FindAllStringSubmatch(m[1], -1) {
		r.unknown(path, q[1])
	}
}

func (r *report) unknown(path []string, key string) {
	r.errorf(append(slices.Clone(path), key), "%sunknown key %q%s", prefix(path), key, didYouMean(key, keysAt(path)...))
}

func prefix(path []string) string {
	if len(path) == 0 {
		return ""
	}
	return strings.Join(path, ".") + ": "
}

// keysAt lists the keys that Compose knows below a path.
func keysAt(path []string) []string {
	at := tree.NewPath(path...)
	var keys []string
	for _, p := range schema.AttributePaths() {
		parts := p.Parts()
		if len(parts) != len(path)+1 {
			continue
		}
		if len(path) == 0 || at.Matches(p.Parent()) {
			keys = append(keys, parts[len(parts)-1])
		}
	}
	return keys
}

// keys lists what a top-level mapping of the files holds.
func (s *sources) keys(section string) []string {
	var keys []string
	for _, f := range s.files {
		for _, doc := range f.docs {
			if n, ok := step(content(doc), section); ok && n.Kind == yaml.MappingNode {
				for i := 0; i < len(n.Content); i += 2 {
					keys = append(keys, n.Content[i].Value)
				}
			}
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// findText is the scalar below a path that holds a text; list elements may be unnamed in the path
// ("[]"). Without one it is the path's own place.
func (s *sources) findText(path []string, text string) Place {
	if i := slices.Index(path, "[]"); i >= 0 {
		path = path[:i]
	}
	for _, f := range slices.Backward(s.files) {
		for _, doc := range f.docs {
			at, ok := content(doc), true
			for _, name := range path {
				if at, ok = step(at, name); !ok {
					break
				}
			}
			if !ok {
				continue
			}
			budget := maxVisits
			if n := scalarWith(at, text, &budget); n != nil {
				return f.place(n.Line, n.Column)
			}
		}
	}
	return s.find(path)
}

// maxVisits is how many nodes are looked at in search of a place; aliases can make a small file endless.
const maxVisits = 20_000

func scalarWith(n *yaml.Node, text string, budget *int) *yaml.Node {
	n = content(n)
	if *budget--; n == nil || *budget < 0 {
		return nil
	}
	if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, text) {
		return n
	}
	for _, child := range n.Content {
		if found := scalarWith(child, text, budget); found != nil {
			return found
		}
	}
	return nil
}
