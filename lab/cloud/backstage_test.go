package cloud

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/cloudship/cloudship/lab/balancer"
	"github.com/cloudship/cloudship/lab/machine"
)

func TestServersDoTheirStepsInOrder(t *testing.T) {
	host := machine.NewPaper()
	s := NewServers(t.Context(), host, func() {}, slog.New(slog.DiscardHandler))
	for i := range 100 {
		id := fmt.Sprint("s", i)
		s.Create(machine.Spec{ID: id})
		s.SetPower(id, false)
		s.SetPower(id, true)
		if i%2 == 0 {
			s.Delete(id)
		}
	}
	s.Wait()
	left, err := host.List(t.Context())
	if err != nil || len(left) != 50 {
		t.Fatalf("%d servers left, %v", len(left), err)
	}
	if m, ok, err := s.Find("s1"); !ok || err != nil || !m.Running {
		t.Errorf("s1: %+v %v %v", m, ok, err)
	}
	if _, ok, _ := s.Find("s2"); ok {
		t.Error("s2 was deleted and is known")
	}
}

func TestAServerThatCannotBeMadeSaysSo(t *testing.T) {
	host := machine.NewPaper(machine.Machine{ID: "taken"})
	s := NewServers(t.Context(), host, func() {}, slog.New(slog.DiscardHandler))
	s.Create(machine.Spec{ID: "taken"})
	s.Wait()
	if _, _, err := s.Find("taken"); err == nil {
		t.Error("no error")
	}
}

// notes is a balancer that writes down what it was told.
type notes struct {
	mu      sync.Mutex
	configs []balancer.Config
	closed  bool
}

func (n *notes) Apply(_ context.Context, c balancer.Config) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.configs = append(n.configs, c)
	if c.Address == "bad" {
		return errors.New("bad address")
	}
	return nil
}

func (n *notes) Health() map[string]bool { return map[string]bool{"x": true} }
func (n *notes) Close() error            { n.closed = true; return nil }

func TestBalancersEndWithTheNewestConfiguration(t *testing.T) {
	n := &notes{}
	b := NewBalancers(t.Context(), func(ctx context.Context, c balancer.Config, _ *slog.Logger) (balancer.Balancer, error) {
		return n, n.Apply(ctx, c)
	}, func() {}, slog.New(slog.DiscardHandler))
	if running, _ := b.Find("b"); running || b.Health("b") != nil {
		t.Error("it runs before it was started")
	}
	for i := range 100 {
		b.Set(balancer.Config{ID: "b", Address: fmt.Sprint(i)})
	}
	b.running.Wait()
	if last := n.configs[len(n.configs)-1].Address; last != "99" {
		t.Errorf("it ended with configuration %s", last)
	}
	if running, err := b.Find("b"); !running || err != nil || !b.Health("b")["x"] {
		t.Errorf("running %v, %v", running, err)
	}
	b.Set(balancer.Config{ID: "b", Address: "bad"})
	b.running.Wait()
	if running, err := b.Find("b"); !running || err == nil {
		t.Errorf("after a bad change: running %v, error %v", running, err)
	}
	b.Remove("b")
	b.Close()
	if !n.closed {
		t.Error("the balancer was not closed")
	}
}

func TestLabsGetDifferentAddresses(t *testing.T) {
	one, err := NewLoopback(t.Context(), 5)
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	two, err := NewLoopback(t.Context(), 5)
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	var all []string
	for range 3 {
		for _, l := range []*Loopback{one, two} {
			a, err := l.Take()
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(all, a) {
				t.Errorf("%s was given out twice", a)
			}
			all = append(all, a)
		}
	}
	one.Give(all[0])
	if a, _ := one.Take(); a != all[0] {
		t.Errorf("took %s, want %s again", a, all[0])
	}
}
