package plugins

import (
	"encoding/json"
	"reflect"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/cloudship/cloudship/plugins/pluginpb"
	"github.com/cloudship/cloudship/resource"
)

func TestFieldThatIsNotKnownIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		json string
		ok   bool
	}{
		"known":             {`{"stack":"shop-k3v9qd","items":[]}`, true},
		"unset":             {`{}`, true},
		"unknown":           {`{"stack":"shop-k3v9qd","colour":"red"}`, false},
		"unknown in a spec": {`{"items":[{"mark":{"stack":"shop-k3v9qd","address":"network.n","generation":1},"spec":{"colour":"red"}}]}`, false},
		"two values":        {`{} {}`, false},
		"none":              {``, false},
	} {
		var call resource.Call
		if err := decode([]byte(c.json), &call); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzResults(f *testing.F) {
	address := resource.Server("blue", 0)
	c := resource.Call{Items: []resource.Item{{Mark: resource.Mark{Stack: "shop-k3v9qd", Address: address, Generation: 1}}}}
	for _, err := range everyError() {
		w, wireErr := resultsToWire([]resource.Result{{Address: address, Found: &resource.Found{Mark: c.Items[0].Mark, ID: "7"}, Err: err}})
		if wireErr != nil {
			f.Fatal(wireErr)
		}
		b, marshalErr := proto.Marshal(w)
		if marshalErr != nil {
			continue // no valid text: refused before it is sent
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w := &pluginpb.Results{}
		if proto.Unmarshal(b, w) != nil {
			return
		}
		results, err := resultsFromWire(c, w)
		if err != nil {
			return
		}
		again, err := resultsToWire(results)
		if err != nil {
			t.Fatal(err)
		}
		back, err := resultsFromWire(c, again)
		if err != nil || resource.KindOf(back[0].Err) != resource.KindOf(results[0].Err) || !reflect.DeepEqual(back[0].Found, results[0].Found) {
			t.Errorf("%+v becomes %+v, %v", results, back, err)
		}
	})
}

func FuzzDecodeCall(f *testing.F) {
	b, err := json.Marshal(call("attach", 0, 1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"items":[{"mark":{"stack":"x","address":"group.blue.server[0]","generation":-1},"spec":null,"have":{}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var c resource.Call
		if decode(b, &c) != nil {
			return
		}
		again, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var back resource.Call
		if err := decode(again, &back); err != nil {
			t.Errorf("%q is read and not when it is written again: %v", b, err)
		}
	})
}
