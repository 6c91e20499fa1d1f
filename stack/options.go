package stack

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/cloudship/cloudship/resource"
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// CheckProvider checks what only a provider knows: its block and every options block that it will
// read, against its schema, and that it has the kinds that it is asked for.
func (s *Stack) CheckProvider(alias string, schema resource.Schema) hcl.Diagnostics {
	p := s.Provider(alias)
	if p == nil {
		return hcl.Diagnostics{fault(outside(File), fmt.Sprintf("there is no provider %q", alias), "", "")}
	}
	diags := checkValues(p.node, p.Values, schema.Config, schema.Name)
	for _, g := range s.Groups {
		if g.Provider == alias {
			diags = append(diags, checkBlock(g.node, resource.KindServer, g.Options, schema)...)
		}
	}
	for _, b := range s.LoadBalancers {
		if b.Provider == alias {
			diags = append(diags, checkBlock(b.node, resource.KindLoadBalancer, b.Options, schema)...)
		}
	}
	for _, n := range s.Networks {
		if n.Provider == alias {
			diags = append(diags, checkBlock(n.node, resource.KindNetwork, n.Options, schema)...)
		}
	}
	for _, f := range s.Firewalls {
		if f.Provider == alias {
			diags = append(diags, checkBlock(f.node, resource.KindFirewall, f.Options, schema)...)
		}
	}
	for _, k := range s.SSHKeys {
		if k.Provider == alias {
			diags = append(diags, checkBlock(k.node, resource.KindSSHKey, nil, schema)...)
		}
	}
	return diags
}

// checkBlock checks one block that a provider serves.
func checkBlock(n *node, kind resource.Kind, values resource.Options, schema resource.Schema) hcl.Diagnostics {
	if !slices.Contains(schema.Kinds, kind) {
		var kinds []string
		for _, k := range schema.Kinds {
			kinds = append(kinds, string(k))
		}
		return hcl.Diagnostics{fault(n.at, fmt.Sprintf("provider %s has no %s", schema.Name, kind), oneOf(kinds), "")}
	}
	options := n.only("options")
	if options == nil {
		options = &node{block: n.block.block("options"), at: n.at}
	}
	return checkValues(options, values, schema.Options[kind], schema.Name)
}

// checkValues compares evaluated attributes with what a provider takes.
func checkValues(n *node, values map[string]any, takes []resource.Attribute, provider string) hcl.Diagnostics {
	var diags hcl.Diagnostics
	var names []string
	for _, a := range takes {
		names = append(names, a.Name)
		value, said := values[a.Name]
		switch {
		case !said && a.Required:
			diags = append(diags, fault(n.at, fmt.Sprintf("provider %s needs %s", provider, a.Name), join("want "+a.Name+" = ...", a.Help), ""))
		case said:
			if d := checkValue(n, a, value, provider); d != nil {
				diags = append(diags, d)
			}
		}
	}
	if n.block != nil && n.block.name == "provider" {
		names = append(names, "plugin")
	}
	for _, a := range inOrder(n.attributes) {
		if !slices.Contains(names, a.Name) {
			expected := oneOf(names)
			if expected == "" {
				expected = "it takes none here"
			}
			diags = append(diags, fault(a.NameRange, fmt.Sprintf("provider %s knows no %q", provider, a.Name), expected, didYouMean(a.Name, names)))
		}
	}
	return diags
}

// checkValue says whether a value is of the type that a provider wants. Text is not taken for a
// number, nor the other way round: what is sent is what is written.
func checkValue(n *node, a resource.Attribute, value any, provider string) *hcl.Diagnostic {
	want, err := ctyjson.UnmarshalType(a.Type)
	if err != nil {
		return fault(n.where(a.Name), fmt.Sprintf("provider %s describes %s in a way that cannot be read", provider, a.Name), err.Error(), "")
	}
	if fits(value, want) {
		return nil
	}
	return fault(n.where(a.Name), fmt.Sprintf("%s is not what provider %s takes", a.Name, provider), join("want "+friendly(want), a.Help), "")
}

// fits reports whether a value stays the same when it becomes a type.
func fits(value any, want cty.Type) bool {
	encoded, err := json.Marshal(value)
	if err != nil {
		return false
	}
	implied, err := ctyjson.ImpliedType(encoded)
	if err != nil {
		return false
	}
	v, err := ctyjson.Unmarshal(encoded, implied)
	if err != nil {
		return false
	}
	out, err := convert.Convert(v, want)
	if err != nil {
		return false
	}
	return reflect.DeepEqual(said(plain(out)), value)
}

// said is a value without what nobody wrote: attributes of objects that may be left out.
func said(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			if e == nil {
				delete(v, k)
				continue
			}
			v[k] = said(e)
		}
	case []any:
		for i := range v {
			v[i] = said(v[i])
		}
	}
	return v
}

// friendly names a type as a user would.
func friendly(t cty.Type) string {
	switch {
	case t == cty.String:
		return "a text in quotes"
	case t == cty.Number:
		return "a number"
	case t == cty.Bool:
		return "true or false"
	case t.IsListType(), t.IsSetType():
		return "a list, each " + friendly(t.ElementType())
	case t.IsObjectType():
		var names []string
		for name := range t.AttributeTypes() {
			if !t.AttributeOptional(name) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return "an object with " + strings.Join(names, " and ")
	case t.IsMapType():
		return "names with values, each " + friendly(t.ElementType())
	}
	return t.FriendlyName()
}
