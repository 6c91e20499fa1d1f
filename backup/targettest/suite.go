// Package targettest proves targets for backups: a suite that every one must pass, and one that fails
// at will.
package targettest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/cloudship/cloudship/backup"
)

// Run proves a target. open returns it, empty, anew for each test; large is the size of an object that
// it splits, if it splits any.
func Run(t *testing.T, large int, open func(t *testing.T) backup.Target) {
	tests := map[string]func(*testing.T, backup.Target){
		"what is put is got":                roundTrip,
		"an object that exists stays":       exists,
		"what does not exist":               absent,
		"a listing is of one folder":        listing,
		"names that lead elsewhere":         badNames,
		"a cancelled context":               cancelled,
		"two that put at once":              race,
		"a reader that is closed early":     closedEarly,
		"a content that fails":              func(t *testing.T, target backup.Target) { failing(t, target, 0, 1, 5000, large, large+1) },
		"a large object is not held":        func(t *testing.T, target backup.Target) { big(t, target, large) },
		"a context that ends in the middle": func(t *testing.T, target backup.Target) { cutOff(t, target, large) },
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func put(t *testing.T, target backup.Target, name string, content []byte) {
	t.Helper()
	if err := target.Put(t.Context(), name, bytes.NewReader(content)); err != nil {
		t.Fatalf("put %s: %v", name, err)
	}
}

func get(t *testing.T, target backup.Target, name string) []byte {
	t.Helper()
	r, err := target.Get(t.Context(), name)
	if err != nil {
		t.Fatalf("get %s: %v", name, err)
	}
	data, err := io.ReadAll(r)
	if err := errors.Join(err, r.Close()); err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
	return data
}

// names lists the names below a folder.
func names(t *testing.T, target backup.Target, folder string) []string {
	t.Helper()
	objects, err := target.List(t.Context(), folder)
	if err != nil {
		t.Fatalf("list %s: %v", folder, err)
	}
	var all []string
	for _, o := range objects {
		all = append(all, o.Name)
	}
	return all
}

func wantNames(t *testing.T, target backup.Target, folder string, want ...string) {
	t.Helper()
	if have := names(t, target, folder); !slices.Equal(have, want) {
		t.Errorf("%s has %q, want %q", folder, have, want)
	}
}

func roundTrip(t *testing.T, target backup.Target) {
	random := make([]byte, 300_000)
	rand.Read(random)
	contents := map[string][]byte{
		"shop/db/empty": {}, "shop/db/one": {0}, "shop/db/lines": []byte("a\nb\r\n\x00\xff"), "shop/db/random.age": random,
		"shop/db/20260921_180000.sqlite3": []byte("x"), "shop/db/A-Z=+@_.": []byte("y"),
	}
	for name, content := range contents {
		put(t, target, name, content)
	}
	for name, content := range contents {
		if !bytes.Equal(get(t, target, name), content) {
			t.Errorf("%s came back different", name)
		}
	}
	objects, err := target.List(t.Context(), "shop/db")
	if err != nil || len(objects) != len(contents) {
		t.Fatalf("have %v, %v", objects, err)
	}
	for _, o := range objects {
		if int(o.Size) != len(contents[o.Name]) || o.Age < 0 || o.Age.Minutes() > 5 {
			t.Errorf("the listing says %+v, %s has %d bytes and is new", o, o.Name, len(contents[o.Name]))
		}
	}
}

func exists(t *testing.T, target backup.Target) {
	put(t, target, "shop/db/a", []byte("first"))
	for _, content := range []string{"second", "first", ""} {
		if err := target.Put(t.Context(), "shop/db/a", strings.NewReader(content)); !errors.Is(err, backup.ErrExists) {
			t.Errorf("put %q again: %v", content, err)
		}
	}
	if have := get(t, target, "shop/db/a"); string(have) != "first" {
		t.Errorf("it is %q now", have)
	}
	wantNames(t, target, "shop", "shop/db/a")
}

func absent(t *testing.T, target backup.Target) {
	ctx := t.Context()
	look := func() {
		t.Helper()
		if _, err := target.Get(ctx, "shop/db/a"); !errors.Is(err, backup.ErrAbsent) {
			t.Errorf("get: %v", err)
		}
		if err := target.Delete(ctx, "shop/db/a"); err != nil {
			t.Errorf("delete: %v", err)
		}
		if removed, err := target.Sweep(ctx, "shop", backup.Grace); err != nil || len(removed) > 0 {
			t.Errorf("sweep: %v, %v", removed, err)
		}
		wantNames(t, target, "shop")
	}
	look()
	put(t, target, "shop/db/a", []byte("x"))
	if err := target.Delete(ctx, "shop/db/a"); err != nil {

		t.Fatal(err)
	}
	look()
	put(t, target, "shop/db/a", []byte("again"))
}

func listing(t *testing.T, target backup.Target) {
	for _, name := range []string{"shop/db/b", "shop/db/a", "shop/files/c", "shop-2/db/d", "sho/x"} {
		put(t, target, name, []byte(name))
	}
	wantNames(t, target, "shop", "shop/db/a", "shop/db/b", "shop/files/c")
	wantNames(t, target, "shop/db", "shop/db/a", "shop/db/b")
	wantNames(t, target, "shop/d")
	wantNames(t, target, "sho", "sho/x")
	if err := target.Delete(t.Context(), "shop/db/a"); err != nil {
		t.Fatal(err)
	}
	wantNames(t, target, "shop", "shop/db/b", "shop/files/c")
	if have := get(t, target, "shop-2/db/d"); string(have) != "shop-2/db/d" {
		t.Errorf("have %q", have)
	}
}

func badNames(t *testing.T, target backup.Target) {
	ctx := t.Context()
	for _, name := range []string{"", "/", "/etc/x", "../x", "shop/../../x", "shop//x", "shop/", "shop/.hidden", "a b", "a\nb", "$(id)", "-\x00", strings.Repeat("a", 300)} {
		if err := target.Put(ctx, name, strings.NewReader("x")); err == nil {
			t.Errorf("put %q was taken", name)
		}
		if _, err := target.Get(ctx, name); err == nil || errors.Is(err, backup.ErrAbsent) {
			t.Errorf("get %q: %v", name, err)
		}
		if err := target.Delete(ctx, name); err == nil {
			t.Errorf("delete %q was taken", name)
		}
		if _, err := target.List(ctx, name); err == nil {
			t.Errorf("list %q was taken", name)
		}
		if _, err := target.Sweep(ctx, name, backup.Grace); err == nil {
			t.Errorf("sweep %q was taken", name)
		}
	}
}

func cancelled(t *testing.T, target backup.Target) {
	put(t, target, "shop/db/a", []byte("x"))
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stopped by hand")
	cancel(stop)
	if err := target.Put(ctx, "shop/db/b", strings.NewReader("x")); !errors.Is(err, stop) && !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v", err)
	}
	if r, err := target.Get(ctx, "shop/db/a"); err == nil {
		if _, err := io.ReadAll(r); err == nil {
			t.Error("it was read")
		}
		r.Close()
	}
	if _, err := target.List(ctx, "shop"); err == nil {
		t.Error("it was listed")
	}
	if err := target.Delete(ctx, "shop/db/a"); err == nil {
		t.Error("it was deleted")
	}
	wantNames(t, target, "shop", "shop/db/a")
}

// errContent is what a content says that fails.
var errContent = errors.New("the dump ended with status 1")

func failing(t *testing.T, target backup.Target, sizes ...int) {
	put(t, target, "shop/db/before", []byte("x"))
	for _, size := range sizes {
		content := io.MultiReader(bytes.NewReader(make([]byte, size)), iotest.ErrReader(errContent))
		if err := target.Put(t.Context(), "shop/db/a", content); !errors.Is(err, errContent) {
			t.Errorf("after %d bytes: %v", size, err)
		}
		wantNames(t, target, "shop", "shop/db/before")
	}
	put(t, target, "shop/db/a", []byte("now it works"))
}

// cutOff ends the context while the content goes on for ever.
func cutOff(t *testing.T, target backup.Target, large int) {
	ctx, cancel := context.WithCancel(t.Context())
	content := &endless{after: large + large/2, call: cancel}
	if err := target.Put(ctx, "shop/db/a", content); !errors.Is(err, context.Canceled) {
		t.Errorf("have %v", err)
	}
	wantNames(t, target, "shop")
	put(t, target, "shop/db/a", []byte("now it works"))
}

// endless gives zeros, and calls once after some.
type endless struct {
	after int
	call  func()
}

func (e *endless) Read(p []byte) (int, error) {
	if e.after >= 0 {
		if e.after -= len(p); e.after < 0 {
			e.call()
		}
	}
	clear(p)
	return len(p), nil
}

func race(t *testing.T, target backup.Target) {
	const writers = 8
	errs := make([]error, writers)
	var group sync.WaitGroup
	for i := range writers {
		group.Go(func() {
			errs[i] = target.Put(t.Context(), "shop/db/a", strings.NewReader(fmt.Sprint("writer ", i)))
		})
	}
	group.Wait()
	won := -1
	for i, err := range errs {
		switch {
		case err == nil && won < 0:
			won = i
		case err == nil:
			t.Errorf("both %d and %d were told that theirs is there", won, i)
		case !errors.Is(err, backup.ErrExists):
			t.Errorf("writer %d: %v", i, err)
		}
	}
	if have := string(get(t, target, "shop/db/a")); have != fmt.Sprint("writer ", won) {
		t.Errorf("writer %d won, and there is %q", won, have)
	}
	wantNames(t, target, "shop", "shop/db/a")
}

func closedEarly(t *testing.T, target backup.Target) {
	put(t, target, "shop/db/a", bytes.Repeat([]byte("0123456789"), 100_000))
	for range 3 {
		r, err := target.Get(t.Context(), "shop/db/a")
		if err != nil {
			t.Fatal(err)
		}
		first := make([]byte, 10)
		if _, err := io.ReadFull(r, first); err != nil || string(first) != "0123456789" {
			t.Errorf("have %q, %v", first, err)
		}
		if err := r.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

// big puts an object of several parts and reads it back.
func big(t *testing.T, target backup.Target, large int) {
	size := int64(2*large + large/2 + 7)
	if err := target.Put(t.Context(), "shop/db/big", io.LimitReader(&pattern{}, size)); err != nil {
		t.Fatal(err)
	}
	r, err := target.Get(t.Context(), "shop/db/big")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	n, err := io.Copy(&pattern{t: t}, r)
	if err != nil || n != size {
		t.Errorf("read %d of %d bytes, %v", n, size, err)
	}
}

// pattern gives bytes by their place, and checks them when they are written to it.
type pattern struct {
	t  *testing.T
	at int
}

func (p *pattern) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte((p.at + i) * 31 >> 3)
	}
	p.at += len(b)
	return len(b), nil
}

func (p *pattern) Write(b []byte) (int, error) {
	for i := range b {
		if b[i] != byte((p.at+i)*31>>3) {
			return i, fmt.Errorf("byte %d is wrong", p.at+i)
		}
	}
	p.at += len(b)
	return len(b), nil
}
