package rackspace_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cloudship/cloudship/lab/cloud"
)

func TestTokens(t *testing.T) {
	f := newFixture(t)
	tokens := f.url + "/identity/v2.0/tokens"
	key := func(user, key string) object {
		return object{"auth": object{"RAX-KSKEY:apiKeyCredentials": object{"username": user, "apiKey": key}}}
	}
	a := f.want(200, "POST", tokens, key("lab", "secret"))
	expires := get[string](t, a.body, "access", "token", "expires")
	if at, err := time.Parse(time.RFC3339Nano, expires); err != nil || time.Until(at) < 23*time.Hour || time.Until(at) > 24*time.Hour {
		t.Errorf("a token expires at %s (%v)", expires, err)
	}
	if region := get[string](t, a.body, "access", "user", "RAX-AUTH:defaultRegion"); region != "IAD" {
		t.Errorf("default region %s", region)
	}
	computes := 0
	for _, s := range get[[]any](t, a.body, "access", "serviceCatalog") {
		if get[string](t, s, "type") == "compute" {
			computes++
		}
	}
	if computes != 2 {
		t.Errorf("%d services of type compute, want both generations", computes)
	}
	f.want(200, "POST", tokens, object{"auth": object{"passwordCredentials": object{"username": "lab", "password": "secret"}}})
	f.want(200, "POST", tokens, object{"auth": object{"token": object{"id": f.token}, "tenantId": "864207"}})
	f.refused(401, `"unauthorized":{"code":401,"message":"Unable to authenticate user with credentials provided."`, "POST", tokens, key("lab", "wrong"))
	f.refused(401, "unauthorized", "POST", tokens, key("else", "secret"))
	f.refused(400, "badRequest", "POST", tokens, object{"auth": object{}})
	both := key("lab", "secret")
	both["auth"].(object)["tenantId"], both["auth"].(object)["tenantName"] = "864207", "864207"
	f.refused(400, "badRequest", "POST", tokens, both)

	f.want(200, "GET", tokens+"/"+f.token, nil)
	f.refused(404, "itemNotFound", "GET", tokens+"/unknown", nil)
	f.want(204, "DELETE", tokens, nil)
	f.refused(401, `"unauthorized"`, "GET", f.compute("/servers"), nil)
	if a := f.want(401, "GET", f.balancers("/loadbalancers"), nil); a.text != "" {
		t.Errorf("a load balancer's 401 has a body: %s", a.text)
	}
	f.login(t)
	f.want(200, "GET", f.compute("/servers"), nil)
	f.refused(404, "", "GET", strings.Replace(f.compute("/servers"), "864207", "1", 1), nil)
	f.refused(404, "", "GET", strings.Replace(f.compute("/servers"), "/iad/", "/lon/", 1), nil)
}

func TestTokensExpire(t *testing.T) {
	f := newFixture(t, func(s *cloud.Settings) { s.Timing.Token = cloud.Duration(time.Hour) })
	f.want(200, "GET", f.compute("/servers"), nil)
	s := f.faults.Settings()
	s.Timing.Token = cloud.Duration(time.Nanosecond)
	f.faults.Set(s)
	f.want(401, "GET", f.compute("/servers"), nil)
	s.Timing.Token = 0
	f.faults.Set(s)
	f.login(t)
	f.want(200, "GET", f.compute("/servers"), nil)
}

