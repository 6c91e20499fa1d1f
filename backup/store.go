package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	"filippo.io/age"
)

// Grace is how old what a cut-off Write left must be before Sweep removes it: one that is still
// running could be its writer.
const Grace = 24 * time.Hour

// longest is how long a Write may take, so that no Sweep takes it for a dead one.
const longest = Grace - time.Hour

// The ends of objects' names: STACK/OF/NAME and one of these.
const (
	sealedKind = ".age"   // the sealed content
	recordKind = ".json"  // the record
	proofKind  = ".proof" // the proof
	claimKind  = ".begun" // holds the name while the backup is being written
)

// Options say how a store seals.
type Options struct {
	Recipients []age.Recipient // a Write needs one
	Identities []age.Identity  // an Open needs one that fits
	Writer     string          // the program with its version, for records
	Now        func() time.Time
}

// A Store is one stack's backups in a target. It is safe for concurrent use, from several machines
// too.
type Store struct {
	target  Target
	stack   string
	options Options
}

// NewStore returns the stack's backups in a target.
func NewStore(target Target, stack string, o Options) (*Store, error) {
	if !validLabel(stack) {
		return nil, fmt.Errorf("open the backups of stack %q: that is no name of a stack", stack)
	}
	return &Store{target: target, stack: stack, options: o}, nil
}

// Target is where the store keeps its objects.
func (s *Store) Target() Target { return s.target }

func (s *Store) now() time.Time {
	if s.options.Now != nil {
		return s.options.Now()
	}
	return time.Now()
}

func (s *Store) folder(of string) string { return s.stack + "/" + of }

func (s *Store) object(of, name, kind string) string { return s.folder(of) + "/" + name + kind }

// parseObject takes an object's name apart; what is not ours is not ok.
func (s *Store) parseObject(object string) (of, name, kind string, ok bool) {
	rest, ok := strings.CutPrefix(object, s.stack+"/")
	if !ok {
		return "", "", "", false
	}
	of, file, ok := strings.Cut(rest, "/")
	if !ok || !validLabel(of) {
		return "", "", "", false
	}
	for _, kind := range []string{sealedKind, recordKind, proofKind, claimKind} {
		if name, ok := strings.CutSuffix(file, kind); ok && ValidName(name) {
			return of, name, kind, true
		}
	}
	return "", "", "", false
}

// largestSmall is how large a record, a proof or a claim may be, in bytes.
const largestSmall = 1 << 20

// getSmall reads a small object.
func (s *Store) getSmall(ctx context.Context, object string) ([]byte, error) {
	r, err := s.target.Get(ctx, object)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, largestSmall))
	return data, errors.Join(err, r.Close())
}

// putSmall puts a small object. Where the same bytes are there already it was done before: by a call
// whose answer was lost.
func (s *Store) putSmall(ctx context.Context, object string, data []byte) error {
	err := s.target.Put(ctx, object, bytes.NewReader(data))
	if !errors.Is(err, ErrExists) {
		return err
	}
	have, getErr := s.getSmall(ctx, object)
	if getErr == nil && bytes.Equal(have, data) {
		return nil
	}
	return err
}

// summing counts and hashes what passes.
type summing struct {
	size int64
	hash hash.Hash
}

func newSumming() *summing { return &summing{hash: sha256.New()} }

func (s *summing) Write(p []byte) (int, error) {
	s.size += int64(len(p))
	return s.hash.Write(p)
}

func (s *summing) sum() Sum { return Sum{s.size, hex.EncodeToString(s.hash.Sum(nil))} }
