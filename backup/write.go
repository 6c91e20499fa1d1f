package backup

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"time"

	"filippo.io/age"
)

// A Draft is what is known of a backup before it is made. Fill may still set Tools and Notes.
type Draft struct {
	Of      string  // label of the backup block
	Pattern Pattern // of its name; the zero value is DefaultPattern
	Source  Source
	Release string
	Tools   map[string]string
	Notes   map[string]string
}

// A Fill writes what is to be backed up. It returns soon after a write failed or ctx, which ends with
// Write's and when the target fails, is done. Its error, and any that it did not see, leaves no backup.
type Fill func(ctx context.Context, w io.Writer) error

// cleanTime is how long removing what a failed Write left may take.
const cleanTime = 20 * time.Second

// errUnsure is a record that may be there or not.
var errUnsure = errors.New("the answer was lost, and whether the backup is listed is not known: list them")

// Write makes a backup: it streams what fill writes, sealed, into the target, and then writes the
// record. On an error there is no backup, except where the error says that this is not known.
func (s *Store) Write(ctx context.Context, draft *Draft, fill Fill) (Record, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, longest, fmt.Errorf("it took longer than %v", longest))
	defer cancel()
	r, err := s.write(ctx, draft, fill)
	if err != nil {
		return Record{}, fmt.Errorf("write a backup of %s into %s: %w", draft.Of, s.target, err)
	}
	return r, nil
}

func (s *Store) write(ctx context.Context, draft *Draft, fill Fill) (Record, error) {
	if !validLabel(draft.Of) {
		return Record{}, fmt.Errorf("%q is no name of a backup block", draft.Of)
	}
	if len(s.options.Recipients) == 0 {
		return Record{}, errors.New("there is no key to seal it for")
	}
	r := Record{Format: Format, Of: draft.Of, Stack: s.stack, Created: s.now().UTC().Truncate(time.Millisecond), Writer: s.options.Writer}
	for _, recipient := range s.options.Recipients {
		if named, ok := recipient.(fmt.Stringer); ok {
			r.SealFor = append(r.SealFor, named.String())
		}
	}
	var err error
	if r.Name, err = s.claim(ctx, draft, r.Created); err != nil {
		return Record{}, err
	}
	err = s.writeObject(ctx, &r, fill)
	if err == nil {
		r.Source, r.Release, r.Tools, r.Notes = draft.Source, draft.Release, maps.Clone(draft.Tools), maps.Clone(draft.Notes)
		r.Seconds = s.now().Sub(r.Created).Round(time.Millisecond).Seconds()
		err = s.writeRecord(ctx, &r)
	}
	s.clean(ctx, r, err)
	if err != nil {
		return Record{}, err
	}
	return r, nil
}

// claim takes a name that nobody has or is about to have.
func (s *Store) claim(ctx context.Context, draft *Draft, at time.Time) (string, error) {
	pattern := draft.Pattern
	if len(pattern.pieces) == 0 {
		var err error
		if pattern, err = ParsePattern(DefaultPattern); err != nil {
			return "", err
		}
	}
	data, err := json.Marshal(map[string]string{"id": rand.Text(), "begun": at.Format(time.RFC3339)})
	if err != nil {
		return "", err
	}
	of := NameOf{Time: at, Stack: s.stack, Backup: draft.Of, Release: draft.Release}
	for n := 1; ; n++ {
		name := pattern.Name(of, n)
		if !ValidName(name) {
			return "", fmt.Errorf("%q is no name of a backup", name)
		}
		err := s.putSmall(ctx, s.object(draft.Of, name, claimKind), data)
		if errors.Is(err, ErrExists) {
			continue
		}
		if err != nil {
			return "", err
		}
		// Whoever had the name before has put objects under it, and given up the claim.
		taken, err := s.taken(ctx, draft.Of, name)
		if err == nil && !taken {
			return name, nil
		}
		s.clean(ctx, Record{Of: draft.Of, Name: name}, nil)
		if err != nil {
			return "", err
		}
	}
}

