package targettest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/cloudship/cloudship/backup"
)

// ErrFault is what a Faulty target answers by itself. It is ErrUnreachable, as a lost connection is.
var ErrFault = fmt.Errorf("%w: connection reset by peer", backup.ErrUnreachable)

// When says where in a call a fault is.
type When int

// The places of a fault.
const (
	Before When = iota // nothing is done
	Middle             // of a stream: half of what comes; of other calls the same as Before
	After              // it is done, and the answer is lost
)

// Faulty is a target of which one call fails, or from which on all do.
type Faulty struct {
	backup.Target
	At      int // the number of the call that fails, from 0; -1 is none
	When    When
	Forever bool  // and all calls after it
	Err     error // nil is ErrFault

	mu    sync.Mutex
	calls []string
}

// Calls are the calls so far, such as "Put shop/db/x.age".
func (f *Faulty) Calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls
}

// next counts a call and says where it fails; -1 is nowhere.
func (f *Faulty) next(call string) When {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.calls)
	f.calls = append(f.calls, call)
	switch {
	case n == f.At:
		return f.When
	case f.Forever && f.At >= 0 && n > f.At:
		return Before
	}
	return -1
}

func (f *Faulty) fault() error {
	if f.Err != nil {
		return f.Err
	}
	return ErrFault
}

// around makes a call that is no stream.
func (f *Faulty) around(call string, run func() error) error {
	switch f.next(call) {
	case Before, Middle:
		return f.fault()
	case After:
		return errors.Join(run(), f.fault())
	}
	return run()
}

// Put is Target's.
func (f *Faulty) Put(ctx context.Context, name string, content io.Reader) error {
	switch f.next("Put " + name) {
	case Before:
		return f.fault()
	case Middle:
		err := f.Target.Put(ctx, name, &half{Reader: content, end: f.fault()})
		if err == nil {
			err = errors.New("a put of half an object succeeded")
		}
		return err
	case After:
		return errors.Join(f.fault(), f.Target.Put(ctx, name, content))
	}
	return f.Target.Put(ctx, name, content)
}

// Get is Target's.
func (f *Faulty) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	when := f.next("Get " + name)
	if when == Before {
		return nil, f.fault()
	}
	r, err := f.Target.Get(ctx, name)
	if err != nil || when < 0 {
		return r, err
	}
	end := io.Reader(&half{Reader: r, end: f.fault()})
	if when == After {
		end = &late{Reader: r, end: f.fault()}
	}
	return struct {
		io.Reader
		io.Closer
	}{end, r}, nil
}

// List is Target's.
func (f *Faulty) List(ctx context.Context, folder string) (objects []backup.Object, err error) {
	err = f.around("List "+folder, func() error { objects, err = f.Target.List(ctx, folder); return err })
	return objects, err
}

// Delete is Target's.
func (f *Faulty) Delete(ctx context.Context, name string) error {
	return f.around("Delete "+name, func() error { return f.Target.Delete(ctx, name) })
}

// Sweep is Target's.
func (f *Faulty) Sweep(ctx context.Context, folder string, age time.Duration) (removed []string, err error) {
	err = f.around("Sweep "+folder, func() error { removed, err = f.Target.Sweep(ctx, folder, age); return err })
	return removed, err
}

// half ends with an error after the first read that gave anything, of which it keeps half.
type half struct {
	io.Reader
	end  error
	done bool
}

func (h *half) Read(p []byte) (int, error) {
	if h.done {
		return 0, h.end
	}
	h.done = true
	n, _ := h.Reader.Read(p[:(len(p)+1)/2])
	return n / 2, nil
}

// late gives everything, and an error instead of the end.
type late struct {
	io.Reader
	end error
}

func (l *late) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if err == io.EOF {
		err = l.end
	}
	return n, err
}

// Aged is a target in which objects look older than they are.
type Aged struct {
	backup.Target
	By   time.Duration
	Only string // end of the names that it is about; "" is all
}

// List is Target's.
func (a *Aged) List(ctx context.Context, folder string) ([]backup.Object, error) {
	objects, err := a.Target.List(ctx, folder)
	for i := range objects {
		if strings.HasSuffix(objects[i].Name, a.Only) {
			objects[i].Age += a.By
		}
	}
	return objects, err
}
