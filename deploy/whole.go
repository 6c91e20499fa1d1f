package deploy

import (
	"errors"
	"io"
	"sync"
)

// whole is a stream of which it counts whether it was read to its end: only there does a backup say
// that it is what was written. It may be asked while somebody reads.
type whole struct {
	from io.Reader
	mu   sync.Mutex
	end  error
}

func (w *whole) Read(p []byte) (int, error) {
	n, err := w.from.Read(p)
	if err != nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.end = err
	}
	return n, err
}

// errNotRead says that a stream was not read to its end.
var errNotRead = errors.New("it was not read to its end")

// check is nil if the stream has ended well. What the stream answered goes before what became of
// its reader.
func (w *whole) check(reader error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.end != nil && w.end != io.EOF:
		return w.end
	case reader != nil:
		return reader
	case w.end == nil:
		return errNotRead
	}
	return nil
}
