package balancer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// Whatever changes while requests flow, none of them fails.
func TestChangesUnderLoadFailNoRequest(t *testing.T) {
	for _, keep := range []bool{false, true} {
		t.Run(fmt.Sprintf("keepalive %v", keep), func(t *testing.T) {
			s := serve(t, "abcd", sayName)
			c := s.config(t)
			c.BackendKeepAlive = keep
			all := c.Backends
			c.Backends = all[:2]
			b := begin(t, c)
			untilHealthy(t, b, "a", "b")
			url := c.url(0)
			ctx, stop := context.WithCancel(t.Context())
			var failed, sent atomic.Int64
			var load sync.WaitGroup
			for range 4 {
				load.Go(func() {
					client := newClient()
					client.Transport = &http.Transport{DisableKeepAlives: !keep}
					defer client.CloseIdleConnections()
					for ctx.Err() == nil {
						status, body, _ := get(client, url)
						sent.Add(1)
						if status != 200 {
							failed.Add(1)
							t.Errorf("%d %s", status, body)
							return
						}
					}
				})
			}
			for round := range 10 {
				// In with two, out with the other two, and a port more or less.
				c.Backends = all
				c.Rules = append(c.Rules[:1:1], Rule{EntryProtocol: "tcp", EntryPort: freePort(t), TargetProtocol: "tcp", TargetPort: s.port})
				c.StickyCookie = []string{"", "LB"}[round%2]
				if err := b.Apply(t.Context(), c); err != nil {
					t.Error(err)
				}
				fresh := all[(round+1)%2*2:][:2]
				untilHealthy(t, b, fresh[0].ID, fresh[1].ID)
				c.Backends, c.Rules = fresh, c.Rules[:1]
				if err := b.Apply(t.Context(), c); err != nil {
					t.Error(err)
				}
				before := sent.Load()
				until(t, "some more requests were sent", func() bool { return sent.Load() > before+20 || failed.Load() > 0 })
			}
			stop()
			load.Wait()
			if failed.Load() != 0 {
				t.Errorf("%d of %d requests failed", failed.Load(), sent.Load())
			}
		})
	}
}

func TestApplyThatFailsChangesNothing(t *testing.T) {
	s := serve(t, "a", sayName)
	c := s.config(t)
	c.Check = Check{}
	b := begin(t, c)
	taken := listen(t, home+":0")
	defer taken.Close()
	worse := c
	worse.Backends = nil
	worse.Rules = append(c.Rules[:1:1],
		Rule{EntryProtocol: "http", EntryPort: freePort(t), TargetProtocol: "http", TargetPort: s.port},
		Rule{EntryProtocol: "http", EntryPort: taken.Addr().(*net.TCPAddr).Port, TargetProtocol: "http", TargetPort: s.port})
	if err := b.Apply(t.Context(), worse); err == nil {
		t.Fatal("a port in use is no error")
	}
	if status, body, _ := get(newClient(), c.url(0)); status != 200 || body != "a" {
		t.Errorf("afterwards: %d %s", status, body)
	}
	if conn, err := net.Dial("tcp", net.JoinHostPort(home, fmt.Sprint(worse.Rules[1].EntryPort))); err == nil {
		conn.Close()
		t.Error("a port of the refused configuration is open")
	}
}

func TestCloseEndsEverything(t *testing.T) {
	slow := newSlow()
	s := serve(t, "a", slow.handler)
	c := s.config(t)
	c.Check = Check{}
	b := begin(t, c)
	_, result := slow.ask(c)
	for range 2 {
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := <-result; got.status == 200 {
		t.Errorf("open request: %+v", got)
	}
	if status, _, _ := get(newClient(), c.url(0)); status != 0 {
		t.Errorf("a closed balancer answered %d", status)
	}
	if err := b.Apply(t.Context(), c); !errors.Is(err, errClosed) {
		t.Errorf("apply after close: %v", err)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	good := Rule{EntryProtocol: "http", EntryPort: 80, TargetProtocol: "http", TargetPort: 80}
	with := func(change func(*Rule)) Config {
		r := good
		change(&r)
		return Config{Rules: []Rule{r}}
	}
	for _, test := range []struct {
		config Config
		want   string
	}{
		{Config{Rules: []Rule{good, good}}, "two rules for port 80"},
		{with(func(r *Rule) { r.EntryPort = 0 }), "0 is not a port"},
		{with(func(r *Rule) { r.EntryProtocol = "udp" }), `entry protocol "udp"`},
		{with(func(r *Rule) { r.TargetProtocol = "tcp" }), `target protocol "tcp" behind http`},
		{with(func(r *Rule) { r.EntryProtocol = "https" }), "certificate"},
		{with(func(r *Rule) { r.TLSPassthrough = true }), "TLS passthrough of http"},
		{Config{Rules: []Rule{good}, RedirectHTTP: true}, "needs an https rule"},
		{Config{Backends: []Backend{{ID: "a"}}}, "needs an id and an address"},
		{Config{Backends: []Backend{{ID: "a", Address: "x"}, {ID: "a", Address: "y"}}}, "two backends a"},
		{Config{Backends: []Backend{{ID: "a", Address: "x", Condition: "asleep"}}}, `condition "asleep"`},
		{Config{Check: Check{Protocol: "udp"}}, `check protocol "udp"`},
		{Config{Check: Check{Protocol: "tcp"}}, "check port 0"},
		{Config{Check: Check{Protocol: "tcp", Port: 1}}, "check interval"},
		{Config{Check: Check{Protocol: "tcp", Port: 1, Interval: 1, Timeout: 1}}, "check thresholds"},
		{Config{Check: Check{Protocol: "http", Port: 1, Interval: 1, Timeout: 1, Healthy: 1, Unhealthy: 1, Path: "x"}}, "check path"},
	} {
		_, err := New(t.Context(), test.config, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("error %v, want %q", err, test.want)
		}
	}
}
