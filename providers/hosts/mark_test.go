package hosts

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// FuzzMarks holds that whatever a machine answers, only marks of servers come out of it, and come
// back as they were written.
func FuzzMarks(f *testing.F) {
	good, err := json.Marshal(taken{Mark: resource.Mark{Stack: "shop-k3v9qd", Address: resource.Server("web", 3), Generation: 2}, Taken: time.Unix(1800000000, 0).UTC()})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(good) + "\n")
	f.Add(string(good) + "\nrubbish\n{}\n" + string(good))
	f.Add(`{"mark":{"stack":"../../etc","address":"group.web.server[0]","generation":1}}`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, mark := range parseMarks(text) {
			m := mark.Mark
			if !m.Stack.Valid() || m.Address.Valid() != nil || m.Address.Kind() != resource.KindServer || m.Generation < 1 {
				t.Errorf("%+v comes out of %q", m, text)
			}
			if back, ok := resource.DecodeMark(m.Encode()); !ok || back != m {
				t.Errorf("%+v cannot be written", m)
			}
		}
	})
}
