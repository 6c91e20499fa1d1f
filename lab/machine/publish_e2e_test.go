//go:build e2e

package machine

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// What cannot be bound here answers through a container on this machine's
// network.
func TestPublish(t *testing.T) {
	host, err := OpenContainers(t.Context(), t.TempDir(), slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	listener, err := net.Listen("tcp", "127.52.0.1:28580")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "here")
	}))
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	defer server.Close()
	t.Cleanup(func() {
		if err := host.Unpublish(context.Background(), "ports-x"); err != nil {
			t.Error(err)
		}
	})
	for range 2 { // the second time replaces the first
		if err := host.Publish(t.Context(), "ports-x", "127.52.0.1", map[int]int{580: 28580, 581: 28580}); err != nil {
			t.Fatal(err)
		}
	}
	for _, url := range []string{"http://127.52.0.1:580/", "http://127.52.0.1:581/"} {
		tick, late := time.NewTicker(100*time.Millisecond), time.After(time.Minute)
		for {
			r, err := http.Get(url)
			if err == nil {
				r.Body.Close()
				break
			}
			select {
			case <-tick.C:
			case <-late:
				t.Fatal(err)
			}
		}
		tick.Stop()
	}
	if err := host.Unpublish(t.Context(), "ports-x"); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", "127.52.0.1:580"); err == nil {
		t.Error("it is still published")
	}
}
