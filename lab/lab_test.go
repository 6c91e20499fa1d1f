package lab_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cloudship/cloudship/lab"
	"github.com/cloudship/cloudship/lab/cloud"
	"github.com/cloudship/cloudship/lab/machine"
	"github.com/digitalocean/godo"
	"golang.org/x/oauth2"
)

// start runs a lab on paper in which everything happens at once.
func start(t *testing.T, change ...func(*lab.Options)) *lab.Lab {
	t.Helper()
	instant := cloud.Instant()
	o := lab.Options{Faults: &instant}
	for _, c := range change {
		c(&o)
	}
	l, err := lab.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func client(t *testing.T, l *lab.Lab) *godo.Client {
	t.Helper()
	return oceanClient(t, l.URL(lab.DigitalOcean), l.Token())
}

func oceanClient(t testing.TB, url, token string) *godo.Client {
	t.Helper()
	source := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token})
	c, err := godo.New(oauth2.NewClient(context.Background(), source), godo.SetBaseURL(url))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// eventually waits until ok is true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	late := time.After(time.Minute)
	for !ok() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("never happened: ", what)
		}
	}
}

func status(err error) int {
	var e *godo.ErrorResponse
	if errors.As(err, &e) {
		return e.Response.StatusCode
	}
	return 0
}

func TestBalancerOnPaperAnswersWhileAMemberLives(t *testing.T) {
	l := start(t)
	ctx, c := t.Context(), client(t, l)
	droplets, _, err := c.Droplets.CreateMultiple(ctx, &godo.DropletMultiCreateRequest{
		Names: []string{"web-0", "web-1"}, Region: "nyc1", Size: "s-1vcpu-1gb",
		Image: godo.DropletCreateImage{Slug: "debian-12-x64"}, Tags: []string{"web"},
	})
	if err != nil {
		t.Fatal(err)
	}
	lb, _, err := c.LoadBalancers.Create(ctx, &godo.LoadBalancerRequest{
		Name: "www", Region: "nyc1", Tag: "web",
		ForwardingRules: []godo.ForwardingRule{{EntryProtocol: "http", EntryPort: 28471, TargetProtocol: "http", TargetPort: 80}},
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the balancer is active", func() bool {
		lb, _, err = c.LoadBalancers.Get(ctx, lb.ID)
		return err == nil && lb.Status == "active" && len(lb.DropletIDs) == 2
	})
	answers := func(want int) func() bool {
		return func() bool {
			r, err := http.Get("http://" + lb.IP + ":28471/")
			if err != nil {
				return false
			}
			defer r.Body.Close()
			io.Copy(io.Discard, r.Body)
			return r.StatusCode == want
		}
	}
	eventually(t, "200 with two members", answers(200))
	if _, _, err := c.DropletActions.PowerOff(ctx, droplets[0].ID); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Droplets.Delete(ctx, droplets[1].ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "503 without a living member", answers(503))
	if _, err := c.LoadBalancers.Delete(ctx, lb.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the listener is gone", func() bool {
		_, err := http.Get("http://" + lb.IP + ":28471/")
		return err != nil
	})
}

func TestOnlyTheRightTokenIsAccepted(t *testing.T) {
	l := start(t, func(o *lab.Options) { o.Token = "right" })
	if _, _, err := client(t, l).Account.Get(t.Context()); err != nil {
		t.Error(err)
	}
	wrong := oceanClient(t, l.URL(lab.DigitalOcean), "wrong")
	if _, _, err := wrong.Account.Get(t.Context()); status(err) != http.StatusUnauthorized {
		t.Errorf("wrong token: %v", err)
	}
}

func TestALabSurvivesItsRestart(t *testing.T) {
	dir := t.TempDir()
	keep := func(o *lab.Options) { o.Dir = dir }
	l := start(t, keep)
	ctx, c := t.Context(), client(t, l)
	d, _, err := c.Droplets.Create(ctx, &godo.DropletCreateRequest{
		Name: "web", Region: "nyc1", Size: "s-1vcpu-1gb", Image: godo.DropletCreateImage{Slug: "debian-12-x64"},
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the droplet is active", func() bool {
		d, _, err = c.Droplets.Get(ctx, d.ID)
		return err == nil && d.Status == "active"
	})
	url, token := l.URL(lab.DigitalOcean), l.Token()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = start(t, keep)
	if l.URL(lab.DigitalOcean) != url || l.Token() != token {
		t.Errorf("after its restart the lab is at %s with another token", l.URL(lab.DigitalOcean))
	}
	again, _, err := client(t, l).Droplets.Get(ctx, d.ID)
	if err != nil {
		t.Fatal(err)
	}
	if again.Status != "active" || strings.Join(ips(again), " ") != strings.Join(ips(d), " ") {
		t.Errorf("after the restart: %s %v, before: %v", again.Status, ips(again), ips(d))
	}
}

func TestServersWithoutADropletAreDeleted(t *testing.T) {
	dir := t.TempDir()
	keep := func(o *lab.Options) { o.Dir = dir }
	if err := start(t, keep).Close(); err != nil {
		t.Fatal(err)
	}
	// As if the lab had been killed before it could save its droplet.
	name := filepath.Join(dir, "cloud.json")
	var saved map[string]any
	b, err := os.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(b, &saved)
	}
	if err != nil {
		t.Fatal(err)
	}
	saved["paper"] = []machine.Machine{{ID: "do-400000007", PublicIP: "127.128.0.1", Labels: map[string]string{"provider": "digitalocean"}}}
	if b, err = json.Marshal(saved); err == nil {
		err = os.WriteFile(name, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	l := start(t, keep)
	if _, _, err := client(t, l).Tags.Create(t.Context(), &godo.TagCreateRequest{Name: "save"}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the orphan is gone", func() bool {
		b, err := os.ReadFile(name)
		return err == nil && strings.Contains(string(b), `"save"`) && !strings.Contains(string(b), "400000007")
	})
}

func TestALabMovesWhenItsPortIsTaken(t *testing.T) {
	dir := t.TempDir()
	keep := func(o *lab.Options) { o.Dir = dir }
	l := start(t, keep)
	address := strings.TrimPrefix(l.URL(lab.DigitalOcean), "http://")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	thief, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer thief.Close()
	l = start(t, keep)
	if l.URL(lab.DigitalOcean) == "http://"+address {
		t.Error("two listen at one address")
	}
	if _, err := lab.Start(t.Context(), lab.Options{Listen: address}); err == nil {
		t.Error("an address that was asked for was changed")
	}
}

func ips(d *godo.Droplet) []string {
	public, _ := d.PublicIPv4()
	private, _ := d.PrivateIPv4()
	return []string{public, private}
}
