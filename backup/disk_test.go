package backup_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cloudship/cloudship/backup"
	"github.com/cloudship/cloudship/backup/targettest"
)

// What a process is told that a test starts.
const (
	fillVariable = "CLOUDSHIP_BACKUPTEST_FILL" // mount a small disk here, and fill it
	loopVariable = "CLOUDSHIP_BACKUPTEST_LOOP" // write backups into this folder until killed
)

// TestMain runs the tests, or, started by one of them, the process that it wants.
func TestMain(m *testing.M) {
	if folder := os.Getenv(loopVariable); folder != "" {
		if err := writeForEver(folder); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// writeForEver writes backups of random sizes, with the key of the environment's test, and says the name of each.
func writeForEver(folder string) error {
	target, err := backup.OpenFolder(folder)
	if err != nil {
		return err
	}
	p, err := backup.ParsePattern("{{timestamp}}.sqlite3")
	if err != nil {
		return err
	}
	s, err := backup.NewStore(target, "shop", backup.Options{Recipients: recipients(os.Getenv(keyVariable))})
	if err != nil {
		return err
	}
	for n := 0; ; n++ {
		r, err := s.Write(context.Background(), &backup.Draft{Of: "db", Pattern: p}, func(_ context.Context, w io.Writer) error {
			_, err := io.CopyN(w, zeros{}, int64(1)<<(n%20))
			return err
		})
		if err != nil {
			return err
		}
		fmt.Println(r.Name)
	}
}

// TestF9AKilledBackupIsNotListed kills a process with SIGKILL while it writes.
func TestF9AKilledBackupIsNotListed(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	var told []string
	for round := range 6 {
		told = append(told, killWriter(t, folder, time.Duration(rand.IntN(20_000))*time.Microsecond, round)...)
	}
	s := storeOn(t, openFolder(t, folder), time.Now())
	have := strings.Join(listed(t, s), "\n") + "\n"
	for _, name := range told {
		if !strings.Contains(have, "db/"+name+"\n") {
			t.Errorf("%s was done, and is not listed", name)
		}
	}
	if len(told) < 18 {
		t.Errorf("only %d were done", len(told))
	}
	wantClean(t, "after kills", folder)
}

// killWriter starts the process, kills it so long after its third backup, and returns what it said.
func killWriter(t *testing.T, folder string, after time.Duration, round int) []string {
	t.Helper()
	writer := exec.Command(os.Args[0])
	writer.Env = append(os.Environ(), loopVariable+"="+folder, keyVariable+"="+testKey.Recipient().String())
	writer.Stderr = os.Stderr
	out, err := writer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	var told []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		told = append(told, lines.Text())
		if len(told) == 3+round {
			time.AfterFunc(after, func() { writer.Process.Kill() })
		}
	}
	if err := writer.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the writer ended by itself: %v", err)
	}
	return told
}

// TestF9AFullDiskLeavesEarlierBackups fills a real file system of 2 MiB, in a process that may mount one.
func TestF9AFullDiskLeavesEarlierBackups(t *testing.T) {
	if os.Getenv(fillVariable) != "" {
		fillDisk(t)
		return
	}
	self := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	self.Env = append(os.Environ(), fillVariable+"="+t.TempDir())
	self.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}}
	if os.Getuid() == 0 {
		self.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	}
	if out, err := self.CombinedOutput(); err != nil || !strings.Contains(string(out), "filled") {
		t.Errorf("%v\n%s", err, out)
	}
}

func fillDisk(t *testing.T) {
	disk := os.Getenv(fillVariable)
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=2m"); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]backup.Target{
		"folder": openFolder(t, filepath.Join(disk, "folder")),
		"shell":  openShell(t, &localShell{home: disk}, "shell"),
	} {
		s := storeOn(t, target, night)
		earlier := write(t, s, "earlier")
		for _, size := range []int64{3 << 20, 64 << 20} {
			_, err := s.Write(t.Context(), draft(t), func(_ context.Context, w io.Writer) error {
				_, err := io.CopyN(w, zeros{}, size)
				return err
			})
			if !errors.Is(err, backup.ErrFull) {
				t.Errorf("%s, %d bytes: %v", name, size, err)
			}
			wantListed(t, s, "db/"+earlier.Name)
			if left := files(t, filepath.Join(disk, name)); len(left) != 2 {
				t.Errorf("%s: there is %q", name, left)
			}
		}
		// Full to the last byte: not even a claim fits.
		f, err := os.Create(filepath.Join(disk, "ballast"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(f, zeros{}); !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		if _, err := s.Write(t.Context(), draft(t), content([]byte("x"))); !errors.Is(err, backup.ErrFull) {
			t.Errorf("%s, nothing free: %v", name, err)
		}
		wantListed(t, s, "db/"+earlier.Name)
		if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
			t.Fatal(err)
		}
		write(t, s, "now there is room")
		t.Log("filled", name)
	}
}

// TestFolderSweepsWhatIsOld leaves files of dead writers of two stacks.
func TestFolderSweepsWhatIsOld(t *testing.T) {
	for name, open := range map[string]func(string) backup.Target{
		"folder": func(path string) backup.Target { return openFolder(t, path) },
		"shell":  func(path string) backup.Target { return openShell(t, &localShell{home: "/"}, path) },
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			for path, age := range map[string]time.Duration{
				"shop/db/.aside-OLD": 25 * time.Hour, "shop/db/.aside-NEW": 23 * time.Hour, "shop-2/db/.aside-OLD": 25 * time.Hour, "shop/db/old.txt": 25 * time.Hour,
			} {
				path = filepath.Join(folder, path)
				then := time.Now().Add(-age)
				err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600), os.Chtimes(path, then, then))
				if err != nil {
					t.Fatal(err)
				}
			}
			removed, err := open(folder).Sweep(t.Context(), "shop", backup.Grace)
			if err != nil || fmt.Sprint(removed) != "[shop/db/.aside-OLD]" {
				t.Errorf("swept %v, %v", removed, err)
			}
			if have := fmt.Sprint(files(t, folder)); have != "[shop/db/.aside-NEW shop/db/old.txt shop-2/db/.aside-OLD]" {
				t.Errorf("there is %s", have)
			}
		})
	}
}

// TestSweepAsksAgainBeforeItDeletes: a listing that lacks a record is not believed alone.
func TestSweepAsksAgainBeforeItDeletes(t *testing.T) {
	target := openFolder(t, t.TempDir())
	r := write(t, storeOn(t, target, night), "x")
	blind := blindTo{&targettest.Aged{Target: target, By: later}, ".json"}
	if removed, err := storeOn(t, blind, night).Sweep(t.Context()); err != nil || len(removed) > 0 {
		t.Errorf("swept %v, %v", removed, err)
	}
	wantListed(t, storeOn(t, target, night), "db/"+r.Name)
}

// blindTo lists no object of a kind.
type blindTo struct {
	backup.Target
	kind string
}

func (b blindTo) List(ctx context.Context, folder string) (seen []backup.Object, err error) {
	all, err := b.Target.List(ctx, folder)
	for _, o := range all {
		if !strings.HasSuffix(o.Name, b.kind) {
			seen = append(seen, o)
		}
	}
	return seen, err
}
