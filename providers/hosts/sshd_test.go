package hosts_test

import (
	"crypto/ed25519"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"
)

// sshd is a machine: an SSH server on loopback that runs commands with a real sh. What they do below
// /var/lib/cloudship they do in a folder of its own, and it has no Docker.
type sshd struct {
	listener net.Listener
	root     string
	hostKey  ssh.Signer
	config   *ssh.ServerConfig
	running  sync.WaitGroup
	commands atomic.Int32

	mu    sync.Mutex
	conns map[net.Conn]bool
	after func(command string) bool // told of each command that has run; true: its answer is lost
}

// newKey makes a key, and its private part in PEM.
func newKey(t *testing.T) (ssh.Signer, string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	return signer, string(pem.EncodeToMemory(block))
}

// serveSSH starts a machine that lets one key in.
func serveSSH(t *testing.T, login ssh.PublicKey) *sshd {
	t.Helper()
	hostKey, _ := newKey(t)
	s := &sshd{root: t.TempDir(), hostKey: hostKey, conns: map[net.Conn]bool{}}
	s.config = &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(login.Marshal()) {
			return nil, errors.New("unknown key")
		}
		return nil, nil
	}}
	s.config.AddHostKey(hostKey)
	var err error
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	s.running.Go(s.accept)
	t.Cleanup(func() { s.stop(); s.running.Wait() })
	return s
}

func (s *sshd) address() string { return s.listener.Addr().String() }

// key is the machine's host key in a line.
func (s *sshd) key() string { return lineOf(s.hostKey) }

// lineOf is a key's public part in a line.
func lineOf(key ssh.Signer) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key.PublicKey())))
}

// kept is the machine's folder of stacks.
func (s *sshd) kept() string { return filepath.Join(s.root, "var/lib/cloudship") }

// lose has the answers of some commands lost.
func (s *sshd) lose(which func(command string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.after = which
}

// stop ends the machine: nothing answers any more.
func (s *sshd) stop() {
	_ = s.listener.Close()
	s.cut()
}

func (s *sshd) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		_ = conn.Close()
	}
}

func (s *sshd) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[conn] = true
		s.mu.Unlock()
		s.running.Go(func() {
			s.serve(conn)
			_ = conn.Close()
			s.mu.Lock()
			delete(s.conns, conn)
			s.mu.Unlock()
		})
	}
}

func (s *sshd) serve(conn net.Conn) {
	server, channels, requests, err := ssh.NewServerConn(conn, s.config)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	s.running.Go(func() {
		for r := range requests {
			_ = r.Reply(r.Type == "keepalive@openssh.com", nil)
		}
	})
	for fresh := range channels {
		switch fresh.ChannelType() {
		case "session":
			if channel, requests, err := fresh.Accept(); err == nil {
				s.running.Go(func() { s.session(channel, requests) })
			}
		case "direct-tcpip":
			s.running.Go(func() { through(fresh) })
		default:
			_ = fresh.Reject(ssh.UnknownChannelType, "no")
		}
	}
}

// session runs one command.
func (s *sshd) session(channel ssh.Channel, requests <-chan *ssh.Request) {
	defer func() { _ = channel.Close() }()
	for r := range requests {
		if r.Type != "exec" {
			_ = r.Reply(false, nil)
			continue
		}
		var text struct{ Command string }
		_ = ssh.Unmarshal(r.Payload, &text)
		_ = r.Reply(true, nil)
		own := strings.NewReplacer("/var/lib/cloudship", s.kept(), "/var/run/docker.sock", filepath.Join(s.root, "docker.sock"))
		command := exec.Command("sh", "-c", own.Replace(text.Command))
		command.Stdout, command.Stderr = channel, channel.Stderr()
		err := command.Run()
		s.commands.Add(1)
		s.mu.Lock()
		after := s.after
		s.mu.Unlock()
		if after != nil && after(text.Command) {
			s.cut()
			return
		}
		code := uint32(0)
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			code = uint32(exit.ExitCode())
		}
		_, _ = channel.SendRequest("exit-status", false, binary.BigEndian.AppendUint32(nil, code))
		return
	}
}

// through opens a way to another machine.
func through(fresh ssh.NewChannel) {
	var to struct {
		Host   string
		Port   uint32
		Origin string
		OPort  uint32
	}
	_ = ssh.Unmarshal(fresh.ExtraData(), &to)
	conn, err := net.Dial("tcp", net.JoinHostPort(to.Host, itoa(to.Port)))
	if err != nil {
		_ = fresh.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	channel, requests, err := fresh.Accept()
	if err != nil {
		_ = conn.Close()
		return
	}
	go ssh.DiscardRequests(requests)
	go func() {
		_, _ = io.Copy(conn, channel)
		_ = conn.Close()
	}()
	_, _ = io.Copy(channel, conn)
	_ = channel.Close()
}
