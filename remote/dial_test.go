package remote

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

const testMark = "shop-k3v9/group.blue.server[0]#1"

// target is how a test reaches a server that it expects to have this identity.
func target(t *testing.T, s *server, id Identity) Target {
	return Target{
		Address:  s.address(),
		Auth:     []ssh.Signer{testKeys(t).Login().Signer()},
		Identity: id,
	}
}

// dial connects to a server and closes the connection at the test's end.
func dial(t *testing.T, to Target) *Host {
	t.Helper()
	h, err := Dial(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// dialed is a host behind a server with the bootstrap key.
func dialed(t *testing.T) (*Host, *server) {
	t.Helper()
	key := testKeys(t).Bootstrap(testMark)
	s := startServer(t, key.Signer())
	return dial(t, target(t, s, Identity{Pinned: []ssh.PublicKey{key.Public()}})), s
}

func TestDialAcceptsThePinnedKey(t *testing.T) {
	h, _ := dialed(t)
	if h.Certified() {
		t.Error("a plain key counts as a certificate")
	}
	out, err := h.Run(t.Context(), Argv("echo", "it's"))
	if err != nil || string(out.Stdout) != "it's\n" {
		t.Errorf("run: %q, %v", out.Stdout, err)
	}
}

func TestDialRefusesAnotherKeyAndNamesBoth(t *testing.T) {
	imposter := randomSigner(t)
	s := startServer(t, imposter)
	want := testKeys(t).Bootstrap(testMark)
	to := target(t, s, Identity{Pinned: []ssh.PublicKey{want.Public()}})
	to.Wait = time.Minute // a wrong key is not waited for

	_, err := Dial(t.Context(), to)

	var refused *HostKeyError
	if !errors.As(err, &refused) {
		t.Fatalf("want a HostKeyError, got %v", err)
	}
	for _, part := range []string{want.Fingerprint(), ssh.FingerprintSHA256(imposter.PublicKey()), s.address()} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not name %s", err, part)
		}
	}
}

func TestDialTrustsNothingOnFirstUse(t *testing.T) {
	s := startServer(t, randomSigner(t))
	_, err := Dial(t.Context(), target(t, s, Identity{}))
	var refused *HostKeyError
	if !errors.As(err, &refused) {
		t.Fatalf("want a HostKeyError, got %v", err)
	}
}

func TestDialSaysThatTheLoginWasRefused(t *testing.T) {
	key := testKeys(t).Bootstrap(testMark)
	s := startServer(t, key.Signer())
	to := target(t, s, Identity{Pinned: []ssh.PublicKey{key.Public()}})
	other := randomSigner(t)
	to.Auth = []ssh.Signer{other}

	_, err := Dial(t.Context(), to)

	var refused *AuthError
	if !errors.As(err, &refused) {
		t.Fatalf("want an AuthError, got %v", err)
	}
	if !strings.Contains(err.Error(), ssh.FingerprintSHA256(other.PublicKey())) {
		t.Errorf("%q does not name the key", err)
	}
}

func TestDialSaysThatTheHostIsUnreachable(t *testing.T) {
	s := startServer(t, randomSigner(t))
	to := target(t, s, Identity{})
	s.stop()
	_, err := Dial(t.Context(), to)
	var unreachable *UnreachableError
	if !errors.As(err, &unreachable) || unreachable.Tries != 1 {
		t.Fatalf("want an UnreachableError after one try, got %v", err)
	}
}

// sshd restarts while a server boots: connections are reset before, in and
// after the exchange of versions.
func TestDialOutlastsRestartsOfSSHD(t *testing.T) {
	key := testKeys(t).Bootstrap(testMark)
	s := startServer(t, key.Signer())
	s.intercept(func(n int, conn net.Conn) bool {
		switch n {
		case 1:
		case 2:
			_, _ = conn.Write([]byte("SSH-2.0-OpenSSH_9.2\r\n"))
		case 3:
			_, _ = conn.Write([]byte("SSH-2.0-OpenSSH_9.2\r\n"))
			_, _ = conn.Read(make([]byte, 4096))
		default:
			return false
		}
		_ = conn.(*net.TCPConn).SetLinger(0)
		return true
	})
	to := target(t, s, Identity{Pinned: []ssh.PublicKey{key.Public()}})
	to.Wait = time.Minute
	h := dial(t, to)
	if _, err := h.Run(t.Context(), Argv("true")); err != nil {
		t.Error(err)
	}
	if n := s.accepted(); n != 4 {
		t.Errorf("connected %d times, want 4", n)
	}
}

func TestDialLeavesWhenItsContextEnds(t *testing.T) {
	s := startServer(t, randomSigner(t))
	ctx, cancel := context.WithCancel(t.Context())
	s.intercept(func(_ int, conn net.Conn) bool {
		cancel() // in the middle of the handshake
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = conn.Read(make([]byte, 4096))
		return true
	})
	to := target(t, s, Identity{})
	to.Wait = time.Hour
	_, err := Dial(ctx, to)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("want context.Canceled, got %v", err)
	}
}

func TestDialThroughAJumpHost(t *testing.T) {
	jumpKey, hostKey := testKeys(t).Bootstrap("jump"), testKeys(t).Bootstrap(testMark)
	jump := startServer(t, jumpKey.Signer())
	s := startServer(t, hostKey.Signer())
	to := target(t, s, Identity{Pinned: []ssh.PublicKey{hostKey.Public()}})
	via := target(t, jump, Identity{Pinned: []ssh.PublicKey{jumpKey.Public()}})
	to.Jump = &via
	h := dial(t, to)
	if _, err := h.Run(t.Context(), Argv("true")); err != nil {
		t.Error(err)
	}
	if jump.accepted() != 1 {
		t.Errorf("the jump host was connected to %d times", jump.accepted())
	}
}
