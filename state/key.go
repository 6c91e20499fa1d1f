package state

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"filippo.io/age"
)

// A Key seals a stack's secrets. It prints as its ID, never as itself.
type Key struct {
	identity *age.X25519Identity
}

// NewKey makes a key, kept nowhere yet.
func NewKey() (*Key, error) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, fmt.Errorf("make a sealing key: %w", err)
	}
	return &Key{identity}, nil
}

// ParseKey reads an age identity, AGE-SECRET-KEY-1...
func ParseKey(text string) (*Key, error) {
	identity, err := age.ParseX25519Identity(text)
	if err != nil {
		// age's own words may quote the text.
		return nil, fmt.Errorf("%w: it is no age identity (AGE-SECRET-KEY-1...)", ErrWrongKey)
	}
	return &Key{identity}, nil
}

// Secret returns the key itself as text, for its owner's eyes and files. It is
// to be given to every redactor.
func (k *Key) Secret() string { return k.identity.String() }

// ID tells keys apart. It gives nothing away.
func (k *Key) ID() string {
	sum := sha256.Sum256([]byte(k.identity.Recipient().String()))
	return hex.EncodeToString(sum[:6])
}

// String returns what may be printed.
func (k *Key) String() string { return "key " + k.ID() }

// GoString returns what may be printed.
func (k *Key) GoString() string { return k.String() }

// MarshalText refuses: a key goes into no document by accident.
func (k *Key) MarshalText() ([]byte, error) {
	return nil, fmt.Errorf("%s is not to be written", k)
}

// Derive returns n bytes that only the holder of the key can know, always the
// same for the same info: HKDF-SHA256. An info of several parts must be joined
// so that it cannot be mistaken for another. The algorithm ends at 8160 bytes;
// for more the result is nil.
func (k *Key) Derive(info string, n int) []byte {
	out, err := hkdf.Key(sha256.New, []byte(k.Secret()), []byte("cloudship"), info, n)
	if err != nil {
		return nil
	}
	return out
}

// Digest returns a name for a secret value that does not give it away, not even
// a guessable one: HMAC-SHA256 under the key, in hex. The same value has
// different digests for different purposes.
func (k *Key) Digest(purpose, value string) string {
	mac := hmac.New(sha256.New, k.Derive("digest", sha256.Size))
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(purpose))))
	mac.Write([]byte(purpose + value))
	return hex.EncodeToString(mac.Sum(nil))
}
