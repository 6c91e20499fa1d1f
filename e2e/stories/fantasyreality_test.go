package stories

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cloudship/cloudship/e2e/load"
	"github.com/cloudship/cloudship/lab"
)

// TestFantasyReality has what the story needs and that shows on paper; what needs real servers is in
// e2e.
func TestFantasyReality(t *testing.T) {
	t.Run("F15", testTechnologies)
	t.Run("F18", testOnePlan)
}

// testTechnologies is a season in Ruby and the next one in Go: other services, images and volumes, the
// same two groups, switched under load and back.
func testTechnologies(t *testing.T) {
	v := begin(t, "testdata/season")
	v.ship(0, "apply")
	l := load.Start("http://"+strings.Trim(strings.TrimSpace(v.ship(0, "output", "address")), `"`)+":8080/", 20)
	defer l.Stop()
	v.step("F15FromRubyToGoAndBack", func(v *voyage) {
		v.pointsAt("blue")
		v.says(v.ship(0, "apply", "--switch", "--var", "technology=go"), "switch: load_balancer.www blue -> green")
		v.pointsAt("green")
		v.says(v.ship(0, "rollback"), "switch: load_balancer.www green -> blue")
		v.pointsAt("blue")
		v.says(v.ship(0, "apply", "--switch", "--again", "--var", "technology=go"), "switch: load_balancer.www blue -> green")
		v.pointsAt("green")
	})
	l.Stop()
	if sent, failed, failures := l.Count(); failed > 0 || sent == 0 {
		t.Errorf("%d of %d requests failed: %v", failed, sent, failures)
	}
	v.ship(0, "destroy", "--destroy-data", "blue.uploads", "--destroy-data", "green.uploads")
}

// testOnePlan is the example's stack in place of scripts: one plan from the bare cloud to the release,
// nothing to do afterwards, and what somebody took away comes back.
func testOnePlan(t *testing.T) {
	v := begin(t, "../../examples/fantasyreality")
	v.step("F18OnePlanFromTheServerToTheRelease", func(v *voyage) {
		v.says(v.ship(0, "plan"), "+ group.web.server[0]  $4.00/month", "+ group.web.docker[0]", "+ group.web.release[0]", "plan: 3 to create")
		v.ship(0, "apply")
		v.says(v.ship(0, "plan", "--detailed-exitcode"), "nothing to do")
	})
	v.step("F18WhatIsTakenAwayComesBack", func(v *voyage) {
		for _, s := range v.servers() {
			v.remove(s)
		}
		v.says(v.ship(2, "plan", "--detailed-exitcode"), "group.web.server[0]")
		v.ship(0, "apply")
		v.says(v.ship(0, "plan", "--detailed-exitcode"), "nothing to do")
		if n := len(v.servers()); n != 1 {
			v.Errorf("there are %d servers, want 1", n)
		}
	})
	v.ship(0, "destroy", "--destroy-data", "data")
}

// remove deletes a server in the cloud, past the program, and waits until no list has it.
func (v *voyage) remove(s server) {
	v.Helper()
	request, err := http.NewRequestWithContext(v.Context(), http.MethodDelete, fmt.Sprintf("%s/v2/droplets/%d", v.lab.URL(lab.DigitalOcean), s.ID), nil)
	if err != nil {
		v.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+v.lab.Token())
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		v.Fatal(err)
	}
	_ = answer.Body.Close()
	ctx, cancel := context.WithTimeout(v.Context(), time.Minute)
	defer cancel()
	for len(v.servers()) > 0 {
		select {
		case <-ctx.Done():
			v.Fatalf("DELETE of %s: %s, and it is still listed", s.Name, answer.Status)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
