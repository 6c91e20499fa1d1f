package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/cloudship/cloudship/plan"
)

// streamVersion is the version of the JSON stream: minor versions add, major ones break.
const streamVersion = "1.0"

// object prints one object of the JSON stream. The first one names the stream's version.
func (t *terminal) object(kind, message string, fields map[string]any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.begun {
		t.begun = true
		t.emit("version", "cloudship "+version(), map[string]any{"ui": streamVersion, "cloudship": version()})
	}
	t.emit(kind, message, fields)
}

func (t *terminal) emit(kind, message string, fields map[string]any) {
	object := map[string]any{"@level": "info", "@message": message, "@module": "cloudship", "@timestamp": time.Now().UTC().Format(time.RFC3339Nano), "type": kind}
	for k, v := range fields {
		object[k] = v
	}
	b, err := json.Marshal(object)
	if err != nil {
		return
	}
	_, _ = fmt.Fprintf(t.out, "%s\n", b)
}

// planJSON prints a plan as a stream: each change, each deferral, and the whole at the end.
func (t *terminal) planJSON(p *plan.Plan) {
	for _, c := range p.Changes {
		t.object("planned_change", fmt.Sprintf("%s %s", c.Action, c.Address), map[string]any{"change": c})
	}
	for _, c := range p.Drift {
		t.object("resource_drift", c.Address.String()+" changed behind our back", map[string]any{"change": c})
	}
	for _, d := range p.Deferred {
		t.object("deferred_change", d.Address.String()+": "+d.Reason, map[string]any{"deferral": d})
	}
	for _, u := range p.Unknown {
		t.object("unknown", u.Address.String()+": "+u.Reason, map[string]any{"unknown": u})
	}
	for _, d := range p.Data {
		t.object("data_destroyed", fmt.Sprintf("%s on %s", d.Name, d.Server.Address), map[string]any{"data": d})
	}
	t.object("change_summary", plan.Summary(p), map[string]any{"steps": len(p.Steps), "prices": p.Prices, "notes": p.Notes, "others": p.Others})
}
