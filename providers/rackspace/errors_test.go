package rackspace

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/cloudship/cloudship/resource"
)

func answered(status int, body string, header ...string) error {
	e := gophercloud.ErrUnexpectedResponseCode{Actual: status, Body: []byte(body), ResponseHeader: http.Header{}}
	for i := 0; i+1 < len(header); i += 2 {
		e.ResponseHeader.Set(header[i], header[i+1])
	}
	return e
}

// Every refusal that Rackspace is known for, and what it means.
func TestRefusals(t *testing.T) {
	const envelope = `{"validationErrors":{"messages":["Node ids 100 are not a part of your loadbalancer"]},"message":"Validation Failure","code":400}`
	for _, test := range []struct {
		err    error
		effect effect
		kind   resource.ErrorKind
		words  string
	}{
		{answered(401, ""), reading, resource.Unauthorized, "401 Unauthorized"},
		{answered(403, `{"forbidden":{"message":"Quota exceeded for ram: Requested 1024, but already used 131072 of 131072 ram","code":403}}`), once, resource.Quota, "Quota exceeded for ram"},
		{answered(403, "403 Forbidden\n\nAccess was denied to this resource.\n\n Networks (0000) not allowed"), once, resource.Unauthorized, "403 Forbidden"},
		{answered(403, `{"forbidden":{"message":"Policy doesn't allow compute_flavor:create:image_backed to be performed.","code":403}}`), once, resource.Invalid, "image_backed"},
		{answered(404, `{"itemNotFound":{"message":"Instance could not be found","code":404}}`), reading, resource.Gone, "Instance could not be found"},
		{answered(404, `{"message":"Load balancer not found","code":404}`), repeatable, resource.Gone, "Load balancer not found"},
		{answered(404, `{"itemNotFound":{"message":"no image","code":404}}`), once, resource.Invalid, "no image"},
		{answered(410, `{"message":"The loadbalancer is marked as deleted.","code":410}`), reading, resource.Gone, "deleted"},
		{answered(422, `{"message":"The load balancer is deleted and considered immutable.","code":422}`), repeatable, resource.Gone, "deleted"},
		{answered(422, `{"message":"Load Balancer '123' has a status of 'PENDING_UPDATE' and is considered immutable.","code":422}`), repeatable, resource.Busy, "PENDING_UPDATE"},
		{answered(422, `{"message":"LoadBalancer is not ACTIVE","code":422}`), repeatable, resource.Busy, "not ACTIVE"},
		{answered(400, `{"message":"Must provide valid load balancers: 123  could not be found.","code":400}`), repeatable, resource.Gone, "123"},
		{answered(400, `{"message":"Must provide valid load balancers: 123  are immutable and could not be processed.","code":400}`), repeatable, resource.Busy, "123"},
		{answered(422, `{"message":"Duplicate nodes detected. One or more nodes already configured on load balancer.","code":422}`), repeatable, resource.Busy, "Duplicate"},
		{answered(413, `{"message":"Nodes must not exceed 25 per load balancer.","code":413}`), repeatable, resource.Quota, "25"},
		{answered(429, `{"overLimit":{"message":"OverLimit Retry...","code":413}}`, "Retry-After", "7"), once, resource.RateLimited, "OverLimit"},
		{answered(400, envelope), repeatable, resource.Invalid, "Node ids 100"},
		{answered(400, `{"message":["JSON does not match the expected schema"]}`), repeatable, resource.Invalid, "JSON does not match"},
		{answered(409, `{"conflictingRequest":{"message":"Key pair 'a' already exists.","code":409}}`), once, resource.Conflict, "already exists"},
		{answered(409, `{"buildInProgress":{"message":"wait","code":409}}`), repeatable, resource.Busy, "wait"},
		{answered(500, `{"computeFault":{"message":"The server has either erred or is incapable of performing the requested operation.","code":500}}`), once, resource.Ambiguous, "erred"},
		{answered(500, `{"message":"Out of virtual IPs.","code":500}`), repeatable, resource.Unavailable, "virtual IPs"},
		{answered(502, "<html><body>Bad Gateway</body></html>"), reading, resource.Unavailable, "502 Bad Gateway"},
		{&gophercloud.ErrErrorAfterReauthentication{ErrOriginal: answered(404, "")}, reading, resource.Gone, "404"},
		{&gophercloud.ErrUnableToReauthenticate{ErrOriginal: answered(401, ""), ErrReauth: answered(401, "")}, once, resource.Unauthorized, "refused now"},
		{&gophercloud.ErrUnableToReauthenticate{ErrOriginal: answered(401, ""), ErrReauth: errors.New("broken pipe")}, once, resource.Unavailable, "broken pipe"},
		{gophercloud.ErrMissingInput{Argument: "Name"}, once, resource.Invalid, "Name"},
		{context.Canceled, once, resource.Ambiguous, "canceled"},
		{context.Canceled, reading, resource.Unavailable, "canceled"},
		{errors.New("unexpected EOF"), repeatable, resource.Ambiguous, "unexpected EOF"},
	} {
		err := fault("do", resource.Address{}, test.err, test.effect)
		if resource.KindOf(err) != test.kind || !strings.Contains(err.Error(), test.words) {
			t.Errorf("%v: want %s with %q, have %s: %v", test.err, test.kind, test.words, resource.KindOf(err), err)
		}
	}
}

