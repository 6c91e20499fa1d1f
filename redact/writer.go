package redact

import (
	"io"
	"sync"
)

// scanner is a machine under way over a text that comes in pieces. It holds
// back what may turn out to be the beginning of a secret.
type scanner struct {
	machine *machine
	at      int32
	held    []byte
	secret  []bool // beside held: the byte belongs to a secret
	masked  bool   // the last byte given out was part of a secret
}

// feed reads data and returns what is certain.
func (s *scanner) feed(data []byte) []byte {
	done := len(s.held)
	s.held = append(s.held, data...)
	s.secret = append(s.secret, make([]bool, len(data))...)
	s.scan(done)
	return s.let(len(s.held) - int(s.machine.states[s.at].depth))
}

// scan marks the secrets in what is held, of which so much was read before.
func (s *scanner) scan(done int) {
	for i := done; i < len(s.held); i++ {
		s.at = s.machine.step(s.at, s.held[i])
		if s.at == 0 {
			continue
		}
		for k := i + 1 - int(s.machine.states[s.at].match); k <= i; k++ {
			s.secret[k] = true
		}
	}
}

// change goes on with a machine that knows more. What is held is read again.
func (s *scanner) change(m *machine) {
	if s.machine != m {
		s.machine, s.at = m, 0
		s.scan(0)
	}
}

// let gives out the first n bytes that are held, with a mask for every row of
// secret ones.
func (s *scanner) let(n int) []byte {
	out := make([]byte, 0, n)
	for i, b := range s.held[:n] {
		switch {
		case !s.secret[i]:
			out = append(out, b)
		case !s.masked:
			out = append(out, Mask...)
		}
		s.masked = s.secret[i]
	}
	s.held = append(s.held[:0], s.held[n:]...)
	s.secret = append(s.secret[:0], s.secret[n:]...)
	return out
}

// end gives out what was held back: the text is over, it was no secret.
func (s *scanner) end() []byte { return s.let(len(s.held)) }

// Writer returns a writer that passes to w what is written to it, redacted. It
// finds secrets across the borders of writes; for that it keeps back the end of
// a write that may be the beginning of one. Close writes what is kept back, and
// does not close w. It may be used concurrently; each Write reaches w as at most
// one Write.
func (r *Redactor) Writer(w io.Writer) io.WriteCloser {
	return &writer{secrets: r, to: w, scanner: scanner{machine: r.current()}}
}

type writer struct {
	mu      sync.Mutex
	secrets *Redactor
	to      io.Writer
	scanner scanner
}

func (w *writer) Write(data []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scanner.change(w.secrets.current())
	if err := w.pass(w.scanner.feed(data)); err != nil {
		return 0, err
	}
	return len(data), nil
}

func (w *writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scanner.change(w.secrets.current())
	return w.pass(w.scanner.end())
}

func (w *writer) pass(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	_, err := w.to.Write(data)
	return err
}
