package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/cloudship/cloudship/plan"
)

// progress tells what goes on with resources: a line per event, and a heartbeat for what takes
// long. On a terminal the heartbeat is a live line per running step.
type progress struct {
	t       *terminal
	mu      sync.Mutex
	running map[string]time.Time
	last    time.Time
}

func newProgress(t *terminal) *progress {
	return &progress{t: t, running: map[string]time.Time{}}
}

// event tells one event of a refresh or a walk.
func (p *progress) event(e plan.Event) {
	if p.t.json {
		p.json(e)
		return
	}
	what := e.Step
	if what == "" {
		what = e.Address.String()
	}
	elapsed := ""
	if e.Elapsed >= time.Second {
		elapsed = fmt.Sprintf(" (%s)", e.Elapsed.Round(time.Second))
	}
	switch e.What {
	case plan.Started:
		p.t.say("%s ...", what)
	case plan.Done:
		p.t.say("%s: done%s", what, elapsed)
	case plan.Failed:
		p.t.say("%s: failed%s", what, elapsed)
	case plan.Skipped:
		p.t.say("%s: not begun: %s", what, e.Line)
	default:
		p.t.say("%s: %s%s", what, e.Line, elapsed)
	}
}

func (p *progress) json(e plan.Event) {
	fields := map[string]any{"type": "step_" + string(e.What), "step": e.Step, "elapsed_seconds": e.Elapsed.Seconds()}
	if !e.Address.IsZero() {
		fields["address"] = e.Address.String()
	}
	if e.Phase != "" {
		fields["phase"] = e.Phase
	}
	if e.Err != nil {
		fields["error"] = e.Err.Error()
	}
	p.t.line("info", fmt.Sprintf("%s: %s %s", e.Step, e.What, e.Line), fields)
}
