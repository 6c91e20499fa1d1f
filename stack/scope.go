package stack

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// scope evaluates expressions of one file. What they refer to is evaluated when it is asked for,
// once, so blocks may refer to each other in any order; a circle is an error.
type scope struct {
	root      *node
	locals    map[string]*hclsyntax.Attribute
	variables map[string]cty.Value
	functions map[string]function.Function
	late      func(Late) cty.Value // what a late fact is for now
	known     map[string]answer    // by reference: local.x, group.blue.servers
	asking    []string             // the way to what is being evaluated
	secrets   map[string]bool
	diags     hcl.Diagnostics
}

// answer is a value, and whether it could be had; if not, that has been reported.
type answer struct {
	value cty.Value
	ok    bool
}

// with is the same scope with other late facts, evaluated anew.
func (s *scope) with(late func(Late) cty.Value) *scope {
	fresh := *s
	fresh.late, fresh.known, fresh.asking, fresh.diags = late, map[string]answer{}, nil, nil
	return &fresh
}

// lateUnknown stands for every late fact while the file is read.
func lateUnknown(l Late) cty.Value { return cty.UnknownVal(cty.String).Mark(l) }

func (s *scope) report(d ...*hcl.Diagnostic) { s.diags = append(s.diags, d...) }

// eval evaluates an expression. It reports what is wrong and gives false then.
func (s *scope) eval(expr hcl.Expression) (cty.Value, bool) {
	context, ok := s.context(expr)
	if !ok {
		return cty.DynamicVal, false
	}
	v, diags := safely(expr, context)
	s.remember(expr, context, v)
	for _, d := range diags {
		s.report(translate(d, expr, context))
	}
	return v, !diags.HasErrors()
}

// safely evaluates an expression; a library's panic over an odd value is an error of that
// expression, not the end of the program.
func safely(expr hcl.Expression, context *hcl.EvalContext) (v cty.Value, diags hcl.Diagnostics) {
	defer func() {
		if r := recover(); r != nil {
			v, diags = cty.DynamicVal, hcl.Diagnostics{fault(expr.Range(), "this cannot be evaluated", "", "write it in a simpler way")}
		}
	}()
	return expr.Value(context)
}

// remember notes secret values, those on the way to the result included.
func (s *scope) remember(expr hcl.Expression, context *hcl.EvalContext, v cty.Value) {
	if !touchesSecret(context, v) {
		return
	}
	leaves(v, true, s.secret)
	if syntax, ok := expr.(hclsyntax.Node); ok {
		_ = hclsyntax.VisitAll(syntax, func(inner hclsyntax.Node) hcl.Diagnostics {
			if call, ok := inner.(*hclsyntax.FunctionCallExpr); ok {
				if v, diags := safely(call, context); !diags.HasErrors() {
					leaves(v, true, s.secret)
				}
			}
			return nil
		})
	}
}

// touchesSecret reports whether a result, or what it is made of, is sensitive.
func touchesSecret(context *hcl.EvalContext, v cty.Value) bool {
	secret, _ := marksOf(v)
	if context != nil {
		for _, root := range context.Variables {
			inner, _ := marksOf(root)
			secret = secret || inner
		}
	}
	return secret
}

func (s *scope) secret(text string) {
	if text != "" {
		s.secrets[text] = true
	}
}

// translate says a library's error in our way, and keeps quiet about values that may be secret.
func translate(d *hcl.Diagnostic, expr hcl.Expression, context *hcl.EvalContext) *hcl.Diagnostic {
	out := &hcl.Diagnostic{Severity: d.Severity, Summary: d.Summary, Detail: d.Detail, Subject: d.Subject}
	if call, ok := hcl.DiagnosticExtra[hclsyntax.FunctionCallDiagExtra](d); ok && call.FunctionCallError() != nil {
		out.Summary, out.Detail = call.CalledFunctionName()+": "+call.FunctionCallError().Error(), ""
		if d.Context != nil {
			out.Subject = d.Context
		}
	}
	if touchesSecret(context, cty.DynamicVal) || makesSecret(expr) {
		out.Summary, out.Detail = d.Summary, "the reason is not shown, since it may hold a sensitive value"
	}
	for _, t := range expr.Variables() {
		if name, ok := step(t, 2); ok && t.RootName() == "group" && name == "servers" {
			label, _ := step(t, 1)
			out.Extra = Hint(fmt.Sprintf("servers is a number; the servers themselves are group.%[1]s.server[0], group.%[1]s.server[*]", label))
		}
	}
	return out
}

