// Package pebble starts the CA of tests: the command e2e/pebble, which is Let's Encrypt's own.
package pebble

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// CA is a running one.
type CA struct {
	Directory string // URL
	CA        string // PEM of who vouches for the directory's TLS
	Root      []byte // PEM of who vouches for what it issues
}

// Start runs a CA until the test ends. Its names lead to an address, where it looks for challenges at
// a port; what it issues is good for some days.
func Start(t testing.TB, address string, port, days int) CA {
	t.Helper()
	folder := t.TempDir()
	program := build(t)
	command := exec.Command(program, folder, address, strconv.Itoa(port), strconv.Itoa(days))
	said := &tail{}
	command.Stderr = said
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if t.Failed() {
			t.Logf("the CA said:\n%s", said)
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the CA did not start: %v\n%s", err, said)
	}
	read := func(name string) []byte {
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	return CA{Directory: strings.TrimSpace(line), CA: string(read("ca.pem")), Root: read("root.pem")}
}

// build makes the command, once a package that is tested.
func build(t testing.TB) string {
	t.Helper()
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "pebble")
	command := exec.Command("go", "build", "-o", program, ".")
	command.Dir = filepath.Join(strings.TrimSpace(string(root)), "e2e", "pebble")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("build the CA: %v\n%s", err, out)
	}
	return program
}

// FreePort is a port of loopback that nobody listens on.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// tail keeps the last of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (w *tail) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, b...)
	w.text = w.text[max(0, len(w.text)-8192):]
	return len(b), nil
}

func (w *tail) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.text)
}
