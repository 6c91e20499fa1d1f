package plugins

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Limit is a transport that keeps a provider within its account's rate, as the API's own answers
// tell it: it sends as fast as it may, and a 429 is waited out and sent again, which is safe for
// every call since a refused one did nothing. There is one for an account.
//
// Where the wait would outlast the request's context, the 429 itself is handed up instead, so that
// the caller can say until when.
type Limit struct {
	Base    http.RoundTripper // nil means http.DefaultTransport
	Headers RateHeaders
	// Scope tells which limit a request falls under, where an API has more than one. Requests of
	// different scopes do not wait for each other. nil means that there is one.
	Scope func(*http.Request) string

	mu    sync.Mutex
	gates map[string]*gate
}

// RateHeaders names the headers by which an API tells its rate. An empty name is not looked for.
type RateHeaders struct {
	Remaining  string // how many requests are left
	Reset      string // unix time in seconds at which there are more
	RetryAfter string // of a 429: seconds or an HTTP date; empty means Retry-After
}

// until reads when an answer allows the next request; zero when it does not tell.
func (h RateHeaders) until(r *http.Response, now time.Time) time.Time {
	value := r.Header.Get(cmp.Or(h.RetryAfter, "Retry-After"))
	if seconds, err := strconv.ParseFloat(value, 64); err == nil && seconds >= 0 && seconds < 1e7 {
		return now.Add(time.Duration(seconds * float64(time.Second)))
	}
	if date, err := http.ParseTime(value); err == nil {
		return date
	}
	return h.reset(r)
}

// reset reads when the account's limit is renewed; zero when the answer does not tell.
func (h RateHeaders) reset(r *http.Response) time.Time {
	if h.Reset == "" {
		return time.Time{}
	}
	unix, err := strconv.ParseInt(r.Header.Get(h.Reset), 10, 64)
	if err != nil || unix <= 0 {
		return time.Time{}
	}
	return time.Unix(unix, 0)
}

// exhausted reports whether an answer says that it was the last for now.
func (h RateHeaders) exhausted(r *http.Response) bool {
	return h.Remaining != "" && r.Header.Get(h.Remaining) == "0"
}

type tellKey struct{}

// Telling gives a context whose requests tell a listener, a line at a time, why they wait.
func Telling(ctx context.Context, tell func(line string)) context.Context {
	return context.WithValue(ctx, tellKey{}, tell)
}

// RoundTrip sends the request when the rate allows it.
func (l *Limit) RoundTrip(req *http.Request) (*http.Response, error) {
	base := l.Base
	if base == nil {
		base = http.DefaultTransport
	}
	req, err := repeatable(req)
	if err != nil {
		return nil, err
	}
	g := l.gate(req)
	for attempt := 0; ; attempt++ {
		if err := g.enter(req.Context()); err != nil {
			return nil, &unsent{err}
		}
		if attempt > 0 && req.GetBody != nil {
			if req.Body, err = req.GetBody(); err != nil {
				g.leave(0)
				return nil, err
			}
		}
		res, err := base.RoundTrip(req)
		if err != nil {
			g.leave(0)
			return nil, err
		}
		now := time.Now()
		if res.StatusCode != http.StatusTooManyRequests {
			if l.Headers.exhausted(res) {
				g.close(l.Headers.reset(res), now)
			}
			g.leave(1)
			return res, nil
		}
		until := l.Headers.until(res, now)
		if until.IsZero() || !until.After(now) {
			until = now.Add(time.Second << min(attempt, 5))
		}
		g.refuse(until)
		if deadline, ok := req.Context().Deadline(); ok && until.After(deadline) {
			return res, nil
		}
		_, _ = io.CopyN(io.Discard, res.Body, 64<<10)
		_ = res.Body.Close()
	}
}

// unsent is the error of a request that was given up while it waited for its turn.
type unsent struct{ error }

func (u *unsent) Unwrap() error { return u.error }

// Unsent reports whether an error says that a request was never sent, so that it had no effect.
func Unsent(err error) bool {
	var u *unsent
	return errors.As(err, &u)
}

// repeatable makes sure that the request's body can be sent again.
func repeatable(req *http.Request) (*http.Request, error) {
	if req.Body == nil || req.Body == http.NoBody || req.GetBody != nil {
		return req, nil
	}
	body, err := io.ReadAll(req.Body)
	_ = req.Body.Close()
	if err != nil {
		return nil, err
	}
	req = req.Clone(req.Context())
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	req.Body, err = req.GetBody()
	return req, err
}

func (l *Limit) gate(req *http.Request) *gate {
	scope := ""
	if l.Scope != nil {
		scope = l.Scope(req)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.gates == nil {
		l.gates = map[string]*gate{}
	}
	g, ok := l.gates[scope]
	if !ok {
		g = &gate{changed: make(chan struct{})}
		l.gates[scope] = g
	}
	return g
}

// gate lets requests through. After a refusal it is closed for the time that the API told, and
// then lets through one, two, four and so on at a time, until all is well again: not every one of
// the many that wait has to find out for itself that the account's rate is used up.
type gate struct {
	mu      sync.Mutex
	closed  time.Time     // until then
	most    int           // requests at a time; 0 means any number
	now     int           // requests that are under way
	changed chan struct{} // is closed and replaced when a request may have become possible
}

// unlimited is the number of requests at a time from which on a gate counts no more.
const unlimited = 64

// enter waits until a request may be sent.
func (g *gate) enter(ctx context.Context) error {
	told := time.Time{}
	for {
		g.mu.Lock()
		wait := time.Until(g.closed)
		if wait <= 0 && (g.most == 0 || g.now < g.most) {
			g.now++
			g.mu.Unlock()
			return nil
		}
		until, changed := g.closed, g.changed
		g.mu.Unlock()

		var timer *time.Timer
		var elapsed <-chan time.Time
		if wait > 0 {
			timer = time.NewTimer(wait)
			elapsed = timer.C
			if tell, ok := ctx.Value(tellKey{}).(func(string)); ok && told != until && wait >= time.Second {
				tell(fmt.Sprintf("the account's rate limit is reached: going on in %s", wait.Round(time.Second)))
				told = until
			}
		}
		select {
		case <-ctx.Done():
		case <-elapsed:
		case <-changed:
		}
		if timer != nil {
			timer.Stop()
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// leave notes that a request has ended; more is by how many it raises the number at a time: each
// answer by one, which doubles it with every round.
func (g *gate) leave(more int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now--
	if g.most > 0 {
		if g.most += more; g.most >= unlimited {
			g.most = 0
		}
	}
	g.tell()
}

// close lets nothing through until a time, if that is to come.
func (g *gate) close(until, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if until.After(now) && until.After(g.closed) {
		g.closed = until
	}
}

// refuse notes that a request was refused until a time.
func (g *gate) refuse(until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now--
	g.most = 1
	if until.After(g.closed) {
		g.closed = until
	}
	g.tell()
}

// tell wakes who waits. g.mu is held.
func (g *gate) tell() {
	close(g.changed)
	g.changed = make(chan struct{})
}
