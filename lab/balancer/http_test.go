package balancer

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestNothingIsSentBeforeABackendProvedHealthy(t *testing.T) {
	var sick atomic.Bool
	sick.Store(true)
	s := serve(t, "a", func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if sick.Load() {
				w.WriteHeader(http.StatusInternalServerError)
			}
			fmt.Fprint(w, name)
		})
	})
	c := s.config(t)
	b := begin(t, c)
	if status, _, _ := get(newClient(), c.url(0)); status != http.StatusServiceUnavailable {
		t.Errorf("no healthy backend: %d, want 503", status)
	}
	sick.Store(false)
	untilHealthy(t, b, "a")
	if status, body, _ := get(newClient(), c.url(0)); status != 200 || body != "a" {
		t.Errorf("healthy: %d %q", status, body)
	}
	sick.Store(true)
	until(t, "a is down", func() bool { return !b.Health()["a"] })
	if status, _, _ := get(newClient(), c.url(0)); status != http.StatusServiceUnavailable {
		t.Errorf("down again: %d, want 503", status)
	}
}

func TestStartHealthy(t *testing.T) {
	s := serve(t, "a", sayName)
	c := s.config(t)
	c.StartHealthy, c.Check.Interval = true, time.Hour
	begin(t, c)
	if status, body, _ := get(newClient(), c.url(0)); status != 200 || body != "a" {
		t.Errorf("got %d %q", status, body)
	}
}

func TestRoundRobinOverHTTP(t *testing.T) {
	s := serve(t, "abc", sayName)
	c := s.config(t)
	untilHealthy(t, begin(t, c), "a", "b", "c")
	count := map[string]int{}
	for range 30 {
		_, body, _ := get(newClient(), c.url(0))
		count[body]++
	}
	if count["a"] != 10 || count["b"] != 10 || count["c"] != 10 {
		t.Errorf("shares %v, want ten each", count)
	}
}

// A request whose backend breaks is answered with an error, not tried on
// another one.
func TestBrokenRequestsAreNotRepeated(t *testing.T) {
	var asked atomic.Int32
	breaks := func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			panic(http.ErrAbortHandler)
		})
	}
	s := serve(t, "ab", breaks)
	c := s.config(t)
	c.Check = Check{}
	begin(t, c)
	if status, _, _ := get(newClient(), c.url(0)); status != http.StatusBadGateway {
		t.Errorf("status %d, want 502", status)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("backends were asked %d times, want once", n)
	}
}

func TestUnreachableBackendIs503(t *testing.T) {
	s := servers{port: freePort(t)}
	s.next("a")
	c := s.config(t)
	c.Check = Check{}
	begin(t, c)
	if status, _, _ := get(newClient(), c.url(0)); status != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", status)
	}
}

func TestSlowBackendIs504(t *testing.T) {
	s := serve(t, "a", func(string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	})
	c := s.config(t)
	c.Check, c.IdleTimeout = Check{}, 2*time.Second
	begin(t, c)
	if status, _, _ := get(newClient(), c.url(0)); status != http.StatusGatewayTimeout {
		t.Errorf("status %d, want 504", status)
	}
}

func showRequest(string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "host=%s for=%s proto=%s port=%s cookie=%s close=%v",
			r.Host, r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Proto"),
			r.Header.Get("X-Forwarded-Port"), r.Header.Get("Cookie"), r.Close)
	})
}

func TestBackendLearnsOfTheClient(t *testing.T) {
	s := serve(t, "a", showRequest)
	c := s.config(t)
	c.Check = Check{}
	begin(t, c)
	_, body, _ := get(newClient(), c.url(0), "X-Forwarded-For", "192.0.2.7")
	host := strings.TrimSuffix(strings.TrimPrefix(c.url(0), "http://"), "/")
	want := fmt.Sprintf("host=%s for=192.0.2.7, 127.0.0.1 proto=http port=%d cookie= close=true", host, c.Rules[0].EntryPort)
	// A client on a loopback network has the balancer's own address.
	if got := strings.Replace(body, home, "127.0.0.1", -1); got != strings.Replace(want, home, "127.0.0.1", -1) {
		t.Errorf("backend saw %q, want %q", got, want)
	}
}

func TestBackendKeepAlive(t *testing.T) {
	for _, keep := range []bool{false, true} {
		t.Run(fmt.Sprint(keep), func(t *testing.T) {
			var remotes sync.Map
			s := serve(t, "a", func(string) http.Handler {
				return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { remotes.Store(r.RemoteAddr, true) })
			})
			c := s.config(t)
			c.Check, c.BackendKeepAlive = Check{}, keep
			begin(t, c)
			client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for range 5 {
				if status, body, _ := get(client, c.url(0)); status != 200 {
					t.Fatalf("%d %s", status, body)
				}
			}
			n := 0
			remotes.Range(func(any, any) bool { n++; return true })
			if want := map[bool]int{false: 5, true: 1}[keep]; n != want {
				t.Errorf("%d connections to the backend, want %d", n, want)
			}
		})
	}
}

func TestStickyCookie(t *testing.T) {
	s := serve(t, "ab", func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %s", name, r.Header.Get("Cookie"))
		})
	})
	c := s.config(t)
	c.StickyCookie, c.StickyTTL = "LB", 5*time.Minute
	b := begin(t, c)
	untilHealthy(t, b, "a", "b")
	_, first, header := get(newClient(), c.url(0))
	cookie, err := http.ParseSetCookie(header.Get("Set-Cookie"))
	if err != nil || cookie.Name != "LB" || cookie.MaxAge != 300 {
		t.Fatalf("cookie %v, %v", cookie, err)
	}
	mine := first[:1]
	for range 4 {
		_, body, header := get(newClient(), c.url(0), "Cookie", "x=1; LB="+cookie.Value+"; y=2")
		if body != mine+" x=1; y=2" {
			t.Errorf("got %q, want %s, and the cookie stripped", body, mine)
		}
		if header.Get("Set-Cookie") != "" {
			t.Error("the cookie is set again")
		}
	}
	// Without its backend the client gets another, and another cookie.
	var rest []Backend
	for _, backend := range c.Backends {
		if backend.ID != mine {
			rest = append(rest, backend)
		}
	}
	c.Backends = rest
	if err := b.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	_, body, header := get(newClient(), c.url(0), "Cookie", "LB="+cookie.Value)
	if body[:1] == mine || header.Get("Set-Cookie") == "" {
		t.Errorf("got %q and cookie %q after %s was taken away", body, header.Get("Set-Cookie"), mine)
	}
}

// A backend with a port of its own is asked and checked there.
func TestBackendsOwnPort(t *testing.T) {
	s := serve(t, "a", sayName)
	c := s.config(t)
	c.Backends[0].Port = s.port
	c.Rules[0].TargetPort, c.Check.Port = freePort(t), freePort(t)
	untilHealthy(t, begin(t, c), "a")
	if status, body, _ := get(newClient(), c.url(0)); status != 200 || body != "a" {
		t.Errorf("got %d %q", status, body)
	}
}
