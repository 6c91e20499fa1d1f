package engine

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/state"
)

// StateFolder is the folder of a local state, beside the stack file.
const StateFolder = "cloudship.state"

// openState reads the newest state and the key that fits it.
func (s *Session) openState(ctx context.Context) error {
	where := s.stack.State.Text
	switch {
	case where == "":
		where = filepath.Join(s.options.Dir, StateFolder)
	case !strings.Contains(where, "://") && !filepath.IsAbs(where):
		where = filepath.Join(s.options.Dir, where)
	}
	store, err := state.Open(ctx, where)
	if err != nil {
		return err
	}
	s.store = store
	if s.head, err = state.ReadHead(ctx, store); err != nil {
		return err
	}
	for _, damaged := range s.head.Damaged {
		s.warn("%v; the snapshot before it is used", damaged)
	}
	var memory resource.Memory
	if snapshot := s.head.Snapshot; snapshot != nil {
		if err := json.Unmarshal(snapshot.Body, &memory); err != nil {
			return fmt.Errorf("state %s, snapshot %s: %w", store.Name(), snapshot.Serial, err)
		}
		s.id = resource.StackID(snapshot.Stack)
		if s.id.Name() != s.stack.Name {
			return resource.WithHint(fmt.Errorf("the state %s is of stack %q, the stack file says %q", store.Name(), s.id.Name(), s.stack.Name),
				"a stack's name cannot be changed: give it its old name, or destroy it first")
		}
	}
	s.memory = memory
	return nil
}

// serial is the number of the state's head.
func (s *Session) serial() int64 {
	if s.head.Snapshot == nil {
		return 0
	}
	return int64(s.head.Snapshot.Serial)
}

// needKey loads the stack's sealing key, or makes it for a stack that exists nowhere yet.
func (s *Session) needKey(ctx context.Context) error {
	if s.key != nil {
		return nil
	}
	ring, err := keyring(s.options.Dir, s.options.Environ)
	if err != nil {
		return err
	}
	names := []string{s.stack.Name}
	if s.id != "" {
		names = []string{string(s.id), s.stack.Name}
	}
	key, err := ring.Load(names...)
	if errors.Is(err, state.ErrNoKey) && s.head.Snapshot == nil && s.options.MakeKey {
		var path string
		if key, path, err = ring.Make(s.stack.Name); err == nil {
			s.warn("a sealing key was made: %s. Keep a copy: without it neither secrets nor servers can be reached", path)
		}
	}
	if err != nil {
		return err
	}
	if err := s.head.Snapshot.CheckKey(key); err != nil {
		return err
	}
	s.options.Redactor.Add(key.Secret())
	s.key = key
	return nil
}

// newID makes the id of a stack that exists nowhere yet.
func newID(name string) resource.StackID {
	return resource.StackID(name + "-" + strings.ToLower(rand.Text()[:6]))
}

// seal and open are for documents that others keep: hosts, plans.
func (s *Session) seal(v any) (string, error) { return s.key.For(string(s.id)).Seal(v) }

func (s *Session) open(sealed string, into any) error {
	return s.key.For(string(s.id)).Open(sealed, into)
}

// begin takes the lock. It is held until Close.
func (s *Session) begin(ctx context.Context) error {
	if s.lease != nil {
		return nil
	}
	if s.options.LockWait > 0 {
		defer s.busy("waiting for the lock")()
	}
	lease, err := state.Begin(ctx, s.store, state.Options{
		Command: s.options.Command,
		Redact:  s.options.Redactor.String,
		Wait:    s.options.LockWait,
	})
	if err != nil {
		return err
	}
	s.lease = lease
	return nil
}

// source shows the ledger's memory to a commit.
func (s *Session) source(digest string) state.Source {
	return func() (state.Content, error) {
		body, err := json.Marshal(s.Memory())
		return state.Content{PlanDigest: digest, Body: body}, err
	}
}
