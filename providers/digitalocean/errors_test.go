package digitalocean

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/digitalocean/godo"

	"github.com/cloudship/cloudship/resource"
)

// answering is a client of an API that answers every request in one way.
func answering(t *testing.T, status int, header map[string]string, body string) *godo.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for k, v := range header {
			w.Header().Set(k, v)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	client, err := godo.New(server.Client(), godo.SetBaseURL(server.URL+"/"))
	if err != nil {
		t.Fatal(err)
	}
	return client
}

const page = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx</body></html>"

func TestAnswersBecomeKindsOfErrors(t *testing.T) {
	said := func(id, message string) string {
		return `{"id":"` + id + `","message":"` + message + `","request_id":"r-1"}`
	}
	for _, c := range []struct {
		name   string
		status int
		body   string
		effect effect
		want   resource.ErrorKind
		has    string // in the message
	}{
		{"token", 401, said("unauthorized", "Unable to authenticate you"), reading, resource.Unauthorized, "authenticate"},
		{"scope", 403, said("forbidden", "You are not authorized to perform this operation"), once, resource.Unauthorized, "not authorized"},
		{"busy balancer", 403, said("forbidden", "Load Balancer can't be updated while it processes previous actions"), repeatable, resource.Busy, "previous actions"},
		{"VPC with members", 409, said("conflict", "Can not delete VPC with members"), repeatable, resource.Busy, "members"},
		{"default VPC", 403, said("forbidden", "Can not delete default VPCs"), repeatable, resource.Conflict, "default"},
		{"pending event", 422, said("unprocessable_entity", "Droplet already has a pending event."), repeatable, resource.Busy, "pending"},
		{"certificate in use", 403, said("forbidden", "Make sure the certificate is not in use before deleting it"), repeatable, resource.Conflict, "in use"},
		{"droplet limit", 422, said("unprocessable_entity", "creating this/these droplet(s) will exceed your droplet limit"), once, resource.Quota, "limit"},
		{"key twice", 422, said("unprocessable_entity", "SSH Key is already in use on your account"), once, resource.Conflict, "already in use"},
		{"firewall twice", 409, said("conflict", "duplicate name"), once, resource.Conflict, "duplicate"},
		{"validation", 422, said("unprocessable_entity", "You specified an invalid image for Droplet creation."), once, resource.Invalid, "image"},
		{"bad request", 400, said("bad_request", "bad tag"), repeatable, resource.Invalid, "bad tag"},
		{"gone", 404, said("not_found", "The resource you were accessing could not be found."), repeatable, resource.Gone, "found"},
		{"what a create names is gone", 404, said("not_found", "not found"), once, resource.Invalid, "not found"},
		{"rate", 429, said("too_many_requests", "API Rate limit exceeded."), once, resource.RateLimited, "Rate"},
		{"page on a read", 502, page, reading, resource.Unavailable, "502 Bad Gateway"},
		{"page on a write", 504, page, repeatable, resource.Unavailable, "504 Gateway Timeout"},
		{"page on a create", 502, page, once, resource.Ambiguous, "502 Bad Gateway"},
		{"nothing", 503, "", reading, resource.Unavailable, "503 Service Unavailable"},
		{"plain text", 500, "Server error, sorry\nstack trace", reading, resource.Unavailable, "Server error, sorry"},
		{"another shape", 500, `{"error":{"code":500,"message":"x"}}`, once, resource.Ambiguous, "500 Internal Server Error"},
		{"success that cannot be read, of a create", 202, page, once, resource.Ambiguous, "no answer"},
		{"success that cannot be read", 200, page, reading, resource.Unavailable, ""},
	} {
		_, _, err := answering(t, c.status, nil, c.body).Droplets.CreateMultiple(t.Context(), &godo.DropletMultiCreateRequest{})
		have := fault("do it", resource.Server("blue", 1), err, c.effect)
		if kind := resource.KindOf(have); kind != c.want {
			t.Errorf("%s: want %s, have %s: %v", c.name, c.want, kind, have)
		}
		if have == nil || !strings.Contains(have.Error(), c.has) || strings.Contains(have.Error(), "<") {
			t.Errorf("%s: want %q in %v", c.name, c.has, have)
		}
		var e *resource.Error
		if errors.As(have, &e) && c.status >= 400 && strings.Contains(c.body, "r-1") && (e.RequestID != "r-1" || e.Address != resource.Server("blue", 1)) {
			t.Errorf("%s: request id or address lost: %+v", c.name, e)
		}
	}
}

