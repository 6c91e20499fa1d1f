package stack

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"time"

	"github.com/cloudship/cloudship/resource"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

func asPathError(err error, target **fs.PathError) bool { return errors.As(err, target) }

// field evaluates an attribute of a block, through what references see of it where others may
// refer to it; false where there is nothing.
func (l *loader) field(n *node, name string) (cty.Value, bool) {
	if n.attributes[name] == nil {
		return cty.NilVal, false
	}
	a := answer{}
	if slices.Contains(referable, n.block.name) && l.root.find(n.block.name, n.label) == n {
		a = l.ask(ref{root: n.block.name, label: n.label, attribute: name, node: n, at: n.where(name)})
	} else {
		a.value, a.ok = l.attribute(n, name)
	}
	return a.value, a.ok && !a.value.IsNull()
}

func (l *loader) text(n *node, name string) string {
	if v, ok := l.field(n, name); ok {
		return v.AsString()
	}
	return ""
}

// value is a text that may be secret.
func (l *loader) value(n *node, name string) Value {
	v, ok := l.field(n, name)
	if !ok {
		return Value{}
	}
	secret, late := marksOf(v)
	bare, _ := v.UnmarkDeep()
	if !bare.IsKnown() {
		return Value{Sensitive: secret, Late: late}
	}
	return Value{Text: bare.AsString(), Sensitive: secret, Late: late}
}

// oneWord is a text that is one of few.
func (l *loader) oneWord(n *node, name, fallback string, valid ...string) string {
	word := l.text(n, name)
	if word == "" {
		return fallback
	}
	if !slices.Contains(valid, word) {
		l.report(fault(n.where(name), name+" of "+n.title()+" cannot be \""+word+"\"", oneOf(valid), didYouMean(word, valid)))
		return fallback
	}
	return word
}

// number is a whole number within bounds.
func (l *loader) number(n *node, name string, fallback, least, most int) int {
	v, ok := l.field(n, name)
	if !ok {
		return fallback
	}
	i, _ := whole(v)
	if i < least || i > most {
		l.report(fault(n.where(name), name+" of "+n.title()+" is out of bounds", bounds(least, most), ""))
		return fallback
	}
	return i
}

func (l *loader) flag(n *node, name string) bool {
	v, ok := l.field(n, name)
	return ok && v.True()
}

// span is a duration within bounds.
func (l *loader) span(n *node, name string, fallback, least, most time.Duration) time.Duration {
	v, ok := l.field(n, name)
	if !ok {
		return fallback
	}
	d, _ := seconds(v)
	if d < least || d > most {
		l.report(fault(n.where(name), name+" of "+n.title()+" is out of bounds", "want from "+least.String()+" to "+most.String(), ""))
		return fallback
	}
	return d
}

// wholeSpan is a duration of whole seconds.
func (l *loader) wholeSpan(n *node, name string, fallback, least, most time.Duration) time.Duration {
	return time.Duration(l.wholeSeconds(n, name, fallback, least, most)) * time.Second
}

// bytes is an amount of memory or disk within bounds.
func (l *loader) bytes(n *node, name string, fallback, least, most int64) int64 {
	said := l.text(n, name)
	if said == "" {
		return fallback
	}
	mb, err := Megabytes(said)
	if err != nil {
		l.report(fault(n.where(name), name+" of "+n.title()+": \""+said+"\" is no amount", `want an amount such as "512MB" or "4GB"`, ""))
		return fallback
	}
	if b := int64(mb) << 20; b >= least && b <= most {
		return b
	}
	l.report(fault(n.where(name), name+" of "+n.title()+" is out of bounds", fmt.Sprintf("want from %dMB to %dMB", least>>20, most>>20), ""))
	return fallback
}

// wholeSeconds is a duration that a cloud counts in seconds.
func (l *loader) wholeSeconds(n *node, name string, fallback, least, most time.Duration) int {
	d := l.span(n, name, fallback, least, most)
	if d%time.Second != 0 {
		l.report(fault(n.where(name), name+" of "+n.title()+" is no whole number of seconds", "want whole seconds", ""))
	}
	return int(math.Ceil(d.Seconds()))
}

func (l *loader) texts(n *node, name string) []string {
	v, ok := l.field(n, name)
	if !ok {
		return nil
	}
	var list []string
	for _, e := range v.AsValueSlice() {
		list = append(list, e.AsString())
	}
	return list
}

// options are the free attributes of an options block, or nil.
func (l *loader) options(n *node) resource.Options {
	if inner := n.only("options"); inner != nil {
		return l.free(inner)
	}
	return nil
}

// free evaluates all attributes of a block whose attributes are not ours to know.
func (l *loader) free(n *node) resource.Options {
	values := resource.Options{}
	for _, a := range inOrder(n.attributes) {
		v, ok := l.freeValue(n, a)
		if !ok || !l.letIn(n, &attribute{name: a.Name}, a, v) || v.IsNull() {
			continue
		}
		values[a.Name] = plain(v)
	}
	return values
}

func (l *loader) freeValue(n *node, a *hclsyntax.Attribute) (cty.Value, bool) {
	if n.block.name == "provider" {
		known := l.ask(ref{root: "provider", label: n.label, attribute: a.Name, node: n, at: a.NameRange})
		return known.value, known.ok
	}
	return l.eval(a.Expr)
}

// itemRanges are the places of the values of an object as it is written: { NAME = value }.
func itemRanges(expr hcl.Expression) map[string]hcl.Range {
	ranges := map[string]hcl.Range{}
	if object, ok := expr.(*hclsyntax.ObjectConsExpr); ok {
		for _, item := range object.Items {
			if key, diags := safely(item.KeyExpr, nil); !diags.HasErrors() && key.Type() == cty.String && key.IsKnown() && !key.IsNull() && !key.IsMarked() {
				ranges[key.AsString()] = item.ValueExpr.Range()
			}
		}
	}
	return ranges
}
