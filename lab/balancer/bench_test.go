package balancer

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"
)

// home is a loopback address that no other test process uses, so that a port
// found free stays free.
var home = fmt.Sprintf("127.%d.%d.%d", 64+os.Getpid()>>16&63, os.Getpid()>>8&255, max(1, os.Getpid()&255))

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", home+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// servers are backends on different addresses with the same port.
type servers struct {
	port     int
	backends []Backend
}

var nextAddress byte

// serve starts n backends; handler makes the one with this name. They listen
// on addresses of their own, as a cloud's servers do.
func serve(t *testing.T, names string, handler func(name string) http.Handler) servers {
	t.Helper()
	s := servers{port: freePort(t)}
	for _, r := range names {
		name := string(r)
		server := httptest.NewUnstartedServer(handler(name))
		server.Listener.Close()
		server.Listener = listen(t, s.next(name))
		server.Start()
		t.Cleanup(server.Close)
	}
	return s
}

// next adds a backend and returns where it shall listen.
func (s *servers) next(name string) string {
	nextAddress++
	address := fmt.Sprintf("127.%d.%d.%d", 128+os.Getpid()>>16&63, os.Getpid()>>8&255, nextAddress)
	s.backends = append(s.backends, Backend{ID: name, Address: address})
	return net.JoinHostPort(address, fmt.Sprint(s.port))
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// sayName answers with the server's name, and is healthy.
func sayName(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, name) })
}

// config is a balancer with one http rule for these servers, checked often.
func (s servers) config(t *testing.T) Config {
	t.Helper()
	return Config{
		ID: "lb", Address: home,
		Rules: []Rule{{EntryProtocol: "http", EntryPort: freePort(t), TargetProtocol: "http", TargetPort: s.port}},
		Check: Check{Protocol: "http", Port: s.port, Path: "/", Interval: 10 * time.Millisecond,
			Timeout: 5 * time.Second, Healthy: 2, Unhealthy: 2},
		Backends: s.backends,
	}
}

func begin(t *testing.T, c Config) Balancer {
	t.Helper()
	b, err := New(t.Context(), c, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// until waits for a condition.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for !is() {
		if !pause(ctx, 2*time.Millisecond) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func untilHealthy(t *testing.T, b Balancer, names ...string) {
	t.Helper()
	until(t, fmt.Sprint(names, " are healthy"), func() bool {
		h := b.Health()
		for _, n := range names {
			if !h[n] {
				return false
			}
		}
		return true
	})
}

func (c Config) url(rule int) string {
	scheme := "http"
	if c.Rules[rule].EntryProtocol != "http" {
		scheme = "https"
	}
	return fmt.Sprintf("%s://%s:%d/", scheme, c.Address, c.Rules[rule].EntryPort)
}

// newClient sends each request on a connection of its own and follows nothing.
func newClient() *http.Client {
	return &http.Client{
		Timeout:       30 * time.Second,
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// get returns status and body; status 0 means that the request broke.
func get(client *http.Client, url string, header ...string) (status int, body string, h http.Header) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0, err.Error(), nil
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err.Error(), nil
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error(), nil
	}
	return resp.StatusCode, string(text), resp.Header
}

// certificate makes one for the test's addresses; the pool trusts it.
func certificate(t *testing.T, addresses ...string) (certPEM, keyPEM []byte, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	for _, a := range addresses {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(a))
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	pool = x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return certPEM, keyPEM, pool
}

// lineServer is a TCP server that sends its name and the first line it got,
// then echoes.
func lineServer(t *testing.T, name, address string) {
	t.Helper()
	l := listen(t, address)
	t.Cleanup(func() { l.Close() })
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
				fmt.Fprintf(conn, "%s got %s", name, line)
				_, _ = io.Copy(conn, r) // ends with the connection
			}()
		}
	}()
}
