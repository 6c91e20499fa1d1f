package cloud

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// counter is an API whose every call has an effect.
type counter struct {
	effects atomic.Int64
	server  *httptest.Server
	gate    *Gate
}

func newCounter(t *testing.T, rules ...Rule) *counter {
	t.Helper()
	for _, r := range rules {
		if err := r.Check(); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	c := &counter{gate: NewGate(ctx, NewFaults(Settings{Rules: rules}))}
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.effects.Add(1)
		w.Header().Set("X-Here", "yes")
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, "done")
	})
	c.server = httptest.NewServer(c.gate.Wrap("test", api, func(w http.ResponseWriter, status int, message string) {
		http.Error(w, message, status)
	}))
	t.Cleanup(func() {
		cancel()
		c.gate.Faults().Barrier().Release()
		c.server.Close()
	})
	return c
}

// call makes one call and answers its status, 0 if it got none.
func (c *counter) call(ctx context.Context, method, path string) int {
	r, err := http.NewRequestWithContext(ctx, method, c.server.URL+path, nil)
	if err != nil {
		return 0
	}
	// A connection of its own: no client repeats a lost call by itself.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		return 0
	}
	defer answer.Body.Close()
	if _, err := io.ReadAll(answer.Body); err != nil {
		return 0
	}
	return answer.StatusCode
}

func TestRulesDoWhatTheySay(t *testing.T) {
	for _, test := range []struct {
		rule            Rule
		status, effects int
	}{
		{Rule{Do: FailBefore, Status: 503}, 503, 0},
		{Rule{Do: FailAfter}, 500, 1},
		{Rule{Do: DropBefore}, 0, 0},
		{Rule{Do: LoseAnswer}, 0, 1},
		{Rule{Do: Spoil}, 201, 1},
		{Rule{Do: Delay, Wait: Duration(time.Millisecond)}, 201, 1},
	} {
		t.Run(test.rule.Do, func(t *testing.T) {
			c := newCounter(t, test.rule)
			if status := c.call(t.Context(), "POST", "/things"); status != test.status {
				t.Errorf("status %d, want %d", status, test.status)
			}
			if n := int(c.effects.Load()); n != test.effects {
				t.Errorf("%d effects, want %d", n, test.effects)
			}
			calls := c.gate.Calls().All()
			for end := time.Now().Add(time.Minute); len(calls) == 1 && calls[0].Fault == "" && time.Now().Before(end); {
				runtime.Gosched() // a client may hear of the end before the gate has noted it
				calls = c.gate.Calls().All()
			}
			if len(calls) != 1 || calls[0].Status != test.status || calls[0].Fault != test.rule.Do {
				t.Errorf("calls: %+v", calls)
			}
		})
	}
}

func TestAHangLastsUntilTheClientLeaves(t *testing.T) {
	for do, effects := range map[string]int64{HangBefore: 0, HangAfter: 1} {
		c := newCounter(t, Rule{Do: do})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		if status := c.call(ctx, "GET", "/"); status != 0 || ctx.Err() == nil {
			t.Errorf("%s: status %d", do, status)
		}
		if n := c.effects.Load(); n != effects {
			t.Errorf("%s: %d effects, want %d", do, n, effects)
		}
		cancel()
	}
}

func TestTheBarrierHoldsTheWorld(t *testing.T) {
	for _, test := range []struct {
		point         string
		effects       int64 // when it is held
		status, after int   // what the client got; effects after it left
	}{
		{BeforeEffect, 0, 0, 0},
		{AfterEffect, 1, 0, 1},
		{AfterAnswer, 1, 201, 1},
	} {
		t.Run(test.point, func(t *testing.T) {
			c := newCounter(t, Rule{Do: Hold, Method: "POST", Nth: 2, Point: test.point})
			if status := c.call(t.Context(), "POST", "/first"); status != 201 {
				t.Fatalf("first call: status %d", status)
			}
			c.effects.Store(0)
			client, kill := context.WithCancel(t.Context())
			got := make(chan int)
			go func() { got <- c.call(client, "POST", "/second") }()
			held, err := c.gate.Faults().Barrier().Wait(t.Context())
			if err != nil || held.Point != test.point || held.Call.Path != "/second" {
				t.Fatalf("held %+v, %v", held, err)
			}
			if n := c.effects.Load(); n != test.effects {
				t.Errorf("%d effects while held, want %d", n, test.effects)
			}
			short, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
			defer cancel()
			if status := c.call(short, "GET", "/other"); status != 0 {
				t.Errorf("another call got %d while the world stood still", status)
			}
			c.waitForLeft(t, "/other")
			if test.point != AfterAnswer {
				kill()
			}
			if status := <-got; status != test.status {
				t.Errorf("status %d, want %d", status, test.status)
			}
			kill()
			if test.point == AfterAnswer {
				c.gate.Faults().Barrier().Release()
			}
			if status := c.call(t.Context(), "GET", "/later"); status != 201 {
				t.Errorf("after the client left: status %d", status)
			}
			if n := c.effects.Load(); n != int64(test.after)+1 {
				t.Errorf("%d effects in the end, want %d", n, test.after+1)
			}
		})
	}
}

// waitForLeft waits until the gate has noticed that a call's client left.
func (c *counter) waitForLeft(t *testing.T, path string) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.After(time.Minute)
	for {
		for _, call := range c.gate.Calls().All() {
			if call.Path == path && call.Fault == "client left" {
				return
			}
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("the gate never noticed that the client left")
		}
	}
}

