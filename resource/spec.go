package resource

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"sync"
)

// A Spec is what is wanted of a resource: a pointer to one of the structs of kinds.go. Its JSON
// form is its form on the wire, in the state and in a plan; it names other resources by address,
// never by id or IP, and holds no secret (see Secret).
//
// The struct's fields are the list that drives diff, print, wire and tests. A field's tag
// `plan:"..."` says what a change of it means:
//
//	fixed    it can't be changed: the resource is replaced
//	initial  it matters at create only and is never compared
//	memo     remembered beside the resource, never compared with the cloud
//	(none)   it can be changed in place
type Spec interface {
	Kind() Kind
}

// Mode says what a change of a field means.
type Mode string

// The modes of fields.
const (
	ModeChange  Mode = ""
	ModeFixed   Mode = "fixed"
	ModeInitial Mode = "initial"
	ModeMemo    Mode = "memo"
)

// A Field is one top-level field of a spec.
type Field struct {
	Name  string          // its JSON name
	Mode  Mode            // what a change of it means, unless the provider's schema says Fixed
	Value json.RawMessage // its JSON; "null" when unset
}

// IsZero reports whether the field is unset.
func (f Field) IsZero() bool { return len(f.Value) == 0 || string(f.Value) == "null" }

// New returns an empty spec of a kind.
func New(kind Kind) (Spec, error) {
	switch kind {
	case KindSSHKey:
		return &SSHKeySpec{}, nil
	case KindNetwork:
		return &NetworkSpec{}, nil
	case KindFirewall:
		return &FirewallSpec{}, nil
	case KindServer:
		return &ServerSpec{}, nil
	case KindLoadBalancer:
		return &LoadBalancerSpec{}, nil
	case KindDocker:
		return &DockerSpec{}, nil
	case KindRelease:
		return &ReleaseSpec{}, nil
	case KindCertificate:
		return &CertificateSpec{}, nil
	case KindMembers:
		return &MembersSpec{}, nil
	case KindRoute:
		return &RouteSpec{}, nil
	}
	return nil, fmt.Errorf("unknown kind %q", kind)
}

// Decode reads a spec of a kind. A field that this program does not know is an error: the other
// side meant something by it.
func Decode(kind Kind, b []byte) (Spec, error) {
	s, err := New(kind)
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(b)) == 0 || string(b) == "null" {
		return s, nil
	}
	if err := strict(b, s); err != nil {
		return nil, fmt.Errorf("spec of a %s: %w", kind, err)
	}
	return s, nil
}

// strict reads JSON and refuses a field that v does not have. A decoder's own strictness ends at
// every type that reads itself, so these ask for it again.
func strict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

// Encode writes a spec; the same spec gives the same bytes.
func Encode(s Spec) (json.RawMessage, error) {
	b, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("spec of a %s: %w", s.Kind(), err)
	}
	return b, nil
}

// Clone copies a spec deeply.
func Clone(s Spec) Spec {
	if s == nil {
		return nil
	}
	b, err := Encode(s)
	if err != nil {
		return s
	}
	c, err := Decode(s.Kind(), b)
	if err != nil {
		return s
	}
	return c
}

type layout struct {
	name  string
	mode  Mode
	index int
}

var layouts sync.Map // reflect.Type -> []layout

func layoutOf(t reflect.Type) []layout {
	if l, ok := layouts.Load(t); ok {
		return l.([]layout)
	}
	var list []layout
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		list = append(list, layout{name: name, mode: Mode(f.Tag.Get("plan")), index: i})
	}
	layouts.Store(t, list)
	return list
}

// Fields lists the fields of a spec in the order of its struct.
func Fields(s Spec) []Field {
	v := reflect.Indirect(reflect.ValueOf(s))
	var fields []Field
	for _, l := range layoutOf(v.Type()) {
		f := Field{Name: l.name, Mode: l.mode}
		if fv := v.Field(l.index); !empty(fv) {
			f.Value, _ = json.Marshal(compared(fv))
		}
		fields = append(fields, f)
	}
	return fields
}

// compared is a field's value without what is only remembered inside it: the elements of a list of
// structs lose their fields of ModeMemo.
func compared(v reflect.Value) any {
	if v.Kind() != reflect.Slice || v.Type().Elem().Kind() != reflect.Struct {
		return v.Interface()
	}
	list := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
	reflect.Copy(list, v)
	for _, l := range layoutOf(v.Type().Elem()) {
		if l.mode == ModeMemo {
			for i := range list.Len() {
				list.Index(i).Field(l.index).SetZero()
			}
		}
	}
	return list.Interface()
}

func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	default:
		return v.IsZero()
	}
}

// CopyField sets one field of to from the same field of from; both are of one kind.
func CopyField(to, from Spec, name string) {
	tv, fv := reflect.Indirect(reflect.ValueOf(to)), reflect.Indirect(reflect.ValueOf(from))
	if tv.Type() != fv.Type() {
		return
	}
	for _, l := range layoutOf(tv.Type()) {
		if l.name == name {
			tv.Field(l.index).Set(fv.Field(l.index))
		}
	}
}

// Refs lists every address that a spec names, each once, in the order of its fields.
func Refs(s Spec) []Address { return named[Address](s) }

// Secrets lists the digest of every secret that a spec names, each once, in the order of its
// fields.
func Secrets(s Spec) []string {
	var digests []string
	for _, secret := range named[Secret](s) {
		digests = append(digests, secret.Digest)
	}
	return digests
}

// named lists every value of type T in a spec that is not zero, each once, in order.
func named[T comparable](s Spec) []T {
	var list []T
	var zero T
	seen := map[T]bool{}
	var visit func(v reflect.Value)
	visit = func(v reflect.Value) {
		if v.IsValid() && v.Type() == reflect.TypeFor[T]() {
			if x := v.Interface().(T); x != zero && !seen[x] {
				seen[x] = true
				list = append(list, x)
			}
			return
		}
		switch v.Kind() {
		case reflect.Pointer, reflect.Interface:
			if !v.IsNil() {
				visit(v.Elem())
			}
		case reflect.Struct:
			for i := range v.NumField() {
				visit(v.Field(i))
			}
		case reflect.Slice:
			for i := range v.Len() {
				visit(v.Index(i))
			}
		}
	}
	if s != nil {
		visit(reflect.ValueOf(s))
	}
	return list
}
