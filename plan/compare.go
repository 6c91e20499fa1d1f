package plan

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/cloudship/cloudship/resource"
)

// Broken is what Item.Changed says of an update that mends what Found.Broken names.
const Broken = "broken"

// A difference is what comparing one resource gives.
type difference struct {
	fields []FieldChange // in which want differs from what is there
	asked  []string      // of these, the ones that the files ask for: the rest is drift to be mended
	drift  []FieldChange // in which what is there differs from what it was last brought to
}

func (d difference) names() []string {
	var names []string
	for _, f := range d.fields {
		names = append(names, f.Name)
	}
	return names
}

func (d difference) fixed() bool {
	return slices.ContainsFunc(d.fields, func(f FieldChange) bool { return f.Fixed })
}

// compare tells in which fields want differs from a record: from what was found where that was
// observed, else from what is remembered where that is known; what is in neither never differs.
func compare(want resource.Spec, rec resource.Record, schema resource.Schema) difference {
	var d difference
	found, known := fieldsOf(rec.Found.Spec), fieldsOf(rec.Want)
	for _, f := range resource.Fields(want) {
		fixed := modeOf(f, want.Kind(), schema)
		if fixed == resource.ModeInitial || fixed == resource.ModeMemo {
			continue
		}
		now, seen := found[f.Name]
		seen = seen && slices.Contains(rec.Observed, f.Name)
		then, remembered := known[f.Name]
		change := FieldChange{Name: f.Name, Before: then.Value, After: f.Value, Fixed: fixed == resource.ModeFixed}
		if seen {
			change.Before = now.Value
		}
		drifted := seen && remembered && !same(now.Value, then.Value) && !chosen(then, fixed)
		if drifted {
			d.drift = append(d.drift, FieldChange{Name: f.Name, Before: then.Value, After: now.Value, Drift: true})
			change.Drift = true
		}
		switch {
		case !seen && !remembered, same(change.Before, f.Value):
			continue
		case chosen(f, fixed) && (!remembered || then.IsZero()):
			continue
		}
		d.fields = append(d.fields, change)
		if !remembered || !same(then.Value, f.Value) {
			d.asked = append(d.asked, f.Name)
		}
	}
	return d
}

// chosen reports whether a field is left to the provider: a fixed one that is not set.
func chosen(f resource.Field, mode resource.Mode) bool {
	return mode == resource.ModeFixed && f.IsZero()
}

// modeOf is a field's mode at a provider.
func modeOf(f resource.Field, kind resource.Kind, schema resource.Schema) resource.Mode {
	switch {
	case f.Mode == resource.ModeChange && slices.Contains(schema.Fixed[kind], f.Name):
		return resource.ModeFixed
	case f.Mode == resource.ModeFixed && slices.Contains(schema.Changeable[kind], f.Name):
		return resource.ModeChange
	}
	return f.Mode
}

func fieldsOf(s resource.Spec) map[string]resource.Field {
	if s == nil {
		return nil
	}
	fields := map[string]resource.Field{}
	for _, f := range resource.Fields(s) {
		fields[f.Name] = f
	}
	return fields
}

// same compares two JSON values. The order of a list's elements means nothing: clouds give rules,
// members and names in an order of their own.
func same(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	return bytes.Equal(canonical(a), canonical(b))
}

// canonical is the form of a JSON value in which equal ones have equal bytes.
func canonical(raw json.RawMessage) []byte {
	if len(raw) == 0 {
		return []byte("null")
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return raw
	}
	b, err := json.Marshal(sorted(v))
	if err != nil {
		return raw
	}
	return b
}

func sorted(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = sorted(e)
		}
	case []any:
		keys := make([][]byte, len(v))
		for i, e := range v {
			v[i] = sorted(e)
			keys[i], _ = json.Marshal(v[i])
		}
		slices.SortFunc(keys, bytes.Compare)
		list := make([]any, len(v))
		for i, k := range keys {
			list[i] = json.RawMessage(k)
		}
		return list
	}
	return v
}

// sameSpec reports whether two specs are the same in every field, the remembered ones included.
func sameSpec(a, b resource.Spec) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	x, errX := resource.Encode(a)
	y, errY := resource.Encode(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// refsOf lists the addresses that a spec names in fields of certain modes.
func refsOf(s resource.Spec, modes ...resource.Mode) []resource.Address {
	if s == nil {
		return nil
	}
	part, err := resource.New(s.Kind())
	if err != nil {
		return nil
	}
	for _, f := range resource.Fields(s) {
		if slices.Contains(modes, f.Mode) {
			resource.CopyField(part, s, f.Name)
		}
	}
	return resource.Refs(part)
}

// holds lists what a resource rests on for as long as it is there; what it needed at its creation
// only, or remembers only, is left out.
func holds(s resource.Spec) []resource.Address {
	return refsOf(s, resource.ModeFixed, resource.ModeChange)
}

// fieldRefs lists the addresses that one field of a spec names.
func fieldRefs(s resource.Spec, name string) []resource.Address {
	part, err := resource.New(s.Kind())
	if err != nil {
		return nil
	}
	resource.CopyField(part, s, name)
	return resource.Refs(part)
}

// union joins two lists of names, each name once.
func union(a, b []string) []string {
	list := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(list, s) {
			list = append(list, s)
		}
	}
	return list
}
