// Package redact keeps secrets out of whatever is printed, logged or stored
// unsealed. A Redactor knows the secret values, and the forms in which programs
// commonly repeat them: encoded, escaped, quoted, one line of several.
//
//	secrets := redact.New()
//	secrets.Add(password)
//	fmt.Println(secrets.String(text))
//	logs := secrets.Writer(os.Stderr) // finds values that are split over writes
//	defer logs.Close()
//
// It cannot know a value that was changed beyond these forms, such as encrypted,
// compressed or cut.
package redact

import (
	"strings"
	"sync"
	"sync/atomic"
)

// Mask stands where a secret was. It is shorter than the shortest secret, so
// that it cannot hold one.
const Mask = "***"

// MinLength is the length in bytes of the shortest value that is a secret.
// Shorter ones are everywhere in ordinary text.
const MinLength = 4

// A Redactor removes the secret values that it knows. Values may be added at
// any time; all methods may be called concurrently.
type Redactor struct {
	mu       sync.Mutex
	known    map[string]bool
	patterns map[string]bool
	machine  atomic.Pointer[machine] // nil after an Add, until it is needed
}

// New returns a Redactor that knows nothing yet.
func New() *Redactor {
	return &Redactor{known: map[string]bool{}, patterns: map[string]bool{}}
}

// Add makes values secret, in all their forms. Ignored are values shorter than
// MinLength, blank ones, and the words true, false and null: to remove them
// would only destroy the text.
func (r *Redactor) Add(values ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, value := range values {
		if r.known[value] {
			continue
		}
		r.known[value] = true
		for _, form := range forms(value) {
			if secret(form) {
				r.patterns[form] = true
			}
		}
		r.machine.Store(nil)
	}
}

// secret tells whether text is worth removing wherever it occurs.
func secret(text string) bool {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "", "true", "false", "null":
		return false
	}
	return len(text) >= MinLength
}

// current returns the machine for all values added so far.
func (r *Redactor) current() *machine {
	if m := r.machine.Load(); m != nil {
		return m
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.machine.Load(); m != nil {
		return m
	}
	m := compile(r.patterns)
	r.machine.Store(m)
	return m
}

// String returns s with every secret replaced by Mask.
func (r *Redactor) String(s string) string {
	m := r.current()
	if m.empty() {
		return s
	}
	scan := scanner{machine: m}
	return string(append(scan.feed([]byte(s)), scan.end()...))
}

// Bytes is String for bytes. It returns new ones.
func (r *Redactor) Bytes(b []byte) []byte { return []byte(r.String(string(b))) }

// Error returns err with its text redacted, and nil for nil. What errors.Is and
// errors.As find in it stays.
func (r *Redactor) Error(err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	if clean := r.String(text); clean != text {
		return &cleanError{clean, err}
	}
	return err
}

type cleanError struct {
	text string
	err  error
}

func (e *cleanError) Error() string { return e.text }
func (e *cleanError) Unwrap() error { return e.err }
