//go:build e2e

package image

import (
	"testing"
	"time"
)

// Every image can be made, and what is there is found again at once.
func TestEnsure(t *testing.T) {
	progress := func(line string) { t.Log(line) }
	if err := EnsureBase(t.Context(), progress); err != nil {
		t.Fatal(err)
	}
	for _, slug := range Slugs() {
		start := time.Now()
		ref, err := Ensure(t.Context(), slug, progress)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s after %s", ref, time.Since(start).Round(time.Millisecond))
		again, err := Ensure(t.Context(), slug, func(line string) { t.Errorf("made again: %s", line) })
		if err != nil || again != ref {
			t.Errorf("second call: %s, %v, want %s", again, err, ref)
		}
	}
}
