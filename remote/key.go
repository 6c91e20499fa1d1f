package remote

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

// minSecret is the least length, in bytes, of a secret that keys may be
// derived from.
const minSecret = 32

// Keys derives every SSH key of a stack from its sealing key. The same secret,
// stack and names give the same key on every machine, so neither a kill nor a
// lost state costs access to a host.
type Keys struct {
	secret []byte
	stack  string
}

// NewKeys answers the keys of the stack with this id. The secret is the
// stack's sealing key, 32 bytes or more of it.
func NewKeys(secret []byte, stackID string) (Keys, error) {
	if len(secret) < minSecret {
		return Keys{}, fmt.Errorf("derive SSH keys: the secret has %d bytes, %d are needed", len(secret), minSecret)
	}
	if stackID == "" {
		return Keys{}, errors.New("derive SSH keys: the stack has no id")
	}
	return Keys{secret: slices.Clone(secret), stack: stackID}, nil
}

// Format keeps the secret out of every way of printing.
func (k Keys) Format(w fmt.State, _ rune) {
	_, _ = io.WriteString(w, "SSH keys of stack "+k.stack)
}

// Login is the key that cloudship logs in with on every server of the stack.
func (k Keys) Login() Key { return k.derive("login") }

// CA is the authority that signs the host certificates of the stack.
func (k Keys) CA() Key { return k.derive("host-ca") }

// Bootstrap is the host key that the servers made in one create call wear
// until they are enrolled. A call may make several servers with one user data,
// so the key belongs to all their marks together, in any order.
func (k Keys) Bootstrap(marks ...string) Key {
	names := slices.Clone(marks)
	slices.Sort(names)
	return k.derive("bootstrap", names...)
}

// derive expands the secret for one purpose. Each part is preceded by its
// length, so that no two lists of names give the same input.
func (k Keys) derive(purpose string, names ...string) Key {
	var info strings.Builder
	for _, part := range append([]string{purpose, k.stack}, names...) {
		info.WriteString(strconv.Itoa(len(part)))
		info.WriteByte(':')
		info.WriteString(part)
	}
	// HKDF refuses nothing but lengths beyond 255 hashes.
	seed, _ := hkdf.Key(sha256.New, k.secret, []byte("cloudship ssh key v1"), info.String(), ed25519.SeedSize)
	return Key{private: ed25519.NewKeyFromSeed(seed), comment: "cloudship " + purpose + " " + k.stack}
}

// Key is an ed25519 SSH key. It prints as its fingerprint; only PEM gives the
// private part away.
type Key struct {
	private ed25519.PrivateKey
	comment string
}

// Signer is the key as the SSH library signs with it.
func (k Key) Signer() ssh.Signer {
	// Only a key type that SSH does not know is refused.
	signer, _ := ssh.NewSignerFromSigner(k.private)
	return signer
}

// Public is the public part.
func (k Key) Public() ssh.PublicKey { return k.Signer().PublicKey() }

// Fingerprint is the public part's SHA-256 as OpenSSH prints it.
func (k Key) Fingerprint() string { return ssh.FingerprintSHA256(k.Public()) }

// AuthorizedKey is the public part as one line of authorized_keys, without a
// line end.
func (k Key) AuthorizedKey() string {
	line := strings.TrimSuffix(string(ssh.MarshalAuthorizedKey(k.Public())), "\n")
	return line + " " + k.comment
}

// Format prints the fingerprint, whatever the verb.
func (k Key) Format(w fmt.State, _ rune) {
	if k.private == nil {
		_, _ = io.WriteString(w, "no SSH key")
		return
	}
	_, _ = io.WriteString(w, k.Fingerprint())
}

// PEM is the private part in OpenSSH's own format. Unlike ssh-keygen's, it is
// the same each time: the two check words come from the public key.
func (k Key) PEM() []byte {
	public := k.private.Public().(ed25519.PublicKey)
	sum := sha256.Sum256(public)
	check := uint32(sum[0])<<24 | uint32(sum[1])<<16 | uint32(sum[2])<<8 | uint32(sum[3])
	private := ssh.Marshal(struct {
		Check1, Check2 uint32
		Type           string
		Public         []byte
		Private        []byte
		Comment        string
	}{check, check, ssh.KeyAlgoED25519, public, k.private, k.comment})
	for pad := byte(1); len(private)%8 != 0; pad++ {
		private = append(private, pad)
	}
	body := ssh.Marshal(struct {
		Cipher, KDF, KDFOptions string
		Count                   uint32
		Public                  []byte
		Private                 []byte
	}{"none", "none", "", 1, k.Public().Marshal(), private})
	return pem.EncodeToMemory(&pem.Block{
		Type:  "OPENSSH PRIVATE KEY",
		Bytes: append([]byte("openssh-key-v1\x00"), body...),
	})
}
