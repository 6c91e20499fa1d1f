package state

import (
	"encoding/json"
	"errors"
	"testing"
)

func TestSessionCommitsAndLocks(t *testing.T) {
	ctx := t.Context()
	store := Local(t.TempDir() + "/cloudship.state")
	s, err := Begin(ctx, store, Options{Command: "apply"})
	if err != nil {
		t.Fatal(err)
	}
	key, _ := NewKey()
	if err := s.Use("web-x", key); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(ctx, Fixed(Content{Body: json.RawMessage(`{"a": 1}`)})); err != nil {
		t.Fatal(err)
	}
	_, err = Begin(ctx, Local(store.Name()), Options{Command: "apply"})
	if !errors.Is(err, ErrLocked) {
		t.Fatal(err)
	}
	if err := s.CommitClosing(ctx, Fixed(Content{Body: json.RawMessage(`{"a": 2}`)})); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(ctx); err != nil {
		t.Fatal(err)
	}
	h, err := ReadHistory(ctx, store)
	if err != nil || len(h.Snapshots) != 2 || len(h.Findings) != 0 {
		t.Fatalf("history is %+v, %v", h, err)
	}
	head, err := ReadHead(ctx, store)
	if err != nil || !head.Snapshot.Closing {
		t.Fatalf("head is %+v, %v", head.Snapshot, err)
	}
	if err := head.Snapshot.CheckKey(key); err != nil {
		t.Fatal(err)
	}
}
