package rackspace

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// deleted is the error of a delete; what was gone already is none.
func deleted(op string, item resource.Item, err error) error {
	if err = fault(op, item.Mark.Address, err, repeatable); resource.IsGone(err) {
		return nil
	}
	return err
}

// absent is the error of a read. What was created so lately that Rackspace may not show it yet is
// not gone.
func absent(op string, have resource.Found, err error) error {
	err = fault(op, have.Mark.Address, err, reading)
	if !resource.IsGone(err) || have.Created.IsZero() {
		return err
	}
	if age := time.Since(have.Created); age < lag() {
		return &resource.Error{Kind: resource.Busy, Op: op, Address: have.Mark.Address, Cause: err,
			Message: fmt.Sprintf("it was created %s ago and is not shown yet", max(age, 0).Round(time.Second))}
	}
	return err
}

// busy is the answer of a call that has more to do when Rackspace is done with what it does now.
func busy(op string, a resource.Address, format string, args ...any) error {
	return &resource.Error{Kind: resource.Busy, Op: op, Address: a, Message: fmt.Sprintf(format, args...)}
}

// How long a call goes on by itself while Rackspace is busy. The core would ask again, too, but less
// and less often, and a change of members that takes four seconds would take fifteen.
const (
	patience  = 30 * time.Second
	firstLook = 100 * time.Millisecond
	lastLook  = 2 * time.Second
)

// persist does something again and again while it is answered that Rackspace is busy, for a while,
// and tells why it waits.
func persist(ctx context.Context, c resource.Call, a resource.Address, most time.Duration, do func() (*resource.Found, error)) (*resource.Found, error) {
	end := time.Now().Add(most)
	told := ""
	for wait := firstLook; ; wait = min(2*wait, lastLook) {
		found, err := do()
		if resource.KindOf(err) != resource.Busy || !time.Now().Add(wait).Before(end) {
			return found, err
		}
		if e := (*resource.Error)(nil); errors.As(err, &e) && e.Message != told {
			told = e.Message
			c.Say(a, told)
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return found, err
		}
	}
}

// id is the cloud's id of what an item has.
func id(item resource.Item) (string, error) {
	if item.Have == nil || item.Have.ID == "" {
		return "", noID(item.Mark)
	}
	return item.Have.ID, nil
}

// number is an id that is a number.
func number(item resource.Item) (int, error) {
	s, err := id(item)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, noID(item.Mark)
	}
	return n, nil
}

func noID(m resource.Mark) error {
	return &resource.Error{Kind: resource.Invalid, Address: m.Address, Message: fmt.Sprintf("no id of Rackspace is known for %s", m.Address)}
}

func wrongSpec(item resource.Item) error {
	return &resource.Error{Kind: resource.Invalid, Address: item.Mark.Address, Message: fmt.Sprintf("%s has a spec of another kind, or none", item.Mark.Address)}
}

// moments remembers when something was first seen. It is safe for concurrent use.
type moments struct {
	mu sync.Mutex
	at map[int]time.Time
}

// note answers when a thing was first noted, which is now unless it was before.
func (m *moments) note(id int) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.at == nil {
		m.at = map[int]time.Time{}
	}
	if _, ok := m.at[id]; !ok {
		m.at[id] = time.Now()
	}
	return m.at[id]
}

// seen answers when a thing was noted, zero if it never was.
func (m *moments) seen(id int) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at[id]
}

func (m *moments) forget(id int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.at, id)
}