func TestRefusalForRateTellsUntilWhen(t *testing.T) {
	_, _, err := answering(t, 429, map[string]string{"Retry-After": "30"}, "").Account.Get(t.Context())
	var e *resource.Error
	if !errors.As(fault("ask", resource.Address{}, err, reading), &e) || time.Until(e.Until) < 25*time.Second || time.Until(e.Until) > 31*time.Second {
		t.Errorf("until %v", e)
	}
}

func TestWhatNeverReachedTheCloudIsUnavailable(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	client, err := godo.New(server.Client(), godo.SetBaseURL(server.URL+"/"))
	if err != nil {
		t.Fatal(err)
	}
	server.Close()
	_, _, err = client.Droplets.CreateMultiple(t.Context(), &godo.DropletMultiCreateRequest{})
	if have := fault("create", resource.Address{}, err, once); resource.KindOf(have) != resource.Unavailable {
		t.Errorf("want unavailable, have %v", have)
	}
}

func TestLostAnswers(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	}))
	t.Cleanup(server.Close)
	client, err := godo.New(server.Client(), godo.SetBaseURL(server.URL+"/"))
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for effect, want := range map[effect]resource.ErrorKind{reading: resource.Unavailable, repeatable: resource.Ambiguous, once: resource.Ambiguous} {
		for _, ctx := range []context.Context{t.Context(), ended} {
			_, _, err := client.Droplets.CreateMultiple(ctx, &godo.DropletMultiCreateRequest{})
			if have := fault("create", resource.Address{}, err, effect); resource.KindOf(have) != want {
				t.Errorf("effect %d: want %s, have %v", effect, want, have)
			}
		}
	}
}

func TestEndpointThatWouldLeakTheTokenIsRefused(t *testing.T) {
	for value, ok := range map[string]bool{
		"": true, "https://api.digitalocean.com": true, "http://127.0.0.1:8080": true, "http://localhost:1": true, "http://[::1]:1": true,
		"http://api.digitalocean.com": false, "ftp://x": false, "nonsense": false, "http://127.0.0.1.example.com": false,
	} {
		t.Setenv(endpointVariable, value)
		if _, err := endpoint(); (err == nil) != ok {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestNamesOfImages(t *testing.T) {
	for neutralName, slugName := range map[string]string{
		"debian-12": "debian-12-x64", "debian-13": "debian-13-x64", "ubuntu-24.04": "ubuntu-24-04-x64", "rocky-9": "rockylinux-9-x64",
		"alma-9": "almalinux-9-x64", "centos-9": "centos-stream-9-x64", "fedora-42": "fedora-42-x64",
	} {
		if have := slug(neutralName); have != slugName {
			t.Errorf("slug(%q) is %q", neutralName, have)
		}
		if have := neutral(slugName); have != neutralName {
			t.Errorf("neutral(%q) is %q", slugName, have)
		}
	}
	for _, name := range []string{"docker-20-04", "debian-12-x64", "12345", ""} {
		if have := slug(name); have != name {
			t.Errorf("slug(%q) is %q", name, have)
		}
	}
}

func TestNearestName(t *testing.T) {
	valid := []string{"s-1vcpu-1gb", "s-2vcpu-4gb", "fra1", "ams3"}
	for wrong, want := range map[string]string{"s-1vcpu-1g": "s-1vcpu-1gb", "fra": "fra1", "s-2cpu-4gb": "s-2vcpu-4gb", "zzzzzz": ""} {
		if have, _ := nearest(wrong, valid); have != want {
			t.Errorf("nearest to %q: want %q, have %q", wrong, want, have)
		}
	}
}
