package load

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"
)

// serve answers connections, each by a function of its own, until the test ends. It counts the
// requests that arrive.
func serve(t *testing.T, each func(conn net.Conn, requests <-chan struct{})) (address string, arrived *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	arrived = &atomic.Int64{}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			requests := make(chan struct{}, 100)
			go func() {
				defer close(requests)
				reader := bufio.NewReader(conn)
				for {
					request, err := http.ReadRequest(reader)
					if err != nil {
						return
					}
					_ = request.Body.Close()
					arrived.Add(1)
					requests <- struct{}{}
				}
			}()
			go func() {
				defer func() { _ = conn.Close() }()
				each(conn, requests)
			}()
		}
	}()
	return listener.Addr().String(), arrived
}

const answer = "HTTP/1.1 200 OK\r\nX-Version: v1\r\nContent-Length: 0\r\n%s\r\n"

// until waits for a load to have sent so many.
func until(t *testing.T, k *Kept, n int) {
	t.Helper()
	end := time.Now().Add(20 * time.Second)
	for sent, _, _ := k.Count(); sent < n; sent, _, _ = k.Count() {
		if time.Now().After(end) {
			t.Fatalf("only %d requests in 20 s", sent)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestKeptKeepsItsConnections(t *testing.T) {
	address, arrived := serve(t, func(conn net.Conn, requests <-chan struct{}) {
		for range requests {
			_, _ = fmt.Fprintf(conn, answer, "")
		}
	})
	var answered atomic.Int64
	k := StartKept(address, 500, 5, Get("http://x/"), func(int) { answered.Add(1) })
	until(t, k, 50)
	k.Stop()
	sent, failed, failures := k.Count()
	if failed > 0 || k.Cut() > 0 || k.Version() != "v1" || int64(sent) != arrived.Load() || int64(sent) != answered.Load() {
		t.Errorf("%d sent, %d arrived, %d answered, %d failed, %d cut, of %s: %v", sent, arrived.Load(), answered.Load(), failed, k.Cut(), k.Version(), failures)
	}
	if k.Dialed() >= sent/2 {
		t.Errorf("%d connections for %d requests", k.Dialed(), sent)
	}
}

// A server that closes what it said it would keep is found out, whether a request is lost by that
// or not; one that says so first is not.
func TestKeptNoticesWhatIsCut(t *testing.T) {
	for _, test := range []struct {
		header string
		cut    bool
	}{{"", true}, {"Connection: close\r\n", false}} {
		address, _ := serve(t, func(conn net.Conn, requests <-chan struct{}) {
			<-requests
			_, _ = fmt.Fprintf(conn, answer, test.header)
		})
		k := StartKept(address, 100, 5, Get("http://x/"), nil)
		until(t, k, 20)
		k.Stop()
		if cut := k.Cut() > 0; cut != test.cut {
			t.Errorf("with %q: %d cut", test.header, k.Cut())
		}
	}
}

// A request whose connection is closed under it has failed. It is not sent again.
func TestKeptNeverSendsTwice(t *testing.T) {
	address, arrived := serve(t, func(conn net.Conn, requests <-chan struct{}) {
		<-requests
		_, _ = fmt.Fprintf(conn, answer, "")
		<-requests // and no answer
	})
	k := StartKept(address, 200, 1, Get("http://x/"), nil)
	until(t, k, 20)
	k.Stop()
	sent, failed, _ := k.Count()
	if failed == 0 || int64(sent) != arrived.Load() {
		t.Errorf("%d sent, %d arrived, %d failed", sent, arrived.Load(), failed)
	}
}
