package balancer

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func tcpConfig(t *testing.T, s servers) Config {
	t.Helper()
	c := s.config(t)
	c.Check.Protocol = "tcp"
	c.Rules[0].EntryProtocol, c.Rules[0].TargetProtocol = "tcp", "tcp"
	return c
}

func connect(t *testing.T, c Config) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", net.JoinHostPort(c.Address, fmt.Sprint(c.Rules[0].EntryPort)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestTCPPassesBytesBothWays(t *testing.T) {
	s := servers{port: freePort(t)}
	lineServer(t, "a", s.next("a"))
	c := tcpConfig(t, s)
	untilHealthy(t, begin(t, c), "a")
	conn := connect(t, c)
	fmt.Fprint(conn, "hello\nand more")
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil || string(got) != "a got hello\nand more" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestTCPWithoutAHealthyBackendIsClosed(t *testing.T) {
	s := servers{port: freePort(t)}
	s.next("a")
	c := tcpConfig(t, s)
	begin(t, c)
	if n, err := connect(t, c).Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d bytes, error %v", n, err)
	}
}

func TestTCPConnectionsWhenABackendLeaves(t *testing.T) {
	for _, cut := range []bool{false, true} {
		t.Run(fmt.Sprintf("cut %v", cut), func(t *testing.T) {
			s := servers{port: freePort(t)}
			lineServer(t, "a", s.next("a"))
			c := tcpConfig(t, s)
			c.CutOnDetach = cut
			b := begin(t, c)
			untilHealthy(t, b, "a")
			conn := connect(t, c)
			r := bufio.NewReader(conn)
			fmt.Fprint(conn, "one\n")
			if line, err := r.ReadString('\n'); err != nil || line != "a got one\n" {
				t.Fatalf("got %q, %v", line, err)
			}
			c.Backends = nil
			if err := b.Apply(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if cut {
				var timeout net.Error
				if _, err := io.Copy(io.Discard, r); errors.As(err, &timeout) && timeout.Timeout() {
					t.Error("the connection goes on")
				}
				return
			}
			fmt.Fprint(conn, "two\n")
			if line, err := r.ReadString('\n'); err != nil || line != "two\n" {
				t.Errorf("the connection was cut: %q, %v", line, err)
			}
		})
	}
}

func TestIdleTCPConnectionEnds(t *testing.T) {
	s := servers{port: freePort(t)}
	lineServer(t, "a", s.next("a"))
	c := tcpConfig(t, s)
	c.Check, c.IdleTimeout = Check{}, 50*time.Millisecond
	begin(t, c)
	conn := connect(t, c)
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("a byte came from nowhere")
	}
}

func TestTLSPassthrough(t *testing.T) {
	s := servers{port: freePort(t)}
	cert, key, roots := certificate(t, home)
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "for=%q", r.Header.Get("X-Forwarded-For"))
	}))
	server.Listener.Close()
	server.Listener = listen(t, s.next("a"))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	server.StartTLS()
	defer server.Close()
	c := s.config(t)
	c.Check.Protocol = "tcp"
	c.Rules[0].EntryProtocol, c.Rules[0].TargetProtocol, c.Rules[0].TLSPassthrough = "https", "https", true
	untilHealthy(t, begin(t, c), "a")
	client := newClient()
	client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}
	if status, body, _ := get(client, c.url(0)); status != 200 || body != `for=""` {
		t.Errorf("got %d %s", status, body)
	}
}

// PROXY lines name the real client, for connections, requests and checks.
func TestProxyProtocol(t *testing.T) {
	s := servers{port: freePort(t)}
	lines := make(chan string, 1000)
	l := listen(t, s.next("a"))
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				lines <- line
				if req, err := http.ReadRequest(r); err == nil {
					fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
					req.Body.Close()
				}
			}()
		}
	}()
	c := s.config(t)
	c.ProxyProtocol, c.BackendKeepAlive = true, true
	untilHealthy(t, begin(t, c), "a")
	if line := <-lines; !strings.HasPrefix(line, "PROXY TCP4 127.") {
		t.Errorf("a check began with %q", line)
	}
	client := newClient()
	var local string
	client.Transport = &http.Transport{DisableKeepAlives: true, Dial: func(network, address string) (net.Conn, error) {
		conn, err := net.Dial(network, address)
		if err == nil {
			local = conn.LocalAddr().String()
		}
		return conn, err
	}}
	if status, body, _ := get(client, c.url(0)); status != 200 || body != "ok" {
		t.Fatalf("got %d %s", status, body)
	}
	from, err := net.ResolveTCPAddr("tcp", local)
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("PROXY TCP4 %s %s %d %d\r\n", from.IP, home, from.Port, c.Rules[0].EntryPort)
	for line := range lines {
		if line == want {
			return
		}
		if len(lines) == 0 {
			t.Fatalf("no line %q, the last is %q", want, line)
		}
	}
}

func TestProxyLine(t *testing.T) {
	tcp := func(s string) net.Addr {
		a, err := net.ResolveTCPAddr("tcp", s)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, test := range []struct {
		from, to net.Addr
		want     string
	}{
		{tcp("192.0.2.1:1"), tcp("192.0.2.2:2"), "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"},
		{tcp("[::ffff:192.0.2.1]:1"), tcp("192.0.2.2:2"), "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"},
		{tcp("[2001:db8::1]:1"), tcp("[2001:db8::2]:2"), "PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n"},
		{tcp("192.0.2.1:1"), tcp("[2001:db8::2]:2"), "PROXY UNKNOWN\r\n"},
		{&net.UnixAddr{Name: "@x"}, tcp("192.0.2.2:2"), "PROXY UNKNOWN\r\n"},
	} {
		if got := proxyLine(test.from, test.to); got != test.want {
			t.Errorf("%s to %s: %q, want %q", test.from, test.to, got, test.want)
		}
	}
}

func FuzzStripCookie(f *testing.F) {
	f.Add("a=1; LB=x; b=2")
	f.Add("LB=x")
	f.Add(";;LB;= LB=1")
	f.Fuzz(func(t *testing.T, line string) {
		h := http.Header{"Cookie": {line}}
		stripCookie(h, "LB")
		request := http.Request{Header: h}
		if c, err := request.Cookie("LB"); err == nil {
			t.Errorf("%q: %v is still there", line, c)
		}
	})
}
