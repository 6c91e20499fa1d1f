package state

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	diesAtVariable = "CLOUDSHIP_TEST_DIES_AT"
	folderVariable = "CLOUDSHIP_TEST_FOLDER"
	holdVariable   = "CLOUDSHIP_TEST_HOLDS" // it does nothing but hold the lease
)

// DieAt is run instead of the tests in the process that a test kills: it
// commits once whole, and dies in the second commit just before a step.
func DieAt() bool {
	step := os.Getenv(diesAtVariable)
	if step == "" {
		return false
	}
	// Its end, if it is not killed as it should be.
	background, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := commitAndDie(background, os.Getenv(folderVariable), step); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(1)
	return true
}

func commitAndDie(ctx context.Context, folder, step string) error {
	store := Local(folder).(*local)
	s, err := Begin(ctx, store, Options{Command: "apply"})
	if err != nil {
		return err
	}
	if os.Getenv(holdVariable) != "" {
		fmt.Println("holding")
		<-ctx.Done()
	}
	if err := s.Commit(ctx, number(1)); err != nil {
		return err
	}
	fmt.Println("committed")
	store.step = func(name string) {
		if name == step {
			unix.Kill(os.Getpid(), unix.SIGKILL)
			select {}
		}
	}
	return s.Commit(ctx, number(2))
}

func TestKilledAtEveryStepOfAPut(t *testing.T) {
	steps := []struct {
		name string
		head Serial // what is found afterwards
	}{
		{"create", 1}, {"write", 1}, {"sync file", 1}, {"link", 1}, {"unlink", 2}, {"sync folder", 2},
	}
	for _, step := range steps {
		t.Run(step.name, func(t *testing.T) {
			t.Parallel()
			folder := filepath.Join(t.TempDir(), "cloudship.state")
			self, err := os.Executable()
			want(t, err, nil)
			child := exec.CommandContext(t.Context(), self)
			child.Env = append(os.Environ(), diesAtVariable+"="+step.name, folderVariable+"="+folder)
			out, err := child.CombinedOutput()
			exit, ok := errors.AsType[*exec.ExitError](err)
			if !ok || exit.String() != "signal: killed" || string(out) != "committed\n" {
				t.Fatalf("the process said %q and ended with %v", out, err)
			}

			s := start(t, Local(folder), Options{Command: "apply"}) // at once
			if have := s.Head(); have.Snapshot.Serial != step.head || len(have.Damaged) > 0 {
				t.Errorf("head is %+v", have)
			}
			left, err := filepath.Glob(filepath.Join(folder, asidePrefix+"*"))
			if err != nil || len(left) > 0 {
				t.Errorf("left over are %v, %v", left, err)
			}
			want(t, s.CommitClosing(t.Context(), number(3)), nil)
			want(t, s.Close(t.Context()), nil)
			history, err := ReadHistory(t.Context(), Local(folder))
			if err != nil || len(history.Findings) > 0 || len(history.Snapshots) != int(step.head)+1 {
				t.Errorf("history is %+v, %v", history, err)
			}
		})
	}
}

// TestDiskFull fills a small disk where a test may mount one, and else has the
// kernel's answer said for it, in the middle of the file.
func TestDiskFull(t *testing.T) {
	folder := t.TempDir()
	small := unix.Mount("none", folder, "tmpfs", 0, "size=256k") == nil
	if small {
		t.Cleanup(func() { unix.Unmount(folder, unix.MNT_DETACH) })
	}
	store := Local(filepath.Join(folder, "cloudship.state")).(*local)
	s := start(t, store, Options{Command: "apply"})
	want(t, s.Commit(t.Context(), number(1)), nil)
	if !small {
		store.write = func(f *os.File, data []byte) error {
			if len(data) < 1<<18 {
				return writeAll(f, data)
			}
			_, err := f.Write(data[:len(data)/2])
			return errors.Join(err, &os.PathError{Op: "write", Path: f.Name(), Err: syscall.ENOSPC})
		}
	}
	large := Fixed(Content{Body: fmt.Appendf(nil, `{"n":%q}`, strings.Repeat("x", 1<<18))})
	err := s.Commit(t.Context(), large)
	want(t, err, ErrFull)
	if !strings.Contains(err.Error(), "no space left") || !strings.Contains(err.Error(), store.folder) {
		t.Errorf("the error says %q", err)
	}
	left, err := os.ReadDir(store.folder)
	if err != nil || len(left) != 3 { // one snapshot, lease, lock
		t.Errorf("in the folder are %v, %v", left, err)
	}
	want(t, s.CommitClosing(t.Context(), number(2)), nil)
	want(t, s.Close(t.Context()), nil)
}

