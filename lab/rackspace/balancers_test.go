package rackspace_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cloudship/cloudship/lab/cloud"
)

// balancer makes a load balancer and answers its path; it may not be active
// yet.
func (f *fixture) balancer(change ...func(object)) string {
	f.Helper()
	r := object{"name": "www", "protocol": "HTTP", "port": 28080, "virtualIps": []object{{"type": "PUBLIC"}}}
	for _, c := range change {
		c(r)
	}
	a := f.want(202, "POST", f.balancers("/loadbalancers"), object{"loadBalancer": r})
	return f.balancers("/loadbalancers/" + strconv.Itoa(int(get[float64](f.T, a.body, "loadBalancer", "id"))))
}

// settled waits until a load balancer is active, and answers it.
func (f *fixture) settled(at string) object {
	f.Helper()
	var lb object
	f.eventually("load balancer is active", func() bool {
		lb = get[object](f.T, f.want(200, "GET", at, nil).body, "loadBalancer")
		return lb["status"] == "ACTIVE"
	})
	return lb
}

// nodes makes n servers and answers nodes for them.
func (f *fixture) nodes(n int, condition string) []object {
	f.Helper()
	var list []object
	for range n {
		s := f.active(f.server())
		list = append(list, object{"address": get[string](f.T, s, "addresses", "private", 0, "addr"), "port": 8080, "condition": condition})
	}
	return list
}

// addresses are nodes that nothing is behind.
func addresses(n int) []object {
	var list []object
	for i := range n {
		list = append(list, object{"address": fmt.Sprintf("10.1.1.%d", i+1), "port": 80, "condition": "ENABLED"})
	}
	return list
}

// asks tells what a load balancer answers on its port.
func asks(lb object) (status int, backend string) {
	vips, _ := lb["virtualIps"].([]any)
	for _, v := range vips {
		if v := v.(object); v["ipVersion"] == "IPV4" {
			r, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(fmt.Sprintf("http://%s:%v/", v["address"], lb["port"]))
			if err != nil {
				return 0, ""
			}
			defer r.Body.Close()
			io.Copy(io.Discard, r.Body)
			return r.StatusCode, r.Header.Get("X-Backend")
		}
	}
	return 0, ""
}

