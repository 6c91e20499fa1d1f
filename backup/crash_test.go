package backup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudship/cloudship/backup"
	"github.com/cloudship/cloudship/backup/targettest"
)

// later is when what a crash left is old enough to be swept.
const later = backup.Grace + time.Hour

// dayLater makes all files of a folder older.
func dayLater(t *testing.T, folder string) {
	t.Helper()
	then := time.Now().Add(-later)
	for _, name := range files(t, folder) {
		if err := os.Chtimes(filepath.Join(folder, name), then, then); err != nil {
			t.Fatal(err)
		}
	}
}

// wantClean sweeps a folder a day later, and wants nothing but the backups' files in it.
func wantClean(t *testing.T, what, folder string) {
	t.Helper()
	dayLater(t, folder)
	s := storeOn(t, openFolder(t, folder), night)
	before := listed(t, s)
	if _, err := s.Sweep(t.Context()); err != nil {
		t.Fatalf("%s: sweep: %v", what, err)
	}
	if have := listed(t, s); !slices.Equal(have, before) {
		t.Errorf("%s: before the sweep %q, after it %q", what, before, have)
	}
	left := files(t, folder)
	if len(left) != 2*len(before) {
		t.Errorf("%s: of %q there is %q", what, before, left)
	}
}

// TestF9AWriteThatIsCutAnywhereLeavesEarlierBackups fails every call of a write, before, in the middle
// of and after its effect, once and for good (as a killed process or a dead line does).
func TestF9AWriteThatIsCutAnywhereLeavesEarlierBackups(t *testing.T) {
	t.Parallel()
	data := strings.Repeat("acknowledged row\n", 20_000)
	whole := &targettest.Faulty{Target: openFolder(t, t.TempDir()), At: -1}
	write(t, storeOn(t, whole, night), data)
	calls := len(whole.Calls())
	if calls < 6 {
		t.Fatalf("a write makes %q", whole.Calls())
	}
	for at := range calls {
		for _, when := range []targettest.When{targettest.Before, targettest.Middle, targettest.After} {
			for _, forever := range []bool{false, true} {
				for _, answer := range []error{targettest.ErrFault, backup.ErrFull} {
					what := fmt.Sprintf("%s, %v, for good %v, %v", whole.Calls()[at], when, forever, answer)
					folder := t.TempDir()
					target := openFolder(t, folder)
					earlier := write(t, storeOn(t, target, night.Add(-time.Hour)), "earlier")
					faulty := &targettest.Faulty{Target: target, At: at, When: when, Forever: forever, Err: answer}
					_, err := storeOn(t, faulty, night).Write(t.Context(), draft(t), content([]byte(data)))
					cutWrite(t, what, folder, earlier, err)
				}
			}
		}
	}
}

// cutWrite looks at what a write that may have failed left.
func cutWrite(t *testing.T, what, folder string, earlier backup.Record, err error) {
	t.Helper()
	s := storeOn(t, openFolder(t, folder), night)
	have := listed(t, s)
	want := []string{"db/" + earlier.Name}
	switch {
	case err == nil:
		want = append([]string{"db/20260921_180000.sqlite3"}, want...)
	case strings.Contains(err.Error(), "whether the backup is listed is not known"):
		if len(have) == 2 {
			want = have
		}
	case !errors.Is(err, backup.ErrUnreachable) && !errors.Is(err, backup.ErrFull):
		t.Errorf("%s: the error is %v", what, err)
	}
	if !slices.Equal(have, want) {
		t.Errorf("%s: %v: listed are %q, want %q", what, err, have, want)
	}
	if removed, err := s.Sweep(t.Context()); err != nil || slices.ContainsFunc(removed, func(o string) bool { return !strings.HasSuffix(o, ".begun") }) {
		t.Errorf("%s: a sweep before its time removed %v, %v", what, removed, err)
	}
	// The next one works, whatever lies about.
	if next := write(t, s, "next"); !strings.HasPrefix(next.Name, "20260921_180000") {
		t.Errorf("%s: the next is %s", what, next)
	}
	wantClean(t, what, folder)
}

// TestADeleteThatIsCutAnywhereIsDoneAgain does the same to Delete and Sweep.
func TestADeleteThatIsCutAnywhereIsDoneAgain(t *testing.T) {
	t.Parallel()
	for at := range 3 {
		for _, when := range []targettest.When{targettest.Before, targettest.After} {
			what := fmt.Sprintf("call %d, %v", at, when)
			folder := t.TempDir()
			target := openFolder(t, folder)
			s := storeOn(t, target, night)
			doomed, stays := write(t, s, "doomed"), write(t, s, "stays")
			if _, err := s.Prove(t.Context(), doomed, "restored", nil); err != nil {
				t.Fatal(err)
			}
			faulty := &targettest.Faulty{Target: target, At: at, When: when, Forever: true}
			if err := storeOn(t, faulty, night).Delete(t.Context(), "db", doomed.Name); !errors.Is(err, backup.ErrUnreachable) {
				t.Errorf("%s: have %v", what, err)
			}
			if at > 0 || when == targettest.After {
				wantListed(t, s, "db/"+stays.Name)
				wantClean(t, what, folder)
			}
			if err := s.Delete(t.Context(), "db", doomed.Name); err != nil {
				t.Errorf("%s: again: %v", what, err)
			}
			wantListed(t, s, "db/"+stays.Name)
			wantClean(t, what, folder)
		}
	}
}

