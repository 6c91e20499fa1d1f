package rackspace_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cloudship/cloudship/lab/cloud"
	"github.com/cloudship/cloudship/resource"
)

func TestLogin(t *testing.T) {
	t.Parallel()
	l := startCloud(t)
	env := environment(l)
	key, url := env["RACKSPACE_API_KEY"], env["RACKSPACE_AUTH_URL"]
	bare := with(env, map[string]string{"RACKSPACE_USERNAME": "", "RACKSPACE_API_KEY": "", "RACKSPACE_REGION": "", "RACKSPACE_AUTH_URL": ""})
	for _, test := range []struct {
		name   string
		env    map[string]string
		values map[string]any
		kind   resource.ErrorKind // empty: it succeeds
		words  string             // in the error or its hint
	}{
		{name: "as it is", env: env},
		{name: "region in the block", env: with(env, map[string]string{"RACKSPACE_REGION": "ORD"}), values: map[string]any{"region": "iad"}},
		{name: "the account's own region", env: with(env, map[string]string{"RACKSPACE_REGION": ""})},
		{name: "password", env: with(env, map[string]string{"RACKSPACE_API_KEY": "", "RACKSPACE_PASSWORD": key})},
		{name: "older names", env: with(bare, map[string]string{"RAX_USERNAME": "lab", "RAX_API_KEY": key, "RAX_AUTH_URL": url})},
		{name: "OpenStack's names", env: with(bare, map[string]string{"OS_USERNAME": "lab", "OS_PASSWORD": key, "OS_AUTH_URL": url, "OS_REGION_NAME": "iad", "OS_TENANT_ID": "864207"})},
		{name: "nothing", env: bare, kind: resource.Unauthorized, words: "RACKSPACE_USERNAME"},
		{name: "no key", env: with(env, map[string]string{"RACKSPACE_API_KEY": ""}), kind: resource.Unauthorized, words: "RACKSPACE_API_KEY"},
		{name: "wrong key", env: with(env, map[string]string{"RACKSPACE_API_KEY": "wrong"}), kind: resource.Unauthorized, words: "check RACKSPACE_USERNAME and RACKSPACE_API_KEY"},
		{name: "another's account", env: with(env, map[string]string{"RACKSPACE_TENANT_ID": "1"}), kind: resource.Unauthorized, words: "Unable to authenticate"},
		{name: "unknown region", env: with(env, map[string]string{"RACKSPACE_REGION": "IAX"}), kind: resource.Invalid, words: `did you mean "IAD"?`},
		{name: "unknown setting", env: env, values: map[string]any{"regoin": "IAD"}, kind: resource.Invalid, words: "regoin"},
		{name: "key in the clear", env: with(env, map[string]string{"RACKSPACE_AUTH_URL": "http://identity.example.com/v2.0/"}), kind: resource.Invalid, words: "in the clear"},
		{name: "no URL", env: with(env, map[string]string{"RACKSPACE_AUTH_URL": "identity"}), kind: resource.Invalid, words: "no URL"},
		{name: "nobody there", env: with(env, map[string]string{"RACKSPACE_AUTH_URL": "http://127.0.0.1:1/v2.0/"}), kind: resource.Unavailable, words: "refused"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := configure(t, test.env, test.values)
			if resource.KindOf(err) != test.kind {
				t.Fatalf("want %q, have %v", test.kind, err)
			}
			if err != nil && !strings.Contains(err.Error()+" "+resource.HintOf(err), test.words) {
				t.Errorf("%v, hint %q: want %q", err, resource.HintOf(err), test.words)
			}
			if err != nil && strings.Contains(err.Error(), key) {
				t.Errorf("the key is in the error: %v", err)
			}
		})
	}
}

// A token is fetched once, and once more when it is refused: never for every call.
func TestTokensAreRenewedOnce(t *testing.T) {
	h := start(t)
	h.servers("blue", 2)
	h.list()
	if n := h.calls(http.MethodPost, "/tokens"); n != 1 {
		t.Errorf("%d tokens for all calls, want one", n)
	}
	s := h.lab.Faults().Settings()
	h.lab.Faults().Add(cloud.Rule{Method: "GET", Path: "/rackspace/*/servers/**", Do: cloud.FailBefore, Status: 401, Count: 1},
		cloud.Rule{Method: "POST", Path: "/rackspace/*/loadbalancers/**", Do: cloud.FailBefore, Status: 401, Count: 1})
	h.list()
	h.balancer()
	if n := h.calls(http.MethodPost, "/tokens"); n != 3 {
		t.Errorf("%d tokens after two were refused, want three", n)
	}
	// When the credentials have become wrong as well, that is told, and not tried again.
	s.Rules = []cloud.Rule{{Path: "/rackspace/**", Do: cloud.FailBefore, Status: 401}}
	h.lab.Faults().Set(s)
	_, err := h.provider.List(t.Context(), resource.Query{Stack: stack})
	if resource.KindOf(err) != resource.Unauthorized || !strings.Contains(resource.HintOf(err), "RACKSPACE_API_KEY") {
		t.Errorf("want unauthorized, have %v (%s)", err, resource.HintOf(err))
	}
	h.lab.Faults().Reset()
	h.list()
}

// Rackspace says 413 where others say 429; it is waited out, for creates as well, which it refused.
func TestRatesAreKept(t *testing.T) {
	h := start(t, func(s *cloud.Settings) { s.Limits.Burst = 1 })
	h.balancer()
	a := resource.Server("blue", 0)
	spec := h.resolve(a, &resource.ServerSpec{Group: "blue", Need: &resource.Need{CPUs: 1}, Image: "debian-12"})
	h.lab.Faults().Add(cloud.Rule{Method: "POST", Path: "/rackspace/*/servers/**", Do: cloud.FailBefore, Status: 413, RetryAfter: 1, Count: 2})
	h.create(a, spec)
	for range 25 { // more than ten reads a second
		h.list(resource.KindLoadBalancer)
	}
	refused := 0
	for _, c := range h.lab.Calls().All() {
		if c.Status == http.StatusRequestEntityTooLarge {
			refused++
		}
	}
	if refused < 2 {
		t.Errorf("%d calls were refused for their rate", refused)
	}
	if n := len(h.list(resource.KindServer)); n != 1 {
		t.Errorf("%d servers", n)
	}
}