func TestBalancerLife(t *testing.T) {
	f := newFixture(t, func(s *cloud.Settings) {
		s.Timing.BalancerActive, s.Timing.BalancerBusy = cloud.Duration(100*time.Millisecond), cloud.Duration(100*time.Millisecond)
		s.Timing.ServerGone = cloud.Duration(100 * time.Millisecond)
	})
	at := f.balancer(func(r object) {
		r["metadata"] = []object{{"key": "color", "value": "blue"}}
		r["healthMonitor"] = object{"type": "HTTP", "delay": 10, "timeout": 5, "attemptsBeforeDeactivation": 3, "path": "/", "statusRegex": "^2..$"}
		r["sessionPersistence"] = object{"persistenceType": "HTTP_COOKIE"}
	})
	lb := get[object](t, f.want(200, "GET", at, nil).body, "loadBalancer")
	if lb["status"] != "BUILD" || lb["algorithm"] != "RANDOM" || lb["timeout"] != 30.0 || len(lb["virtualIps"].([]any)) != 2 ||
		get[string](t, lb, "metadata", 0, "value") != "blue" || get[string](t, lb, "sessionPersistence", "persistenceType") != "HTTP_COOKIE" {
		t.Errorf("at first: %v", lb)
	}
	id := strconv.Itoa(int(get[float64](t, lb, "id")))
	f.refused(422, "Load Balancer '"+id+"' has a status of 'BUILD' and is considered immutable.", "PUT", at, object{"loadBalancer": object{"name": "x"}})
	f.refused(400, "Must provide valid load balancers: "+id+"  are immutable and could not be processed.", "DELETE", at, nil)
	f.settled(at)
	if a := f.want(202, "PUT", at, object{"loadBalancer": object{"name": "x", "timeout": 60}}); a.text != "" {
		t.Errorf("a change has a body: %s", a.text)
	}
	f.refused(422, "has a status of 'PENDING_UPDATE' and is considered immutable.", "POST", at+"/nodes", object{"nodes": addresses(1)})
	f.refused(422, "LoadBalancer is not ACTIVE", "DELETE", at+"/nodes?id=1", nil)
	if lb := f.settled(at); lb["name"] != "x" || lb["timeout"] != 60.0 || lb["protocol"] != "HTTP" {
		t.Errorf("changed: %v", lb)
	}
	f.want(202, "DELETE", at, nil)
	if s := get[string](t, f.want(200, "GET", at, nil).body, "loadBalancer", "status"); s != "PENDING_DELETE" {
		t.Errorf("while it is deleted: %s", s)
	}
	f.eventually("it is deleted", func() bool {
		return get[string](t, f.want(200, "GET", at, nil).body, "loadBalancer", "status") == "DELETED"
	})
	f.refused(410, "The loadbalancer is marked as deleted.", "GET", at+"/nodes", nil)
	f.refused(422, "The load balancer is deleted and considered immutable.", "PUT", at, object{"loadBalancer": object{"name": "x"}})
	f.refused(400, "could not be found.", "DELETE", at, nil)
	f.refused(404, "Load balancer not found", "GET", f.balancers("/loadbalancers/1"), nil)
	if list := get[[]any](t, f.want(200, "GET", f.balancers("/loadbalancers"), nil).body, "loadBalancers"); len(list) != 0 {
		t.Errorf("a deleted one is listed: %v", list)
	}
	if list := get[[]any](t, f.want(200, "GET", f.balancers("/loadbalancers?status=DELETED"), nil).body, "loadBalancers"); len(list) != 1 {
		t.Errorf("the deleted ones: %v", list)
	}
}

func TestBalancerStuckOnDemand(t *testing.T) {
	f := newFixture(t)
	at := f.balancer()
	f.settled(at)
	s := f.faults.Settings()
	s.Timing.BalancerBusy = cloud.Duration(time.Hour)
	f.faults.Set(s)
	f.want(202, "PUT", at, object{"loadBalancer": object{"name": "x"}})
	f.refused(422, "PENDING_UPDATE", "PUT", at, object{"loadBalancer": object{"name": "y"}})
	f.faults.Reset()
	f.settled(at)
	f.faults.Add(cloud.Rule{Method: "PUT", Do: cloud.Spoil, Count: 1})
	f.want(202, "PUT", at, object{"loadBalancer": object{"name": "z"}})
	f.refused(422, "has a status of 'ERROR'", "PUT", at, object{"loadBalancer": object{"name": "y"}})
}