func TestServerLife(t *testing.T) {
	f := newFixture(t, func(s *cloud.Settings) {
		s.Timing.ServerActive, s.Timing.ServerGone = cloud.Duration(100*time.Millisecond), cloud.Duration(100*time.Millisecond)
	})
	f.want(200, "POST", f.compute("/os-keypairs"), object{"keypair": object{"name": "ann", "public_key": rsaKey}})
	a := f.want(202, "POST", f.compute("/servers"), object{"server": object{
		"name": "web", "imageRef": debian, "flavorRef": "general1-2", "key_name": "ann", "config_drive": true,
		"user_data": "I2Nsb3VkLWNvbmZpZwo=", "metadata": object{"group": "blue"}}})
	id := get[string](t, a.body, "server", "id")
	if !strings.HasSuffix(a.header.Get("Location"), "/servers/"+id) || a.header.Get("X-Compute-Request-Id") == "" ||
		get[string](t, a.body, "server", "adminPass") == "" || len(get[object](t, a.body, "server")) != 4 {
		t.Errorf("create: %v %s", a.header, a.text)
	}
	built := get[object](t, f.want(200, "GET", f.compute("/servers/"+id), nil).body, "server")
	if built["status"] != "BUILD" || built["accessIPv4"] != "" || len(built["addresses"].(object)) != 0 {
		t.Errorf("at first: %v", built)
	}
	s := f.active(id)
	public, private := get[string](t, s, "addresses", "public", 1, "addr"), get[string](t, s, "addresses", "private", 0, "addr")
	if public == "" || public == private || s["accessIPv4"] != public || s["config_drive"] != "True" || s["key_name"] != "ann" ||
		get[string](t, s, "metadata", "group") != "blue" || get[string](t, s, "flavor", "id") != "general1-2" || get[string](t, s, "image", "id") != debian {
		t.Errorf("active: %v", s)
	}
	if created, err := time.Parse(time.RFC3339, get[string](t, s, "created")); err != nil || time.Since(created) > time.Minute {
		t.Errorf("created %s (%v)", created, err)
	}

	action := func(status int, body object) { f.want(status, "POST", f.compute("/servers/"+id+"/action"), body) }
	action(409, object{"os-start": nil})
	action(202, object{"os-stop": nil})
	if s := get[string](t, f.want(200, "GET", f.compute("/servers/"+id), nil).body, "server", "status"); s != "SHUTOFF" {
		t.Errorf("stopped: %s", s)
	}
	action(202, object{"os-start": nil})
	f.active(id)
	action(202, object{"reboot": object{"type": "HARD"}})
	f.active(id)
	action(400, object{"dance": nil})
	a = f.want(200, "PUT", f.compute("/servers/"+id), object{"server": object{"name": "www"}})
	if get[string](t, a.body, "server", "name") != "www" {
		t.Error("the name was not changed")
	}

	f.want(204, "DELETE", f.compute("/servers/"+id), nil)
	s = get[object](t, f.want(200, "GET", f.compute("/servers/"+id), nil).body, "server")
	if s["OS-EXT-STS:task_state"] != "deleting" {
		t.Errorf("while it is deleted: %v", s["OS-EXT-STS:task_state"])
	}
	f.refused(404, `"itemNotFound":{"code":404,"message":"Instance could not be found"}`, "DELETE", f.compute("/servers/"+id), nil)
	f.eventually("the server is gone", func() bool { return f.send("GET", f.compute("/servers/"+id), nil).status == 404 })
	f.want(202, "DELETE", f.compute("/os-keypairs/ann"), nil)
	f.want(404, "DELETE", f.compute("/os-keypairs/ann"), nil)
}

func TestServersGoWrongOnDemand(t *testing.T) {
	f := newFixture(t)
	f.faults.Add(cloud.Rule{Method: "POST", Path: "/rackspace/*/servers/v2/*/servers", Do: cloud.Spoil, Message: "No valid host was found. There are not enough hosts.", Count: 1})
	id := f.server()
	s := get[object](t, f.want(200, "GET", f.compute("/servers/"+id), nil).body, "server")
	if s["status"] != "ERROR" || get[string](t, s, "fault", "message") != "No valid host was found. There are not enough hosts." || get[float64](t, s, "fault", "code") != 500 {
		t.Errorf("server: %v", s)
	}
	f.want(204, "DELETE", f.compute("/servers/"+id), nil)
	f.active(f.server())
}

