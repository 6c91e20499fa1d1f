//go:build e2e

package balancer

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
)

// The engine opens a port, and it is ours.
func TestBorrow(t *testing.T) {
	address := net.JoinHostPort(home, "80")
	progress := func(line string) { t.Log(line) }
	l, err := borrow(t.Context(), address, progress)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if l.Addr().String() != address {
		t.Errorf("got %s, want %s", l.Addr(), address)
	}
	go func() {
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprint(conn, "hello")
		conn.Close()
	}()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got, err := io.ReadAll(conn); err != nil || string(got) != "hello" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := borrow(t.Context(), address, progress); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a port in use: %v", err)
	}
}

// A low port can be had by every user who may use Docker.
func TestLowPort(t *testing.T) {
	s := serve(t, "a", sayName)
	c := s.config(t)
	c.Check = Check{}
	c.Rules[0].EntryPort = 81
	b := begin(t, c)
	if status, body, _ := get(newClient(), c.url(0)); status != 200 || body != "a" {
		t.Errorf("got %d %q", status, body)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if status, _, _ := get(newClient(), c.url(0)); status != 0 {
		t.Errorf("after close: %d", status)
	}
}
