package balancer

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
)

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
