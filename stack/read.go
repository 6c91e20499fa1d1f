package stack

import (
	"fmt"
	"net/url"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// attribute evaluates an attribute of a block and brings it to the shape that the language gives
// it. One that is not written is its fallback, or null.
func (s *scope) attribute(n *node, name string) (cty.Value, bool) {
	rule, a := n.block.attribute(name), n.attributes[name]
	if a == nil {
		if rule.fallback != cty.NilVal {
			return rule.fallback, true
		}
		if names := s.root.labels("provider"); rule.of == "provider" && len(names) == 1 {
			return cty.StringVal(names[0]), true
		}
		return cty.NullVal(cty.DynamicPseudoType), true
	}
	v, ok := s.eval(a.Expr)
	if !ok || !s.letIn(n, rule, a, v) {
		return cty.DynamicVal, false
	}
	if v.IsNull() {
		if rule.required {
			s.report(fault(a.Expr.Range(), fmt.Sprintf("%s of %s is null", name, n.title()), "want a value", ""))
		}
		return v, !rule.required
	}
	v, ok = s.shape(n, rule, a.Expr, v)
	if ok && (rule.hidden || rule.takes == location && s.holdsPassword(v)) {
		v = v.Mark(sensitive)
		leaves(v, true, s.secret)
	}
	return v, ok
}

// holdsPassword reports whether a text is a URL with a password, and notes that.
func (s *scope) holdsPassword(v cty.Value) bool {
	bare, _ := v.Unmark()
	if !bare.IsKnown() || bare.IsNull() {
		return false
	}
	u, err := url.Parse(bare.AsString())
	if err != nil || u.User == nil {
		return false
	}
	password, said := u.User.Password()
	s.secret(password)
	return said && password != ""
}

// letIn reports a value that may not stand where it does: a secret where it would be shown, a late
// fact where it would be needed now.
func (s *scope) letIn(n *node, rule *attribute, a *hclsyntax.Attribute, v cty.Value) bool {
	secret, late := marksOf(v)
	if secret && !rule.secret {
		s.report(fault(a.Expr.Range(), fmt.Sprintf("%s of %s is sensitive", rule.name, n.title()),
			"it is shown in plans and stands in clouds in the open", "sensitive values can go into template inputs, outputs, passwords and private keys"))
		return false
	}
	if len(late) > 0 && !rule.late {
		s.report(fault(a.Expr.Range(), fmt.Sprintf("%s of %s rests on %s, which is found only by apply", rule.name, n.title(), late[0]),
			"outputs and template inputs may read found facts, nothing else", ""))
		return false
	}
	return true
}

// shape converts a value to what the attribute takes.
func (s *scope) shape(n *node, rule *attribute, expr hcl.Expression, v cty.Value) (cty.Value, bool) {
	wrong := func(want string) (cty.Value, bool) {
		s.report(fault(expr.Range(), fmt.Sprintf("%s of %s is %s", rule.name, n.title(), describe(v)), "want "+want, hintFor(rule, v)))
		return cty.DynamicVal, false
	}
	switch rule.takes {
	case text, location:
		return converted(v, cty.String, wrong, "a text in quotes")
	case yesNo:
		return converted(v, cty.Bool, wrong, "true or false")
	case number:
		if _, ok := whole(v); !ok {
			return wrong("a whole number")
		}
		return converted(v, cty.Number, wrong, "a whole number")
	case duration:
		if _, ok := seconds(v); !ok {
			return wrong(`a duration such as "90s" or "2m"`)
		}
	case sizing:
		return s.shapeSize(n, rule, expr, v)
	case texts:
		return converted(v, cty.List(cty.String), wrong, "a list of texts")
	case oneOrMore:
		bare, _ := v.Unmark()
		if bare.Type() == cty.String {
			return cty.ListVal([]cty.Value{v}), true
		}
		return converted(v, cty.List(cty.String), wrong, "a text or a list of texts")
	case textMap:
		return converted(v, cty.Map(cty.String), wrong, "names with texts: { NAME = \"...\" }")
	case numberMap:
		return converted(v, cty.Map(cty.Number), wrong, "names with numbers: { NAME = 2 }")
	case commands:
		return converted(v, cty.List(cty.List(cty.String)), wrong, `a list of commands, each a list of words: [["./smoke.sh"]]`)
	case reference:
		return s.shapeReference(rule, expr, v)
	case references:
		return s.shapeReferences(n, rule, expr, v)
	}
	return v, true
}

func hintFor(rule *attribute, v cty.Value) string {
	if rule.takes == commands && v.CanIterateElements() {
		return "put each command into brackets of its own"
	}
	return ""
}

// converted is a value in another type; where it has none there, wrong reports it.
func converted(v cty.Value, to cty.Type, wrong func(string) (cty.Value, bool), want string) (cty.Value, bool) {
	out, err := convert.Convert(v, to)
	if err != nil {
		return wrong(want)
	}
	bare, _ := out.UnmarkDeep()
	if hasNull(bare) {
		return wrong(want + ", none of them null")
	}
	return out, true
}

// hasNull reports whether an unmarked value is null or holds a null.
func hasNull(v cty.Value) bool {
	null := false
	_ = cty.Walk(v, func(_ cty.Path, e cty.Value) (bool, error) {
		null = null || e.IsNull()
		return !null, nil
	})
	return null
}

// describe says what a value is, without saying its contents.
func describe(v cty.Value) string {
	bare, _ := v.Unmark()
	t := bare.Type()
	switch {
	case bare.IsNull():
		return "null"
	case t == cty.String:
		return "a text"
	case t == cty.Number:
		return "a number"
	case t == cty.Bool:
		return "true or false"
	case t.IsTupleType(), t.IsListType(), t.IsSetType():
		return "a list"
	case t.IsObjectType(), t.IsMapType():
		return "an object"
	}
	return "something else"
}

// shapeReference turns a block's reference or name into its name.
func (s *scope) shapeReference(rule *attribute, expr hcl.Expression, v cty.Value) (cty.Value, bool) {
	if t, d := hcl.AbsTraversalForExpr(expr); !d.HasErrors() && slices.Contains(referable, t.RootName()) && t.RootName() != rule.of && len(t) == 2 {
		s.report(fault(expr.Range(), fmt.Sprintf("this is a %s", t.RootName()), fmt.Sprintf("want a %s", rule.of), ""))
		return cty.DynamicVal, false
	}
	bare, _ := v.Unmark()
	if bare.Type().IsObjectType() && bare.Type().HasAttribute("name") {
		bare, _ = bare.GetAttr("name").Unmark()
	}
	if bare.IsNull() || bare.Type() != cty.String || !bare.IsKnown() {
		s.report(fault(expr.Range(), fmt.Sprintf("%s is %s", rule.name, describe(v)), fmt.Sprintf("want a %s: %s.NAME or \"NAME\"", rule.of, rule.of), ""))
		return cty.DynamicVal, false
	}
	name, names := bare.AsString(), s.root.labels(rule.of)
	if !slices.Contains(names, name) {
		hint := didYouMean(name, names)
		if hint == "" {
			hint = fmt.Sprintf("declare it: %s %q { ... }", rule.of, name)
		}
		s.report(fault(expr.Range(), fmt.Sprintf("there is no %s %q", rule.of, name), oneOf(names), hint))
		return cty.DynamicVal, false
	}
	return bare, true
}

// shapeReferences does the same for a list.
func (s *scope) shapeReferences(n *node, rule *attribute, expr hcl.Expression, v cty.Value) (cty.Value, bool) {
	bare, _ := v.Unmark()
	if t := bare.Type(); !t.IsTupleType() && !t.IsListType() && !t.IsSetType() {
		s.report(fault(expr.Range(), fmt.Sprintf("%s of %s is %s", rule.name, n.title(), describe(v)), fmt.Sprintf("want a list: [%s.NAME, ...]", rule.of), ""))
		return cty.DynamicVal, false
	}
	items := bare.AsValueSlice()
	if len(items) == 0 {
		return cty.ListValEmpty(cty.String), true
	}
	written, _ := expr.(*hclsyntax.TupleConsExpr)
	names, seen := []cty.Value{}, map[string]bool{}
	for i, item := range items {
		at := expr
		if written != nil && len(written.Exprs) == len(items) {
			at = written.Exprs[i]
		}
		name, ok := s.shapeReference(rule, at, item)
		if !ok {
			return cty.DynamicVal, false
		}
		if seen[name.AsString()] {
			s.report(fault(at.Range(), fmt.Sprintf("%q stands twice in %s of %s", name.AsString(), rule.name, n.title()), "want each once", ""))
			return cty.DynamicVal, false
		}
		seen[name.AsString()] = true
		names = append(names, name)
	}
	return cty.ListVal(names), true
}
