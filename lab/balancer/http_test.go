package balancer

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
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

// slow answers when told to, and tells when it was asked.
type slow struct {
	asked  chan string
	answer chan struct{}
}

func newSlow() *slow { return &slow{asked: make(chan string, 16), answer: make(chan struct{})} }

func (s *slow) handler(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/slow" {
			fmt.Fprint(w, name)
			return
		}
		s.asked <- name
		select {
		case <-s.answer:
			fmt.Fprint(w, name)
		case <-r.Context().Done():
		}
	})
}

type answer struct {
	status int
	body   string
}

// ask sends a slow request and returns when its backend has it.
func (s *slow) ask(c Config) (backend string, result chan answer) {
	result = make(chan answer, 1)
	go func() {
		status, body, _ := get(newClient(), c.url(0)+"slow")
		result <- answer{status, body}
	}()
	return <-s.asked, result
}

func TestOpenRequestsWhenABackendLeaves(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(c *Config)
		cut    bool
	}{
		{"removed", func(c *Config) { c.Backends = c.Backends[1:] }, false},
		{"removed, and cut on detach", func(c *Config) { c.Backends, c.CutOnDetach = c.Backends[1:], true }, true},
		{"draining", func(c *Config) { c.Backends[0].Condition, c.CutOnDetach = "draining", true }, false},
		{"disabled", func(c *Config) { c.Backends[0].Condition = "disabled" }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			slow := newSlow()
			s := serve(t, "ab", slow.handler)
			c := s.config(t)
			c.Check = Check{}
			b := begin(t, c)
			backend, result := slow.ask(c)
			if backend != "a" {
				t.Fatalf("the first request went to %s", backend)
			}
			test.change(&c)
			if err := b.Apply(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			for range 4 {
				if status, body, _ := get(newClient(), c.url(0)); status != 200 || body != "b" {
					t.Errorf("a new request: %d %s, want it at b", status, body)
				}
			}
			if test.cut {
				if got := <-result; got.status == 200 {
					t.Errorf("the open request got %+v, want it cut", got)
				}
				return
			}
			close(slow.answer)
			if got := <-result; got != (answer{200, "a"}) {
				t.Errorf("the open request got %+v, want it finished", got)
			}
		})
	}
}

// An answer that is being sent is cut in the middle, so that the client sees
// that it is not whole.
func TestCutInTheMiddleOfAnAnswer(t *testing.T) {
	s := serve(t, "a", func(string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "half")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})
	})
	c := s.config(t)
	c.Check = Check{}
	c.CutOnDetach = true
	b := begin(t, c)
	resp, err := newClient().Get(c.url(0))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	half := make([]byte, 4)
	if _, err := io.ReadFull(resp.Body, half); err != nil || string(half) != "half" {
		t.Fatalf("got %q, %v", half, err)
	}
	c.Backends = nil
	if err := b.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("the answer ended as if it were whole, with %q", rest)
	}
}

// A protocol that takes over the connection, as WebSocket does, is passed on,
// and is cut with its backend.
func TestUpgrade(t *testing.T) {
	s := serve(t, "a", func(string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			conn, both, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			_, _ = io.Copy(conn, both) // ends with the connection
		})
	})
	c := s.config(t)
	c.Check, c.CutOnDetach = Check{}, true
	b := begin(t, c)
	conn := connect(t, c)
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %v, %v", resp, err)
	}
	fmt.Fprint(conn, "hello\n")
	if line, err := r.ReadString('\n'); line != "hello\n" {
		t.Errorf("echo of hello: %q, %v", line, err)
	}
	c.Backends = nil
	if err := b.Apply(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	if _, err := io.Copy(io.Discard, r); errors.As(err, &timeout) && timeout.Timeout() {
		t.Error("the connection goes on without its backend")
	}
}

func TestTLSEndsAtTheBalancer(t *testing.T) {
	for _, test := range []struct {
		entry, version string
	}{{"https", "HTTP/1.1"}, {"http2", "HTTP/2.0"}} {
		t.Run(test.entry, func(t *testing.T) {
			s := serve(t, "a", showRequest)
			c := s.config(t)
			c.Check = Check{}
			cert, key, roots := certificate(t, home)
			c.Rules = append(c.Rules, Rule{EntryProtocol: test.entry, EntryPort: freePort(t),
				TargetProtocol: "http", TargetPort: s.port, CertPEM: cert, KeyPEM: key})
			c.RedirectHTTP = true
			begin(t, c)
			client := newClient()
			client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}
			defer client.CloseIdleConnections()
			resp, err := client.Get(c.url(1))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if resp.Proto != test.version {
				t.Errorf("spoke %s, want %s", resp.Proto, test.version)
			}
			if !strings.Contains(string(body), "proto=https port="+fmt.Sprint(c.Rules[1].EntryPort)) {
				t.Errorf("backend saw %s", body)
			}
			status, _, header := get(newClient(), c.url(0)+"path?q=1")
			if want := c.url(1) + "path?q=1"; status != 307 || header.Get("Location") != want {
				t.Errorf("http: %d to %q, want 307 to %q", status, header.Get("Location"), want)
			}
		})
	}
}

func TestTLSToTheBackend(t *testing.T) {
	s := servers{port: freePort(t)}
	address := s.next("a")
	cert, key, roots := certificate(t, s.backends[0].Address)
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(sayName("a"))
	server.Listener.Close()
	server.Listener = listen(t, address)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	server.StartTLS()
	defer server.Close()
	c := s.config(t)
	c.Rules[0].TargetProtocol, c.Check.Protocol = "https", "https"
	c.TargetRoots = roots
	untilHealthy(t, begin(t, c), "a")
	if status, body, _ := get(newClient(), c.url(0)); status != 200 || body != "a" {
		t.Errorf("got %d %q", status, body)
	}
}

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
