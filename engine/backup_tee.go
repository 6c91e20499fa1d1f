package engine

import (
	"context"
	"errors"
	"io"
	"sync"

	"github.com/cloudship/cloudship/backup"
)

// sink is one target's end of a source that several targets get at once.
type sink struct {
	ready chan struct{} // closed when w is set, or will never be
	mu    sync.Mutex
	w     io.Writer
	err   error // why nothing is written to it any more
}

func (k *sink) write(p []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err == nil {
		_, k.err = k.w.Write(p)
	}
}

func (k *sink) fail(err error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err == nil {
		k.err = err
	}
	return k.err
}

var errAllFailed = errors.New("no target takes it any more")

// tee writes what one reading of the source gives to all of its sinks that still take it.
type tee []*sink

func (t tee) Write(p []byte) (int, error) {
	var group sync.WaitGroup
	for _, k := range t {
		group.Go(func() { k.write(p) })
	}
	group.Wait()
	for _, k := range t {
		if k.fail(nil) == nil {
			return len(p), nil
		}
	}
	return 0, errAllFailed
}

// written is what became of a backup in one target.
type written struct {
	record backup.Record
	err    error
}

// writeAll reads a source once and makes a backup of it in every store. A store that fails does not
// keep the others from theirs; a source that fails leaves none, and is source.
func writeAll(ctx context.Context, stores []vault, draft backup.Draft, save func(context.Context, io.Writer) (map[string]string, error)) (all []written, source error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		sinks = make(tee, len(stores))
		saved = make(chan struct{})
		notes map[string]string // set, as source is, before saved is closed
		group sync.WaitGroup
	)
	all = make([]written, len(stores))
	for i, store := range stores {
		k := &sink{ready: make(chan struct{})}
		sinks[i] = k
		group.Go(func() {
			settled := sync.OnceFunc(func() { close(k.ready) })
			defer settled()
			own := draft
			all[i].record, all[i].err = store.Write(ctx, &own, func(ctx context.Context, w io.Writer) error {
				k.w = w
				settled()
				select {
				case <-saved:
				case <-ctx.Done():
					return k.fail(context.Cause(ctx))
				}
				if source != nil {
					return source
				}
				own.Notes = notes
				return k.fail(nil)
			})
			if all[i].err != nil {
				_ = k.fail(all[i].err)
			}
		})
	}
	alive := false
	for _, k := range sinks {
		<-k.ready
		alive = alive || k.fail(nil) == nil && k.w != nil
	}
	if alive {
		notes, source = save(ctx, sinks)
	}
	close(saved)
	group.Wait()
	return all, source
}
