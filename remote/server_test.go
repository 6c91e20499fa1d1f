package remote

import (
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// server is an SSH server on loopback that runs commands with a real sh, as
// the user of the test, and opens tunnels.
type server struct {
	t        *testing.T
	listener net.Listener
	config   *ssh.ServerConfig
	running  sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]bool
	accept func(n int, conn net.Conn) bool
	count  int
	// deaf servers answer no global requests.
	deaf atomic.Bool
	// forbid refuses tunnels.
	forbid atomic.Bool
}

// testKeys are the keys of a stack of tests.
func testKeys(t *testing.T) Keys {
	t.Helper()
	keys, err := NewKeys([]byte("a sealing key of thirty-two bytes"), "shop-k3v9")
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// startServer serves SSH with these host keys and accepts the login key.
func startServer(t *testing.T, hostKeys ...ssh.Signer) *server {
	t.Helper()
	login := testKeys(t).Login().Public().Marshal()
	s := &server{t: t, conns: map[net.Conn]bool{}}
	s.config = &ssh.ServerConfig{
		PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if string(key.Marshal()) != string(login) {
				return nil, errors.New("unknown key")
			}
			return &ssh.Permissions{}, nil
		},
	}
	for _, key := range hostKeys {
		s.config.AddHostKey(key)
	}
	s.listen("127.0.0.1:0")
	t.Cleanup(s.stop)
	return s
}

func (s *server) listen(address string) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.listener = listener
	s.running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[conn] = true
			s.count++
			n, accept := s.count, s.accept
			s.mu.Unlock()
			s.running.Go(func() {
				if accept == nil || !accept(n, conn) {
					s.serve(conn)
				}
				_ = conn.Close()
			})
		}
	})
}

// intercept gives f each new connection; it answers true for one that it
// served itself.
func (s *server) intercept(f func(n int, conn net.Conn) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.accept = f
}

func (s *server) deafen()        { s.deaf.Store(true) }
func (s *server) forbidTunnels() { s.forbid.Store(true) }

func (s *server) address() string { return s.listener.Addr().String() }

// drop cuts every connection.
func (s *server) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		_ = conn.Close()
		delete(s.conns, conn)
	}
}

func (s *server) stop() {
	_ = s.listener.Close()
	s.drop()
	s.running.Wait()
}

// accepted is how many connections were made to it.
func (s *server) accepted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

func (s *server) serve(conn net.Conn) {
	server, channels, requests, err := ssh.NewServerConn(conn, s.config)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	s.running.Go(func() { s.global(server, requests) })
	for channel := range channels {
		s.running.Go(func() { s.channel(channel) })
	}
}

// global answers keepalives and remote forwards.
func (s *server) global(server *ssh.ServerConn, requests <-chan *ssh.Request) {
	listeners := map[uint32]net.Listener{}
	defer func() {
		for _, l := range listeners {
			_ = l.Close()
		}
	}()
	for r := range requests {
		var forward struct {
			Address string
			Port    uint32
		}
		switch {
		case s.deaf.Load():
		case r.Type == "tcpip-forward" && !s.forbid.Load() && ssh.Unmarshal(r.Payload, &forward) == nil:
			l, err := net.Listen("tcp", net.JoinHostPort(forward.Address, strconv.Itoa(int(forward.Port))))
			if err != nil {
				_ = r.Reply(false, nil)
				continue
			}
			port := uint32(l.Addr().(*net.TCPAddr).Port)
			listeners[port] = l
			s.running.Go(func() { s.forward(server, l, forward.Address, port) })
			_ = r.Reply(true, binary.BigEndian.AppendUint32(nil, port))
		case r.Type == "cancel-tcpip-forward" && ssh.Unmarshal(r.Payload, &forward) == nil:
			if l := listeners[forward.Port]; l != nil {
				_ = l.Close()
			}
			_ = r.Reply(true, nil)
		default:
			_ = r.Reply(r.Type == "keepalive@openssh.com", nil)
		}
	}
}

