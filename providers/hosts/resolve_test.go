package hosts_test

import (
	"strings"
	"testing"

	"github.com/cloudship/cloudship/resource"
)

func TestWhatCannotBeMeantIsRefused(t *testing.T) {
	t.Parallel()
	r := newRack(t, 2)
	c := r.open()
	for name, test := range map[string]struct {
		options resource.Options
		change  func(*resource.ServerSpec)
		servers int
		want    string
	}{
		"no machines said":     {nil, nil, 1, "does not say which"},
		"unknown machine":      {resource.Options{"hosts": []any{"mm"}}, nil, 1, `no machine "mm"`},
		"more servers":         {resource.Options{"hosts": []any{"m0"}}, nil, 2, "more servers than machines"},
		"one machine twice":    {resource.Options{"hosts": []any{"m0", "m0"}}, nil, 2, "already"},
		"a cloud's size":       {resource.Options{"hosts": []any{"m0"}}, func(s *resource.ServerSpec) { s.Size = "s-1vcpu-1gb" }, 1, "size"},
		"a cloud's own image":  {resource.Options{"hosts": []any{"m0"}}, func(s *resource.ServerSpec) { s.Image = "docker-20-04-x64" }, 1, "image"},
		"a network of a cloud": {resource.Options{"hosts": []any{"m0"}}, func(s *resource.ServerSpec) { s.Network = resource.Address{Block: "network", Name: "back"} }, 1, "networks"},
	} {
		var wishes []resource.Wish
		for i := range test.servers {
			spec := &resource.ServerSpec{Group: "web", Image: "debian-12", Options: test.options}
			if test.change != nil {
				test.change(spec)
			}
			wishes = append(wishes, resource.Wish{Address: resource.Server("web", i), Spec: spec})
		}
		_, err := c.Resolve(t.Context(), wishes)
		if resource.KindOf(err) != resource.Invalid || !strings.Contains(err.Error(), test.want) || resource.HintOf(err) == "" {
			t.Errorf("%s: %v (hint %q)", name, err, resource.HintOf(err))
		}
	}
}

func TestMachineIsFreeAndItsNameMayChange(t *testing.T) {
	t.Parallel()
	r := newRack(t, 1)
	c := r.open()
	before, err := c.Resolve(t.Context(), []resource.Wish{{Address: web[0], Spec: &resource.ServerSpec{Group: "web", Image: "debian-12"}}})
	if err != nil || !before[0].Price.Known || before[0].Price.Monthly != 0 {
		t.Fatalf("%+v, %v", before, err)
	}
	named := r.values["hosts"].(map[string]any)
	named["renamed"] = named["m0"]
	delete(named, "m0")
	after, err := r.open().Resolve(t.Context(), []resource.Wish{{Address: web[0], Spec: &resource.ServerSpec{Group: "web", Image: "debian-12"}}})
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range resource.Fields(after[0].Spec) {
		if was := resource.Fields(before[0].Spec)[i]; f.Mode != resource.ModeMemo && string(f.Value) != string(was.Value) {
			t.Errorf("%s: %s, then %s: another name would be another server", f.Name, was.Value, f.Value)
		}
	}
}

func TestBlockIsUnderstoodOrRefused(t *testing.T) {
	t.Parallel()
	r := newRack(t, 2)
	key := r.machines[0].key()
	for name, test := range map[string]struct {
		values map[string]any
		want   string
	}{
		"nothing":         {map[string]any{}, "no machines"},
		"no key":          {machines(map[string]any{"address": "203.0.113.7"}), "host_key"},
		"a fingerprint":   {machines(map[string]any{"address": "203.0.113.7", "host_key": "SHA256:abc"}), "host_key"},
		"no address":      {machines(map[string]any{"host_key": key}), "address"},
		"a bad port":      {machines(map[string]any{"address": "203.0.113.7:99999", "host_key": key}), "port"},
		"an unknown word": {machines(map[string]any{"address": "203.0.113.7", "host_key": key, "adress": "x"}), "adress"},
		"an unknown jump": {machines(map[string]any{"address": "203.0.113.7", "host_key": key, "jump": "nobody"}), "nobody"},
		"through itself":  {machines(map[string]any{"address": "203.0.113.7", "host_key": key, "jump": "m"}), "itself"},
		"a relative file": {with(machines(map[string]any{"address": "203.0.113.7", "host_key": key}), "identity", "id_ed25519"), "want a path"},
		"one machine twice": {map[string]any{"hosts": map[string]any{
			"a": map[string]any{"address": "EXAMPLE.com:22", "host_key": key}, "b": map[string]any{"address": "example.com", "host_key": key}}}, "one machine"},
	} {
		who := *r
		if test.values["identity"] != nil {
			who.login = "" // it would come first
		}
		err := who.started().Configure(t.Context(), resource.Config{Alias: "mine", Values: test.values})
		if kind := resource.KindOf(err); kind != resource.Invalid && kind != resource.Unauthorized || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func machines(m map[string]any) map[string]any {
	return map[string]any{"hosts": map[string]any{"m": m}}
}

func with(m map[string]any, name string, value any) map[string]any {
	m[name] = value
	return m
}
