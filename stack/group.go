package stack

import (
	"fmt"

	"github.com/cloudship/cloudship/resource"
)

// maxServers is the largest group.
const maxServers = 5000

// defaultImage is what a server runs when nothing is said.
const defaultImage = "debian-12"

// Provider is a provider block: a cloud, under a name that other blocks use.
type Provider struct {
	Alias  string         // the block's label
	Plugin string         // which plugin: its attribute plugin, else the label
	Values map[string]any // as evaluated, for resource.Config
	Place  string
	node   *node
}

// Template is a template block: an application.
type Template struct {
	Name     string
	Compose  []string // paths below the stack's folder
	Profiles []string
	Scale    map[string]int // replicas per service, over the Compose file's
	Place    string
	node     *node
}

// Group is a group block: equal servers that run one release.
type Group struct {
	Name     string
	Provider string // alias
	Servers  int
	Size     string         // the cloud's own name, or
	Need     *resource.Need // what a server must have; nil when nothing is said
	Image    string
	Region   string
	Template string // empty: servers alone
	Network  string
	Keys     []string // ssh_key blocks that may log in
	Docker   string   // distribution, docker or empty
	Options  resource.Options
	Balancer string // the load balancer before it, or empty
	Twin     string // the other group behind that, or empty
	Place    string
	node     *node
}

func (l *loader) buildProvider(n *node) *Provider {
	p := &Provider{Alias: n.label, Plugin: n.label, Place: place(n.at), node: n, Values: l.free(n)}
	if plugin, written := p.Values["plugin"]; written {
		name, ok := plugin.(string)
		if !ok || !resource.Label.MatchString(name) {
			l.report(fault(n.where("plugin"), "plugin names no provider", `want its name in quotes: "digitalocean"`, ""))
		}
		p.Plugin = name
		delete(p.Values, "plugin")
	}
	return p
}

func (l *loader) buildTemplate(n *node) *Template {
	t := &Template{Name: n.label, Compose: l.texts(n, "compose"), Profiles: l.texts(n, "profiles"), Place: place(n.at), node: n}
	if n.attributes["compose"] != nil && len(t.Compose) == 0 && !l.diags.HasErrors() {
		l.report(fault(n.where("compose"), "compose names no file", `want compose = "compose.yaml"`, ""))
	}
	if v, ok := l.field(n, "scale"); ok {
		t.Scale = map[string]int{}
		for service, replicas := range v.AsValueMap() {
			count, ok := whole(replicas)
			if !ok || count < 0 {
				l.report(fault(n.where("scale"), fmt.Sprintf("scale of %s: %s is no number of replicas", n.title(), service), "want a whole number", ""))
			}
			t.Scale[service] = count
		}
	}
	l.checkInputs(t)
	return t
}

func (l *loader) buildGroup(n *node) *Group {
	g := &Group{
		Name: n.label, Provider: l.providerOf(n), Servers: l.number(n, "servers", 1, 1, maxServers),
		Image: orElse(l.text(n, "image"), defaultImage), Region: l.text(n, "region"), Template: l.text(n, "template"), Network: l.text(n, "network"),
		Docker: l.oneWord(n, "docker", "", "distribution", "docker"), Options: l.options(n), Place: place(n.at), node: n,
	}
	if v, ok := l.field(n, "size"); ok {
		if v.Type().IsObjectType() || v.Type().IsMapType() {
			a := n.attributes["size"]
			g.Need, _ = needOf(v, itemRanges(a.Expr), a.Expr.Range())
		} else {
			g.Size = v.AsString()
		}
	}
	g.Keys = l.root.labels("ssh_key")
	if n.attributes["keys"] != nil {
		g.Keys = l.texts(n, "keys")
	}
	return g
}

// providerOf is the provider that a block names, or the only one there is.
func (l *loader) providerOf(n *node) string {
	if n.attributes["provider"] != nil {
		return l.text(n, "provider")
	}
	switch names := l.root.labels("provider"); len(names) {
	case 1:
		return names[0]
	case 0:
		l.report(fault(n.at, fmt.Sprintf("%s has no provider, and there is none in the file", n.title()), `want provider = "NAME"`, `declare one: provider "digitalocean" {}`))
	default:
		if through := l.providerThroughGroups(n); through != "" {
			return through
		}
		l.report(fault(n.at, fmt.Sprintf("%s does not say which provider", n.title()), oneOf(names), `write provider = "`+names[0]+`"`))
	}
	return ""
}

// providerThroughGroups is the provider of the first group that the block names, or "".
func (l *loader) providerThroughGroups(n *node) string {
	if n.block.attribute("groups") == nil {
		return ""
	}
	for _, group := range l.texts(n, "groups") {
		if g := l.root.find("group", group); g != nil && g.attributes["provider"] != nil {
			return l.text(g, "provider")
		}
	}
	return ""
}
