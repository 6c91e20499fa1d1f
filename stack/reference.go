package stack

import (
	"fmt"
	"slices"

	"github.com/cloudship/cloudship/resource"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// ref is a reference that names something: var.x, local.x, stack.name, group.blue,
// group.blue.servers.
type ref struct {
	root, label, attribute string
	node                   *node // the block, where it is one
	at                     hcl.Range
}

func (r ref) String() string {
	if r.attribute == "" {
		return r.root + "." + r.label
	}
	return r.root + "." + r.label + "." + r.attribute
}

// lateFacts lists the facts that are found later, by kind of block.
var lateFacts = map[string][]string{
	"load_balancer": {"ip", "id"},
	"group":         {"server"},
	"build":         {"image"},
	"network":       {"id"},
	"ssh_key":       {"id"},
}

var serverFacts = []string{"public_ip", "private_ip", "id"}

// readReference finds out what a traversal names, or what is wrong with it.
func (s *scope) readReference(t hcl.Traversal) (ref, *hcl.Diagnostic) {
	r := ref{root: t.RootName(), at: t.SourceRange()}
	roots := append([]string{"var", "local", "stack"}, referable...)
	if !slices.Contains(roots, r.root) {
		return r, fault(r.at, fmt.Sprintf("%q refers to nothing", r.root), oneOf(roots), orElse(didYouMean(r.root, roots), "text stands in quotes"))
	}
	label, ok := step(t, 1)
	if !ok {
		return r, fault(r.at, fmt.Sprintf("%q alone refers to nothing", r.root), fmt.Sprintf("want %s.NAME", r.root), "")
	}
	r.label = label
	var names []string
	switch r.root {
	case "var":
		names = s.root.labels("variable")
	case "local":
		for name := range s.locals {
			names = append(names, name)
		}
		slices.Sort(names)
	case "stack":
		names = []string{"name"}
		r.node = s.root.only("stack")
	default:
		names = s.root.labels(r.root)
		r.node = s.root.find(r.root, r.label)
	}
	if !slices.Contains(names, r.label) || r.root == "stack" && r.node == nil {
		return r, s.unknownName(r, names)
	}
	if !slices.Contains(referable, r.root) {
		return r, nil
	}
	return s.readAttribute(r, t)
}

// orElse is the first text that says something.
func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// step is the name at a place of a traversal.
func step(t hcl.Traversal, i int) (string, bool) {
	if len(t) <= i {
		return "", false
	}
	switch part := t[i].(type) {
	case hcl.TraverseAttr:
		return part.Name, true
	case hcl.TraverseIndex:
		if part.Key.Type() == cty.String && part.Key.IsKnown() && !part.Key.IsNull() {
			return part.Key.AsString(), true
		}
	}
	return "", false
}

// unknownName says that nothing has the name that a reference wants.
func (s *scope) unknownName(r ref, names []string) *hcl.Diagnostic {
	kind := map[string]string{"var": "variable", "local": "local"}[r.root]
	if kind == "" {
		kind = r.root
	}
	hint := didYouMean(r.label, names)
	if hint == "" && kind == "variable" {
		hint = fmt.Sprintf("declare it: variable %q {}", r.label)
	}
	return fault(r.at, fmt.Sprintf("there is no %s %q", kind, r.label), oneOf(names), hint)
}

// readAttribute finds which attribute of a block is meant.
func (s *scope) readAttribute(r ref, t hcl.Traversal) (ref, *hcl.Diagnostic) {
	if len(t) < 3 {
		return r, nil
	}
	name, ok := step(t, 2)
	if !ok {
		return r, fault(r.at, fmt.Sprintf("%s is no list", r), fmt.Sprintf("want %s.ATTRIBUTE", r), "")
	}
	names := append([]string{"name"}, lateFacts[r.root]...)
	for _, a := range r.node.block.attributes {
		if a.takes != typeName {
			names = append(names, a.name)
		}
	}
	if r.node.block.free {
		for _, a := range inOrder(r.node.attributes) {
			names = append(names, a.Name)
		}
	}
	if r.root == "group" && name == "servers" && len(t) > 3 {
		return r, fault(r.at, "servers is a number", "", fmt.Sprintf("the servers themselves are %s.server[0], %s.server[1], ...", r, r))
	}
	if fact, ok := step(t, 4); ok && r.root == "group" && name == "server" && !slices.Contains(serverFacts, fact) {
		return r, fault(r.at, fmt.Sprintf("a server has no %q", fact), oneOf(serverFacts), didYouMean(fact, serverFacts))
	}
	if !slices.Contains(names, name) {
		return r, fault(r.at, fmt.Sprintf("%s has no attribute %q", r.node.title(), name), oneOf(names), didYouMean(name, names))
	}
	r.attribute = name
	return r, nil
}

// lateFact is the value of a reference to what is found later; false for any other reference.
func (s *scope) lateFact(r ref) (cty.Value, bool) {
	if !slices.Contains(lateFacts[r.root], r.attribute) {
		return cty.NilVal, false
	}
	switch r.root {
	case "build":
		return s.late(Late{Build: r.label, Fact: r.attribute}), true
	case "group":
		var servers []cty.Value
		for i := range s.serversOf(r.node) {
			facts := map[string]cty.Value{}
			for _, fact := range serverFacts {
				facts[fact] = s.late(Late{Address: resource.Server(r.label, i), Fact: fact})
			}
			servers = append(servers, cty.ObjectVal(facts))
		}
		return cty.TupleVal(servers), true
	}
	return s.late(Late{Address: resource.Address{Block: r.root, Name: r.label}, Fact: r.attribute}), true
}

// serversOf is how many servers a group wants.
func (s *scope) serversOf(n *node) int {
	a := s.ask(ref{root: "group", label: n.label, attribute: "servers", node: n, at: n.at})
	if a.ok {
		bare, _ := a.value.UnmarkDeep()
		if count, ok := whole(bare); ok && count >= 0 && count <= maxServers {
			return count
		}
	}
	return 0
}
