package stack

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/json"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// Options are the values from outside. Later ones win over earlier ones: defaults, environment,
// *.auto.vars.hcl beside the stack file, VarFiles in their order, Vars, Values.
type Options struct {
	Vars     map[string]string             // --var NAME=VALUE
	VarFiles []string                      // --var-file, HCL or JSON
	Environ  []string                      // NAME=VALUE as of os.Environ; CLOUDSHIP_VAR_x gives variable x
	Values   map[string]stdjson.RawMessage // as Stack.Values gave them
	Looking  bool                          // variables that nobody gave are something of their type: for who only wants to know names
}

// environPrefix begins the environment variables that give variables.
const environPrefix = "CLOUDSHIP_VAR_"

// Variable is a variable block.
type Variable struct {
	Name        string
	Description string
	Sensitive   bool
	Missing     bool // it has no default and nobody gave a value
	Place       string
}

// given is a value from outside. Texts are read by the variable's type.
type given struct {
	text  *string
	value cty.Value
	at    hcl.Range
}

// outside is a place that is no line of a file.
func outside(name string) hcl.Range { return hcl.Range{Filename: name} }

// gather collects the values from outside.
func (l *loader) gather(o Options) map[string]given {
	values := map[string]given{}
	declared := l.root.labels("variable")
	for _, entry := range o.Environ {
		name, value, _ := strings.Cut(entry, "=")
		if name, ok := strings.CutPrefix(name, environPrefix); ok && slices.Contains(declared, name) {
			values[name] = given{text: &value, at: outside(environPrefix + name)}
		}
	}
	auto, _ := filepath.Glob(filepath.Join(l.dir, "*.auto.vars.hcl"))
	slices.Sort(auto)
	for _, path := range append(auto, o.VarFiles...) {
		for name, g := range l.readVarFile(path) {
			values[name] = g
		}
	}
	for name, value := range o.Vars {
		if !slices.Contains(declared, name) {
			l.report(fault(outside("--var "+name), fmt.Sprintf("there is no variable %q", name), oneOf(declared), didYouMean(name, declared)))
			continue
		}
		values[name] = given{text: &value, at: outside("--var " + name)}
	}
	l.restore(values, o.Values)
	return values
}

// readVarFile reads a file of values, HCL or, by its name, JSON.
func (l *loader) readVarFile(path string) map[string]given {
	name := path
	if rel, err := filepath.Rel(l.dir, path); err == nil && filepath.IsLocal(rel) {
		name = rel
	}
	src, err := os.ReadFile(path)
	if err != nil {
		l.report(fault(outside(name), "this file of variables cannot be read", reason(err), ""))
		return nil
	}
	if d := measure(src, name); d != nil {
		l.report(d)
		return nil
	}
	if !bytes.Contains(src, []byte("<<")) { // a heredoc has no quotes to veil between
		l.sources[name] = veil(src)
	}
	var file *hcl.File
	var diags hcl.Diagnostics
	if strings.HasSuffix(path, ".json") {
		file, diags = json.Parse(src, name)
	} else {
		file, diags = hclsyntax.ParseConfig(src, name, hcl.InitialPos)
	}
	l.report(diags...)
	if diags.HasErrors() {
		return nil
	}
	attributes, diags := file.Body.JustAttributes()
	l.report(diags...)
	declared, values := l.root.labels("variable"), map[string]given{}
	for name, a := range attributes {
		if !slices.Contains(declared, name) {
			l.report(fault(a.NameRange, fmt.Sprintf("there is no variable %q", name), oneOf(declared), didYouMean(name, declared)))
			continue
		}
		v, diags := safely(a.Expr, &hcl.EvalContext{Functions: l.functions})
		l.report(diags...)
		if !diags.HasErrors() {
			values[name] = given{value: v, at: a.Expr.Range()}
		}
	}
	return values
}

// reason is an error without the path that its place tells already.
func reason(err error) string {
	var at *os.PathError
	if asPathError(err, &at) {
		return at.Err.Error()
	}
	return err.Error()
}

// veil hides the texts in quotes of a file whose values may be secret, keeping every column.
func veil(src []byte) []byte {
	veiled, quoted := slices.Clone(src), false
	for i := 0; i < len(veiled); i++ {
		switch c := veiled[i]; {
		case c == '\n':
			quoted = false
		case c == '"':
			quoted = !quoted
		case quoted:
			veiled[i] = '*'
			if c == '\\' && i+1 < len(veiled) && veiled[i+1] != '\n' {
				i++
				veiled[i] = '*'
			}
		}
	}
	return veiled
}

