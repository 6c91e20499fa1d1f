package lab

import (
	"context"
	"errors"
	"maps"
	"testing"

	"github.com/cloudship/cloudship/lab/balancer"
)

// board notes what is published.
type board struct {
	published map[string]map[int]int
	times     int
	err       error
}

func (b *board) Publish(_ context.Context, name, _ string, ports map[int]int) error {
	b.times++
	b.published[name] = ports
	return b.err
}

func (b *board) Unpublish(_ context.Context, name string) error {
	delete(b.published, name)
	return nil
}

// silent is a balancer that keeps its last configuration.
type silent struct{ config balancer.Config }

func (s *silent) Apply(_ context.Context, c balancer.Config) error { s.config = c; return nil }
func (s *silent) Health() map[string]bool                          { return nil }
func (s *silent) Close() error                                     { return nil }

func TestLowPortsArePublished(t *testing.T) {
	inner, b := &silent{}, &board{published: map[string]map[int]int{}}
	d := &doors{Balancer: inner, publisher: b, id: "www"}
	config := balancer.Config{Rules: []balancer.Rule{{EntryPort: 80}, {EntryPort: 443}, {EntryPort: 8080}}}
	for range 2 { // the same ports again change nothing
		if err := d.Apply(t.Context(), config); err != nil {
			t.Fatal(err)
		}
	}
	if want := map[int]int{80: 20080, 443: 20443}; !maps.Equal(b.published["ports-www"], want) || b.times != 1 {
		t.Errorf("published %v, %d times", b.published, b.times)
	}
	if r := inner.config.Rules; r[0].EntryPort != 20080 || r[1].EntryPort != 20443 || r[2].EntryPort != 8080 {
		t.Errorf("the balancer listens on %v", r)
	}
	if config.Rules[0].EntryPort != 80 {
		t.Error("the caller's configuration was changed")
	}
	b.err = errors.New("no engine")
	if err := d.Apply(t.Context(), balancer.Config{}); !errors.Is(err, b.err) {
		t.Errorf("error %v", err)
	}
	if err := d.Close(); err != nil || len(b.published) != 0 {
		t.Errorf("after it was closed: %v, %v", b.published, err)
	}
}