func TestBalancerRequestsThatAreRefused(t *testing.T) {
	f := newFixture(t)
	for _, test := range []struct {
		name   string
		change func(object)
		status int
		words  string
	}{
		{"no name", func(r object) { delete(r, "name") }, 400, `"validationErrors":{"messages":["Must provide a name`},
		{"no protocol", func(r object) { delete(r, "protocol") }, 400, "Must provide a protocol"},
		{"no address", func(r object) { delete(r, "virtualIps") }, 400, "at least one virtual ip"},
		{"unknown protocol", func(r object) { r["protocol"] = "HTTP2" }, 400, "protocol is invalid"},
		{"TCP without a port", func(r object) { r["protocol"] = "TCP"; delete(r, "port") }, 400, "Must provide a port"},
		{"unknown algorithm", func(r object) { r["algorithm"] = "FAIR" }, 400, "algorithm is invalid"},
		{"long time-out", func(r object) { r["timeout"] = 121 }, 400, "between 30 and 120"},
		{"long name", func(r object) { r["name"] = strings.Repeat("x", 129) }, 400, "128 characters"},
		{"TLS at create", func(r object) { r["sslTermination"] = object{} }, 400, "Please visit"},
		{"check of another protocol", func(r object) {
			r["healthMonitor"] = object{"type": "HTTPS", "delay": 1, "timeout": 1, "attemptsBeforeDeactivation": 1, "path": "/", "statusRegex": "."}
		}, 400, "Cannot use a HTTPS health monitor"},
		{"check without a regex", func(r object) {
			r["healthMonitor"] = object{"type": "HTTP", "delay": 1, "timeout": 1, "attemptsBeforeDeactivation": 1, "path": "/"}
		}, 400, "status regex"},
		{"CONNECT with a path", func(r object) {
			r["healthMonitor"] = object{"type": "CONNECT", "delay": 1, "timeout": 1, "attemptsBeforeDeactivation": 1, "path": "/"}
		}, 400, "must not have a path"},
		{"persistence by cookie without HTTP", func(r object) {
			r["protocol"], r["sessionPersistence"] = "TCP", object{"persistenceType": "HTTP_COOKIE"}
		}, 400, "HTTP_COOKIE"},
		{"two nodes at one place", func(r object) { r["nodes"] = append(addresses(1), addresses(1)...) }, 400, "Duplicate nodes detected"},
		{"many nodes", func(r object) { r["nodes"] = addresses(26) }, 413, "Nodes must not exceed 25 per load balancer."},
		{"node nowhere", func(r object) { r["nodes"] = []object{{"address": "0.0.0.0", "port": 1, "condition": "ENABLED"}} }, 400, "Node ip is invalid"},
		{"node without condition", func(r object) { r["nodes"] = []object{{"address": "10.1.1.1", "port": 1}} }, 400, "Must provide a condition"},
		{"secondary without a check", func(r object) {
			r["nodes"] = []object{{"address": "10.1.1.1", "port": 1, "condition": "ENABLED"}, {"address": "10.1.1.2", "port": 1, "condition": "ENABLED", "type": "SECONDARY"}}
		}, 400, "you must enable health monitoring to use secondary nodes"},
		{"redirect without TLS", func(r object) { r["httpsRedirect"] = true }, 400, "HTTPS Redirect requires"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f.T = t
			r := object{"name": "www", "protocol": "HTTP", "port": 80, "virtualIps": []object{{"type": "PUBLIC"}}}
			test.change(r)
			a := f.refused(test.status, test.words, "POST", f.balancers("/loadbalancers"), object{"loadBalancer": r})
			if get[float64](t, a.body, "code") != float64(test.status) || a.header.Get("Retry-After") != "" {
				t.Errorf("body %s, header %v", a.text, a.header)
			}
		})
	}
	f.T = t
	a := f.want(400, "POST", f.balancers("/loadbalancers"), "no object")
	if get[string](t, a.body, "message", 0) != "JSON does not match the expected schema" {
		t.Errorf("no schema: %s", a.text)
	}
}

func TestBalancersArePagedByAnInclusiveMarker(t *testing.T) {
	f := newFixture(t)
	for i := range 5 {
		f.balancer(func(r object) { r["name"] = fmt.Sprintf("lb-%d", i) })
	}
	page := func(query string) (names []string, last string) {
		for _, lb := range get[[]any](t, f.want(200, "GET", f.balancers("/loadbalancers"+query), nil).body, "loadBalancers") {
			names = append(names, get[string](t, lb, "name"))
			last = strconv.Itoa(int(get[float64](t, lb, "id")))
		}
		return names, last
	}
	first, last := page("?limit=3")
	if strings.Join(first, " ") != "lb-0 lb-1 lb-2" {
		t.Errorf("first page: %v", first)
	}
	if second, _ := page("?limit=3&marker=" + last); strings.Join(second, " ") != "lb-2 lb-3 lb-4" {
		t.Errorf("second page: %v", second)
	}
	if rest, _ := page("?offset=3"); strings.Join(rest, " ") != "lb-3 lb-4" {
		t.Errorf("from the third on: %v", rest)
	}
	if named, _ := page("?name=lb-3&limit=0"); strings.Join(named, " ") != "lb-3" {
		t.Errorf("by name: %v", named)
	}
}

