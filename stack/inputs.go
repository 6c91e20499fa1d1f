package stack

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/cloudship/cloudship/resource"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// Facts are what late references are resolved with. What is not in it stays unresolved.
type Facts struct {
	Found  map[resource.Address]resource.Found
	Images map[string]string // build block to image reference
}

// resolve gives a late fact's text, if it is known.
func (f Facts) resolve(l Late) (string, bool) {
	if l.Build != "" {
		image, ok := f.Images[l.Build]
		return image, ok && image != ""
	}
	found, ok := f.Found[l.Address]
	if !ok {
		return "", false
	}
	fact := map[string]string{"ip": found.Facts.PublicIP, "public_ip": found.Facts.PublicIP, "private_ip": found.Facts.PrivateIP, "id": found.ID}[l.Fact]
	return fact, fact != ""
}

// Inputs evaluates a template's inputs with the facts that are known. In a value that rests on
// others, Text holds their bindings ("{{ load_balancer.www | ip }}") and Late lists them.
func (s *Stack) Inputs(template string, facts Facts) (map[string]Value, hcl.Diagnostics) {
	t := s.Template(template)
	if t == nil {
		return nil, hcl.Diagnostics{fault(outside(File), fmt.Sprintf("there is no template %q", template), "", "")}
	}
	scope := s.scope.with(func(l Late) cty.Value {
		if text, ok := facts.resolve(l); ok {
			return cty.StringVal(text)
		}
		return cty.StringVal(l.Binding()).Mark(l)
	})
	inputs := scope.inputs(t.node)
	if scope.diags.HasErrors() {
		return nil, scope.diags
	}
	return inputs, scope.diags
}

// inputs evaluates the inputs of a template's block.
func (s *scope) inputs(n *node) map[string]Value {
	a := n.attributes["inputs"]
	if a == nil {
		return nil
	}
	v, ok := s.attribute(n, "inputs")
	if !ok || v.IsNull() {
		return nil
	}
	bare, around := v.Unmark()
	if t := bare.Type(); !t.IsObjectType() && !t.IsMapType() || !bare.IsKnown() {
		s.report(fault(a.Expr.Range(), fmt.Sprintf("inputs of %s is %s", n.title(), describe(v)), "want names with values: { TAG = var.tag }", ""))
		return nil
	}
	places, inputs := itemRanges(a.Expr), map[string]Value{}
	for name, value := range bare.AsValueMap() {
		at, ok := places[name]
		if !ok {
			at = a.Expr.Range()
		}
		flat, err := convert.Convert(value, cty.String)
		if err != nil || flat.IsNull() {
			s.report(fault(at, fmt.Sprintf("input %s of %s is %s", name, n.title(), describe(value)), "want a text, a number, or true or false", "jsonencode(...) makes a text of anything"))
			continue
		}
		secret, late := marksOf(flat.WithMarks(around))
		text, _ := flat.UnmarkDeep()
		input := Value{Sensitive: secret, Late: late}
		if text.IsKnown() {
			input.Text = text.AsString()
		}
		inputs[name] = input
	}
	return inputs
}

// checkInputs evaluates a template's inputs while the file is read. Late facts may only be joined
// into text: what is done to them otherwise could not be done again on the hosts, where the facts
// are filled in. Two evaluations with different stand-ins show whether that is so.
func (l *loader) checkInputs(t *Template) {
	inputs := l.inputs(t.node)
	late := false
	for _, input := range inputs {
		late = late || len(input.Late) > 0
	}
	if !late || l.diags.HasErrors() {
		return
	}
	other := func(late Late) string { return "<" + late.String() + ">" }
	first := l.with(func(late Late) cty.Value { return cty.StringVal(late.Binding()).Mark(late) })
	second := l.with(func(late Late) cty.Value { return cty.StringVal(other(late)).Mark(late) })
	a, b := first.inputs(t.node), second.inputs(t.node)
	l.report(first.diags...)
	for name, input := range a {
		text, all := b[name].Text, true
		for _, late := range input.Late {
			all = all && strings.Contains(text, other(late))
			text = strings.ReplaceAll(text, other(late), late.Binding())
		}
		if len(input.Late) > 0 && (!all || text != input.Text) {
			at, ok := itemRanges(t.node.attributes["inputs"].Expr)[name]
			if !ok {
				at = t.node.where("inputs")
			}
			l.report(fault(at, fmt.Sprintf("input %s of %s does more with %s than to put it into a text", name, t.node.title(), input.Late[0]),
				"it is filled in on the servers, once it is found", fmt.Sprintf("write \"...${%s}...\", or join", input.Late[0])))
		}
	}
}

// LateOf lists what a template's inputs rest on that is found only by apply: its releases need it.
func (s *Stack) LateOf(template string) []Late {
	t := s.Template(template)
	if t == nil {
		return nil
	}
	var all []Late
	for _, input := range s.scope.with(lateUnknown).inputs(t.node) {
		all = append(all, input.Late...)
	}
	slices.SortFunc(all, func(a, b Late) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(all)
}

// Output is an output block evaluated.
type Output struct {
	Name        string
	Description string
	Value       json.RawMessage // nil while it rests on something in Late
	Sensitive   bool
	Late        []Late
}

// Outputs evaluates the output blocks with the facts that are known, in the file's order.
func (s *Stack) Outputs(facts Facts) ([]Output, hcl.Diagnostics) {
	scope := s.scope.with(func(l Late) cty.Value {
		if text, ok := facts.resolve(l); ok {
			return cty.StringVal(text)
		}
		return lateUnknown(l)
	})
	var outputs []Output
	for _, n := range scope.root.inner("output") {
		v, ok := scope.attribute(n, "value")
		if !ok {
			continue
		}
		secret, late := marksOf(v)
		o := Output{Name: n.label, Sensitive: secret || scope.yes(n, "sensitive"), Description: scope.words(n, "description"), Late: late}
		bare, _ := v.UnmarkDeep()
		if bare.IsWhollyKnown() {
			encoded, err := ctyjson.Marshal(bare, bare.Type())
			if err != nil {
				scope.report(fault(n.where("value"), fmt.Sprintf("%s cannot be shown", n.title()), err.Error(), ""))
				continue
			}
			o.Value, o.Late = encoded, nil
		}
		if o.Sensitive {
			leaves(bare, false, scope.secret)
		}
		outputs = append(outputs, o)
	}
	return outputs, scope.diags
}

func (s *scope) yes(n *node, name string) bool {
	v, ok := s.attribute(n, name)
	return ok && !v.IsNull() && v.True()
}

func (s *scope) words(n *node, name string) string {
	if v, ok := s.attribute(n, name); ok && !v.IsNull() {
		return v.AsString()
	}
	return ""
}

// checkOutput refuses an output that would show a secret.
func (l *loader) checkOutput(n *node) {
	l.text(n, "description")
	hidden := l.flag(n, "sensitive")
	v, ok := l.field(n, "value")
	if !ok {
		return
	}
	if secret, _ := marksOf(v); secret && !hidden {
		l.report(fault(n.where("value"), fmt.Sprintf("%s would show a sensitive value", n.title()), "", "write sensitive = true beside it; it is shown only when asked for by name"))
	}
}