func TestServerRequestsThatAreRefused(t *testing.T) {
	f := newFixture(t, func(s *cloud.Settings) { s.Limits.Servers = 1 })
	many := object{}
	for i := range 41 {
		many[strconv.Itoa(i)] = ""
	}
	for _, test := range []struct {
		name   string
		change func(object)
		status int
		words  string
	}{
		{"no name", func(r object) { r["name"] = "" }, 400, "badRequest"},
		{"unknown flavor", func(r object) { r["flavorRef"] = "huge" }, 400, "Invalid flavorRef provided."},
		{"flavor without disk", func(r object) { r["flavorRef"] = "compute1-4" }, 403, "Policy doesn't allow compute_flavor:create:image_backed to be performed."},
		{"unknown image", func(r object) { r["imageRef"] = "none" }, 400, "Can not find requested image"},
		{"unknown key", func(r object) { r["key_name"] = "none" }, 400, "Invalid key_name provided."},
		{"user data as it is", func(r object) { r["user_data"] = "#cloud-config" }, 400, "Userdata content cannot be decoded"},
		{"metadata of numbers", func(r object) { r["metadata"] = object{"n": 1} }, 400, "Invalid metadata: The input is not a string or unicode"},
		{"much metadata", func(r object) { r["metadata"] = many }, 403, "Maximum number of metadata items exceeds 40"},
		{"long metadata", func(r object) { r["metadata"] = object{"k": strings.Repeat("v", 256)} }, 400, "badRequest"},
		{"unknown network", func(r object) { r["networks"] = []object{{"uuid": "x"}} }, 400, "Bad networks format: network uuid is not in proper format (x)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := object{"name": "web", "imageRef": debian, "flavorRef": "general1-1"}
			test.change(r)
			f.T = t
			f.refused(test.status, test.words, "POST", f.compute("/servers"), object{"server": r})
		})
	}
	f.T = t
	f.server()
	f.refused(403, "Quota exceeded for instances", "POST", f.compute("/servers"), object{"server": object{"name": "web", "imageRef": debian, "flavorRef": "general1-1"}})
	if used := get[float64](t, f.want(200, "GET", f.compute("/limits"), nil).body, "limits", "absolute", "totalInstancesUsed"); used != 1 {
		t.Errorf("%v instances are used", used)
	}
}

func TestServersArePaged(t *testing.T) {
	f := newFixture(t)
	for i := range 5 {
		f.server(func(r object) { r["name"] = fmt.Sprintf("web-%d", i) })
	}
	f.server(func(r object) { r["name"] = "db" })
	var names []string
	url := f.compute("/servers/detail?limit=2&name=web")
	pages := 0
	for url != "" {
		a := f.want(200, "GET", url, nil)
		pages++
		for _, s := range get[[]any](t, a.body, "servers") {
			names = append(names, get[string](t, s, "name"))
		}
		url = ""
		if links, ok := a.body["servers_links"].([]any); ok {
			url = get[string](t, links, 0, "href")
		}
	}
	if strings.Join(names, " ") != "web-4 web-3 web-2 web-1 web-0" || pages != 3 {
		t.Errorf("%d pages: %v", pages, names)
	}
	f.refused(400, "marker [none] not found", "GET", f.compute("/servers?marker=none"), nil)
	short := get[object](t, f.want(200, "GET", f.compute("/servers?limit=1"), nil).body, "servers", 0)
	if len(short) != 3 {
		t.Errorf("short form: %v", short)
	}
	other := strings.Replace(f.compute("/servers"), "/iad/", "/dfw/", 1)
	if list := get[[]any](t, f.want(200, "GET", other, nil).body, "servers"); len(list) != 0 {
		t.Errorf("another region shows %d servers", len(list))
	}
}

func TestServerMetadata(t *testing.T) {
	f := newFixture(t)
	id := f.server(func(r object) { r["metadata"] = object{"a": "1", "b": "2"} })
	at := f.compute("/servers/" + id + "/metadata")
	f.want(200, "POST", at, object{"metadata": object{"b": "3", "c": "4"}})
	f.want(200, "PUT", at+"/d", object{"meta": object{"d": "5"}})
	f.want(204, "DELETE", at+"/a", nil)
	f.refused(404, "Metadata item was not found", "DELETE", at+"/a", nil)
	f.refused(400, "URI mismatch", "PUT", at+"/d", object{"meta": object{"e": "5"}})
	if m := f.want(200, "GET", at, nil).text; m != `{"metadata":{"b":"3","c":"4","d":"5"}}` {
		t.Errorf("metadata: %s", m)
	}
	f.want(200, "PUT", at, object{"metadata": object{"z": "9"}})
	if m := f.want(200, "GET", at, nil).text; m != `{"metadata":{"z":"9"}}` {
		t.Errorf("metadata: %s", m)
	}
}

