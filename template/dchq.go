package template

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// ImportDCHQ turns an application template of DCHQ (later HyperForm) into a Compose file with
// x-cloudship keys. The notes say, a sentence each, what could not be carried over and what is
// left to do: scripts of plugins were kept in DCHQ itself and must be put beside the file.
func ImportDCHQ(r io.Reader) (compose []byte, notes []string, err error) {
	b, err := io.ReadAll(io.LimitReader(r, maxSource+1))
	if err != nil {
		return nil, nil, fmt.Errorf("read the template: %w", err)
	}
	if len(b) > maxSource {
		return nil, nil, fmt.Errorf("the template is larger than %d MB", maxSource>>20)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return nil, nil, fmt.Errorf("the template is not valid YAML: %w", err)
	}
	root := content(&doc)
	if root == nil || root.Kind != yaml.MappingNode {
		return nil, nil, errors.New("the template must be a mapping of node names")
	}
	d := &dchq{root: root, volumes: map[string]bool{}}
	for i := 0; i+1 < len(root.Content); i += 2 {
		d.names = append(d.names, root.Content[i].Value)
	}
	services := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i+1 < len(root.Content); i += 2 {
		name, node := root.Content[i], content(root.Content[i+1])
		if node == nil || node.Kind != yaml.MappingNode {
			return nil, nil, fmt.Errorf("line %d: node %s must be a mapping", name.Line, name.Value)
		}
		put(services, name.Value, d.service(name.Value, node))
	}
	out := &yaml.Node{Kind: yaml.MappingNode}
	put(out, "services", services)
	if len(d.volumes) > 0 {
		volumes := &yaml.Node{Kind: yaml.MappingNode}
		for _, name := range sortedKeys(d.volumes) {
			put(volumes, name, &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle})
		}
		put(out, "volumes", volumes)
	}
	compose, err = yaml.Dump(out, yaml.WithIndent(2), yaml.WithLineWidth(-1))
	if err != nil {
		return nil, nil, fmt.Errorf("write the Compose file: %w", err)
	}
	slices.SortStableFunc(d.notes, func(a, b dchqNote) int { return cmp.Compare(a.line, b.line) })
	for _, n := range d.notes {
		notes = append(notes, fmt.Sprintf("line %d: %s", n.line, n.text))
	}
	return compose, notes, nil
}

type dchqNote struct {
	line int
	text string
}

type dchq struct {
	root    *yaml.Node
	names   []string
	volumes map[string]bool
	notes   []dchqNote
	copies  int // nodes copied so far, to stop at aliases that hold themselves
}

func (d *dchq) note(n *yaml.Node, format string, args ...any) {
	d.notes = append(d.notes, dchqNote{n.Line, fmt.Sprintf(format, args...)})
}

func put(m *yaml.Node, key string, value *yaml.Node) {
	m.Content = append(m.Content, scalar(key), value)
}

func scalar(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	return n
}

func plain(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: s} }

func list(words []string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for _, w := range words {
		n.Content = append(n.Content, scalar(w))
	}
	return n
}

// passed lists the keys of Compose v1 that Compose still has.
var passed = []string{
	"cap_add", "cap_drop", "command", "cpu_shares", "cpuset", "devices", "dns", "dns_search", "domainname", "entrypoint", "env_file", "expose",
	"extra_hosts", "hostname", "image", "labels", "mem_limit", "pid", "ports", "privileged", "read_only", "restart", "security_opt", "stdin_open",
	"tty", "user", "volumes_from", "working_dir",
}