func (s *server) forward(server *ssh.ServerConn, l net.Listener, address string, port uint32) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		origin := conn.RemoteAddr().(*net.TCPAddr)
		channel, requests, err := server.OpenChannel("forwarded-tcpip", ssh.Marshal(struct {
			Address string
			Port    uint32
			Origin  string
			OPort   uint32
		}{address, port, origin.IP.String(), uint32(origin.Port)}))
		if err != nil {
			_ = conn.Close()
			continue
		}
		s.running.Go(func() { ssh.DiscardRequests(requests) })
		s.running.Go(func() { splice(channel, conn) })
	}
}

func (s *server) channel(fresh ssh.NewChannel) {
	var network, address string
	switch fresh.ChannelType() {
	case "session":
		channel, requests, err := fresh.Accept()
		if err == nil {
			s.session(channel, requests)
		}
		return
	case "direct-tcpip":
		var to struct {
			Host   string
			Port   uint32
			Origin string
			OPort  uint32
		}
		_ = ssh.Unmarshal(fresh.ExtraData(), &to)
		network, address = "tcp", net.JoinHostPort(to.Host, strconv.Itoa(int(to.Port)))
	case "direct-streamlocal@openssh.com":
		var to struct {
			Path  string
			Zero  string
			Zero2 uint32
		}
		_ = ssh.Unmarshal(fresh.ExtraData(), &to)
		network, address = "unix", to.Path
	}
	if s.forbid.Load() {
		_ = fresh.Reject(ssh.Prohibited, "open failed")
		return
	}
	conn, err := net.DialTimeout(network, address, 10*time.Second)
	if err != nil {
		_ = fresh.Reject(ssh.ConnectionFailed, err.Error())
		return
	}
	channel, requests, err := fresh.Accept()
	if err != nil {
		_ = conn.Close()
		return
	}
	s.running.Go(func() { ssh.DiscardRequests(requests) })
	splice(channel, conn)
}

func splice(channel ssh.Channel, conn net.Conn) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(conn, channel)
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite()
		}
	}()
	_, _ = io.Copy(channel, conn)
	_ = channel.CloseWrite()
	<-done
	_ = channel.Close()
	_ = conn.Close()
}

// session runs one command.
func (s *server) session(channel ssh.Channel, requests <-chan *ssh.Request) {
	defer func() { _ = channel.Close() }()
	var command *exec.Cmd
	ended := make(chan struct{})
	for r := range requests {
		switch r.Type {
		case "exec":
			var text struct{ Command string }
			_ = ssh.Unmarshal(r.Payload, &text)
			command = exec.Command("sh", "-c", text.Command)
			command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			stdin, _ := command.StdinPipe()
			command.Stdout, command.Stderr = channel, channel.Stderr()
			if err := command.Start(); err != nil {
				_ = r.Reply(false, nil)
				return
			}
			_ = r.Reply(true, nil)
			s.running.Go(func() {
				_, _ = io.Copy(stdin, channel)
				_ = stdin.Close()
			})
			s.running.Go(func() {
				defer close(ended)
				report(channel, command.Wait())
				_ = channel.Close()
			})
		case "signal":
			if command != nil {
				_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
			}
		default:
			_ = r.Reply(false, nil)
		}
	}
	if command != nil {
		// The client went away: so does its command.
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
		<-ended
	}
}

// report tells how a command ended.
func report(channel ssh.Channel, err error) {
	_ = channel.CloseWrite()
	var exit *exec.ExitError
	switch {
	case err == nil:
		_, _ = channel.SendRequest("exit-status", false, binary.BigEndian.AppendUint32(nil, 0))
	case errors.As(err, &exit) && exit.ExitCode() >= 0:
		_, _ = channel.SendRequest("exit-status", false, binary.BigEndian.AppendUint32(nil, uint32(exit.ExitCode())))
	case errors.As(err, &exit):
		_, _ = channel.SendRequest("exit-signal", false, ssh.Marshal(struct {
			Signal          string
			Core            bool
			Error, Language string
		}{"KILL", false, "", ""}))
	}
}

// randomSigner is a host key that nobody expects.
func randomSigner(t *testing.T) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}
