package certificate

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/acme"

	"github.com/cloudship/cloudship/resource"
)

func TestProblemsOfTheCA(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	after := func(v string) http.Header { return http.Header{"Retry-After": {v}} }
	for name, tt := range map[string]struct {
		problem acme.Error
		kind    resource.ErrorKind
		says    string
		until   time.Time
	}{
		"a limit that ends next week": {
			acme.Error{StatusCode: 429, ProblemType: "urn:ietf:params:acme:error:rateLimited", Detail: "too many certificates (5) already issued", Header: after("259200")},
			resource.Failed, "too many certificates (5) already issued [urn:ietf:params:acme:error:rateLimited] (until 2026-12-01T12:00:00Z)", time.Time{},
		},
		"a limit that ends soon": {
			acme.Error{StatusCode: 429, ProblemType: "urn:ietf:params:acme:error:rateLimited", Detail: "slow down", Header: after("5")},
			resource.RateLimited, "slow down", now.Add(5 * time.Second),
		},
		"a limit without an end": {
			acme.Error{StatusCode: 429, ProblemType: "urn:ietf:params:acme:error:rateLimited", Detail: "slow down"}, resource.Failed, "slow down", time.Time{},
		},
		"out of order":    {acme.Error{StatusCode: 503}, resource.Unavailable, "Service Unavailable", time.Time{}},
		"an account gone": {acme.Error{StatusCode: 401, ProblemType: "urn:ietf:params:acme:error:unauthorized", Detail: "deactivated"}, resource.Unauthorized, "deactivated", time.Time{}},
		"one name of two": {
			acme.Error{StatusCode: 400, ProblemType: "urn:ietf:params:acme:error:rejectedIdentifier", Detail: "no",
				Subproblems: []acme.Subproblem{{Detail: "forbidden\x1b[2J", Identifier: &acme.AuthzID{Type: "dns", Value: "b.example"}}}},
			resource.Invalid, "; b.example: forbidden?[2J", time.Time{},
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := &resource.Error{Kind: resource.Failed, Op: "order"}
			explainProblem(e, &tt.problem, now)
			if e.Kind != tt.kind || !e.Until.Equal(tt.until) || !strings.Contains(e.Error(), tt.says) {
				t.Errorf("%s until %s: %v", e.Kind, e.Until, e)
			}
		})
	}
}

func TestTheCAIsNotAskedAgainAndAgain(t *testing.T) {
	answer := func(code int) *http.Response { return &http.Response{StatusCode: code} }
	if d := backoff(1, nil, answer(http.StatusTooManyRequests)); d > 0 {
		t.Errorf("a limit is run against after %s", d)
	}
	for code, most := range map[int]int{http.StatusBadRequest: 6, http.StatusBadGateway: 4} {
		n, total := 1, time.Duration(0)
		for ; backoff(n, nil, answer(code)) > 0; n++ {
			total += backoff(n, nil, answer(code))
		}
		if n != most+1 || total > time.Minute {
			t.Errorf("%d: %d tries in %s", code, n, total)
		}
	}
}
