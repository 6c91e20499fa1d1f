package stack

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cloudship/cloudship/resource"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// File is the name of the stack file.
const File = "cloudship.hcl"

// Stack is a stack file as it was understood. Its slices are in the file's order.
type Stack struct {
	Dir           string
	Name          string
	State         Value // where the state is kept; empty: a folder beside the file
	Variables     []Variable
	Providers     []*Provider
	Templates     []*Template
	Groups        []*Group
	LoadBalancers []*LoadBalancer
	SSHKeys       []*SSHKey
	Networks      []*Network
	Firewalls     []*Firewall
	Certificates  []*Certificate
	Externals     []*External
	Registries    []*Registry
	Builds        []*Build
	Backups       []*Backup
	Stats         *resource.Sampling // nil: servers measure nothing
	Log           *Log               // nil: containers log as their engine has it

	scope   *scope
	sources map[string][]byte
}

// loader builds a Stack from the tree of a file.
type loader struct {
	*scope
	dir     string
	stack   *Stack
	sources map[string][]byte
	looking bool            // see Options.Looking
	stoodIn map[string]bool // variables that have something in place of a value
}

// Load reads the stack of a folder. The Stack is never nil: after errors it is incomplete, and good
// for Sources, Secrets and Variables only. Every diagnostic has a Subject.
func Load(dir string, o Options) (*Stack, hcl.Diagnostics) {
	path := filepath.Join(dir, File)
	src, err := os.ReadFile(path)
	if err != nil {
		s, l := begin(dir)
		d := fault(outside(path), "the stack file cannot be read", reason(err), "")
		if errors.Is(err, fs.ErrNotExist) {
			d = fault(outside(path), "there is no stack file here", "", "run 'cloudship init' for a first one, or name its folder with --dir")
		}
		l.report(d)
		return s, l.diags
	}
	return load(dir, src, o)
}

func begin(dir string) (*Stack, *loader) {
	s := &Stack{Dir: dir, sources: map[string][]byte{}}
	l := &loader{dir: dir, stack: s, sources: s.sources, stoodIn: map[string]bool{}, scope: &scope{
		root: &node{block: language}, locals: map[string]*hclsyntax.Attribute{}, variables: map[string]cty.Value{}, functions: functions(dir),
		late: lateUnknown, known: map[string]answer{}, secrets: map[string]bool{},
	}}
	s.scope = l.scope
	return s, l
}

// load understands the text of a stack file.
func load(dir string, src []byte, o Options) (*Stack, hcl.Diagnostics) {
	s, l := begin(dir)
	l.sources[File] = src
	root, diags := parse(src, File)
	l.root = root
	l.report(diags...)
	if len(root.nodes) == 0 && diags.HasErrors() {
		return s, l.placed()
	}
	l.looking = o.Looking
	l.nameLocals()
	l.evaluateVariables(l.gather(o))
	l.build()
	if !l.diags.HasErrors() {
		l.check()
	}
	return s, l.placed()
}

// placed are the diagnostics in the order of their places, each with one, none twice.
func (l *loader) placed() hcl.Diagnostics {
	var diags hcl.Diagnostics
	seen := map[string]bool{}
	for _, d := range l.diags {
		if d.Subject == nil {
			d.Subject = &hcl.Range{Filename: File, Start: hcl.InitialPos, End: hcl.InitialPos}
		}
		if key := d.Subject.String() + d.Summary; !seen[key] {
			seen[key] = true
			diags = append(diags, d)
		}
	}
	slices.SortStableFunc(diags, func(a, b *hcl.Diagnostic) int {
		if c := strings.Compare(a.Subject.Filename, b.Subject.Filename); c != 0 {
			return c
		}
		return a.Subject.Start.Byte - b.Subject.Start.Byte
	})
	return diags
}

// Sources are the texts that diagnostics point into, for Print. Texts that may be secret are veiled.
func (s *Stack) Sources() map[string][]byte { return s.sources }

// Secrets are all sensitive plain values that were met, those that functions made of them included,
// longest first: what a redactor must know.
func (s *Stack) Secrets() []string {
	var list []string
	for text := range s.scope.secrets {
		list = append(list, text)
	}
	slices.SortFunc(list, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return list
}

// nameLocals collects the locals of all their blocks, and evaluates each.
func (l *loader) nameLocals() {
	for _, n := range l.root.inner("locals") {
		for _, a := range inOrder(n.attributes) {
			if other := l.locals[a.Name]; other != nil {
				l.report(fault(a.NameRange, fmt.Sprintf("there is a local %q already", a.Name), "the first is at "+place(other.NameRange), ""))
				continue
			}
			l.locals[a.Name] = a
		}
	}
}

// build makes typed blocks of the tree.
func (l *loader) build() {
	s := l.stack
	l.buildStack()
	for _, a := range inOrder(l.locals) {
		l.ask(ref{root: "local", label: a.Name, at: a.NameRange})
	}
	for _, n := range l.root.nodes {
		switch n.block.name {
		case "provider":
			s.Providers = append(s.Providers, l.buildProvider(n))
		case "template":
			s.Templates = append(s.Templates, l.buildTemplate(n))
		case "group":
			s.Groups = append(s.Groups, l.buildGroup(n))
		case "load_balancer":
			s.LoadBalancers = append(s.LoadBalancers, l.buildLoadBalancer(n))
		case "ssh_key":
			s.SSHKeys = append(s.SSHKeys, l.buildSSHKey(n))
		case "network":
			s.Networks = append(s.Networks, l.buildNetwork(n))
		case "firewall":
			s.Firewalls = append(s.Firewalls, l.buildFirewall(n))
		case "certificate":
			s.Certificates = append(s.Certificates, l.buildCertificateBlock(n))
		case "external":
			s.Externals = append(s.Externals, l.buildExternal(n))
		case "registry":
			s.Registries = append(s.Registries, l.buildRegistry(n))
		case "build":
			s.Builds = append(s.Builds, l.buildBuild(n))
		case "backup":
			s.Backups = append(s.Backups, l.buildBackup(n))
		case "log":
			s.Log = l.buildLog(n)
		case "stats":
			s.Stats = l.buildStats(n)
		case "output":
			l.checkOutput(n)
		}
	}
}

func (l *loader) buildStack() {
	n := l.root.only("stack")
	if n == nil {
		l.report(fault(l.root.at, "the stack has no name", `want stack "NAME" {}`, fmt.Sprintf("begin the file with: stack %q {}", l.proposeName())))
		return
	}
	l.stack.Name, l.stack.State = n.label, l.value(n, "state")
}

// proposeName makes a stack's name of its folder's.
func (l *loader) proposeName() string {
	abs, err := filepath.Abs(l.dir)
	name := strings.ToLower(filepath.Base(abs))
	if err != nil || !resource.Label.MatchString(name) || len(name) > resource.MaxLabel {
		return "shop"
	}
	return name
}
