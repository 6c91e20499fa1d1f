//go:build e2e

package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// malformed are requests that no application should have to read.
var malformed = []struct {
	name, text string
	mended     bool // some proxies repair it, or pass it on until they notice
}{
	{"no request at all", "hello, is anybody there?\r\n\r\n", false},
	{"no method", " / HTTP/1.1\r\nHost: " + site + "\r\n\r\n", false},
	{"a method that nobody knows", "BREW / HTTP/1.1\r\nHost: " + site + "\r\n\r\n", false},
	{"a method in small letters", "get / HTTP/1.1\r\nHost: " + site + "\r\n\r\n", false},
	{"no version", "GET /\r\nHost: " + site + "\r\n\r\n", false},
	{"a version of another protocol", "GET / RTSP/1.0\r\nHost: " + site + "\r\n\r\n", false},
	{"a space in the path", "GET /a b HTTP/1.1\r\nHost: " + site + "\r\n\r\n", false},
	{"a path above the root", "GET /../../etc/passwd HTTP/1.1\r\nHost: " + site + "\r\n\r\n", true},
	{"a null in the path", "GET /a%00b HTTP/1.1\r\nHost: " + site + "\r\n\r\n", true},
	{"no host", "GET / HTTP/1.1\r\n\r\n", false},
	{"no host, as of old", "GET / HTTP/1.0\r\n\r\n", false},
	{"an empty host", "GET / HTTP/1.1\r\nHost: \r\n\r\n", false},
	{"a host that is none", "GET / HTTP/1.1\r\nHost: not/a host\r\n\r\n", false},
	{"two hosts", "GET / HTTP/1.1\r\nHost: " + site + "\r\nHost: evil.example.com\r\n\r\n", false},
	{"another site", "GET / HTTP/1.1\r\nHost: evil.example.com\r\n\r\n", false},
	{"the server's address", "GET / HTTP/1.1\r\nHost: 203.0.113.7\r\n\r\n", false},
	{"another site in the path", "GET http://evil.example.com/ HTTP/1.1\r\nHost: " + site + "\r\n\r\n", false},
	{"a tunnel", "CONNECT evil.example.com:443 HTTP/1.1\r\nHost: evil.example.com:443\r\n\r\n", false},
	{"a null in a header", "GET / HTTP/1.1\r\nHost: " + site + "\r\nX-A: a\x00b\r\n\r\n", false},
	{"a header that has no end", "GET / HTTP/1.1\r\nHost: " + site + "\r\nX-A: " + strings.Repeat("a", 64<<10) + "\r\n\r\n", false},
	{"a path that has no end", "GET /" + strings.Repeat("a", 64<<10) + " HTTP/1.1\r\nHost: " + site + "\r\n\r\n", false},
	{"a length that is none", "POST / HTTP/1.1\r\nHost: " + site + "\r\nContent-Length: many\r\n\r\n", false},
	{"two lengths", "POST / HTTP/1.1\r\nHost: " + site + "\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", false},
	{"a length and chunks", "POST / HTTP/1.1\r\nHost: " + site + "\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true},
	{"chunks that are none", "POST / HTTP/1.1\r\nHost: " + site + "\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n", true},
	{"an encoding that nobody knows", "POST / HTTP/1.1\r\nHost: " + site + "\r\nTransfer-Encoding: rot13\r\n\r\nhello", false},
	{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + strings.Repeat("\x00", 64) + "\r\n\r\n", false},
}

// TestF4MalformedRequestsNeverReachTheApp sends nginx what is no request, or none for the site that it
// has: it answers with a mistake of the client's, or hangs up, and the application sees nothing.
func TestF4MalformedRequestsNeverReachTheApp(t *testing.T) { begin(t, nginx).refuses(nginx.mends) }

func (s *stand) refuses(mends bool) {
	a := s.app(0, "v1")
	for _, m := range malformed {
		if mends && m.mended {
			continue
		}
		s.Run(m.name, func(t *testing.T) {
			status := tell(t, s.address, m.text)
			if status != 0 && status/100 != 4 && status != http.StatusHTTPVersionNotSupported && status != http.StatusNotImplemented {
				t.Errorf("it is answered with %d", status)
			}
			if seen := a.seen(); len(seen) > 0 {
				t.Errorf("it reached the application: %q", seen)
				a.forget()
			}
		})
	}
	// The same way, what is well-formed does reach it.
	if status := tell(s.T, s.address, "GET /good HTTP/1.1\r\nHost: "+site+"\r\n\r\n"); status != http.StatusOK {
		s.Errorf("a good request is answered with %d", status)
	}
	if seen := a.seen(); len(seen) != 1 || seen[0] != "GET /good of "+site {
		s.Errorf("the application saw %q, want the good request alone", seen)
	}
}

func (a *app) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.log = nil
}

// tell sends bytes over a connection of their own and gives the status of the answer, 0 when the
// other side hangs up.
func tell(t *testing.T, address, text string) int {
	t.Helper()
	conn, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Logf("it hangs up while it is told: %v", err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if e, ok := err.(net.Error); ok && e.Timeout() {
		t.Fatal("it neither answers nor hangs up")
	}
	if err != nil {
		return 0
	}
	return answer.StatusCode
}
