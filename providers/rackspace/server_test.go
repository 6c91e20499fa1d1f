package rackspace_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cloudship/cloudship/lab/cloud"
	"github.com/cloudship/cloudship/resource"
)

func TestServers(t *testing.T) {
	h := start(t, func(s *cloud.Settings) { s.Timing.ServerActive = cloud.Duration(200 * time.Millisecond) })
	h.create(keyAddress, h.resolve(keyAddress, &resource.SSHKeySpec{PublicKey: publicKey + " ann@laptop"}))
	a := resource.Server("blue", 0)
	spec := h.resolve(a, &resource.ServerSpec{Group: "blue", Need: &resource.Need{CPUs: 2, MemoryMB: 1024}, Image: "debian-12", Keys: []resource.Address{keyAddress}}).(*resource.ServerSpec)
	if spec.Size != "general1-2" || spec.Region != "IAD" || spec.ImageID == "" {
		t.Errorf("resolved: %+v", spec)
	}
	c := h.call(a, spec)
	c.UserData = "#cloud-config\nhostname: blue\n"
	r := h.provider.Create(t.Context(), c)[0]
	if r.Err != nil || r.Found.ID == "" || r.Found.Ready {
		t.Fatalf("create: %+v, %v", r.Found, r.Err)
	}
	h.eventually("ready", func() bool { return h.list()[a].Ready })
	found := h.list()[a]
	h.same(found, spec)
	if found.Facts.PublicIP == "" || found.Facts.PrivateIP == "" || found.Facts.PublicIP == found.Facts.PrivateIP || found.Created.IsZero() {
		t.Errorf("facts: %+v", found.Facts)
	}
	// Whatever is known of it is on the server itself.
	v := h.server(found.ID)
	if v.Metadata["cloudship"] != found.Mark.Encode() || v.Name != found.Mark.Encode() || v.ConfigDrive != "True" || v.Key != "ann_ssh-key_g1_shop-k3v9qd" {
		t.Errorf("server: %+v", v)
	}

	// Switched off behind our back, it is switched on again.
	h.ask(http.MethodPost, "/iad/servers/v2/864207/servers/"+found.ID+"/action", `{"os-stop":null}`)
	h.eventually("off", func() bool { return h.list()[a].Broken == "switched off" })
	found = h.update(a, spec, "broken")
	if found.Broken != "" {
		t.Errorf("broken: %s", found.Broken)
	}
	if r := h.provider.Update(t.Context(), h.call(a, spec, "broken"))[0]; r.Err != nil {
		t.Errorf("switching on what is on: %v", r.Err)
	}
}

// server is a server as the API shows it.
func (h *harness) server(id string) (v struct {
	Name        string            `json:"name"`
	Key         string            `json:"key_name"`
	ConfigDrive string            `json:"config_drive"`
	Metadata    map[string]string `json:"metadata"`
}) {
	h.Helper()
	body := struct{ Server any }{&v}
	if err := json.Unmarshal(h.ask(http.MethodGet, "/iad/servers/v2/864207/servers/"+id, ""), &body); err != nil {
		h.Fatal(err)
	}
	return v
}

// ask calls the cloud's API as somebody at its console would.
func (h *harness) ask(method, path, body string) []byte {
	h.Helper()
	env := h.lab.Environment()
	base := strings.TrimSuffix(env["RACKSPACE_AUTH_URL"], "/identity/v2.0/")
	send := func(method, url, token, body string) []byte {
		r, err := http.NewRequestWithContext(context.WithoutCancel(h.Context()), method, url, strings.NewReader(body))
		if err != nil {
			h.Fatal(err)
		}
		r.Header.Set("X-Auth-Token", token)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			h.Fatal(err)
		}
		defer answer.Body.Close()
		b, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode >= 300 {
			h.Fatalf("%s %s: %s %s %v", method, url, answer.Status, b, err)
		}
		return b
	}
	var access struct {
		Access struct{ Token struct{ ID string } }
	}
	login := `{"auth":{"RAX-KSKEY:apiKeyCredentials":{"username":"` + env["RACKSPACE_USERNAME"] + `","apiKey":"` + env["RACKSPACE_API_KEY"] + `"}}}`
	if err := json.Unmarshal(send(http.MethodPost, env["RACKSPACE_AUTH_URL"]+"tokens", "", login), &access); err != nil {
		h.Fatal(err)
	}
	return send(method, base+path, access.Access.Token.ID, body)
}

