package cloud

import (
	"encoding/json"
	"time"
)

// Table holds a cloud's resources of one kind in the order they were made. It
// knows since when each exists and until when it is still shown, so that gets
// and lists can lag. It is not safe for concurrent use.
type Table[K comparable, V any] struct {
	rows  map[K]*row[K, V]
	order []*row[K, V]
}

type row[K comparable, V any] struct {
	Key     K
	Value   V
	Created time.Time
	Deleted time.Time // zero while it exists
	Shown   time.Time // until then it is shown although deleted
}

// Put adds or replaces a resource.
func (t *Table[K, V]) Put(now time.Time, k K, v V) {
	if t.rows == nil {
		t.rows = map[K]*row[K, V]{}
	}
	if r := t.rows[k]; r != nil && r.Deleted.IsZero() {
		r.Value = v
		return
	}
	r := &row[K, V]{Key: k, Value: v, Created: now}
	t.rows[k] = r
	t.order = append(t.order, r)
}

// Get answers a resource that exists, shown or not.
func (t *Table[K, V]) Get(k K) (V, bool) {
	if r := t.rows[k]; r != nil && r.Deleted.IsZero() {
		return r.Value, true
	}
	var none V
	return none, false
}

// Find answers a resource as a client sees it that asks by its key: not for a
// while after it was made, and still for a while after it was deleted.
func (t *Table[K, V]) Find(now time.Time, k K, hidden Duration) (V, bool) {
	r := t.rows[k]
	if r == nil || now.Before(r.Created.Add(time.Duration(hidden))) || !r.Deleted.IsZero() && !now.Before(r.Shown) {
		var none V
		return none, false
	}
	return r.Value, true
}

// Delete takes a resource away; by its key it is shown until shown.
func (t *Table[K, V]) Delete(now time.Time, k K, shown time.Time) {
	if r := t.rows[k]; r != nil && r.Deleted.IsZero() {
		r.Deleted, r.Shown = now, shown
	}
}

// Len is how many resources exist.
func (t *Table[K, V]) Len() int {
	n := 0
	for range t.All {
		n++
	}
	return n
}

// All yields every resource that exists.
func (t *Table[K, V]) All(yield func(K, V) bool) {
	for _, r := range t.order {
		if r.Deleted.IsZero() && !yield(r.Key, r.Value) {
			return
		}
	}
}

// List answers the resources as a list shows them that lags by lag.
func (t *Table[K, V]) List(now time.Time, lag Duration) []V {
	t.prune(now)
	list := make([]V, 0, len(t.order))
	then := now.Add(-time.Duration(lag))
	for _, r := range t.order {
		if !then.Before(r.Created) && (r.Deleted.IsZero() || then.Before(r.Deleted) || now.Before(r.Shown)) {
			list = append(list, r.Value)
		}
	}
	return list
}

// keepDeleted is longer than any list need lag behind a delete.
const keepDeleted = 5 * time.Minute

// prune forgets what was deleted long ago.
func (t *Table[K, V]) prune(now time.Time) {
	kept := t.order[:0]
	for _, r := range t.order {
		if r.Deleted.IsZero() || now.Before(r.Deleted.Add(keepDeleted)) || now.Before(r.Shown) {
			kept = append(kept, r)
		} else if t.rows[r.Key] == r {
			delete(t.rows, r.Key)
		}
	}
	clear(t.order[len(kept):])
	t.order = kept
}

// MarshalJSON writes the rows in their order.
func (t *Table[K, V]) MarshalJSON() ([]byte, error) {
	return json.Marshal(t.order)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (t *Table[K, V]) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, &t.order); err != nil {
		return err
	}
	t.rows = make(map[K]*row[K, V], len(t.order))
	for _, r := range t.order {
		t.rows[r.Key] = r
	}
	return nil
}
