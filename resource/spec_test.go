package resource

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestNameOfListenerIsNotCompared(t *testing.T) {
	value := func(name string) string {
		for _, f := range Fields(&LoadBalancerSpec{Listeners: []Listener{{Name: name, Protocol: "http", Port: 80}}}) {
			if f.Name == "listeners" {
				return string(f.Value)
			}
		}
		return ""
	}
	if a, b := value("web"), value(""); a != b || a == "" {
		t.Errorf("listeners differ by name alone: %s and %s", a, b)
	}
	spec := &LoadBalancerSpec{Listeners: []Listener{{Name: "web"}}}
	Fields(spec)
	if spec.Listeners[0].Name != "web" {
		t.Error("listing the fields changed the spec")
	}
}

func TestUnknownFieldIsRefusedAtEveryDepth(t *testing.T) {
	mark := `"mark":{"stack":"shop-k3v9qd","address":"group.blue.server[0]","generation":1}`
	for name, c := range map[string]struct {
		into any
		json string
	}{
		"item":         {&Item{}, `{` + mark + `,"news":1}`},
		"item's spec":  {&Item{}, `{` + mark + `,"spec":{"news":1}}`},
		"item's found": {&Item{}, `{` + mark + `,"have":{` + mark + `,"news":1}}`},
		"found":        {&Found{}, `{` + mark + `,"facts":{"news":1}}`},
		"wish":         {&Wish{}, `{"address":"group.blue.server[0]","spec":{"news":1}}`},
		"resolved":     {&Resolved{}, `{"wish":{"address":"network.n","spec":{}},"price":{"monthly":1,"known":true,"news":1}}`},
	} {
		err := json.Unmarshal([]byte(c.json), c.into)
		if err == nil || !strings.Contains(err.Error(), "news") {
			t.Errorf("%s: want an error that names the field, have %v", name, err)
		}
	}
}
