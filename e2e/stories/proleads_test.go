// Package stories tells the stories of those who asked for cloudship, row by row, with the real
// program on paper servers; docs/stories.md lists the rows.
package stories

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cloudship/cloudship/e2e/load"
	"github.com/cloudship/cloudship/e2e/rig"
	"github.com/cloudship/cloudship/lab"
	"github.com/cloudship/cloudship/lab/cloud"
)

// patience is how long one run of the program may take on a machine under load.
const patience = 3 * time.Minute

// voyage is one stack in a lab of its own, on paper.
type voyage struct {
	*testing.T
	rig *rig.Rig
	lab *lab.Lab
}

// begin starts a lab, and copies a stack's folder to work in.
func begin(t *testing.T, stack string) *voyage {
	t.Helper()
	program, remove, err := rig.Build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(remove)
	faults := cloud.Instant()
	l, err := lab.Start(t.Context(), lab.Options{Faults: &faults})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	r, err := rig.New(program, stack, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(r.Root) })
	r.Env = append(r.Env,
		"DIGITALOCEAN_API_URL="+l.URL(lab.DigitalOcean), "DIGITALOCEAN_TOKEN="+l.Token(), "DIGITALOCEAN_LIST_LAG=50ms",
		"CLOUDSHIP_PAPER="+l.URL(lab.DigitalOcean), "CLOUDSHIP_PACE=10ms", "CLOUDSHIP_NEW_KEY=true", "CLOUDSHIP_AUTO_APPROVE=true")
	return &voyage{T: t, rig: r, lab: l}
}

// ship runs the program, wants it to end with a code, and gives all that it printed.
func (v *voyage) ship(code int, args ...string) string {
	v.Helper()
	ctx, cancel := context.WithTimeout(v.Context(), patience)
	defer cancel()
	out := v.rig.Run(ctx, args...)
	if out.Code != code {
		v.Fatalf("cloudship %s: exit %d, want %d\n%s%s", strings.Join(args, " "), out.Code, code, out.Stdout, out.Stderr)
	}
	return out.Stdout + out.Stderr
}

// release makes a version live.
func (v *voyage) release(tag string) string {
	v.Helper()
	return v.ship(0, "apply", "--switch", "--var", "tag="+tag)
}

// step runs one row's part of the story; they rest on each other.
func (v *voyage) step(name string, do func(v *voyage)) {
	v.Helper()
	if v.Failed() {
		return
	}
	v.Run(name, func(t *testing.T) { do(&voyage{T: t, rig: v.rig, lab: v.lab}) })
}

// says wants texts in what was printed.
func (v *voyage) says(out string, texts ...string) {
	v.Helper()
	for _, text := range texts {
		if !strings.Contains(out, text) {
			v.Errorf("it does not say %q:\n%s", text, out)
		}
	}
}

// ask gets from the cloud's API, past the program.
func (v *voyage) ask(path string, into any) {
	v.Helper()
	request, err := http.NewRequestWithContext(v.Context(), http.MethodGet, v.lab.URL(lab.DigitalOcean)+path, nil)
	if err != nil {
		v.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+v.lab.Token())
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		v.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(answer.Body)
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		v.Fatalf("%s: %s: %v: %s", path, answer.Status, err, b)
	}
}

type server struct {
	ID      int    `json:"id"`
	Name    string `json:"name"`
	Created string `json:"created_at"`
}

func (v *voyage) servers() []server {
	v.Helper()
	var list struct {
		Droplets []server `json:"droplets"`
	}
	v.ask("/v2/droplets?per_page=200", &list)
	return list.Droplets
}

type balancer struct {
	Droplets []int `json:"droplet_ids"`
	Rules    []struct {
		EntryPort  int    `json:"entry_port"`
		TargetPort int    `json:"target_port"`
		Protocol   string `json:"entry_protocol"`
	} `json:"forwarding_rules"`
	Check struct {
		Path     string `json:"path"`
		Interval int    `json:"check_interval_seconds"`
	} `json:"health_check"`
}

func (v *voyage) balancer() balancer {
	v.Helper()
	var list struct {
		Balancers []balancer `json:"load_balancers"`
	}
	v.ask("/v2/load_balancers", &list)
	if len(list.Balancers) != 1 {
		v.Fatalf("%d load balancers, want 1", len(list.Balancers))
	}
	return list.Balancers[0]
}

// pointsAt wants a group's one server to be the balancer's only member.
func (v *voyage) pointsAt(group string) {
	v.Helper()
	members := v.balancer().Droplets
	for _, s := range v.servers() {
		if strings.HasPrefix(s.Name, group+"-") && len(members) == 1 && members[0] == s.ID {
			return
		}
	}
	v.Errorf("the load balancer points at %v, want the server of %s: %v", members, group, v.servers())
}

// newest is the id of the release that was made last.
func (v *voyage) newest() string {
	v.Helper()
	id, _, _ := strings.Cut(v.ship(0, "releases"), " ")
	return strings.TrimSpace(strings.SplitN(id, "\t", 2)[0])
}

