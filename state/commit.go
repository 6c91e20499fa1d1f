package state

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// Content is what a commit stores.
type Content struct {
	PlanDigest string
	Body       json.RawMessage // unsealed; passes Options.Redact
	Sealed     string          // see Sealer
}

// A Source gives the content of a commit at the moment when it is made, on
// another goroutine. It must show at least what was there when it was handed
// over, and may show more.
type Source func() (Content, error)

// Fixed is the source of one content.
func Fixed(c Content) Source { return func() (Content, error) { return c, nil } }

// errTaken is a number that another session used first.
var errTaken = errors.New("another snapshot has this number")

// errAdopted is a number that an earlier put of this very session had reached,
// although it seemed to have been in vain.
var errAdopted = errors.New("an earlier commit came through")

// commit makes one commit out of what the source says now. Without force there
// is none if nothing is new.
func (s *Session) commit(ctx context.Context, source Source, force, closing bool) error {
	content, err := source()
	if err != nil {
		return fmt.Errorf("commit to %s: %w", s.store.Name(), err)
	}
	if content.Body, err = redacted(content.Body, s.options.Redact); err != nil {
		return fmt.Errorf("commit to %s: %w", s.store.Name(), err)
	}
	content.Body = compact(content.Body)
	if last := s.Head().Snapshot; !force && last != nil && last.Sealed == content.Sealed &&
		last.PlanDigest == content.PlanDigest && bytes.Equal(last.Body, content.Body) {
		return nil
	}
	if err := s.lease.ensure(ctx, s.options.TTL/4); err != nil {
		return fmt.Errorf("commit to %s: %w", s.store.Name(), err)
	}
	err = s.write(ctx, content, s.options.Command, closing)
	if errors.Is(err, errTaken) {
		err = fmt.Errorf("%w: %w", ErrLeaseLost, err)
		s.lease.lose(err)
	}
	if err != nil {
		return fmt.Errorf("commit to %s: %w", s.store.Name(), err)
	}
	return nil
}

// compact is the form in which a body is stored.
func compact(body json.RawMessage) []byte {
	data, err := json.Marshal(body)
	if err != nil {
		return nil
	}
	return data
}

// fence commits the head once more, so that the number which the former holder
// would use next is taken.
func (s *Session) fence(ctx context.Context, from claim) error {
	var content Content
	if last := s.head.last; last != nil {
		content = Content{PlanDigest: last.PlanDigest, Body: last.Body, Sealed: last.Sealed}
	}
	command := fmt.Sprintf("%s: take over from %s (%s)", s.options.Command, from.Holder, from.Command)
	if err := s.write(ctx, content, command, false); err != nil {
		return fmt.Errorf("fence off %s in %s: %w", from.Holder, s.store.Name(), err)
	}
	return nil
}

// write puts the next snapshot and sees to it that it counts.
func (s *Session) write(ctx context.Context, content Content, command string, closing bool) error {
	left, err := s.lease.left()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, left, ErrLeaseLost)
	defer cancel()
	for {
		next := s.next(content, command, closing)
		data, err := next.encode()
		if err != nil {
			return err
		}
		err = s.put(ctx, next.Serial, data)
		if errors.Is(err, errAdopted) {
			continue
		}
		if err == nil {
			err = s.confirm(ctx, next)
		}
		if err != nil && errors.Is(context.Cause(ctx), ErrLeaseLost) {
			err = fmt.Errorf("%w: it ended during the commit: %w", ErrLeaseLost, err)
		}
		if err != nil {
			return err
		}
		s.advance(next)
		return nil
	}
}

// next builds the snapshot that follows the head.
func (s *Session) next(content Content, command string, closing bool) *Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := &Snapshot{
		Format: Format, Serial: s.head.top + 1, Stack: s.stack, Time: time.Now().UTC(),
		Actor: s.options.Actor, Command: command, PlanDigest: content.PlanDigest, Session: s.id,
		Previous: s.head.last.Link(), Closing: closing,
		Check: s.check, Body: content.Body, Sealed: content.Sealed,
	}
	if last := s.head.last; last != nil && last.Closing {
		next.PreviousClosing = last.Link()
	} else if last != nil {
		next.PreviousClosing = last.PreviousClosing
	}
	return next
}

// advance makes a stored snapshot the head. Whatever was in doubt up to its
// number is settled by it.
func (s *Session) advance(to *Snapshot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doubtful = false
	s.head.last, s.head.top = to, to.Serial
	if to.Body != nil {
		s.head.Snapshot = to
	}
}

// attempts is how often a store is asked: after 0.1, 0.2, ..., 3.2 seconds.
const attempts = 7

// again waits before attempt i+1, and is false if there is to be none.
func again(ctx context.Context, i int, first time.Duration) bool {
	if i >= attempts-1 || ctx.Err() != nil {
		return false
	}
	timer := time.NewTimer(first << i)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// firstPause is between the first and the second attempt of a commit.
const firstPause = 100 * time.Millisecond

// put stores data under serial, and finds out whether it did when the answer
// is an error or lost.
func (s *Session) put(ctx context.Context, serial Serial, data []byte) error {
	for i := 0; ; i++ {
		err := s.store.Put(ctx, serial, data)
		if err == nil || errors.Is(err, ErrFull) || errors.Is(err, fs.ErrPermission) {
			return err
		}
		have, readErr := s.store.Get(ctx, serial)
		switch {
		case readErr == nil && bytes.Equal(have, data):
			return nil
		case readErr == nil:
			return s.occupied(serial, have)
		case !again(ctx, i, firstPause):
			s.doubt()
			return err
		}
	}
}

// doubt notes that a put of ours may be in the store, or yet reach it.
func (s *Session) doubt() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.doubtful = true
}

// occupied tells whose the snapshot is that was found in the place of ours.
func (s *Session) occupied(serial Serial, data []byte) error {
	found, err := Decode(serial, data)
	if err != nil {
		return errors.Join(errTaken, err)
	}
	if found.Session == s.id {
		s.advance(found)
		return errAdopted
	}
	return fmt.Errorf("%w: %s is of %s (%s)", errTaken, serial, found.Actor, found.Command)
}

// confirm reads back whether ours is the head. If the numbers went on without
// us, into a gap that pruning made, ours is taken away again.
func (s *Session) confirm(ctx context.Context, ours *Snapshot) error {
	serials, err := s.store.List(ctx, ours.Serial-1)
	for i := 0; err != nil && again(ctx, i, firstPause); i++ {
		serials, err = s.store.List(ctx, ours.Serial-1)
	}
	if err != nil {
		s.doubt()
		return fmt.Errorf("read back snapshot %s: %w", ours.Serial, err)
	}
	if slices.Equal(serials, []Serial{ours.Serial}) {
		return nil
	}
	if len(serials) < 2 || serials[0] != ours.Serial {
		return fmt.Errorf("read back snapshot %s: the store has lost it", ours.Serial)
	}
	after, err := Read(ctx, s.store, serials[1])
	if err != nil {
		return fmt.Errorf("%w: %w", errTaken, err)
	}
	if !same(after.Previous, ours.Link()) {
		err = s.store.Delete(ctx, ours.Serial)
	}
	return errors.Join(fmt.Errorf("%w: %s (%s) has gone on to %s", errTaken, after.Actor, after.Command, after.Serial), err)
}
