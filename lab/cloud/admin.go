package cloud

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// adminRoutes are the lab's own endpoints: its faults, its log of calls and
// its barrier.
func (g *Gate) adminRoutes() {
	g.HandleAdmin("GET /_lab/faults", func(w http.ResponseWriter, r *http.Request) {
		WriteJSON(w, http.StatusOK, g.faults.Settings())
	})
	g.HandleAdmin("PUT /_lab/faults", g.putFaults)
	g.HandleAdmin("DELETE /_lab/faults", func(w http.ResponseWriter, r *http.Request) {
		g.faults.Reset()
		w.WriteHeader(http.StatusNoContent)
	})
	g.HandleAdmin("GET /_lab/calls", func(w http.ResponseWriter, r *http.Request) {
		WriteJSON(w, http.StatusOK, CallLog{Total: g.calls.Len(), Calls: g.calls.All()})
	})
	g.HandleAdmin("POST /_lab/calls/reset", func(w http.ResponseWriter, r *http.Request) {
		g.calls.Reset()
		w.WriteHeader(http.StatusNoContent)
	})
	g.HandleAdmin("GET /_lab/barrier", g.getBarrier)
	g.HandleAdmin("DELETE /_lab/barrier", func(w http.ResponseWriter, r *http.Request) {
		g.faults.barrier.Release()
		w.WriteHeader(http.StatusNoContent)
	})
}

// CallLog is the answer of /_lab/calls.
type CallLog struct {
	Total int    `json:"total"`
	Calls []Call `json:"calls"`
}

// BarrierState is the answer of /_lab/barrier: whether a call has been held
// since the rules were set, and which one.
type BarrierState struct {
	Reached bool  `json:"reached"`
	Held    *Held `json:"held,omitempty"`
}

// putFaults changes the settings that the body names and keeps the others.
func (g *Gate) putFaults(w http.ResponseWriter, r *http.Request) {
	s := g.faults.Settings()
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	var wanted struct {
		Timing *Timing `json:"timing"`
		Limits *Limits `json:"limits"`
		Rules  []Rule  `json:"rules"`
	}
	wanted.Timing, wanted.Limits, wanted.Rules = &s.Timing, &s.Limits, nil
	if err := d.Decode(&wanted); err != nil {
		http.Error(w, fmt.Sprintf("faults: %v", err), http.StatusBadRequest)
		return
	}
	for i, rule := range wanted.Rules {
		if err := rule.Check(); err != nil {
			http.Error(w, fmt.Sprintf("rule %d: %v", i+1, err), http.StatusBadRequest)
			return
		}
	}
	if wanted.Rules != nil {
		s.Rules = wanted.Rules
	}
	g.faults.Set(s)
	WriteJSON(w, http.StatusOK, s)
}

// getBarrier waits for a held call as long as the query's wait says.
func (g *Gate) getBarrier(w http.ResponseWriter, r *http.Request) {
	var wait time.Duration
	if s := r.URL.Query().Get("wait"); s != "" {
		var err error
		if wait, err = time.ParseDuration(s); err != nil {
			http.Error(w, fmt.Sprintf("wait: %v", err), http.StatusBadRequest)
			return
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), max(wait, time.Millisecond))
	defer cancel()
	held, err := g.faults.barrier.Wait(ctx)
	if err != nil {
		WriteJSON(w, http.StatusOK, BarrierState{})
		return
	}
	WriteJSON(w, http.StatusOK, BarrierState{Reached: true, Held: &held})
}

// WriteJSON answers v as JSON.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}
