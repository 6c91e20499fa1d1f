package remote

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

func TestPoolMakesOneConnectionPerHost(t *testing.T) {
	key := testKeys(t).Bootstrap(testMark)
	s := startServer(t, key.Signer())
	to := target(t, s, Identity{Pinned: []ssh.PublicKey{key.Public()}})
	var pool Pool
	defer func() { _ = pool.Close() }()
	hosts := make(chan *Host)
	for range 20 {
		go func() {
			h, err := pool.Get(t.Context(), to)
			if err != nil {
				t.Error(err)
			}
			hosts <- h
		}()
	}
	first := <-hosts
	for range 19 {
		if h := <-hosts; h != first {
			t.Error("there are two hosts")
		}
	}
	if n := s.accepted(); n != 1 {
		t.Errorf("%d connections were made", n)
	}
}

func TestPoolDialsAgainWhatWasLost(t *testing.T) {
	key := testKeys(t).Bootstrap(testMark)
	s := startServer(t, key.Signer())
	to := target(t, s, Identity{Pinned: []ssh.PublicKey{key.Public()}})
	var pool Pool
	defer func() { _ = pool.Close() }()
	first, err := pool.Get(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	s.drop()
	<-first.Done()
	second, err := pool.Get(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := second.Run(t.Context(), Argv("true")); err != nil {
		t.Error(err)
	}
}

// A connection is shared only with who would have accepted the host as well.
func TestPoolHoldsEachIdentityAgainstTheHost(t *testing.T) {
	key := testKeys(t).Bootstrap(testMark)
	s := startServer(t, key.Signer())
	var pool Pool
	defer func() { _ = pool.Close() }()
	ca := testKeys(t).CA().Public()
	both := Identity{CA: ca, Mark: testMark, Pinned: []ssh.PublicKey{key.Public()}}
	if _, err := pool.Get(t.Context(), target(t, s, both)); err != nil {
		t.Fatal(err)
	}
	both.Pinned = nil
	_, err := pool.Get(t.Context(), target(t, s, both))
	var refused *HostKeyError
	if !errors.As(err, &refused) {
		t.Errorf("want a HostKeyError, got %v", err)
	}
}

func TestPoolSharesJumpHosts(t *testing.T) {
	key := testKeys(t).Bootstrap(testMark)
	id := Identity{Pinned: []ssh.PublicKey{key.Public()}}
	jump, a, b := startServer(t, key.Signer()), startServer(t, key.Signer()), startServer(t, key.Signer())
	var pool Pool
	defer func() { _ = pool.Close() }()
	for _, s := range []*server{a, b} {
		to, via := target(t, s, id), target(t, jump, id)
		to.Jump = &via
		if _, err := pool.Get(t.Context(), to); err != nil {
			t.Fatal(err)
		}
	}
	if n := jump.accepted(); n != 1 {
		t.Errorf("the jump host was connected to %d times", n)
	}
}

// Who asks while another dials is not bound to the other's patience.
func TestPoolOutlastsTheOneWhoDialled(t *testing.T) {
	key := testKeys(t).Bootstrap(testMark)
	s := startServer(t, key.Signer())
	ctx, cancel := context.WithCancel(t.Context())
	begun := make(chan struct{})
	s.intercept(func(n int, conn net.Conn) bool {
		if n > 1 {
			return false
		}
		close(begun)
		for {
			if _, err := conn.Read(make([]byte, 4096)); err != nil {
				return true
			}
		}
	})
	to := target(t, s, Identity{Pinned: []ssh.PublicKey{key.Public()}})
	to.Wait = time.Minute
	var pool Pool
	defer func() { _ = pool.Close() }()
	failed := make(chan error)
	go func() {
		_, err := pool.Get(ctx, to)
		failed <- err
	}()
	<-begun
	got := make(chan error)
	go func() {
		_, err := pool.Get(t.Context(), to)
		got <- err
	}()
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("the first: %v", err)
	}
	if err := <-got; err != nil {
		t.Errorf("the second: %v", err)
	}
}

func TestPoolIsClosedForGood(t *testing.T) {
	var pool Pool
	_ = pool.Close()
	if _, err := pool.Get(t.Context(), Target{Address: "127.0.0.1:1"}); !errors.Is(err, ErrClosed) {
		t.Errorf("want ErrClosed, got %v", err)
	}
}