func TestNodes(t *testing.T) {
	f := newFixture(t)
	at := f.balancer()
	f.settled(at)
	made := f.want(202, "POST", at+"/nodes", object{"nodes": f.nodes(3, "ENABLED")})
	var ids []int
	for _, n := range get[[]any](t, made.body, "nodes") {
		if get[string](t, n, "status") != "ONLINE" || get[string](t, n, "type") != "PRIMARY" {
			t.Errorf("new node: %v", n)
		}
		ids = append(ids, int(get[float64](t, n, "id")))
	}
	f.refused(422, "Duplicate nodes detected. One or more nodes already configured on load balancer.", "POST", at+"/nodes",
		object{"nodes": []object{{"address": get[string](t, made.body, "nodes", 0, "address"), "port": 8080, "condition": "ENABLED"}}})

	// One change of all.
	a := f.want(202, "PUT", at+"/nodes", object{"nodes": []object{
		{"id": ids[0], "condition": "DRAINING"}, {"id": ids[1], "condition": "DISABLED"}, {"id": ids[2], "weight": 5, "condition": "ENABLED"}}})
	if conditions := conditionsOf(t, a); conditions != "DRAINING DISABLED ENABLED" {
		t.Errorf("after the change: %s", conditions)
	}
	lb := f.settled(at)
	f.eventually("the only enabled node answers", func() bool {
		status, backend := asks(lb)
		return status == 200 && backend == strconv.Itoa(ids[2])
	})
	node := func(i int) string { return at + "/nodes/" + strconv.Itoa(ids[i]) }
	f.want(202, "PUT", node(1), object{"node": object{"condition": "ENABLED"}})
	f.refused(400, "Node ip field cannot be modified.", "PUT", node(1), object{"node": object{"address": "10.1.1.1"}})
	f.refused(400, "Port field cannot be modified.", "PUT", node(1), object{"node": object{"port": 1}})
	f.refused(400, "Node status field cannot be modified.", "PUT", node(1), object{"node": object{"status": "ONLINE"}})
	f.refused(400, "Node id field cannot be modified.", "PUT", node(1), object{"node": object{"id": 1}})
	f.refused(400, "at least one", "PUT", node(1), object{"node": object{}})
	f.refused(404, fmt.Sprintf("Node with id #1 not found for loadbalancer #%v", lb["id"]), "PUT", at+"/nodes/1", object{"node": object{"weight": 2}})
	f.refused(404, "Node with id #1 not found", "DELETE", at+"/nodes/1", nil)
	f.refused(400, "Node weight is invalid", "PUT", node(1), object{"node": object{"weight": 101}})
	f.want(202, "DELETE", node(1), nil)

	many := at + "/nodes?id=1"
	for i := range 10 {
		many += "&id=" + strconv.Itoa(i+2)
	}
	f.refused(400, "Request to delete 11 nodes exceeds the account limit BATCH_DELETE_LIMIT of 10", "DELETE", many, nil)
	f.refused(400, "Node ids 1 are not a part of your loadbalancer", "DELETE", fmt.Sprintf("%s/nodes?id=%d&id=1", at, ids[0]), nil)
	f.refused(400, "Must supply one or more id's to process this request.", "DELETE", at+"/nodes", nil)
	f.want(202, "DELETE", fmt.Sprintf("%s/nodes?id=%d&id=%d", at, ids[0], ids[2]), nil)
	if left := get[[]any](t, f.want(200, "GET", at+"/nodes", nil).body, "nodes"); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	f.refused(413, "Nodes must not exceed 25 per load balancer.", "POST", at+"/nodes", object{"nodes": addresses(26)})
}

func conditionsOf(t *testing.T, a answer) string {
	t.Helper()
	var all []string
	for _, n := range get[[]any](t, a.body, "nodes") {
		all = append(all, get[string](t, n, "condition"))
	}
	return strings.Join(all, " ")
}