func TestUntil(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"7": 7 * time.Second, "Sat, 28 Nov 2026 12:00:30 GMT": 30 * time.Second, "2026-11-28T12:02:00Z": 2 * time.Minute, "soon": time.Minute, "": time.Minute,
	} {
		if have := until(http.Header{"Retry-After": {value}}, now).Sub(now); have != want {
			t.Errorf("%q: %s, want %s", value, have, want)
		}
	}
}

func TestImageNames(t *testing.T) {
	for name, want := range map[string]string{
		"Debian 12 (Bookworm) (PVHVM)": "debian-12", "Ubuntu 24.04 LTS (Noble Numbat) (PVHVM)": "ubuntu-24.04", "Rocky Linux 9 (PVHVM)": "rocky-9",
		"AlmaLinux 9 (PVHVM)": "alma-9", "CentOS 7 (PVHVM)": "centos-7", "CentOS Stream 9 (PVHVM)": "centos-9", "Debian 8 (Jessie) (PV)": "", "my snapshot": "", "Debian": "",
	} {
		if have := neutral(name); have != want {
			t.Errorf("%s: %q, want %q", name, have, want)
		}
	}
}

func FuzzWords(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"message":"x"}`, `{"message":["x","y"]}`, `{"badRequest":{"message":"x","code":400}}`, `{"a":{"message":{}}}`,
		`{"validationErrors":{"messages":["x"]}}`, "403 Forbidden\n\nwhat", "<html>", `{"overLimit":{}}`, `[1]`} {
		f.Add(400, seed)
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		err := fault("do", resource.Address{}, answered(status, body), once)
		if err == nil || resource.KindOf(err) == "" || err.Error() == "" {
			t.Errorf("%d %q: %v", status, body, err)
		}
	})
}

func FuzzKeyNames(f *testing.F) {
	f.Add("ann")
	f.Add("a-b-c")
	f.Fuzz(func(t *testing.T, label string) {
		m := resource.Mark{Stack: "shop-k3v9qd", Address: resource.Address{Block: "ssh_key", Name: label}, Generation: 1}
		if m.Address.Valid() != nil {
			return
		}
		back, ok := ours("", markOfKey(keyName(m)), resource.Query{Stack: m.Stack}, resource.KindSSHKey)
		if !ok || back != m || strings.ContainsAny(keyName(m), ".") {
			t.Errorf("%s is read as %s", keyName(m), back)
		}
	})
}

func FuzzChains(f *testing.F) {
	f.Add("")
	f.Add("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	f.Add("x\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\ny\n-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----")
	f.Fuzz(func(t *testing.T, text string) {
		if once := chainOf(text); chainOf(once) != once {
			t.Errorf("the one form of %q is %q, and then %q", text, once, chainOf(once))
		}
	})
}