func TestServersThatGoWrong(t *testing.T) {
	h := start(t)
	a := resource.Server("blue", 0)
	spec := h.resolve(a, &resource.ServerSpec{Group: "blue", Need: &resource.Need{CPUs: 1}, Image: "debian-12"})
	h.lab.Faults().Add(cloud.Rule{Method: "POST", Path: "/rackspace/*/servers/v2/*/servers", Do: cloud.Spoil, Message: "No valid host was found.", Count: 1})
	if r := h.provider.Create(t.Context(), h.call(a, spec))[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	found := h.list()[a]
	if found.Ready || !strings.Contains(found.Problem, "No valid host was found. (code 500)") {
		t.Errorf("found: ready %v, problem %q", found.Ready, found.Problem)
	}
	if r := h.provider.Delete(t.Context(), h.call(a, nil))[0]; r.Err != nil {
		t.Error(r.Err)
	}
	h.eventually("gone", func() bool { _, there := h.list()[a]; return !there })

	// What an automation of Rackspace's still works on is not ready.
	found = h.create(a, spec)
	h.ask(http.MethodPost, "/iad/servers/v2/864207/servers/"+found.ID+"/metadata", `{"metadata":{"rackconnect_automation_status":"DEPLOYING"}}`)
	if f := h.list()[a]; f.Ready || f.Facts.Status != "rackconnect_automation_status: DEPLOYING" {
		t.Errorf("while it is deployed: ready %v, status %q", f.Ready, f.Facts.Status)
	}
	h.ask(http.MethodPost, "/iad/servers/v2/864207/servers/"+found.ID+"/metadata", `{"metadata":{"rackconnect_automation_status":"DEPLOYED"}}`)
	if f := h.list()[a]; !f.Ready {
		t.Errorf("deployed: status %q", f.Facts.Status)
	}
}

func TestServersThatAreRefused(t *testing.T) {
	h := start(t, func(s *cloud.Settings) { s.Limits.Servers = 1 })
	a, b := resource.Server("blue", 0), resource.Server("blue", 1)
	spec := h.resolve(a, &resource.ServerSpec{Group: "blue", Need: &resource.Need{CPUs: 1}, Image: "debian-12"})
	h.create(a, spec)
	err := h.provider.Create(t.Context(), h.call(b, spec))[0].Err
	if resource.KindOf(err) != resource.Quota || !strings.Contains(err.Error(), "Quota exceeded for instances") || !strings.Contains(err.Error(), "request req-") {
		t.Errorf("above the quota: %v", err)
	}
	problems := h.provider.Preflight(t.Context(), resource.Forecast{Stack: stack, Create: []resource.Wish{{Address: b, Spec: spec}}})
	if len(problems) != 1 || resource.KindOf(problems[0]) != resource.Quota || !strings.Contains(problems[0].Error(), "may have 1 servers and has 1") {
		t.Errorf("preflight: %v", problems)
	}
	c := h.call(b, spec)
	c.UserData = strings.Repeat("x", base64.StdEncoding.DecodedLen(65536))
	if err := h.provider.Create(t.Context(), c)[0].Err; resource.KindOf(err) != resource.Invalid {
		t.Errorf("long user data: %v", err)
	}
	missing := resource.Clone(spec).(*resource.ServerSpec)
	missing.Keys = []resource.Address{keyAddress}
	if err := h.provider.Create(t.Context(), h.call(b, missing))[0].Err; resource.KindOf(err) != resource.Invalid {
		t.Errorf("a key that is not there: %v", err)
	}
}

func TestTheSameKeyTwice(t *testing.T) {
	h := start(t)
	spec := h.resolve(keyAddress, &resource.SSHKeySpec{PublicKey: publicKey})
	h.create(keyAddress, spec)
	c := h.call(keyAddress, spec)
	c.Items[0].Have = nil
	r := h.provider.Create(t.Context(), c)[0]
	if r.Err != nil || r.Found == nil {
		t.Errorf("the same key again: %v", r.Err)
	}
	other := &resource.SSHKeySpec{PublicKey: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIr5EtbrE3T5cGeRzvbTJ9p6PQv4zv4fZg1gqT0hU5Hn"}
	c = h.call(keyAddress, other)
	if err := h.provider.Create(t.Context(), c)[0].Err; resource.KindOf(err) != resource.Conflict || resource.HintOf(err) == "" {
		t.Errorf("another key of that name: %v", err)
	}
}
