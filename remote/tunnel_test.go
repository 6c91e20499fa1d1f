package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// greeter answers "hello" over HTTP.
var greeter = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })

func fetch(t *testing.T, url string) string {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestForwardReachesAPortOfTheHost(t *testing.T) {
	h, _ := dialed(t)
	far := httptest.NewServer(greeter)
	defer far.Close()
	address, stop, err := h.Forward(t.Context(), far.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if got := fetch(t, "http://"+address); got != "hello" {
		t.Errorf("got %q", got)
	}
	stop()
	stop()
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("it is still open")
	}
}

func TestForwardEndsOpenConnections(t *testing.T) {
	h, _ := dialed(t)
	far, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = far.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	address, stop, err := h.Forward(ctx, far.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	accepted, err := far.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = accepted.Close() }()
	cancel()
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the connection goes on")
	}
	stop()
}

func TestListenLoopbackServesTheHost(t *testing.T) {
	h, _ := dialed(t)
	listener, err := h.ListenLoopback(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: greeter, ReadHeaderTimeout: time.Minute}
	done := make(chan error)
	go func() { done <- server.Serve(listener) }()
	// The test's server is on this machine, so its loopback is ours.
	if got := fetch(t, "http://"+listener.Addr().String()); got != "hello" {
		t.Errorf("got %q", got)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	<-done
}

func TestTunnelsSayWhatIsWrong(t *testing.T) {
	h, s := dialed(t)
	_, err := h.DialContext(t.Context(), "unix", filepath.Join(t.TempDir(), "none"))
	var failed *ForwardError
	if !errors.As(err, &failed) || failed.Forbidden {
		t.Errorf("want an allowed ForwardError, got %v", err)
	}
	s.forbidTunnels()
	_, err = h.DialContext(t.Context(), "unix", "/var/run/docker.sock")
	if !errors.As(err, &failed) || !failed.Forbidden || !strings.Contains(err.Error(), "AllowStreamLocalForwarding") {
		t.Errorf("want a forbidden ForwardError, got %v", err)
	}
	_, err = h.ListenLoopback(t.Context())
	if !errors.As(err, &failed) || !failed.Forbidden {
		t.Errorf("want a forbidden ForwardError, got %v", err)
	}
	_ = h.Close()
	_, err = h.ListenLoopback(t.Context())
	if !errors.As(err, &failed) || failed.Forbidden {
		t.Errorf("want an allowed ForwardError, got %v", err)
	}
}

// dockerAt serves the ping and version of an engine at a unix socket.
func dockerAt(t *testing.T, api string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "docker.sock")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", api)
		if strings.HasSuffix(r.URL.Path, "/version") {
			_, _ = fmt.Fprintf(w, `{"Version":"test","ApiVersion":%q,"MinAPIVersion":"1.24"}`, api)
		}
	})}
	done := make(chan error)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return path
}

func TestDockerAgreesOnAVersion(t *testing.T) {
	for _, c := range []struct{ engine, agreed, fails string }{
		{"1.41", "1.41", ""},
		{"1.52", "1.52", ""},
		{"9.99", "1.56", ""},
		{"1.40", "", "offers API 1.40 at most, cloudship needs 1.41 to 1.56"},
		{"1.24", "", "offers API 1.24 at most"},
	} {
		t.Run(c.engine, func(t *testing.T) {
			h, _ := dialed(t)
			docker, err := h.dockerAt(t.Context(), dockerAt(t, c.engine))
			if c.fails != "" {
				var failed *DockerError
				if !errors.As(err, &failed) || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("want %q, got %v", c.fails, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = docker.Close() }()
			if got := docker.ClientVersion(); got != c.agreed {
				t.Errorf("agreed on %s, want %s", got, c.agreed)
			}
		})
	}
}

func TestDockerSaysThatNoEngineAnswers(t *testing.T) {
	h, _ := dialed(t)
	_, err := h.dockerAt(t.Context(), filepath.Join(t.TempDir(), "none"))
	var failed *DockerError
	if !errors.As(err, &failed) || !strings.Contains(err.Error(), "docker on 127.0.0.1") {
		t.Errorf("want a DockerError, got %v", err)
	}
}