var money = regexp.MustCompile(`\$(\d+\.\d\d)(/month| a month)`)

// TestProLeads is the story on paper, under constant load through the load balancer.
func TestProLeads(t *testing.T) {
	v := begin(t, "testdata/stack")
	v.step("P5ThePlansPriceIsThatOfItsLines", func(v *voyage) {
		var sum, total float64
		for _, found := range money.FindAllStringSubmatch(v.ship(0, "plan"), -1) {
			amount, err := strconv.ParseFloat(found[1], 64)
			if err != nil {
				v.Fatal(err)
			}
			if found[2] == "/month" {
				sum += amount
			} else {
				total = amount
			}
		}
		if sum != total || total == 0 {
			v.Errorf("the lines make $%.2f, the price is $%.2f", sum, total)
		}
	})
	v.step("P20AnExistingServiceIsNeverPlanned", func(v *voyage) {
		if out := v.ship(0, "plan"); strings.Contains(out, "external") || strings.Contains(out, "redis") {
			v.Errorf("the plan has it:\n%s", out)
		}
	})
	v.ship(0, "apply")
	v.step("P21TheLoadBalancerIsAsTheFileSays", func(v *voyage) {
		b := v.balancer()
		if len(b.Rules) != 1 || b.Rules[0].EntryPort != 8080 || b.Rules[0].TargetPort != 80 || b.Rules[0].Protocol != "http" || b.Check.Path != "/healthz" || b.Check.Interval != 3 {
			v.Errorf("it is %+v", b)
		}
		v.says(v.ship(0, "plan", "--detailed-exitcode"), "nothing to do")
	})
	v.step("P24BothGroupsRunTheTemplateOneIsLive", func(v *voyage) {
		v.says(v.ship(0, "releases"), "blue (live), green")
		v.pointsAt("blue")
	})
	first := v.servers()
	load := load.Start("http://"+strings.Trim(strings.TrimSpace(v.ship(0, "output", "address")), `"`)+":8080/", 50)
	defer load.Stop()
	v.step("P2AReleaseTouchesNoServer", func(v *voyage) {
		began := time.Now()
		v.says(v.release("2"), "plan: 0 to create, 1 to update, 0 to replace, 0 to delete", "switch: load_balancer.www blue -> green")
		if took := time.Since(began); took > time.Minute {
			v.Errorf("it took %s until the new version served", took)
		}
		v.pointsAt("green")
	})
	second := v.newest()
	v.step("P25TestsOfTheIdleGroupGateTheSwitch", func(v *voyage) {
		tested, err := os.ReadFile(filepath.Join(v.rig.Dir, "tested"))
		if err != nil || !strings.HasPrefix(string(tested), "green http://") {
			v.Errorf("what was tested: %q, %v; want green's address", tested, err)
		}
		fail := filepath.Join(v.rig.Dir, "fail")
		if err := os.WriteFile(fail, nil, 0o600); err != nil {
			v.Fatal(err)
		}
		v.ship(9, "apply", "--switch", "--var", "tag=bad")
		v.pointsAt("green")
		if err := os.Remove(fail); err != nil {
			v.Fatal(err)
		}
	})
	v.step("P1MoreReleases", func(v *voyage) {
		for _, tag := range []string{"3", "4", "5"} {
			v.release(tag)
		}
		v.pointsAt("blue")
	})
	v.step("P26BackToTheReleaseBefore", func(v *voyage) {
		v.says(v.ship(0, "rollback"), "switch: load_balancer.www blue -> green")
		v.pointsAt("green")
		if _, failed, failures := load.Count(); failed > 0 {
			v.Errorf("%d requests failed so far: %v", failed, failures)
		}
	})
	v.step("P14BackToAnyOlderRelease", func(v *voyage) {
		v.ship(0, "rollback", "--to", second)
		v.pointsAt("blue")
		for _, line := range strings.Split(v.ship(0, "releases"), "\n") {
			if strings.HasPrefix(line, second) != strings.Contains(line, "(live)") && strings.HasPrefix(line, "r-") {
				v.Errorf("want %s to be live, have: %s", second, line)
			}
		}
		lines := strings.Split(strings.TrimSpace(v.ship(0, "releases", "--history")), "\n")
		if !strings.Contains(strings.Join(lines[len(lines)-2:], "\n"), second) {
			v.Errorf("the history does not end with it: %s", lines[len(lines)-1])
		}
	})
	v.step("P33NoServerIsRebuilt", func(v *voyage) {
		if now := v.servers(); !reflect.DeepEqual(first, now) {
			v.Errorf("servers were %v and are %v", first, now)
		}
	})
	v.step("P1NoRequestFails", func(v *voyage) {
		load.Stop()
		sent, failed, failures := load.Count()
		v.Logf("%d requests, %d failed", sent, failed)
		if failed > 0 || sent == 0 {
			v.Errorf("%d of %d requests failed: %v", failed, sent, failures)
		}
	})
	v.ship(0, "destroy")
}