func TestReleaseLetsTheHeldCallGoOn(t *testing.T) {
	c := newCounter(t, Rule{Do: Hold, Point: AfterEffect, Nth: 1})
	got := make(chan int)
	go func() { got <- c.call(t.Context(), "POST", "/") }()
	var state BarrierState
	c.admin(t, "GET", "/_lab/barrier?wait=1m", "", &state)
	if !state.Reached || state.Held.Point != AfterEffect {
		t.Fatalf("barrier: %+v", state)
	}
	c.admin(t, "DELETE", "/_lab/barrier", "", nil)
	if status := <-got; status != 201 {
		t.Errorf("status %d", status)
	}
}

func (c *counter) admin(t *testing.T, method, path, body string, into any) {
	t.Helper()
	r, err := http.NewRequest(method, c.server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode >= 300 {
		b, _ := io.ReadAll(answer.Body)
		t.Fatalf("%s %s: %s %s", method, path, answer.Status, b)
	}
	if into != nil {
		if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFaultsAreSetByTheAdminEndpoint(t *testing.T) {
	c := newCounter(t)
	c.admin(t, "PUT", "/_lab/faults", `{"timing":{"tag":"3s"},"rules":[{"do":"fail_before","status":502,"path":"/a/*"}]}`, nil)
	c.admin(t, "PUT", "/_lab/faults", `{"limits":{"hour":7}}`, nil) // keeps the rest
	var s Settings
	c.admin(t, "GET", "/_lab/faults", "", &s)
	if s.Timing.Tag != Duration(3*time.Second) || s.Limits.Hour != 7 || len(s.Rules) != 1 {
		t.Errorf("settings: %+v", s)
	}
	if status := c.call(t.Context(), "GET", "/a/1"); status != 502 {
		t.Errorf("status %d, want 502", status)
	}
	c.admin(t, "DELETE", "/_lab/faults", "", nil)
	if status := c.call(t.Context(), "GET", "/a/1"); status != 201 {
		t.Errorf("after the faults were taken away: status %d", status)
	}
	var log CallLog
	c.admin(t, "GET", "/_lab/calls", "", &log)
	if log.Total != 2 || len(log.Calls) != 2 || log.Calls[0].Status != 502 || log.Calls[0].Path != "/a/1" {
		t.Errorf("calls: %+v", log)
	}
	c.admin(t, "POST", "/_lab/calls/reset", "", nil)
	if n := c.gate.Calls().Len(); n != 0 {
		t.Errorf("%d calls after a reset", n)
	}
}

func TestRuleConditions(t *testing.T) {
	count := func(r Rule, calls int) (hits []int) {
		a := arm(r)
		for i := range calls {
			if a.hit("ocean", "POST", "/v2/droplets/7/actions") {
				hits = append(hits, i+1)
			}
		}
		return hits
	}
	for _, test := range []struct {
		name string
		rule Rule
		hits int
	}{
		{"any", Rule{}, 10},
		{"provider", Rule{Provider: "other"}, 0},
		{"method", Rule{Method: "post"}, 10},
		{"other method", Rule{Method: "GET"}, 0},
		{"path", Rule{Path: "/v2/droplets/*/actions"}, 10},
		{"rest", Rule{Path: "/v2/droplets/**"}, 10},
		{"longer path", Rule{Path: "/v2/droplets"}, 0},
		{"nth", Rule{Nth: 3}, 1},
		{"every", Rule{Every: 3}, 3},
		{"count", Rule{Count: 2}, 2},
		{"every and count", Rule{Every: 2, Count: 3}, 3},
	} {
		if hits := count(test.rule, 10); len(hits) != test.hits {
			t.Errorf("%s: hit %v, want %d", test.name, hits, test.hits)
		}
	}
	one, two := count(Rule{Chance: 0.1, Seed: 7}, 1000), count(Rule{Chance: 0.1, Seed: 7}, 1000)
	if len(one) < 60 || len(one) > 140 {
		t.Errorf("a chance of one in ten hit %d of 1000", len(one))
	}
	if len(one) != len(two) || one[0] != two[0] {
		t.Error("the same seed drew something else")
	}
}

func TestWrongRulesAreRefused(t *testing.T) {
	for _, r := range []Rule{{}, {Do: "explode"}, {Do: Hold, Point: "never"}, {Do: FailBefore, Status: 200},
		{Do: Delay, Chance: 2}, {Do: Delay, Path: "/[" /* a bad pattern */}} {
		if r.Check() == nil {
			t.Errorf("%+v was accepted", r)
		}
	}
}

func TestSpoiledCallsAreTold(t *testing.T) {
	told := make(chan string, 1)
	gate := NewGate(t.Context(), NewFaults(Settings{Rules: []Rule{{Do: Spoil, Method: "POST", Message: "no host"}}}))
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		message, ok := Spoiled(r.Context())
		if ok != (r.Method == "POST") {
			t.Errorf("%s: spoiled is %v", r.Method, ok)
		}
		told <- message
	})
	h := gate.Wrap("test", api, func(http.ResponseWriter, int, string) {})
	for method, want := range map[string]string{"GET": "", "POST": "no host"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, "/things", nil))
		if have := <-told; have != want {
			t.Errorf("%s: told %q", method, have)
		}
	}
}