// evaluateVariables gives every variable its value.
func (l *loader) evaluateVariables(values map[string]given) {
	for _, n := range l.root.inner("variable") {
		v := Variable{Name: n.label, Place: place(n.at), Description: l.text(n, "description"), Sensitive: l.flag(n, "sensitive")}
		value, ok := l.variable(n, values)
		v.Missing = !ok && n.attributes["default"] == nil && !has(values, n.label)
		l.stack.Variables = append(l.stack.Variables, v)
		if !ok {
			continue
		}
		if v.Sensitive {
			value = value.Mark(sensitive)
			leaves(value, true, l.secret)
		}
		l.variables[n.label] = value
	}
	for _, n := range l.root.inner("variable") {
		if _, ok := l.variables[n.label]; ok && !l.stoodIn[n.label] {
			l.validate(n)
		}
	}
}

func has(values map[string]given, name string) bool { _, ok := values[name]; return ok }

// variable finds a variable's value: given, or its default.
func (l *loader) variable(n *node, values map[string]given) (cty.Value, bool) {
	want := cty.DynamicPseudoType
	var defaults *typeexpr.Defaults
	if a := n.attributes["type"]; a != nil {
		t, d, diags := typeexpr.TypeConstraintWithDefaults(a.Expr)
		l.report(diags...)
		if diags.HasErrors() {
			return cty.NilVal, false
		}
		want, defaults = t, d
	}
	if g, ok := values[n.label]; ok {
		return l.takeGiven(n, g, want, defaults)
	}
	a := n.attributes["default"]
	if a == nil && l.looking {
		l.stoodIn[n.label] = true
		return standIn(want), true
	}
	if a == nil {
		l.report(fault(n.at, fmt.Sprintf("variable %q has no value", n.label), orElse(l.text(n, "description"), "it has no default, so it must be given"),
			fmt.Sprintf("--var %s=VALUE, or %s%s=VALUE in the environment, or a line in a --var-file", n.label, environPrefix, n.label)))
		return cty.NilVal, false
	}
	v, ok := l.eval(a.Expr)
	if !ok {
		return cty.NilVal, false
	}
	return l.fit(n, v, want, defaults, a.Expr.Range())
}

// takeGiven reads a value from outside by the variable's type: text for texts, else an expression.
func (l *loader) takeGiven(n *node, g given, want cty.Type, defaults *typeexpr.Defaults) (cty.Value, bool) {
	v := g.value
	if g.text != nil {
		v = cty.StringVal(*g.text)
		if !want.IsPrimitiveType() && want != cty.DynamicPseudoType {
			if d := measure([]byte(*g.text), g.at.Filename); d != nil {
				l.report(d)
				return cty.NilVal, false
			}
			expr, diags := hclsyntax.ParseExpression([]byte(*g.text), g.at.Filename, hcl.InitialPos)
			if !diags.HasErrors() {
				v, diags = safely(expr, nil)
			}
			if diags.HasErrors() {
				l.report(fault(g.at, fmt.Sprintf("the value of variable %q cannot be read", n.label), "want "+typeexpr.TypeString(want), "write it as in the stack file, in single quotes for the shell"))
				return cty.NilVal, false
			}
		}
	}
	return l.fit(n, v, want, defaults, g.at)
}

// standIn is something of a type for who only looks.
func standIn(t cty.Type) cty.Value {
	switch {
	case t == cty.Number:
		return cty.NumberIntVal(1)
	case t == cty.Bool:
		return cty.False
	case t.IsListType():
		return cty.ListValEmpty(t.ElementType())
	case t.IsSetType():
		return cty.SetValEmpty(t.ElementType())
	case t.IsMapType():
		return cty.MapValEmpty(t.ElementType())
	case t.IsTupleType(), t.IsObjectType():
		return cty.UnknownVal(t)
	}
	return cty.StringVal("")
}

// fit converts a value to the variable's type.
func (l *loader) fit(n *node, v cty.Value, want cty.Type, defaults *typeexpr.Defaults, at hcl.Range) (cty.Value, bool) {
	if l.flag(n, "sensitive") {
		leaves(v, false, l.secret)
	}
	if defaults != nil && !v.IsNull() {
		v = defaults.Apply(v)
	}
	out, err := convert.Convert(v, want)
	if err != nil {
		l.report(fault(at, fmt.Sprintf("the value of variable %q is %s", n.label, describe(v)), "want "+typeexpr.TypeString(want), ""))
		return cty.NilVal, false
	}
	return out, true
}

// validate checks a variable's own conditions.
func (l *loader) validate(n *node) {
	for _, rule := range n.inner("validation") {
		v, ok := l.attribute(rule, "condition")
		if !ok {
			continue
		}
		bare, _ := v.UnmarkDeep()
		if bare.IsKnown() && bare.True() {
			continue
		}
		l.report(fault(rule.where("condition"), fmt.Sprintf("the value of variable %q is refused", n.label), l.text(rule, "error_message"), ""))
	}
}