func TestHealthOfNodes(t *testing.T) {
	f := newFixture(t)
	at := f.balancer(func(r object) {
		r["healthMonitor"] = object{"type": "CONNECT", "delay": 1, "timeout": 1, "attemptsBeforeDeactivation": 1}
	})
	f.settled(at)
	s := f.active(f.server())
	nodes := append(addresses(1), object{"address": get[string](t, s, "addresses", "private", 0, "addr"), "port": 80, "condition": "ENABLED"})
	nodes[0]["type"], nodes[1]["type"] = "PRIMARY", "SECONDARY"
	f.want(202, "POST", at+"/nodes", object{"nodes": nodes})
	status := func(i int) string {
		return get[string](t, f.want(200, "GET", at+"/nodes", nil).body, "nodes", i, "status")
	}
	f.eventually("the node with nothing behind it is OFFLINE", func() bool { return status(0) == "OFFLINE" })
	if s := status(1); s != "ONLINE" {
		t.Errorf("the other one is %s", s)
	}
	lb := f.settled(at)
	f.eventually("the secondary node takes over", func() bool { code, _ := asks(lb); return code == 200 })
	f.want(202, "POST", f.compute("/servers/"+get[string](t, s, "id")+"/action"), object{"os-stop": nil})
	f.eventually("nobody answers", func() bool { code, _ := asks(lb); return code == 503 })
	f.want(202, "DELETE", at+"/healthmonitor", nil)
	f.eventually("without a check everybody is ONLINE", func() bool { return status(0) == "ONLINE" && status(1) == "ONLINE" })
}

func TestPartsOfABalancer(t *testing.T) {
	f := newFixture(t)
	at := f.balancer()
	f.settled(at)
	shows := func(part, want string) {
		t.Helper()
		if a := f.want(200, "GET", at+"/"+part, nil); a.text != want {
			t.Errorf("%s: %s, want %s", part, a.text, want)
		}
	}
	shows("healthmonitor", `{"healthMonitor":{}}`)
	f.refused(422, "No health monitor found to delete.", "DELETE", at+"/healthmonitor", nil)
	f.want(202, "PUT", at+"/healthmonitor", object{"healthMonitor": object{"type": "HTTP", "delay": 5, "timeout": 3, "attemptsBeforeDeactivation": 2, "path": "/up"}})
	shows("healthmonitor", `{"healthMonitor":{"type":"HTTP","delay":5,"timeout":3,"attemptsBeforeDeactivation":2,"path":"/up","statusRegex":"^[234][0-9][0-9]$"}}`)
	f.want(202, "DELETE", at+"/healthmonitor", nil)

	shows("sessionpersistence", `{"sessionPersistence":{}}`)
	f.refused(422, "already disabled", "DELETE", at+"/sessionpersistence", nil)
	f.want(202, "PUT", at+"/sessionpersistence", object{"sessionPersistence": object{"persistenceType": "SOURCE_IP"}})
	shows("sessionpersistence", `{"sessionPersistence":{"persistenceType":"SOURCE_IP"}}`)
	f.want(202, "DELETE", at+"/sessionpersistence", nil)

	f.want(202, "PUT", at+"/connectionthrottle", object{"connectionThrottle": object{"maxConnections": 10}})
	shows("connectionthrottle", `{"connectionThrottle":{"maxConnections":10}}`)
	f.want(202, "DELETE", at+"/connectionthrottle", nil)
	f.want(202, "PUT", at+"/connectionlogging", object{"connectionLogging": object{"enabled": true}})
	shows("connectionlogging", `{"connectionLogging":{"enabled":true}}`)
	f.want(202, "PUT", at+"/contentcaching", object{"contentCaching": object{"enabled": true}})
	shows("contentcaching", `{"contentCaching":{"enabled":true}}`)

	f.want(202, "POST", at+"/accesslist", object{"accessList": []object{{"address": "10.0.0.0/8", "type": "DENY"}}})
	f.refused(400, "ALLOW or DENY", "POST", at+"/accesslist", object{"accessList": []object{{"address": "10.0.0.0/8", "type": "MAYBE"}}})
	f.want(202, "DELETE", at+"/accesslist", nil)
	shows("accesslist", `{"accessList":[]}`)

	vips := get[[]any](t, f.want(200, "GET", at+"/virtualips", nil).body, "virtualIps")
	f.want(202, "POST", at+"/virtualips", object{"type": "PUBLIC", "ipVersion": "IPV6"})
	f.refused(400, "Only IPv6", "POST", at+"/virtualips", object{"type": "PUBLIC", "ipVersion": "IPV4"})
	f.want(202, "DELETE", fmt.Sprintf("%s/virtualips/%v", at, vips[1].(object)["id"]), nil)
	f.refused(400, "last virtual IP", "DELETE", fmt.Sprintf("%s/virtualips/%v", at, vips[0].(object)["id"]), nil)
	f.refused(404, "not found", "DELETE", at+"/virtualips/1", nil)

	for _, list := range []string{"algorithms", "protocols", "absolutelimits", "alloweddomains"} {
		f.want(200, "GET", f.balancers("/loadbalancers/"+list), nil)
	}
	f.want(200, "GET", at+"/stats", nil)
}

