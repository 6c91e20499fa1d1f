package remote

import (
	"bytes"
	"strings"
	"sync"
)

// tailWriter keeps the last limit bytes that were written to it.
type tailWriter struct {
	limit int
	tail  []byte
}

func (w *tailWriter) Write(p []byte) (int, error) {
	w.tail = append(w.tail, p...)
	if over := len(w.tail) - w.limit; over > 0 {
		w.tail = append(w.tail[:0], w.tail[over:]...)
	}
	return len(p), nil
}

// lines is the tail without a first line that was cut.
func (w *tailWriter) lines() string {
	text := string(w.tail)
	if len(w.tail) == w.limit {
		if _, rest, found := strings.Cut(text, "\n"); found {
			text = rest
		}
	}
	return strings.TrimSpace(text)
}

// lineWriter cuts streams into lines and calls with each, one at a time.
type lineWriter struct {
	mu      sync.Mutex
	call    func(string)
	streams []*lineStream
}

func newLineWriter(call func(string)) *lineWriter { return &lineWriter{call: call} }

func (w *lineWriter) stream() *lineStream {
	s := &lineStream{writer: w}
	w.streams = append(w.streams, s)
	return s
}

// flush gives out last lines that have no end; nothing is called after it.
func (w *lineWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.streams {
		if len(s.partial) > 0 {
			w.call(string(s.partial))
			s.partial = nil
		}
	}
	w.call = func(string) {}
}

// lineStream is one of a lineWriter's streams.
type lineStream struct {
	writer  *lineWriter
	partial []byte
}

func (s *lineStream) Write(p []byte) (int, error) {
	s.writer.mu.Lock()
	defer s.writer.mu.Unlock()
	s.partial = append(s.partial, p...)
	for {
		line, rest, found := bytes.Cut(s.partial, []byte("\n"))
		if !found {
			return len(p), nil
		}
		s.writer.call(strings.TrimSuffix(string(line), "\r"))
		s.partial = rest
	}
}