func TestReadOnlyUseMakesNothing(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "cloudship.state")
	head, err := ReadHead(t.Context(), Local(folder))
	if err != nil || head.Snapshot != nil {
		t.Errorf("head is %+v, %v", head, err)
	}
	holder, err := ReadHolder(t.Context(), Local(folder))
	if err != nil || holder != nil {
		t.Errorf("holder is %v, %v", holder, err)
	}
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder: %v", err)
	}
}

func TestFilesAreTheOwnersOnly(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "cloudship.state")
	s := start(t, Local(folder), Options{Command: "apply"})
	want(t, s.Commit(t.Context(), number(1)), nil)
	for _, name := range []string{".", "000001.json", leaseFile, lockFile} {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

// TestLeaseOfAnotherMachine: on a shared folder a lease that is not of this
// kernel holds until it ends, by the folder's clock.
func TestLeaseOfAnotherMachine(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "cloudship.state")
	there := claim{Session: "S", Holder: "bob@desk", Command: "apply", TTL: 60, Process: process{Boot: "another", PID: 1}}
	_, err := Local(folder).SwapLease(t.Context(), "", there.encode())
	want(t, err, nil)
	_, err = Begin(t.Context(), Local(folder), Options{Command: "apply"})
	want(t, err, ErrLocked)
	if !strings.Contains(err.Error(), "is locked by bob@desk") {
		t.Errorf("the error says %q", err)
	}
	old := time.Now().Add(-2 * time.Minute)
	want(t, os.Chtimes(filepath.Join(folder, leaseFile), old, old), nil)
	s := start(t, Local(folder), Options{Command: "apply"})
	if head := s.Head(); head.Snapshot != nil || head.top != 1 {
		t.Errorf("it was not fenced: %+v", head)
	}
}

// TestStoppedHolder stops a process for longer than its lease lasts. On one
// machine the lock is the kernel's: it stays locked until the process is gone,
// and then it is free at once.
func TestStoppedHolder(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "cloudship.state")
	self, err := os.Executable()
	want(t, err, nil)
	child := exec.CommandContext(t.Context(), self)
	child.Env = append(os.Environ(), diesAtVariable+"=never", folderVariable+"="+folder, holdVariable+"=1")
	out, err := child.StdoutPipe()
	want(t, err, nil)
	want(t, child.Start(), nil)
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "holding\n" {
		t.Fatalf("the process said %q, %v", line, err)
	}
	want(t, child.Process.Signal(syscall.SIGSTOP), nil)
	old := time.Now().Add(-time.Hour)
	want(t, os.Chtimes(filepath.Join(folder, leaseFile), old, old), nil)
	_, err = Begin(t.Context(), Local(folder), Options{Command: "apply"})
	want(t, err, ErrLocked)
	locked, ok := errors.AsType[*LockedError](err)
	if !ok || !locked.Here || locked.PID != child.Process.Pid || !strings.Contains(locked.Hint(), fmt.Sprint(locked.PID)) {
		t.Errorf("have %#v", err)
	}
	want(t, child.Process.Kill(), nil)
	if err := child.Wait(); err == nil {
		t.Error("the process ended well")
	}
	s := start(t, Local(folder), Options{Command: "apply"})
	want(t, s.Commit(t.Context(), number(1)), nil)
}

func TestDeadProcessesAreKnown(t *testing.T) {
	here := self()
	if here.dead(here) {
		t.Error("this process is taken for dead")
	}
	other := here
	other.Start = "1"
	if !other.dead(here) {
		t.Error("one with this number that started at another time is taken for alive")
	}
	child := exec.CommandContext(t.Context(), "true")
	want(t, child.Run(), nil)
	gone := here
	gone.PID = child.Process.Pid
	if !gone.dead(here) {
		t.Error("a process that ended is taken for alive")
	}
	for name, change := range map[string]func(*process){
		"another kernel":    func(p *process) { p.Boot = "another" },
		"an unknown kernel": func(p *process) { p.Boot = "" },
		"another container": func(p *process) { p.Space = "pid:[1]" },
	} {
		far := gone
		change(&far)
		if far.dead(here) {
			t.Errorf("one of %s is taken for dead", name)
		}
	}
}

func BenchmarkPut(b *testing.B) {
	for _, size := range []int{1 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			store := Local(filepath.Join(b.TempDir(), "cloudship.state"))
			data := make([]byte, size)
			b.SetBytes(int64(size))
			serial := Serial(0)
			for b.Loop() {
				serial++
				if err := store.Put(b.Context(), serial, data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCommit(b *testing.B) {
	s, err := Begin(b.Context(), Local(filepath.Join(b.TempDir(), "cloudship.state")), Options{Command: "apply"})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close(b.Context())
	body := number(1)
	for b.Loop() {
		if err := s.Commit(b.Context(), body); err != nil {
			b.Fatal(err)
		}
	}
}
