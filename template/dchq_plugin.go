package template

import (
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

var dchqBinding = regexp.MustCompile(`\{\{\s*([A-Za-z0-9_.-]+)\s*(?:\|\s*([A-Za-z0-9_.<>-]+)\s*)?\}\}`)

// bindings turns DCHQ's bindings in a text into ours, and its dollars into Compose's.
func (d *dchq) bindings(at *yaml.Node, text string) string {
	text = strings.ReplaceAll(text, "$", "$$")
	return dchqBinding.ReplaceAllStringFunc(text, func(found string) string {
		m := dchqBinding.FindStringSubmatch(found)
		node, what := m[1], m[2]
		switch {
		case node == "alphanumeric":
			return Ref{Random, what}.String()
		case node == "credentials", node == "timestamp", node == "date":
			d.note(at, "%s has no counterpart here: give the value as an input of the template, ${NAME}", found)
			return found
		case what == "":
			return found
		}
		if !slices.Contains(d.names, node) {
			d.note(at, "%s: there is no node %s%s", found, node, didYouMean(node, d.names...))
		}
		switch {
		case what == "ip":
			what = HostIP
		case what == "container_ip", what == "container_hostname":
			what = ContainerName
		case what == ContainerPrivateIP, portPattern.MatchString(what):
		default:
			if !d.sets(node, what) {
				d.note(at, "%s: node %s sets no variable %s; one that its image sets must be written out", found, node, what)
			}
			what = "env_" + what
		}
		return Ref{node, what}.String()
	})
}

// sets reports whether a node's environment sets a variable.
func (d *dchq) sets(node, variable string) bool {
	n, ok := step(d.root, node)
	if !ok {
		return true // said already
	}
	env, ok := step(n, "environment")
	if !ok {
		return false
	}
	_, ok = step(env, variable)
	return ok
}

func (d *dchq) plugins(name string, value *yaml.Node) *yaml.Node {
	hooks := &yaml.Node{Kind: yaml.SequenceNode}
	for _, p := range value.Content {
		p = content(p)
		if p == nil || p.Kind != yaml.MappingNode {
			d.note(value, "node %s: a plugin that is no mapping was left out", name)
			continue
		}
		if hook := d.plugin(name, p); hook != nil {
			hooks.Content = append(hooks.Content, hook)
		}
	}
	return hooks
}

func (d *dchq) plugin(name string, in *yaml.Node) *yaml.Node {
	id := field(in, "id")
	if id == "" {
		d.note(in, "node %s: a plugin without id was left out", name)
		return nil
	}
	out := &yaml.Node{Kind: yaml.MappingNode}
	put(out, "name", scalar(id))
	lifecycle := field(in, "lifecycle")
	if lifecycle == "" {
		lifecycle = "on_create"
	}
	where := ""
	var on []string
	for word := range strings.SplitSeq(lifecycle, ",") {
		event, host := d.event(in, name, id, strings.TrimSpace(word))
		if host {
			where = string(OnHost)
		}
		if event != "" && !slices.Contains(on, event) {
			on = append(on, event)
		}
	}
	if len(on) == 0 {
		d.note(in, "node %s: plugin %s has no event left and was left out", name, id)
		return nil
	}
	put(out, "on", list(on))
	if where != "" {
		put(out, "where", scalar(where))
	}
	file := "./plugins/" + strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' || r < ' ' {
			return '_'
		}
		return r
	}, id) + ".sh"
	put(out, "run", scalar(file))
	d.note(in, "node %s: put the script of plugin %s into %s", name, id, file)
	if arguments, ok := step(in, "arguments"); ok {
		if args := d.environment(content(arguments)); len(args.Content) > 0 {
			put(out, "args", args)
		}
	}
	if field(in, "restart") == "true" {
		put(out, "restart", plain("true"))
	}
	return out
}

func field(n *yaml.Node, key string) string {
	v, ok := step(n, key)
	if v = content(v); !ok || v == nil {
		return ""
	}
	return v.Value
}

// event turns one word of a plugin's lifecycle into an event, and tells whether it is for the
// server rather than the container. Another node that does not exist would never be heard of:
// such an event is left out and told.
func (d *dchq) event(at *yaml.Node, name, id, word string) (event string, host bool) {
	if rest, ok := strings.CutPrefix(word, "exec_on_machine"); ok {
		host, word = true, strings.TrimLeft(rest, " :_-")
		if word == "" {
			word = "on_create"
		}
	}
	if strings.HasPrefix(word, "cron") {
		d.note(at, "node %s: plugin %s runs on the schedule %s, which is not supported yet; it was left out", name, id, word)
		return "", host
	}
	what, node, other := strings.Cut(word, ":")
	node = strings.TrimSpace(node)
	if other && !slices.Contains(d.names, node) {
		d.note(at, "node %s: plugin %s listens for %s, but there is no node %s%s; it was left out", name, id, word, node, didYouMean(node, d.names...))
		return "", host
	}
	event, ok := map[string]string{
		"on_create": OnCreate, "post_create": OnCreate, "on_start": OnStart, "on_stop": OnStop, "on_destroy": OnDestroy,
		"post_start": OnStart, "post_stop": OnStop, "post_destroy": OnDestroy, "post_scale_out": OnScaleOut, "post_scale_in": OnScaleIn,
		"pre_create": OnReleaseBefore,
	}[strings.TrimSpace(what)]
	if !ok {
		d.note(at, "node %s: plugin %s: event %s is not known and was left out", name, id, word)
		return "", host
	}
	if other && event != OnReleaseBefore {
		event += ":" + node
	}
	return event, host
}