// taken tells whether there are objects of a backup.
func (s *Store) taken(ctx context.Context, of, name string) (bool, error) {
	objects, err := s.target.List(ctx, s.folder(of))
	if err != nil {
		return false, err
	}
	for _, o := range objects {
		if o.Name == s.object(of, name, sealedKind) || o.Name == s.object(of, name, recordKind) {
			return true, nil
		}
	}
	return false, nil
}

// writeObject streams the sealed content into the target, and looks whether it arrived.
func (s *Store) writeObject(ctx context.Context, r *Record, fill Fill) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out, in := io.Pipe()
	// Closed by its writing end, so that the target reads the cause instead of an end of its own making.
	defer context.AfterFunc(ctx, func() { _ = in.CloseWithError(context.Cause(ctx)) })()
	plain, stored := newSumming(), newSumming()
	filled := make(chan error, 1)
	go func() {
		err := s.seal(ctx, io.MultiWriter(in, stored), plain, fill)
		if err != nil {
			_ = in.CloseWithError(&fillError{err})
		}
		_ = in.Close()
		filled <- err
	}()
	object := s.object(r.Of, r.Name, sealedKind)
	putErr := s.target.Put(ctx, object, out)
	if putErr != nil {
		cancel(fmt.Errorf("the target failed: %w", putErr))
		_ = out.CloseWithError(putErr)
	} else {
		_ = out.CloseWithError(errors.New("the target has ended the object"))
	}
	if err := firstCause(<-filled, putErr); err != nil {
		return err
	}
	r.Plain, r.Stored = plain.sum(), stored.sum()
	return s.arrived(ctx, object, r.Stored.Size)
}

// fillError is what a target reads where fill failed.
type fillError struct{ error }

func (e *fillError) Unwrap() error { return e.error }

// firstCause is the one of two errors that was there first: each end of a pipe ends the other.
func firstCause(fill, put error) error {
	if repeated := (*fillError)(nil); put == nil || errors.As(put, &repeated) {
		return fill
	}
	return put
}

// seal encrypts what fill writes.
func (s *Store) seal(ctx context.Context, to, plain io.Writer, fill Fill) error {
	sealed, err := age.Encrypt(to, s.options.Recipients...)
	if err != nil {
		return err
	}
	if err := fill(ctx, io.MultiWriter(sealed, plain)); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return sealed.Close()
}

// arrived makes sure that the target has the object, with this size.
func (s *Store) arrived(ctx context.Context, object string, size int64) error {
	folder := path.Dir(object)
	objects, err := s.target.List(ctx, folder)
	if err != nil {
		return err
	}
	for _, o := range objects {
		if o.Name == object {
			if o.Size != size {
				return fmt.Errorf("the target has %d of %d bytes of it", o.Size, size)
			}
			return nil
		}
	}
	return errors.New("the target took it, and does not list it")
}

// writeRecord makes the backup exist. When the answer is lost, it looks.
func (s *Store) writeRecord(ctx context.Context, r *Record) error {
	data, err := r.encode()
	if err != nil {
		return err
	}
	if err := r.check(); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	object := s.object(r.Of, r.Name, recordKind)
	err = s.putSmall(ctx, object, data)
	if err == nil || errors.Is(err, ErrExists) {
		return err
	}
	look, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
	defer cancel()
	have, lookErr := s.getSmall(look, object)
	switch {
	case lookErr == nil && string(have) == string(data):
		return nil
	case errors.Is(lookErr, ErrAbsent) && !errors.Is(err, ErrUnreachable):
		return err
	}
	return fmt.Errorf("%w: %w", errUnsure, err)
}

// clean removes the claim, and after a failure the object. A record that may yet appear keeps its
// object, and so does one that somehow was there: where it is nobody's, Sweep removes it.
func (s *Store) clean(ctx context.Context, r Record, failed error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
	defer cancel()
	if errors.Is(failed, errUnsure) {
		return
	}
	if failed != nil && !errors.Is(failed, ErrExists) {
		if s.target.Delete(ctx, s.object(r.Of, r.Name, sealedKind)) != nil {
			return
		}
	}
	_ = s.target.Delete(ctx, s.object(r.Of, r.Name, claimKind))
}
