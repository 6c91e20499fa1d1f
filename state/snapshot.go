package state

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"
)

// Format is the version of snapshots that this program writes, and the newest
// it reads.
const Format = 1

// A Link names a snapshot by number and content.
type Link struct {
	Serial Serial `json:"serial"`
	SHA256 string `json:"sha256"` // hex
}

// A Snapshot is the whole state at one moment and how it came to be. It is
// never changed once it is stored.
type Snapshot struct {
	Format     int       `json:"format"`
	Serial     Serial    `json:"serial"`
	Stack      string    `json:"stack,omitempty"` // the stack's id
	Time       time.Time `json:"time"`
	Actor      string    `json:"actor"` // user@host
	Command    string    `json:"command"`
	PlanDigest string    `json:"plan_digest,omitempty"`
	Session    string    `json:"session"` // tells one run of the program from any other

	Previous        *Link `json:"previous,omitempty"`         // the snapshot before; nil for the first
	PreviousClosing *Link `json:"previous_closing,omitempty"` // the newest closing one before
	Closing         bool  `json:"closing,omitempty"`          // the last of its command

	Check  string          `json:"check,omitempty"`  // opens only with the stack's key
	Body   json.RawMessage `json:"body,omitempty"`   // the engine's
	Sealed string          `json:"sealed,omitempty"` // the engine's secrets, see Sealer

	hash string // of the encoded form; set by encode and Decode
}

// Link returns the name by which later snapshots point to s. It is nil for a
// nil snapshot.
func (s *Snapshot) Link() *Link {
	if s == nil {
		return nil
	}
	return &Link{Serial: s.Serial, SHA256: s.hash}
}

// The stored form is one JSON object on one line. It is put together and taken
// apart by hand, so that the hash covers the bytes as they stand and no byte
// is outside of what is checked.
const (
	frameStart  = `{"sha256":"`
	frameMiddle = `","snapshot":`
	frameEnd    = "}\n"
	hashLen     = 2 * sha256.Size
)

// encode returns the stored form of s and sets its hash.
func (s *Snapshot) encode() ([]byte, error) {
	inner, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode snapshot %s: %w", s.Serial, err)
	}
	s.hash = hash(inner)
	var b bytes.Buffer
	for _, part := range []string{frameStart, s.hash, frameMiddle, string(inner), frameEnd} {
		b.WriteString(part)
	}
	return b.Bytes(), nil
}

func hash(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Decode reads the stored form of the snapshot that is kept as serial. Any
// byte that is not as it was written makes it a *DamagedError; a format later
// than ours is a *NewerError.
func Decode(serial Serial, data []byte) (*Snapshot, error) {
	inner, sum, ok := unframe(data)
	if !ok {
		if format := peekFormat(data); format > Format {
			return nil, &NewerError{Serial: serial, Format: format}
		}
		return nil, &DamagedError{Serial: serial, Reason: "it is torn, or no snapshot"}
	}
	if hash(inner) != sum {
		return nil, &DamagedError{Serial: serial, Reason: "its content does not match its hash"}
	}
	if format := peekFormat(data); format != Format {
		if format > Format {
			return nil, &NewerError{Serial: serial, Format: format}
		}
		return nil, &DamagedError{Serial: serial, Reason: fmt.Sprintf("it has no known format (%d)", format)}
	}
	s := &Snapshot{hash: sum}
	if err := json.Unmarshal(inner, s); err != nil {
		return nil, &DamagedError{Serial: serial, Reason: err.Error()}
	}
	if s.Serial != serial {
		return nil, &DamagedError{Serial: serial, Reason: fmt.Sprintf("it is a copy of snapshot %s", s.Serial)}
	}
	return s, nil
}

// unframe takes the stored form apart.
func unframe(data []byte) (inner []byte, sum string, ok bool) {
	rest, ok := bytes.CutPrefix(data, []byte(frameStart))
	if !ok || len(rest) < hashLen {
		return nil, "", false
	}
	sum = string(rest[:hashLen])
	inner, ok = bytes.CutPrefix(rest[hashLen:], []byte(frameMiddle))
	if !ok {
		return nil, "", false
	}
	inner, ok = bytes.CutSuffix(inner, []byte(frameEnd))
	return inner, sum, ok
}

// peekFormat finds the format number in what may be any version's snapshot.
func peekFormat(data []byte) int {
	var s struct {
		Format   int `json:"format"`
		Snapshot struct {
			Format int `json:"format"`
		} `json:"snapshot"`
	}
	if json.Unmarshal(data, &s) != nil {
		return 0
	}
	return max(s.Format, s.Snapshot.Format)
}