// makesSecret reports whether an expression makes a secret of its own.
func makesSecret(expr hcl.Expression) bool {
	found := false
	if node, ok := expr.(hclsyntax.Node); ok {
		_ = hclsyntax.VisitAll(node, func(inner hclsyntax.Node) hcl.Diagnostics {
			if call, ok := inner.(*hclsyntax.FunctionCallExpr); ok && (call.Name == "sensitive" || call.Name == "secret_file") {
				found = true
			}
			return nil
		})
	}
	return found
}

// context holds what an expression refers to.
func (s *scope) context(expr hcl.Expression) (*hcl.EvalContext, bool) {
	single := map[string]map[string]cty.Value{}            // var.x, local.x
	blocks := map[string]map[string]map[string]cty.Value{} // group.blue.servers
	complete := true
	for _, t := range expr.Variables() {
		r, d := s.readReference(t)
		if d != nil {
			s.report(d)
			complete = false
			continue
		}
		a := s.ask(r)
		complete = complete && a.ok
		if r.attribute == "" && !slices.Contains(referable, r.root) {
			put(single, r.root, r.label, a.value)
			continue
		}
		if blocks[r.root] == nil {
			blocks[r.root] = map[string]map[string]cty.Value{}
		}
		put(blocks[r.root], r.label, "name", cty.StringVal(r.label))
		if r.attribute != "" {
			put(blocks[r.root], r.label, r.attribute, a.value)
		}
	}
	if !complete {
		return nil, false
	}
	context := &hcl.EvalContext{Variables: map[string]cty.Value{}, Functions: s.functions}
	for root, values := range single {
		context.Variables[root] = cty.ObjectVal(values)
	}
	for root, labels := range blocks {
		objects := map[string]cty.Value{}
		for label, values := range labels {
			objects[label] = cty.ObjectVal(values)
		}
		context.Variables[root] = cty.ObjectVal(objects)
	}
	return context, true
}

func put(m map[string]map[string]cty.Value, outer, inner string, v cty.Value) {
	if m[outer] == nil {
		m[outer] = map[string]cty.Value{}
	}
	m[outer][inner] = v
}

// ask gives the value of a reference, evaluating it the first time.
func (s *scope) ask(r ref) answer {
	key := r.String()
	if a, ok := s.known[key]; ok {
		return a
	}
	if i := slices.Index(s.asking, key); i >= 0 {
		circle := append(slices.Clone(s.asking[i:]), key)
		s.report(fault(r.at, fmt.Sprintf("%s rests on itself", key), strings.Join(circle, " needs "), "take one of these references away"))
		s.known[key] = answer{cty.DynamicVal, false}
		return s.known[key]
	}
	s.asking = append(s.asking, key)
	v, ok := s.lookUp(r)
	s.asking = s.asking[:len(s.asking)-1]
	if a, told := s.known[key]; told && !a.ok {
		return a
	}
	s.known[key] = answer{v, ok}
	return s.known[key]
}

// lookUp evaluates what a reference names.
func (s *scope) lookUp(r ref) (cty.Value, bool) {
	switch r.root {
	case "var":
		v, ok := s.variables[r.label]
		return v, ok
	case "local":
		return s.eval(s.locals[r.label].Expr)
	case "stack":
		return cty.StringVal(r.node.label), true
	}
	if r.attribute == "" || r.attribute == "name" {
		return cty.StringVal(r.label), true
	}
	if v, ok := s.lateFact(r); ok {
		return v, true
	}
	if r.node.block.free {
		return s.eval(r.node.attributes[r.attribute].Expr)
	}
	return s.attribute(r.node, r.attribute)
}
