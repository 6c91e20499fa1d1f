// Package bucket serves buckets of an S3-compatible store, for tests: versitygw, built from the module
// proxy.
package bucket

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

const versitygw = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"

// Its one account.
const (
	AccessKey = "tester"
	SecretKey = "nothing-secret"
)

// Server is a store that may be started, and started again, at one address.
type Server struct {
	Address string // host and port
	Data    string // the folder in which it keeps a folder for each bucket

	program, metadata string
}

// New builds the store. Nothing runs yet.
func New(ctx context.Context, t *testing.T) *Server {
	t.Helper()
	bin := t.TempDir()
	install := exec.CommandContext(ctx, "go", "install", versitygw)
	install.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=-mod=mod")
	install.Dir = bin
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("build versitygw: %v\n%s", err, out)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = free.Close() }()
	return &Server{Address: free.Addr().String(), Data: t.TempDir(), program: filepath.Join(bin, "versitygw"), metadata: t.TempDir()}
}

// Endpoint is its URL.
func (s *Server) Endpoint() string { return "http://" + s.Address }

// Command is what runs it.
func (s *Server) Command() *exec.Cmd {
	return exec.Command(s.program, "--quiet", "--access", AccessKey, "--secret", SecretKey,
		"--port", s.Address, "posix", "--sidecar", s.metadata, s.Data)
}

// Start serves until the test ends, and returns when it answers.
func (s *Server) Start(t *testing.T) {
	t.Helper()
	var said bytes.Buffer
	server := s.Command()
	server.Stdout, server.Stderr = &said, &said
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	stop := func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	}
	for until := time.Now().Add(time.Minute); ; <-time.After(50 * time.Millisecond) {
		c, err := net.DialTimeout("tcp", s.Address, time.Second)
		if err == nil {
			_ = c.Close()
			t.Cleanup(stop)
			return
		}
		if time.Now().After(until) {
			stop()
			t.Fatalf("versitygw does not serve: %v\n%s", err, said.String())
		}
	}
}
