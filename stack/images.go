package stack

import (
	"fmt"
	"net/url"
	"path"
	"regexp"
)

// External is an external block: a service that exists already. It is probed, never changed.
type External struct {
	Name  string
	URL   Value
	Place string
}

// Registry is a registry block. Where neither password nor command nor helper is said, Docker's own
// configuration is asked.
type Registry struct {
	Name     string
	Server   string
	Username Value
	Password Value
	Command  []string // prints the password
	Helper   string   // a credential helper of Docker's: "ecr-login"
	Place    string
}

// Build is a build block: an image that is built here, before planning.
type Build struct {
	Name       string
	Context    string // a directory, below the stack's folder or absolute
	Git        Value  // or a repository
	Ref        string
	Key        Value // the repository's private key
	Dockerfile string
	Target     string
	Args       map[string]string
	Image      string   // the image's name, without registry and tag
	Tags       []string // patterns; {{timestamp}}, {{date}}, {{sha}} are filled by the build
	Registry   string   // a registry block, or empty
	Push       bool
	Place      string
}

func (l *loader) buildExternal(n *node) *External {
	e := &External{Name: n.label, URL: l.value(n, "url"), Place: place(n.at)}
	if e.URL.Text == "" {
		return e
	}
	u, err := url.Parse(e.URL.Text)
	if err != nil || u.Scheme == "" || u.Host == "" {
		l.report(fault(n.where("url"), fmt.Sprintf("url of %s is no URL", n.title()), `want SCHEME://HOST:PORT/..., as in "redis://10.0.0.5:6379"`, ""))
	}
	return e
}

func (l *loader) buildRegistry(n *node) *Registry {
	r := &Registry{
		Name: n.label, Server: l.text(n, "server"), Username: l.value(n, "username"), Password: l.value(n, "password"),
		Command: l.texts(n, "command"), Helper: l.text(n, "helper"), Place: place(n.at),
	}
	ways := 0
	for _, said := range []bool{r.Password.Text != "", len(r.Command) > 0, r.Helper != ""} {
		if said {
			ways++
		}
	}
	if ways > 1 {
		l.report(fault(n.at, fmt.Sprintf("%s has more than one password", n.title()), "want one of password, command, helper", ""))
	}
	if u, err := url.Parse("https://" + r.Server); r.Server != "" && (err != nil || u.Host == "" || u.User != nil) {
		l.report(fault(n.where("server"), fmt.Sprintf("server of %s names no registry", n.title()), `want HOST or HOST:PORT, as in "registry.example.com"`, ""))
	}
	return r
}

var tagPattern = regexp.MustCompile(`^(?:[A-Za-z0-9_.-]|\{\{ *(?:timestamp|date|sha) *\}\})+$`)

func (l *loader) buildBuild(n *node) *Build {
	b := &Build{
		Name: n.label, Context: l.text(n, "context"), Git: l.value(n, "git"), Ref: l.text(n, "ref"), Key: l.value(n, "key"),
		Dockerfile: l.text(n, "dockerfile"), Target: l.text(n, "target"), Image: orElse(l.text(n, "repository"), n.label), Tags: l.texts(n, "tags"),
		Registry: l.text(n, "registry"), Push: l.flag(n, "push"), Place: place(n.at),
	}
	if v, ok := l.field(n, "args"); ok {
		b.Args = map[string]string{}
		for name, value := range v.AsValueMap() {
			b.Args[name] = value.AsString()
		}
	}
	if n.attributes["tags"] == nil {
		b.Tags = []string{"{{timestamp}}", "latest"}
	}
	if n.attributes["push"] == nil {
		b.Push = b.Registry != ""
	}
	switch {
	case b.Git.Text != "" && path.IsAbs(b.Context):
		l.report(fault(n.where("context"), "context is inside of the repository", "want a relative path", ""))
	case n.attributes["git"] == nil && n.attributes["context"] == nil:
		l.report(fault(n.at, fmt.Sprintf("%s has nothing to build", n.title()), `want context = "." or git = "URL"`, ""))
	case n.attributes["ref"] != nil && n.attributes["git"] == nil:
		l.report(fault(n.where("ref"), "ref belongs to a repository", "want git beside it", ""))
	case b.Push && b.Registry == "":
		l.report(fault(n.where("push"), fmt.Sprintf("%s has no registry to push to", n.title()), "want registry = registry.NAME", ""))
	}
	for _, tag := range b.Tags {
		if !tagPattern.MatchString(tag) {
			l.report(fault(n.where("tags"), fmt.Sprintf("%q is no tag", tag), "want letters, digits, _ . - and {{timestamp}}, {{date}}, {{sha}}", ""))
		}
	}
	return b
}
