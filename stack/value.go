package stack

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cloudship/cloudship/resource"
	"github.com/zclconf/go-cty/cty"
)

// sensitive is the mark of values that must never be shown.
type sensitiveMark struct{}

var sensitive = sensitiveMark{}

// Late names a fact that is found only when things run. It is the mark of values that rest on it.
type Late struct {
	Address resource.Address `json:"address,omitzero"`
	Build   string           `json:"build,omitempty"` // instead of an address: the name of a build block
	Fact    string           `json:"fact"`            // ip, public_ip, private_ip, id, image
}

// String is the reference as it is written in the stack file.
func (l Late) String() string {
	if l.Build != "" {
		return "build." + l.Build + "." + l.Fact
	}
	return l.Address.String() + "." + l.Fact
}

// Binding is the reference as it stands in a release's document until it is resolved:
// "{{ load_balancer.www | ip }}".
func (l Late) Binding() string {
	if l.Build != "" {
		return "{{ build." + l.Build + " | " + l.Fact + " }}"
	}
	return "{{ " + l.Address.String() + " | " + l.Fact + " }}"
}

// Value is a text that may be secret, and may rest on facts that are not known yet: then Text holds
// their bindings. Printing a secret one prints no more than that.
type Value struct {
	Text      string
	Sensitive bool
	Late      []Late // what is unresolved in Text, sorted
}

// String is the text, unless it is secret.
func (v Value) String() string {
	if v.Sensitive {
		return "(sensitive)"
	}
	return v.Text
}

// GoString keeps secrets out of %#v as well.
func (v Value) GoString() string { return fmt.Sprintf("stack.Value{%q}", v.String()) }

// marksOf collects the marks of a value, inside as well as around it.
func marksOf(v cty.Value) (secret bool, late []Late) {
	_, marks := v.UnmarkDeep()
	for m := range marks {
		switch m := m.(type) {
		case sensitiveMark:
			secret = true
		case Late:
			late = append(late, m)
		}
	}
	slices.SortFunc(late, func(a, b Late) int { return strings.Compare(a.String(), b.String()) })
	return secret, late
}

// plain turns an unmarked, wholly known value into strings, float64s, bools, lists and maps, as
// JSON would.
func plain(v cty.Value) any {
	if v.IsNull() || !v.IsKnown() {
		return nil
	}
	t := v.Type()
	switch {
	case t == cty.String:
		return v.AsString()
	case t == cty.Number:
		f, _ := v.AsBigFloat().Float64()
		return f
	case t == cty.Bool:
		return v.True()
	case t.IsListType() || t.IsTupleType() || t.IsSetType():
		list := []any{}
		for _, e := range v.AsValueSlice() {
			list = append(list, plain(e))
		}
		return list
	case t.IsMapType() || t.IsObjectType():
		m := map[string]any{}
		for k, e := range v.AsValueMap() {
			m[k] = plain(e)
		}
		return m
	}
	return nil
}

// leaves calls f with the text of every string and number in a value; where only secret ones are
// asked for, of those under a sensitive mark.
func leaves(v cty.Value, onlySecret bool, f func(string)) {
	v, marks := v.Unmark()
	if _, secret := marks[sensitive]; secret {
		onlySecret = false
	}
	if v.IsNull() || !v.IsKnown() {
		return
	}
	switch {
	case v.CanIterateElements():
		for it := v.ElementIterator(); it.Next(); {
			_, e := it.Element()
			leaves(e, onlySecret, f)
		}
	case onlySecret:
	case v.Type() == cty.String:
		f(v.AsString())
	case v.Type() == cty.Number:
		f(v.AsBigFloat().Text('f', -1))
	}
}
