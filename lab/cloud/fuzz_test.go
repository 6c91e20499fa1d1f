package cloud

import (
	"encoding/json"
	"testing"
)

// FuzzRule reads anything as a rule; what Check accepts can be used, and comes
// back as it was.
func FuzzRule(f *testing.F) {
	for _, seed := range []string{
		`{"do":"delay","wait":"1.5s","path":"/v2/*/x/**","every":3}`, `{"do":"hold","point":"after_answer","nth":7}`,
		`{"do":"fail_before","status":429,"retry_after":3,"chance":0.1,"seed":18446744073709551615}`, `{"do":"delay","path":"/[]a]"}`, `{}`,
	} {
		f.Add(seed, "/v2/droplets/1")
	}
	f.Fuzz(func(t *testing.T, text, path string) {
		var r, again Rule
		if json.Unmarshal([]byte(text), &r) != nil || r.Check() != nil {
			return
		}
		arm(r).hit("digitalocean", "GET", path)
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(b, &again); err != nil || again != r {
			t.Errorf("%s became %s (%v)", text, b, err)
		}
	})
}