func (d *dchq) service(name string, in *yaml.Node) *yaml.Node {
	out, x := &yaml.Node{Kind: yaml.MappingNode}, &yaml.Node{Kind: yaml.MappingNode}
	var replicas, memory string
	for i := 0; i+1 < len(in.Content); i += 2 {
		key, value := in.Content[i], content(in.Content[i+1])
		switch key.Value {
		case "cluster_size":
			replicas = value.Value
		case "mem_min":
			memory = value.Value
		case "publish_all":
			if value.Value == "true" {
				put(x, "publish_all", plain("true"))
			}
		case "host":
			d.host(name, value, x)
		case "environment":
			put(out, "environment", d.environment(value))
		case "volumes":
			put(out, "volumes", d.mounts(value))
		case "links":
			put(out, "depends_on", d.links(key, value))
		case "net":
			put(out, "network_mode", scalar(value.Value))
		case "plugins":
			if hooks := d.plugins(name, value); len(hooks.Content) > 0 {
				put(x, "hooks", hooks)
			}
		case "registry_id":
			d.note(key, "node %s: registry_id %s names an account in DCHQ; log in to that registry with a registry block of the stack file", name, value.Value)
		default:
			if slices.Contains(passed, key.Value) {
				put(out, key.Value, d.copied(value, 0))
				continue
			}
			d.note(key, "node %s: key %s is not known and was left out%s", name, key.Value, didYouMean(key.Value, passed...))
		}
	}
	if replicas != "" || memory != "" {
		deploy := &yaml.Node{Kind: yaml.MappingNode}
		if n, err := strconv.Atoi(replicas); err == nil {
			put(deploy, "replicas", plain(strconv.Itoa(n)))
		} else if replicas != "" {
			d.note(in, "node %s: cluster_size %q is no number and was left out", name, replicas)
		}
		if memory != "" {
			reservations, resources := &yaml.Node{Kind: yaml.MappingNode}, &yaml.Node{Kind: yaml.MappingNode}
			put(reservations, "memory", scalar(memory))
			put(resources, "reservations", reservations)
			put(deploy, "resources", resources)
		}
		if len(deploy.Content) > 0 {
			put(out, "deploy", deploy)
		}
	}
	if len(x.Content) > 0 {
		put(out, keyExtension, x)
	}
	return out
}

// maxCopies is the most nodes that are passed on: far more than a template has.
const maxCopies = 10_000

// copied is a value of a key that is passed on, with its dollars written as Compose wants them.
func (d *dchq) copied(n *yaml.Node, depth int) *yaml.Node {
	n = content(n)
	if d.copies++; n == nil || n.Kind == yaml.AliasNode || d.copies > maxCopies || depth > maxDepth {
		return scalar("")
	}
	out := &yaml.Node{Kind: n.Kind, Tag: n.Tag, Style: n.Style, Value: strings.ReplaceAll(n.Value, "$", "$$")}
	for _, c := range n.Content {
		out.Content = append(out.Content, d.copied(c, depth+1))
	}
	return out
}

func (d *dchq) host(name string, value *yaml.Node, x *yaml.Node) {
	var hosts []string
	for _, n := range scalars(value) {
		label, ok := strings.CutPrefix(n.Value, "host")
		if number, err := strconv.Atoi(label); ok && err == nil && number > 0 {
			hosts = append(hosts, strconv.Itoa(number-1))
			continue
		}
		d.note(n, "node %s: host %q names a machine of DCHQ; give the number of a server in its group instead: x-cloudship.host: 0", name, n.Value)
	}
	if len(hosts) > 0 {
		nodes := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, h := range hosts {
			nodes.Content = append(nodes.Content, plain(h))
		}
		put(x, "host", nodes)
	}
}

func (d *dchq) environment(value *yaml.Node) *yaml.Node {
	out := &yaml.Node{Kind: yaml.MappingNode}
	seen := map[string]bool{}
	add := func(at *yaml.Node, key, text string) {
		if seen[key] || key == "" {
			return
		}
		seen[key] = true
		put(out, key, scalar(d.bindings(at, text)))
	}
	if value.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(value.Content); i += 2 {
			add(value.Content[i], value.Content[i].Value, content(value.Content[i+1]).Value)
		}
		return out
	}
	for _, n := range scalars(value) {
		key, text, _ := strings.Cut(n.Value, "=")
		add(n, strings.TrimSpace(key), text)
	}
	return out
}

func (d *dchq) mounts(value *yaml.Node) *yaml.Node {
	var mounts []string
	for _, n := range scalars(value) {
		source, _, named := strings.Cut(n.Value, ":")
		if named && !strings.ContainsAny(source[:min(1, len(source))], "/.~") && source != "" {
			d.volumes[source] = true
		}
		mounts = append(mounts, strings.ReplaceAll(n.Value, "$", "$$"))
	}
	return list(mounts)
}

func (d *dchq) links(key, value *yaml.Node) *yaml.Node {
	var names []string
	for _, n := range scalars(value) {
		name, alias, aliased := strings.Cut(n.Value, ":")
		if aliased && alias != name {
			d.note(n, "the alias %s of link %s is lost: services find each other by name; an alias is set under networks", alias, n.Value)
		}
		if !slices.Contains(d.names, name) {
			d.note(key, "link to %s, which is no node, was left out", name)
			continue
		}
		names = append(names, name)
	}
	return list(names)
}
