package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"
)

// KeyFile reads a private key to log in with. One that needs a passphrase is an
// error that says to use an agent: nothing here asks a person.
func KeyFile(path string) (ssh.Signer, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("SSH key: %w", err)
	}
	signer, err := ssh.ParsePrivateKey(text)
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) {
		return nil, fmt.Errorf("SSH key %s has a passphrase: add it to an agent (ssh-add %s)", path, Quote(path))
	}
	if err != nil {
		// The parser's words say nothing of the key's content.
		return nil, fmt.Errorf("SSH key %s: %w", path, err)
	}
	return signer, nil
}

// Agent answers the keys of the SSH agent at socket (SSH_AUTH_SOCK). They sign
// through the agent, so close must wait until the last login is done.
func Agent(ctx context.Context, socket string) (signers []ssh.Signer, close io.Closer, err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, nil, fmt.Errorf("SSH agent: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	signers, err = agent.NewClient(conn).Signers()
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		_ = conn.Close()
		return nil, nil, fmt.Errorf("SSH agent at %s: %w", socket, err)
	}
	return signers, conn, nil
}

// KnownKeys answers the host keys that known_hosts files have for an address
// (host or host:port), to be pinned for a host that is not ours. Files that are
// not there count as empty; a host with no key is an error that says how to add
// one.
func KnownKeys(address string, files ...string) ([]ssh.PublicKey, error) {
	hostport := Target{Address: address}.Hostport()
	var there []string
	for _, file := range files {
		if _, err := os.Stat(file); err == nil {
			there = append(there, file)
		}
	}
	check, err := knownhosts.New(there...)
	if err != nil {
		return nil, fmt.Errorf("known hosts: %w", err)
	}
	// Asked for a key that no host has, it answers with those it knows.
	err = check(hostport, &net.TCPAddr{IP: net.IPv4zero}, unknownKey{})
	var mismatch *knownhosts.KeyError
	if !errors.As(err, &mismatch) {
		return nil, fmt.Errorf("known hosts: %s: %w", address, err)
	}
	var keys []ssh.PublicKey
	for _, known := range mismatch.Want {
		keys = append(keys, known.Key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("no host key of %s is known in %s: get it by a way that you trust and add it there",
			address, strings.Join(files, ", "))
	}
	return keys, nil
}

// unknownKey is a public key that is nobody's.
type unknownKey struct{}

func (unknownKey) Type() string    { return "unknown" }
func (unknownKey) Marshal() []byte { return nil }
func (unknownKey) Verify([]byte, *ssh.Signature) error {
	return errors.New("this key verifies nothing")
}
