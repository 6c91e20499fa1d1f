package state

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
)

// A Sealer seals values for one stack. What it seals opens only with the same
// key and for the same stack.
type Sealer struct {
	key   *Key
	stack string
}

// For returns the sealer of the stack with this id.
func (k *Key) For(stack string) Sealer { return Sealer{k, stack} }

// sealedPrefix marks sealed text and gives its version.
const sealedPrefix = "sealed1:"

// envelope is what is inside of a seal.
type envelope struct {
	Stack string          `json:"stack"`
	Value json.RawMessage `json:"value"`
}

// Seal encodes value as JSON and encrypts it with age. The text is printable,
// one line, and another one every time. Its length tells that of the value.
func (s Sealer) Seal(value any) (string, error) {
	if s.key == nil {
		return "", ErrNoKey
	}
	inner, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("seal for %s: %w", s.stack, err)
	}
	data, err := json.Marshal(envelope{s.stack, inner})
	if err != nil {
		return "", fmt.Errorf("seal for %s: %w", s.stack, err)
	}
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, s.key.identity.Recipient())
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return "", fmt.Errorf("seal for %s: %w", s.stack, err)
	}
	return sealedPrefix + base64.StdEncoding.EncodeToString(sealed.Bytes()), nil
}

// Open decrypts what Seal made and decodes it into the value pointed to.
// Another key's is ErrWrongKey, another stack's ErrOther, anything else that is
// not as it was sealed ErrDamaged.
func (s Sealer) Open(sealed string, into any) error {
	if s.key == nil {
		return ErrNoKey
	}
	text, ok := strings.CutPrefix(sealed, sealedPrefix)
	data, err := base64.StdEncoding.Strict().DecodeString(text)
	if !ok || err != nil {
		return fmt.Errorf("open a seal of %s: %w", s.stack, ErrDamaged)
	}
	r, err := age.Decrypt(bytes.NewReader(data), s.key.identity)
	if _, wrong := errors.AsType[*age.NoIdentityMatchError](err); wrong {
		return fmt.Errorf("open a seal of %s: %w: it was not sealed with %s", s.stack, ErrWrongKey, s.key)
	}
	if err == nil {
		data, err = io.ReadAll(r)
	}
	if err != nil {
		return fmt.Errorf("open a seal of %s: %w: %w", s.stack, ErrDamaged, err)
	}
	var e envelope
	if err := json.Unmarshal(data, &e); err != nil {
		return fmt.Errorf("open a seal of %s: %w", s.stack, ErrDamaged)
	}
	if e.Stack != s.stack {
		return fmt.Errorf("a seal %w: %s, not %s", ErrOther, e.Stack, s.stack)
	}
	if err := json.Unmarshal(e.Value, into); err != nil {
		return fmt.Errorf("open a seal of %s: its value is of another type", s.stack)
	}
	return nil
}

// checkText is sealed into every snapshot, so that a key can be tried.
const checkText = "cloudship"

// CheckKey tells whether key is the one that this state's secrets are sealed
// with: ErrWrongKey if not, ErrNoKey if it is nil and there are any. A nil
// snapshot fits any key.
func (s *Snapshot) CheckKey(key *Key) error {
	if s == nil || s.Check == "" {
		return nil
	}
	var text string
	if err := key.For(s.Stack).Open(s.Check, &text); err != nil {
		return err
	}
	if text != checkText {
		return fmt.Errorf("the key check of %s: %w", s.Stack, ErrDamaged)
	}
	return nil
}
