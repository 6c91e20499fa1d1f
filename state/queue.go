package state

import (
	"context"
	"sync"
	"time"
)

// noteEvery is how far apart commits are that only note facts.
const noteEvery = time.Second

// queue collects what is to be committed next. All sources are views of one
// memory, so the newest stands for all.
type queue struct {
	mu      *sync.Mutex
	wake    chan struct{}
	source  Source
	waiting []chan error
	force   bool // somebody waits who wants a commit even if nothing is new
	closing bool
	noted   bool // something is to be committed although nobody waits
	closed  bool
}

func newQueue() queue {
	return queue{mu: new(sync.Mutex), wake: make(chan struct{}, 1)}
}

// add queues a commit and returns where its outcome will be; nil once closed.
func (q *queue) add(source Source, force, closing bool) <-chan error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil
	}
	answer := make(chan error, 1)
	q.waiting = append(q.waiting, answer)
	q.force, q.closing = q.force || force, q.closing || closing
	if source != nil {
		q.source = source
	}
	q.signal()
	return answer
}

func (q *queue) note(source Source) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.source, q.noted = source, true
	q.signal()
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take empties the queue.
func (q *queue) take() queue {
	q.mu.Lock()
	defer q.mu.Unlock()
	batch := *q
	q.waiting, q.force, q.closing, q.noted = nil, false, false, false
	return batch
}

// pending tells what there is to do: now, later, or nothing.
func (q *queue) pending() (now, later bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting) > 0, q.noted
}

// settle answers a batch. What was only noted and could not be committed stays
// noted.
func (q *queue) settle(batch queue, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err != nil && batch.noted {
		q.noted = true
	}
	for _, answer := range batch.waiting {
		answer <- err
	}
}

// close answers whoever still waits, and whoever comes later, with ErrClosed.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, answer := range q.waiting {
		answer <- ErrClosed
	}
	q.waiting = nil
}

// Commit stores what the source says and returns when it is in the store and
// counts. Commits that wait at the same time are made as one. A lost lease is
// ErrLeaseLost. When ctx ends first the outcome is unknown to the caller, not
// to the session: the commit goes on.
func (s *Session) Commit(ctx context.Context, source Source) error {
	return s.await(ctx, s.queue.add(source, true, false))
}

// CommitClosing is Commit for the last one of a command, the one that pruning
// keeps.
func (s *Session) CommitClosing(ctx context.Context, source Source) error {
	return s.await(ctx, s.queue.add(source, true, true))
}

// Note has what the source says committed soon: with the next Commit, or
// within a second or so. Nothing is committed if nothing is new.
func (s *Session) Note(source Source) { s.queue.note(source) }

// Flush commits what is noted and returns when that is done.
func (s *Session) Flush(ctx context.Context) error {
	return s.await(ctx, s.queue.add(nil, false, false))
}

func (s *Session) await(ctx context.Context, answer <-chan error) error {
	if answer == nil {
		return ErrClosed
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// commitAll makes the commits, one after the other, until ctx ends.
func (s *Session) commitAll(ctx context.Context) {
	timer := time.NewTimer(noteEvery)
	defer timer.Stop()
	var last time.Duration // when the last one was made
	for {
		select {
		case <-ctx.Done():
			s.queue.close()
			return
		case <-s.queue.wake:
		case <-timer.C:
		}
		now, later := s.queue.pending()
		if !now && !later {
			continue
		}
		if wait := last + noteEvery - s.options.clock(); !now && last != 0 && wait > 0 {
			timer.Reset(wait)
			continue
		}
		batch := s.queue.take()
		var err error
		if batch.force || batch.noted {
			err = s.commit(ctx, batch.source, batch.force, batch.closing)
			last = s.options.clock()
		}
		s.queue.settle(batch, err)
		if err != nil && batch.noted {
			timer.Reset(noteEvery)
		}
	}
}
