package conformance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// rule is one fault, in the words of the lab.
type rule struct {
	Method     string `json:"method,omitempty"`
	Path       string `json:"path,omitempty"`
	Do         string `json:"do"`
	Count      int    `json:"count,omitempty"`
	Status     int    `json:"status,omitempty"`
	RetryAfter int    `json:"retry_after,omitempty"`
	Point      string `json:"point,omitempty"`
}

// inject asks the endpoint for faults and timings, in place of earlier faults.
func (s *suite) inject(timing map[string]string, rules ...rule) {
	s.Helper()
	if rules == nil {
		rules = []rule{}
	}
	s.lab(http.MethodPut, "/_lab/faults", map[string]any{"timing": timing, "rules": rules})
}

// reset takes all faults away.
func (s *suite) reset() {
	if s.Lab != "" {
		s.lab(http.MethodDelete, "/_lab/faults", nil)
	}
}

func (s *suite) lab(method, path string, body any) []byte {
	s.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.Context()), s.Patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(s.Lab, "/")+path, bytes.NewReader(b))
	if err != nil {
		s.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.Fatalf("the lab: %v", err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= 300 {
		s.Fatalf("the lab: %s %s %v", response.Status, answer, err)
	}
	return answer
}

// creating is a rule about the request that creates a kind.
func (s *suite) creating(kind resource.Kind, r rule) rule {
	r.Method, r.Path, _ = strings.Cut(s.Creates[kind], " ")
	return r
}

// creatable are the kinds whose creating request is known, with a spec and address to try it.
func (s *suite) creatable() map[resource.Address]resource.Spec {
	all := map[resource.Address]resource.Spec{}
	for a, spec := range s.subjects() {
		if _, known := s.Creates[a.Kind()]; known {
			if server, ok := spec.(*resource.ServerSpec); ok {
				server.Group = group
			}
			all[a] = s.resolve(a, spec)
		}
	}
	return all
}

func lostAnswers(s *suite) {
	for a, spec := range s.creatable() {
		for i, r := range []rule{{Do: "lose_answer", Count: 1}, {Do: "fail_after", Status: 500, Count: 1}, {Do: "fail_after", Status: 504, Count: 1}} {
			s.inject(nil, s.creating(a.Kind(), r))
			c := s.call(spec, a)
			result := s.provider.Create(s.Context(), c)[0]
			if resource.KindOf(result.Err) != resource.Ambiguous {
				s.Errorf("%s, %s %d: want ambiguous, have %v", a, r.Do, r.Status, result.Err)
			}
			s.eventually(fmt.Sprintf("%s found by its mark (%d)", a, i), func() bool { return len(s.of(a)) == 1 })
			s.ready(a)
			s.delete(a)
		}
	}
}

func refusedCreate(s *suite) {
	for a, spec := range s.creatable() {
		s.inject(nil, s.creating(a.Kind(), rule{Do: "fail_before", Status: 503, Count: 1}))
		switch kind := resource.KindOf(s.provider.Create(s.Context(), s.call(spec, a))[0].Err); kind {
		case resource.Ambiguous, resource.Unavailable:
		default:
			s.Errorf("%s: 503 before the effect is %q", a, kind)
		}
		s.inject(nil, s.creating(a.Kind(), rule{Do: "fail_before", Status: 422, Count: 1}))
		switch kind := resource.KindOf(s.provider.Create(s.Context(), s.call(spec, a))[0].Err); kind {
		case resource.Invalid, resource.Failed, resource.Conflict:
		default:
			s.Errorf("%s: 422 is %q", a, kind)
		}
		if have := s.of(a); len(have) != 0 {
			s.Errorf("%s is listed %d times after it was refused", a, len(have))
		}
	}
}

func rateLimit(s *suite) {
	s.inject(nil, rule{Do: "fail_before", Status: http.StatusTooManyRequests, RetryAfter: 1, Count: 3})
	start := time.Now()
	s.make(s.server(), resource.Server(group, 0))
	if len(s.of(resource.Server(group, 0))) != 1 {
		s.Error("a create that was refused for its rate was made more than once")
	}
	if time.Since(start) < time.Second {
		s.Error("Retry-After was not waited for")
	}
}

func cancelled(s *suite) {
	a := resource.Server(group, 0)
	c := s.call(s.server(), a)
	s.inject(nil, s.creating(resource.KindServer, rule{Do: "hold", Point: "after_effect", Count: 1}))
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	done := make(chan resource.Result, 1)
	go func() { done <- s.provider.Create(ctx, c)[0] }()
	s.held()
	cancel()
	timer := time.NewTimer(s.Patience)
	defer timer.Stop()
	select {
	case r := <-done:
		if resource.KindOf(r.Err) != resource.Ambiguous {
			s.Errorf("want ambiguous, have %v", r.Err)
		}
	case <-timer.C:
		s.Fatal("a cancelled create does not return")
	}
	s.reset()
	s.ready(a)
}

// held waits until the endpoint holds a call.
func (s *suite) held() {
	s.Helper()
	s.eventually("call held", func() bool {
		var state struct {
			Reached bool `json:"reached"`
		}
		if err := json.Unmarshal(s.lab(http.MethodGet, "/_lab/barrier?wait=1s", nil), &state); err != nil {
			s.Fatal(err)
		}
		return state.Reached
	})
}

func killed(s *suite) {
	a := resource.Server(group, 0)
	c := s.call(s.server(), a)
	s.inject(nil, s.creating(resource.KindServer, rule{Do: "hold", Point: "after_effect", Count: 1}))
	done := make(chan resource.Result, 1)
	go func() { done <- s.provider.Create(s.Context(), c)[0] }()
	s.held()
	pid, err := strconv.Atoi(s.provider.Pid())
	if err != nil {
		s.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		s.Fatal(err)
	}
	if r := <-done; resource.KindOf(r.Err) != resource.Ambiguous {
		s.Errorf("want ambiguous, have %v", r.Err)
	}
	s.reset()
	s.ready(a)
}

func newIsNotGone(s *suite) {
	s.inject(map[string]string{"not_found": "500ms", "list_lag": "500ms"})
	a := resource.Server(group, 0)
	r := s.provider.Create(s.Context(), s.call(s.server(), a))[0]
	if r.Err != nil {
		s.Fatal(r.Err)
	}
	_, err := s.provider.Read(s.Context(), resource.Query{Stack: s.stack}, *r.Found)
	if resource.IsGone(err) {
		s.Errorf("a server that was made a moment ago is read as gone: %v", err)
	}
	s.ready(a)
}

func failingReads(s *suite) {
	s.make(s.server(), resource.Server(group, 0))
	have := s.of(resource.Server(group, 0))[0]
	for _, r := range []rule{{Do: "fail_before", Status: 502}, {Do: "drop_before"}} {
		r.Method = http.MethodGet
		s.inject(nil, r)
		if _, err := s.provider.List(s.Context(), resource.Query{Stack: s.stack}); resource.KindOf(err) != resource.Unavailable {
			s.Errorf("list, %s: want unavailable, have %v", r.Do, err)
		}
		if _, err := s.provider.Read(s.Context(), resource.Query{Stack: s.stack}, have); resource.KindOf(err) != resource.Unavailable {
			s.Errorf("read, %s: want unavailable, have %v", r.Do, err)
		}
	}
	s.reset()
	s.ready(resource.Server(group, 0))
}
