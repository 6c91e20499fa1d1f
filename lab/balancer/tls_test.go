package balancer

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

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
