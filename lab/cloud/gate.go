package cloud

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Gate stands before every API of the lab: it logs each call, does to it what
// the rules say, and serves the lab's own endpoints under /_lab/.
type Gate struct {
	faults *Faults
	calls  Calls
	admin  http.ServeMux
	ctx    context.Context // ends with the lab
}

// NewGate makes a gate for the life of ctx.
func NewGate(ctx context.Context, faults *Faults) *Gate {
	g := &Gate{faults: faults, ctx: ctx}
	g.adminRoutes()
	return g
}

// Calls is the log of all calls that passed.
func (g *Gate) Calls() *Calls { return &g.calls }

// Faults are the settings that the gate obeys.
func (g *Gate) Faults() *Faults { return g.faults }

// HandleAdmin adds an endpoint of the lab's own; pattern is that of
// http.ServeMux, its path under /_lab/.
func (g *Gate) HandleAdmin(pattern string, h http.HandlerFunc) { g.admin.HandleFunc(pattern, h) }

// maxBody bounds a request's body, well above what any API accepts.
const maxBody = 4 << 20

// Fail writes an API's own error body for a status that a rule asked for.
type Fail func(w http.ResponseWriter, status int, message string)

// Wrap puts the gate before an API; fail writes the errors that rules ask for.
func (g *Gate) Wrap(provider string, api http.Handler, fail Fail) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/_lab/") {
			g.admin.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			status := http.StatusBadRequest
			if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
				status = http.StatusRequestEntityTooLarge
			}
			fail(w, status, fmt.Sprintf("reading the request: %v", err))
			return
		}
		p := &passage{gate: g, provider: provider, api: api, fail: fail, w: w, r: r, body: body}
		p.call = g.calls.begin(Call{
			Provider: provider, Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Start: time.Now(),
		})
		status, fault := p.run()
		g.calls.end(p.call, status, fault)
	})
}

// passage is one call on its way through the gate.
type passage struct {
	gate     *Gate
	provider string
	api      http.Handler
	fail     Fail
	w        http.ResponseWriter
	r        *http.Request
	body     []byte
	call     *Call
}

// run takes the call through and answers its status (0: none was sent) and
// what a rule did to it.
func (p *passage) run() (status int, fault string) {
	ctx := p.r.Context()
	if !p.gate.faults.barrier.pass(ctx) {
		return 0, "client left"
	}
	rule, delay := p.gate.choose(p.provider, p.r)
	p.gate.pause(delay)
	switch rule.Do {
	case FailBefore:
		return p.refuse(rule), rule.Do
	case DropBefore:
		p.drop()
		return 0, rule.Do
	case HangBefore:
		p.linger(ctx)
		return 0, rule.Do
	case Hold:
		if rule.Point == "" {
			rule.Point = BeforeEffect
		}
		if rule.Point == BeforeEffect && !p.hold(ctx, rule) {
			return 0, rule.Do
		}
	}

	a := p.effect(rule)
	switch rule.Do {
	case FailAfter:
		return p.refuse(rule), rule.Do
	case LoseAnswer:
		p.drop()
		return 0, rule.Do
	case HangAfter:
		p.linger(ctx)
		return 0, rule.Do
	case Hold:
		if rule.Point == AfterEffect && !p.hold(ctx, rule) {
			return 0, rule.Do
		}
	}
	a.send(p.w)
	if rule.Do == Hold && rule.Point == AfterAnswer {
		if http.NewResponseController(p.w).Flush() == nil {
			p.hold(p.gate.ctx, rule)
		}
	}
	return a.status, rule.Do
}

// choose answers the first rule that hits and is no delay, and the whole delay.
func (g *Gate) choose(provider string, r *http.Request) (rule Rule, delay time.Duration) {
	delay = time.Duration(g.faults.Timing().Latency)
	for _, hit := range g.faults.hits(provider, r.Method, r.URL.Path) {
		switch {
		case hit.Do == Delay:
			delay += time.Duration(hit.Wait)
		case rule.Do == "":
			rule = hit
		}
	}
	if rule.Do == "" && delay > time.Duration(g.faults.Timing().Latency) {
		rule.Do = Delay
	}
	return rule, delay
}

// pause waits d, whether or not the client does: its call is on its way.
func (g *Gate) pause(d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-g.ctx.Done():
	}
}

type spoilKey struct{}

// Spoiled tells an API what goes wrong later with what this call makes or
// changes, if a rule said so.
func Spoiled(ctx context.Context) (message string, ok bool) {
	message, ok = ctx.Value(spoilKey{}).(string)
	return message, ok
}

// effect lets the API do its work, and keeps its answer.
func (p *passage) effect(rule Rule) *answer {
	a := &answer{header: http.Header{}, status: http.StatusOK}
	// The client's leaving must not stop an effect half-way.
	ctx := context.WithoutCancel(p.r.Context())
	if rule.Do == Spoil {
		ctx = context.WithValue(ctx, spoilKey{}, rule.Message)
	}
	r := p.r.WithContext(ctx)
	r.Body = io.NopCloser(bytes.NewReader(p.body))
	p.api.ServeHTTP(a, r)
	return a
}

func (p *passage) refuse(rule Rule) int {
	status := rule.Status
	if status == 0 {
		status = http.StatusInternalServerError
	}
	if rule.RetryAfter > 0 {
		p.w.Header().Set("Retry-After", strconv.Itoa(rule.RetryAfter))
	}
	p.fail(p.w, status, rule.Message)
	return status
}

func (p *passage) hold(ctx context.Context, rule Rule) bool {
	return p.gate.faults.barrier.hold(ctx, Held{Call: *p.call, Point: rule.Point})
}

// linger waits until the client leaves or the lab ends.
func (p *passage) linger(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-p.gate.ctx.Done():
	}
	p.drop()
}

// drop closes the connection without an answer.
func (p *passage) drop() {
	conn, _, err := http.NewResponseController(p.w).Hijack()
	if err == nil {
		conn.Close()
	}
}

// answer keeps what an API answers until it may be sent.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(b []byte) (int, error) { return a.body.Write(b) }

func (a *answer) send(w http.ResponseWriter) {
	for k, v := range a.header {
		w.Header()[k] = v
	}
	if a.body.Len() > 0 || a.status != http.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(a.body.Len()))
	}
	w.WriteHeader(a.status)
	w.Write(a.body.Bytes())
}