func TestKeypairs(t *testing.T) {
	f := newFixture(t)
	at := f.compute("/os-keypairs")
	a := f.want(200, "POST", at, object{"keypair": object{"name": "ann", "public_key": rsaKey}})
	if fp := get[string](t, a.body, "keypair", "fingerprint"); len(strings.Split(fp, ":")) != 16 {
		t.Errorf("fingerprint %s", fp)
	}
	f.refused(409, "conflictingRequest", "POST", at, object{"keypair": object{"name": "ann", "public_key": rsaKey}})
	f.refused(400, "badRequest", "POST", at, object{"keypair": object{"name": "a.b", "public_key": rsaKey}})
	f.refused(400, "badRequest", "POST", at, object{"keypair": object{"name": "ben", "public_key": "rsa"}})
	made := f.want(200, "POST", at, object{"keypair": object{"name": "made"}})
	if !strings.Contains(get[string](t, made.body, "keypair", "private_key"), "PRIVATE KEY") {
		t.Error("a key that was made has no private half")
	}
	list := f.want(200, "GET", at, nil)
	if len(get[[]any](t, list.body, "keypairs")) != 2 || strings.Contains(list.text, "private_key") || get[string](t, list.body, "keypairs", 0, "keypair", "name") != "ann" {
		t.Errorf("list: %s", list.text)
	}
}

func TestCatalogue(t *testing.T) {
	f := newFixture(t)
	names := map[string]bool{}
	for _, i := range get[[]any](t, f.want(200, "GET", f.compute("/images/detail"), nil).body, "images") {
		names[get[string](t, i, "name")] = true
	}
	for _, name := range []string{"Debian 12 (Bookworm) (PVHVM)", "Debian 13 (Trixie) (PVHVM)", "Ubuntu 24.04 LTS (Noble Numbat) (PVHVM)"} {
		if !names[name] {
			t.Errorf("no image %s", name)
		}
	}
	one := f.want(200, "GET", f.compute("/images/"+debian), nil)
	if get[float64](t, one.body, "image", "minDisk") != 20 {
		t.Errorf("image: %s", one.text)
	}
	flavor := f.want(200, "GET", f.compute("/flavors/general1-4"), nil)
	if get[float64](t, flavor.body, "flavor", "ram") != 4096 || get[string](t, flavor.body, "flavor", "name") != "4 GB General Purpose v1" ||
		get[string](t, flavor.body, "flavor", "OS-FLV-WITH-EXT-SPECS:extra_specs", "class") != "general1" {
		t.Errorf("flavor: %s", flavor.text)
	}
	f.refused(404, "itemNotFound", "GET", f.compute("/flavors/none"), nil)
	if networks := get[[]any](t, f.want(200, "GET", f.compute("/os-networksv2"), nil).body, "networks"); len(networks) != 2 {
		t.Errorf("networks: %v", networks)
	}
}

func TestRates(t *testing.T) {
	f := newFixture(t, func(s *cloud.Settings) { s.Limits.Burst = 250 })
	var last answer
	for tries := 0; last.status != http.StatusRequestEntityTooLarge && tries < 400; tries++ { // five a second, 300 a minute
		last = f.send("POST", f.balancers("/loadbalancers"), object{})
	}
	if last.status != http.StatusRequestEntityTooLarge || last.header.Get("Retry-After") == "" ||
		get[float64](t, last.body, "overLimit", "code") != 413 || get[string](t, last.body, "overLimit", "retryAfter") == "" {
		t.Errorf("too many: %d %v %s", last.status, last.header, last.text)
	}
	f.want(200, "GET", f.balancers("/loadbalancers"), nil)
	f.want(200, "GET", f.compute("/servers"), nil)
}

func TestFaultsOnDemand(t *testing.T) {
	for _, test := range []struct {
		status int
		words  string
	}{
		{413, "overLimit"}, {422, `"code":422`}, {500, "computeFault"}, {503, "serviceUnavailable"}, {502, "<html>"}, {401, "unauthorized"},
	} {
		f := newFixture(t)
		f.faults.Add(cloud.Rule{Do: cloud.FailBefore, Status: test.status})
		f.refused(test.status, test.words, "GET", f.compute("/servers"), nil)
	}
}
