//go:build e2e

package lab_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cloudship/cloudship/lab"
	"github.com/cloudship/cloudship/lab/machine"
	"github.com/digitalocean/godo"
)

// serveName makes a server answer its name over HTTP.
const serveName = `#cloud-config
runcmd:
  - mkdir -p /srv/www
  - hostname > /srv/www/index.html
  - systemd-run --unit=www python3 -m http.server --directory /srv/www 80
`

// soon waits longer than eventually does, for real servers boot.
func soon(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	late := time.After(8 * time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("never happened: ", what)
		}
	}
}

// names asks a balancer a few times and answers which servers answered.
func names(lb *godo.LoadBalancer) map[string]bool {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	seen := map[string]bool{}
	for range 6 {
		r, err := client.Get("http://" + lb.IP + "/")
		if err != nil {
			seen[err.Error()] = true
			continue
		}
		body, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if r.StatusCode != http.StatusOK {
			body = []byte(r.Status)
		}
		seen[strings.TrimSpace(string(body))] = true
	}
	return seen
}

func only(seen map[string]bool, want ...string) bool {
	for _, w := range want {
		if !seen[w] {
			return false
		}
	}
	return len(seen) == len(want)
}

func TestALabOfRealServers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lab")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	t.Cleanup(func() {
		if t.Failed() {
			lab.Logs(context.Background(), dir, t.Output(), false)
		}
		if err := lab.Down(context.Background(), dir); err != nil {
			t.Error(err)
		}
	})
	if err := lab.Up(ctx, dir, lab.Options{Servers: lab.Containers}); err != nil {
		t.Fatal(err)
	}
	r, err := lab.Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	c := oceanClient(t, r.URL(lab.DigitalOcean), r.Token())
	droplets, _, err := c.Droplets.CreateMultiple(ctx, &godo.DropletMultiCreateRequest{
		Names: []string{"web-0", "web-1"}, Region: "nyc1", Size: "s-1vcpu-1gb",
		Image: godo.DropletCreateImage{Slug: "debian-12-x64"}, UserData: serveName,
	})
	if err != nil {
		t.Fatal(err)
	}
	lb, _, err := c.LoadBalancers.Create(ctx, &godo.LoadBalancerRequest{
		Name: "www", Region: "nyc1", DropletIDs: []int{droplets[0].ID, droplets[1].ID},
		ForwardingRules: []godo.ForwardingRule{{EntryProtocol: "http", EntryPort: 80, TargetProtocol: "http", TargetPort: 80}},
		HealthCheck:     &godo.HealthCheck{Protocol: "http", Port: 80, Path: "/", CheckIntervalSeconds: 3, ResponseTimeoutSeconds: 3, HealthyThreshold: 2, UnhealthyThreshold: 2},
	})
	if err != nil {
		t.Fatal(err)
	}
	id := lb.ID
	soon(t, "the balancer is active", func() bool {
		lb, _, err = c.LoadBalancers.Get(ctx, id)
		return err == nil && lb.Status == "active"
	})
	soon(t, "both servers answer through it", func() bool { return only(names(lb), "web-0", "web-1") })

	if _, _, err := c.DropletActions.PowerOff(ctx, droplets[0].ID); err != nil {
		t.Fatal(err)
	}
	soon(t, "the other server alone answers", func() bool { return only(names(lb), "web-1") })

	// The lab ends and begins again; its servers went on running.
	if err := r.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := lab.Up(ctx, dir, lab.Options{Servers: lab.Containers}); err != nil {
		t.Fatal(err)
	}
	soon(t, "the server answers after the lab's restart", func() bool { return only(names(lb), "web-1") })
	if d, _, err := c.Droplets.Get(ctx, droplets[0].ID); err != nil || d.Status != "off" {
		t.Errorf("the droplet that was switched off: %v %v", d, err)
	}

	if _, err := c.Droplets.Delete(ctx, droplets[1].ID); err != nil {
		t.Fatal(err)
	}
	soon(t, "503 without servers", func() bool { return only(names(lb), "503 Service Unavailable") })
	if err := lab.Down(ctx, dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder is left: %v", err)
	}
	host, err := machine.OpenContainers(ctx, dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	if left, err := host.List(ctx); err != nil || len(left) != 0 {
		t.Errorf("servers left: %v, %v", left, err)
	}
	fmt.Fprintln(t.Output(), "nothing is left")
}
