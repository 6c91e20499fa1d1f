package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// A Proof notes that a backup was verified. It lies beside it, and names the sum of its record, which
// names the sums of its object: so it vouches for no other.
type Proof struct {
	Format int               `json:"format"`
	Record string            `json:"record"` // Sum of the record
	Proven time.Time         `json:"proven"` // UTC
	How    string            `json:"how"`    // what was done: "restored into a scratch container, integrity_check ok"
	Notes  map[string]string `json:"notes,omitempty"`
}

// proofTries is how often a proof is put in the place of another's.
const proofTries = 5

// Prove notes beside a backup that it was verified just now, in place of an earlier proof. The record
// must come from Find, List or Write.
func (s *Store) Prove(ctx context.Context, r Record, how string, notes map[string]string) (Proof, error) {
	if r.sum == "" {
		return Proof{}, fmt.Errorf("note the proof of backup %s: the record was not read from the target", r)
	}
	p := Proof{Format: Format, Record: r.sum, Proven: s.now().UTC().Truncate(time.Second), How: how, Notes: notes}
	data, _, err := sealLines(p)
	if err != nil {
		return Proof{}, fmt.Errorf("note the proof of backup %s: %w", r, err)
	}
	name := s.object(r.Of, r.Name, proofKind)
	for range proofTries {
		err = s.putSmall(ctx, name, data)
		if !errors.Is(err, ErrExists) {
			break
		}
		if err = s.target.Delete(ctx, name); err != nil {
			break
		}
		err = ErrExists
	}
	if err != nil {
		return Proof{}, fmt.Errorf("note the proof of backup %s in %s: %w", r, s.target, err)
	}
	return p, nil
}

// DecodeProof reads a proof.
func DecodeProof(data []byte) (Proof, error) {
	document, _, err := openLines(data)
	if err != nil {
		return Proof{}, &CorruptError{Reason: "its proof: " + err.Error()}
	}
	var p Proof
	decoder := json.NewDecoder(bytes.NewReader(document))
	if err := decoder.Decode(&p); err != nil {
		return Proof{}, &CorruptError{Reason: "its proof: " + err.Error()}
	}
	if p.Format > Format {
		return Proof{}, &NewerError{Format: p.Format}
	}
	if (Sum{SHA256: p.Record}).valid() && !p.Proven.IsZero() {
		return p, nil
	}
	return Proof{}, &CorruptError{Reason: "its proof: it proves nothing"}
}