func TestMetadataOfBalancers(t *testing.T) {
	f := newFixture(t)
	at := f.balancer()
	f.settled(at)
	a := f.want(200, "POST", at+"/metadata", object{"metadata": []object{{"key": "a", "value": "1"}, {"key": "b", "value": "2"}}})
	first, second := get[float64](t, a.body, "metadata", 0, "id"), get[float64](t, a.body, "metadata", 1, "id")
	f.refused(422, "Duplicate metadata keys", "POST", at+"/metadata", object{"metadata": []object{{"key": "a", "value": "3"}}})
	f.refused(400, "256 characters", "POST", at+"/metadata", object{"metadata": []object{{"key": "c", "value": strings.Repeat("x", 257)}}})
	f.want(200, "PUT", fmt.Sprintf("%s/metadata/%v", at, first), object{"meta": object{"value": "9"}})
	f.want(200, "DELETE", fmt.Sprintf("%s/metadata/%v", at, second), nil)
	f.want(404, "PUT", at+"/metadata/1", object{"meta": object{"value": "9"}})
	f.refused(400, "not a part", "DELETE", at+"/metadata?id=1", nil)
	if a := f.want(200, "GET", at+"/metadata", nil); a.text != fmt.Sprintf(`{"metadata":[{"id":%v,"key":"a","value":"9"}]}`, first) {
		t.Errorf("metadata: %s", a.text)
	}
}

func TestBalancersShareAnAddress(t *testing.T) {
	f := newFixture(t)
	one := f.balancer()
	lb := f.settled(one)
	id, address := get[float64](t, lb, "virtualIps", 0, "id"), get[string](t, lb, "virtualIps", 0, "address")
	share := func(port int) object {
		return object{"loadBalancer": object{"name": "two", "protocol": "HTTP", "port": port, "virtualIps": []object{{"id": id}}}}
	}
	f.refused(422, "already in use on port", "POST", f.balancers("/loadbalancers"), share(28080))
	two := f.want(202, "POST", f.balancers("/loadbalancers"), share(28081))
	if get[string](t, two.body, "loadBalancer", "virtualIps", 0, "address") != address {
		t.Errorf("shared: %s", two.text)
	}
	f.want(202, "DELETE", one, nil)
	at := f.balancers("/loadbalancers/" + strconv.Itoa(int(get[float64](t, two.body, "loadBalancer", "id"))))
	if code, _ := asks(f.settled(at)); code != 503 {
		t.Errorf("the other one answers %d", code)
	}
	f.refused(422, "not found", "POST", f.balancers("/loadbalancers"), object{"loadBalancer": object{"name": "three", "protocol": "HTTP", "virtualIps": []object{{"id": 1}}}})
}
