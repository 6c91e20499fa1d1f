package backup

import (
	"context"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
)

// Open reads what was backed up, unsealing it as it streams. Its reader answers io.EOF only when both
// sizes and both sums agree with the record; otherwise a CorruptError, at the place or at the end:
// what was read until then is not to be trusted. The record must come from Find, List or Write. A key
// that does not fit is ErrWrongKey.
func (s *Store) Open(ctx context.Context, r Record) (io.ReadCloser, error) {
	reader, err := s.open(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("read backup %s from %s: %w", r, s.target, err)
	}
	return reader, nil
}

func (s *Store) open(ctx context.Context, r Record) (io.ReadCloser, error) {
	if r.Stack != s.stack {
		return nil, fmt.Errorf("it is of stack %s, not %s", r.Stack, s.stack)
	}
	if len(s.options.Identities) == 0 {
		return nil, fmt.Errorf("%w: there is no key", ErrWrongKey)
	}
	object, err := s.target.Get(ctx, s.object(r.Of, r.Name, sealedKind))
	if errors.Is(err, ErrAbsent) {
		return nil, corrupt(r, "its object is missing")
	}
	if err != nil {
		return nil, err
	}
	o := &opened{store: s, record: r, object: object, stored: newSumming(), unsealed: newSumming()}
	o.plain, err = age.Decrypt(readSide{o}, s.options.Identities...)
	if err != nil {
		defer object.Close()
		return nil, o.explain(err)
	}
	return o, nil
}

func corrupt(r Record, reason string) error {
	return &CorruptError{Of: r.Of, Name: r.Name, Reason: reason}
}

// opened is a backup that is being read.
type opened struct {
	store    *Store
	record   Record
	object   io.ReadCloser
	plain    io.Reader
	stored   *summing // of what came from the target
	unsealed *summing // of what was handed out
	lost     error    // what the target answered instead of its next bytes
	end      error    // what Read answers from now on
}

// readSide reads from the target, for the unsealing.
type readSide struct{ o *opened }

func (r readSide) Read(p []byte) (int, error) {
	n, err := r.o.object.Read(p)
	_, _ = r.o.stored.Write(p[:n])
	if err != nil && err != io.EOF {
		r.o.lost = err
	}
	return n, err
}

func (o *opened) Read(p []byte) (int, error) {
	if o.end != nil {
		return 0, o.end
	}
	n, err := o.plain.Read(p)
	_, _ = o.unsealed.Write(p[:n])
	if err == nil {
		return n, nil
	}
	if err == io.EOF {
		err = o.finish()
	} else {
		err = o.explain(err)
	}
	if o.end = err; err != io.EOF {
		o.end = fmt.Errorf("read backup %s from %s: %w", o.record, o.store.target, err)
	}
	return n, o.end
}

func (o *opened) Close() error { return o.object.Close() }

// drain reads what is left of the object, for its sum.
func (o *opened) drain() error {
	_, err := io.Copy(io.Discard, readSide{o})
	return err
}

// finish is io.EOF if everything agrees.
func (o *opened) finish() error {
	if err := o.drain(); err != nil {
		return err
	}
	if reason := differs("object", o.stored.sum(), o.record.Stored); reason != "" {
		return corrupt(o.record, reason)
	}
	if reason := differs("content", o.unsealed.sum(), o.record.Plain); reason != "" {
		return corrupt(o.record, reason)
	}
	return io.EOF
}

// differs says how what was read is not what the record names; "" is not at all.
func differs(what string, have, want Sum) string {
	switch {
	case have.Size != want.Size:
		return fmt.Sprintf("its %s has %d bytes, its record says %d", what, have.Size, want.Size)
	case have.SHA256 != want.SHA256:
		return fmt.Sprintf("its %s does not agree with the sum in its record", what)
	}
	return ""
}

// explain says what an error of the unsealing means: the target's own, damage, or a key that does not
// fit. An unfit key and a damaged header look alike; the object's sum tells them apart.
func (o *opened) explain(err error) error {
	if o.lost != nil {
		return o.lost
	}
	var unfit *age.NoIdentityMatchError
	if !errors.As(err, &unfit) {
		return corrupt(o.record, err.Error())
	}
	if err := o.drain(); err != nil {
		return err
	}
	if reason := differs("object", o.stored.sum(), o.record.Stored); reason != "" {
		return corrupt(o.record, reason)
	}
	return &unfitError{o.record.SealFor}
}

// Check reads a backup to its end and says whether everything agrees.
func (s *Store) Check(ctx context.Context, r Record) error {
	reader, err := s.Open(ctx, r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, reader)
	return errors.Join(err, reader.Close())
}
