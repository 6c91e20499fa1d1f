package plugins

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// account answers requests as an API with a sliding window does, each after 50 ms.
type account struct {
	mu      sync.Mutex
	burst   int
	sent    []time.Time
	refused int
	bodies  map[string]int
}

func (a *account) RoundTrip(req *http.Request) (*http.Response, error) {
	timer := time.NewTimer(50 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	for len(a.sent) > 0 && now.Sub(a.sent[0]) >= time.Minute {
		a.sent = a.sent[1:]
	}
	res := &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("")), Request: req}
	if len(a.sent) >= a.burst {
		a.refused++
		res.StatusCode = http.StatusTooManyRequests
		wait := a.sent[0].Add(time.Minute).Sub(now)
		res.Header.Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		return res, nil
	}
	a.sent = append(a.sent, now)
	if req.Body != nil {
		b, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		a.bodies[string(b)]++
	}
	return res, nil
}

func send(ctx context.Context, l *Limit, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://cloud.example/v2/droplets", io.NopCloser(strings.NewReader(body)))
	if err != nil {
		return nil, err
	}
	return l.RoundTrip(req)
}

func TestManyRequestsEndNearTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cloud := &account{burst: 60, bodies: map[string]int{}}
		l := &Limit{Base: cloud}
		start := time.Now()
		var wg sync.WaitGroup
		work := make(chan int)
		for range 20 {
			wg.Go(func() {
				for i := range work {
					if res, err := send(t.Context(), l, fmt.Sprint(i)); err != nil || res.StatusCode != 200 {
						t.Errorf("request %d: %v %v", i, res, err)
					}
				}
			})
		}
		const requests = 300
		for i := range requests {
			work <- i
		}
		close(work)
		wg.Wait()
		bound := 4 * time.Minute // five windows of sixty: the last begins then
		if took := time.Since(start); took > bound*115/100 {
			t.Errorf("%d requests took %s, the bound is %s", requests, took, bound)
		}
		for i := range requests {
			if cloud.bodies[fmt.Sprint(i)] != 1 {
				t.Errorf("request %d took effect %d times", i, cloud.bodies[fmt.Sprint(i)])
			}
		}
		if cloud.refused > requests/3 {
			t.Errorf("%d requests were refused", cloud.refused)
		}
	})
}

func TestWaitIsToldAndCanBeLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &Limit{Base: &account{burst: 1, bodies: map[string]int{}}}
		if _, err := send(t.Context(), l, "a"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		told := ""
		ctx = Telling(ctx, func(line string) { told = line; cancel() })
		if _, err := send(ctx, l, "b"); !errors.Is(err, context.Canceled) || !Unsent(err) {
			t.Errorf("want the wait left with nothing sent, have %v", err)
		}
		if !strings.Contains(told, "rate limit") {
			t.Errorf("told %q", told)
		}
	})
}

func TestRefusalIsHandedUpWhereTheWaitOutlastsTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &Limit{Base: &account{burst: 1, bodies: map[string]int{}}}
		if _, err := send(t.Context(), l, "a"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		res, err := send(ctx, l, "b")
		if err != nil || res.StatusCode != http.StatusTooManyRequests || time.Since(start) > time.Second {
			t.Errorf("want the 429 at once, have %v %v after %s", res, err, time.Since(start))
		}
	})
}

func TestLastRequestOfTheHourClosesTheGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reset := time.Now().Add(30 * time.Minute).Truncate(time.Second)
		count := 0
		l := &Limit{Headers: RateHeaders{Remaining: "Ratelimit-Remaining", Reset: "Ratelimit-Reset"},
			Base: roundTrip(func(req *http.Request) (*http.Response, error) {
				count++
				h := http.Header{"Ratelimit-Remaining": {"0"}, "Ratelimit-Reset": {fmt.Sprint(reset.Unix())}}
				return &http.Response{StatusCode: 200, Header: h, Body: http.NoBody, Request: req}, nil
			})}
		for range 2 {
			if _, err := send(t.Context(), l, "a"); err != nil {
				t.Fatal(err)
			}
		}
		if count != 2 || time.Now().Before(reset) {
			t.Errorf("%d requests by %s, the reset is at %s", count, time.Now(), reset)
		}
	})
}

func TestScopesDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &Limit{Base: &account{burst: 1, bodies: map[string]int{}}, Scope: func(r *http.Request) string { return r.URL.Path }}
		if _, err := send(t.Context(), l, "a"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if res, err := send(ctx, l, "b"); err != nil || res.StatusCode != http.StatusTooManyRequests {
			t.Fatalf("%v %v", res, err)
		}
		start := time.Now()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://cloud.example/v2/other", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.RoundTrip(req); err != nil || time.Since(start) > 100*time.Millisecond {
			t.Errorf("another scope waited %s: %v", time.Since(start), err)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func FuzzRateHeaders(f *testing.F) {
	for _, s := range []string{"1", "0", "-3", "1e300", "Wed, 21 Oct 2026 07:28:00 GMT", "NaN", "soon"} {
		f.Add(s, "1700000000")
	}
	f.Fuzz(func(t *testing.T, retry, reset string) {
		h := RateHeaders{Reset: "Reset"}
		now := time.Unix(1_700_000_000, 0)
		h.until(&http.Response{Header: http.Header{"Retry-After": {retry}, "Reset": {reset}}}, now)
	})
}
