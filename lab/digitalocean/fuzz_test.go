package digitalocean

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cloudship/cloudship/lab/balancer"
	"github.com/cloudship/cloudship/lab/cloud"
	"github.com/cloudship/cloudship/lab/machine"
)

// FuzzRequests sends anything to anywhere: no answer may be the lab's own
// fault.
func FuzzRequests(f *testing.F) {
	for _, seed := range []struct{ call, body string }{
		{"POST /v2/droplets", `{"names":["a","b"],"size":"s-1vcpu-1gb","image":"debian-12-x64","region":"nyc1","tags":["x"]}`},
		{"POST /v2/droplets", `{"name":"a","size":"s-1vcpu-1gb","image":155133621,"volumes":[{"id":"x"},"y",7],"ssh_keys":[1,"a",{}]}`},
		{"GET /v2/droplets?tag_name=x&page=2&per_page=1", ``},
		{"DELETE /v2/droplets?tag_name=x", ``},
		{"POST /v2/droplets/actions?tag_name=x", `{"type":"power_off"}`},
		{"POST /v2/droplets/400000002/actions", `{"type":"rebuild","image":"debian-12-x64"}`},
		{"POST /v2/load_balancers", `{"name":"w","region":"nyc1","tag":"x","forwarding_rules":[{"entry_protocol":"http","entry_port":1,"target_protocol":"http","target_port":1}]}`},
		{"POST /v2/load_balancers", `{"name":"w","region":"nyc1","health_check":null,"sticky_sessions":{"type":"cookies"},"droplet_ids":[1]}`},
		{"PUT /v2/firewalls/x", `{"name":"w","inbound_rules":[{"protocol":"tcp","ports":"0","sources":{"addresses":["::/0"]}}]}`},
		{"POST /v2/firewalls", `{"name":"w","outbound_rules":[{"protocol":"icmp","destinations":{"tags":["x"]}}]}`},
		{"POST /v2/vpcs", `{"name":"v","region":"ams3","ip_range":"10.0.0.0/24"}`},
		{"POST /v2/account/keys", `{"name":"k","public_key":"ssh-ed25519 AAAA"}`},
		{"POST /v2/volumes", `{"name":"v","region":"nyc1","size_gigabytes":1}`},
		{"POST /v2/domains", `{"name":"example.com","ip_address":"192.0.2.1"}`},
		{"POST /v2/domains/example.com/records", `{"type":"SRV","name":"@","data":"@","priority":null}`},
		{"POST /v2/reserved_ips", `{"region":"nyc1"}`},
		{"POST /v2/certificates", `{"name":"c","type":"lets_encrypt","dns_names":["a..b"]}`},
		{"PATCH /v2/projects/default", `{"name":null,"purpose":"p"}`},
		{"POST /v2/tags", `{"name":"x:y"}`},
		{"GET /v2/monitoring/metrics/load_balancer/droplets_health_checks?lb_id=x&start=1&end=NaN", ``},
		{"GET /v2/actions/18446744073709551616", ``},
	} {
		method, path, _ := strings.Cut(seed.call, " ")
		f.Add(method, path, seed.body)
	}
	log := slog.New(slog.DiscardHandler)
	f.Fuzz(func(t *testing.T, method, path, body string) {
		r, err := http.NewRequest(method, "http://lab"+path, strings.NewReader(body))
		if err != nil || r.URL.Host != "lab" {
			return
		}
		host := machine.NewPaper()
		servers := cloud.NewServers(t.Context(), host, func() {}, log)
		balancers := cloud.NewBalancers(t.Context(), func(context.Context, balancer.Config, *slog.Logger) (balancer.Balancer, error) {
			return balancer.NewPaper(t.Context(), balancer.Config{}, host.Running, log)
		}, func() {}, log)
		addresses, err := cloud.NewLoopback(t.Context(), 6000)
		if err != nil {
			t.Fatal(err)
		}
		defer addresses.Close()
		a := New(Options{
			Token: "t", Faults: cloud.NewFaults(cloud.Instant()), Servers: servers, Balancers: balancers, Addresses: addresses,
		})
		r.Header.Set("Authorization", "Bearer t")
		for range 2 { // the second time it meets what it made
			r.Body = http.NoBody
			if body != "" {
				again, _ := http.NewRequest(method, "http://lab"+path, strings.NewReader(body))
				r.Body = again.Body
			}
			w := httptest.NewRecorder()
			a.ServeHTTP(w, r)
			if w.Code >= 500 {
				t.Errorf("%s %s %s: %d %s", method, path, body, w.Code, w.Body)
			}
		}
		servers.Wait()
		balancers.Close()
		if state, err := a.Snapshot(); err != nil || New(a.Options).Restore(state) != nil {
			t.Errorf("the state cannot be restored: %v", err)
		}
		servers.Wait()
	})
}