// TestReadsThatAreCutAreNoDamage: a lost line is told as such, never as corruption, and never as an end.
func TestReadsThatAreCutAreNoDamage(t *testing.T) {
	t.Parallel()
	target := openFolder(t, t.TempDir())
	r := write(t, storeOn(t, target, night), strings.Repeat("acknowledged row\n", 20_000))
	for _, when := range []targettest.When{targettest.Before, targettest.Middle, targettest.After} {
		for at := range 3 {
			s := storeOn(t, &targettest.Faulty{Target: target, At: at, When: when}, night)
			b, err := s.Find(t.Context(), "db", r.Name)
			if err == nil {
				err = s.Check(t.Context(), b.Record)
			}
			if !errors.Is(err, backup.ErrUnreachable) || errors.Is(err, backup.ErrCorrupted) || errors.Is(err, backup.ErrAbsent) {
				t.Errorf("call %d, %v: %v", at, when, err)
			}
		}
	}
}

func TestASourceThatFailsLeavesNothing(t *testing.T) {
	broken := errors.New("pg_dump: server closed the connection unexpectedly")
	for _, size := range []int{0, 1, 100, 64 << 10, 1 << 20} {
		folder := t.TempDir()
		s := storeOn(t, openFolder(t, folder), night)
		_, err := s.Write(t.Context(), draft(t), func(_ context.Context, w io.Writer) error {
			if _, err := w.Write(make([]byte, size)); err != nil {
				return err
			}
			return broken
		})
		if !errors.Is(err, broken) {
			t.Errorf("after %d bytes: %v", size, err)
		}
		wantListed(t, s)
		if left := files(t, folder); len(left) > 0 {
			t.Errorf("after %d bytes: left is %q", size, left)
		}
	}
}

func TestACancelledWriteLeavesNothing(t *testing.T) {
	stop := errors.New("interrupted")
	for _, size := range []int{0, 1, 1 << 20} {
		folder := t.TempDir()
		s := storeOn(t, openFolder(t, folder), night)
		ctx, cancel := context.WithCancelCause(t.Context())
		_, err := s.Write(ctx, draft(t), func(_ context.Context, w io.Writer) error {
			_, err := w.Write(make([]byte, size))
			cancel(stop)
			return err // as if it were done: the dump may not see that it was cut off
		})
		if !errors.Is(err, stop) {
			t.Errorf("after %d bytes: %v", size, err)
		}
		ctx, cancel = context.WithCancelCause(t.Context())
		_, err = s.Write(ctx, draft(t), func(ctx context.Context, w io.Writer) error {
			cancel(stop)
			for {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return fmt.Errorf("dump: %w", err)
				}
			}
		})
		if !errors.Is(err, stop) {
			t.Errorf("one that goes on for ever: %v", err)
		}
		wantListed(t, s)
		if left := files(t, folder); len(left) > 0 {
			t.Errorf("left is %q", left)
		}
	}
}

// TestASourceIsToldThatTheTargetFailed: one that hangs between two writes is woken by its context.
func TestASourceIsToldThatTheTargetFailed(t *testing.T) {
	faulty := &targettest.Faulty{Target: openFolder(t, t.TempDir()), At: 2, When: targettest.Middle, Err: backup.ErrFull}
	_, err := storeOn(t, faulty, night).Write(t.Context(), draft(t), func(ctx context.Context, w io.Writer) error {
		_, _ = w.Write(make([]byte, 1<<20))
		<-ctx.Done()
		return errors.New("sqlite3 was killed")
	})
	if !errors.Is(err, backup.ErrFull) {
		t.Errorf("have %v", err)
	}
}

// TestATargetThatLies takes everything, and has less of it.
func TestATargetThatLies(t *testing.T) {
	folder := t.TempDir()
	for name, target := range map[string]backup.Target{
		"stores half":    liar{openFolder(t, folder), func(b []byte) []byte { return b[:len(b)/2] }},
		"stores nothing": liar{openFolder(t, folder), func([]byte) []byte { return nil }},
	} {
		if _, err := storeOn(t, target, night).Write(t.Context(), draft(t), content(make([]byte, 1000))); err == nil {
			t.Errorf("%s: and was believed", name)
		}
	}
	wantListed(t, storeOn(t, openFolder(t, folder), night))
}

type liar struct {
	backup.Target
	keep func([]byte) []byte
}

func (l liar) Put(ctx context.Context, name string, content io.Reader) error {
	data, err := io.ReadAll(content)
	if err != nil || !strings.HasSuffix(name, ".age") {
		return errors.Join(err, l.Target.Put(ctx, name, bytes.NewReader(data)))
	}
	if kept := l.keep(data); kept != nil {
		return l.Target.Put(ctx, name, bytes.NewReader(kept))
	}
	return nil
}
