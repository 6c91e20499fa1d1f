package remote

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// connectTimeout bounds one attempt: TCP and the SSH handshake.
	connectTimeout = 15 * time.Second
	// retryPause lies between two attempts at a host that boots.
	retryPause = time.Second
	// authPause lies between two refused logins; newer sshds shut out who
	// fails too often.
	authPause = 5 * time.Second
	// authPatience bounds how long a refused login is tried again: sshd may
	// answer a moment before cloud-init has written the authorized keys.
	authPatience = time.Minute
	// tellEvery is how often a wait says that it still waits.
	tellEvery = 10 * time.Second
)

// Dial connects to a host and leaves when ctx ends. With t.Wait it tries a
// host that is not ready again: refused and reset connections, a handshake
// that breaks off (sshd restarts while a server boots) and, for a shorter
// while, a refused login. A wrong host key is never tried again.
//
// The error is an *UnreachableError, a *HostKeyError or an *AuthError.
func Dial(ctx context.Context, t Target) (*Host, error) {
	if t.Jump == nil {
		return dialVia(ctx, t, nil, false)
	}
	jump, err := Dial(ctx, *t.Jump)
	if err != nil {
		return nil, fmt.Errorf("jump host for %s: %w", t.Address, err)
	}
	h, err := dialVia(ctx, t, jump, true)
	if err != nil {
		_ = jump.Close()
	}
	return h, err
}

// dialVia connects through jump, or directly where that is nil. With ownsJump
// the host closes it.
func dialVia(ctx context.Context, t Target, jump *Host, ownsJump bool) (*Host, error) {
	h := &Host{target: t, jump: jump, ownsJump: ownsJump, sessions: make(chan struct{}, maxSessions)}
	line, err := h.dialPatiently(ctx, t.Identity, t.Wait)
	if err != nil {
		return nil, err
	}
	h.line.Store(line)
	return h, nil
}

// dialPatiently tries to connect until it succeeds, patience is over, or the
// error is one that time does not cure.
func (h *Host) dialPatiently(ctx context.Context, id Identity, patience time.Duration) (*line, error) {
	start, told := time.Now(), time.Now()
	for tries := 1; ; tries++ {
		line, err := h.dialOnce(ctx, id)
		if err == nil {
			return line, nil
		}
		var wrongKey *HostKeyError
		if errors.As(err, &wrongKey) {
			return nil, wrongKey
		}
		waited := time.Since(start)
		var refused *AuthError
		if errors.As(err, &refused) && waited >= min(patience, authPatience) {
			return nil, refused
		}
		if waited >= patience {
			return nil, &UnreachableError{Address: h.target.Hostport(), Tries: tries, Err: err}
		}
		if time.Since(told) >= tellEvery {
			told = time.Now()
			h.target.tell(fmt.Sprintf("waiting for SSH on %s (%s): %v", h.target.Address, waited.Round(time.Second), err))
		}
		rest := retryPause
		if refused != nil {
			rest = authPause
		}
		if pause(ctx, min(rest, patience-waited)) != nil {
			return nil, &UnreachableError{Address: h.target.Hostport(), Tries: tries, Err: fmt.Errorf("%w (last: %v)", ctx.Err(), err)}
		}
	}
}

// dialOnce makes one connection.
func (h *Host) dialOnce(ctx context.Context, id Identity) (*line, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := h.dialTCP(ctx)
	if err != nil {
		return nil, err
	}
	// A handshake knows no context: closing the connection ends it.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	seen := &proof{}
	config := &ssh.ClientConfig{
		User:              h.target.login(),
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(h.target.Auth...)},
		HostKeyCallback:   id.check(seen),
		HostKeyAlgorithms: id.algorithms(),
		ClientVersion:     "SSH-2.0-cloudship",
	}
	client, channels, requests, err := ssh.NewClientConn(conn, h.target.Hostport(), config)
	if !stop() && err == nil {
		_ = client.Close()
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return nil, h.explain(ctx, err, seen)
	}
	return newLine(ssh.NewClient(client, channels, requests), id, seen.accepted), nil
}

func (h *Host) dialTCP(ctx context.Context) (net.Conn, error) {
	if h.jump != nil {
		return h.jump.DialContext(ctx, "tcp", h.target.Hostport())
	}
	return new(net.Dialer).DialContext(ctx, "tcp", h.target.Hostport())
}

// explain gives the handshake's error its type.
func (h *Host) explain(ctx context.Context, err error, seen *proof) error {
	if seen.refused != nil {
		return seen.refused
	}
	if ctx.Err() != nil {
		return fmt.Errorf("no SSH handshake: %w", ctx.Err())
	}
	if strings.Contains(err.Error(), "unable to authenticate") || strings.Contains(err.Error(), "Too many authentication failures") {
		refused := &AuthError{Address: h.target.Hostport(), User: h.target.login(), Err: err}
		for _, signer := range h.target.Auth {
			refused.Keys = append(refused.Keys, ssh.FingerprintSHA256(signer.PublicKey()))
		}
		return refused
	}
	return err
}

// pause waits for d, or answers ctx's error when that ends before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
