package state

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// Names in the folder of a local store, beside the snapshots NNNNNN.json.
const (
	snapshotSuffix = ".json"
	leaseFile      = "lease.json"
	lockFile       = "lock"
	asidePrefix    = ".aside-"
)

// local is a store in a folder. A file gets its final name only when its
// content is safe on the disk, and never changes afterwards.
type local struct {
	folder string

	mu      sync.Mutex
	unswept bool // leftovers of dead processes may lie about

	write func(f *os.File, data []byte) error // f.Write; tests fill the disk
	step  func(name string)                   // told before each step of a Put; tests die there
}

var _ Guarded = (*local)(nil)

// Local returns the store in this folder, which is made by the first write.
func Local(folder string) Guarded {
	return &local{folder: folder, write: writeAll, step: func(string) {}}
}

func writeAll(f *os.File, data []byte) error {
	_, err := f.Write(data)
	return err
}

func (l *local) Name() string { return l.folder }
func (l *local) Close() error { return nil }

func (l *local) path(serial Serial) string {
	return filepath.Join(l.folder, serial.String()+snapshotSuffix)
}

func (l *local) Put(ctx context.Context, serial Serial, data []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := l.makeFolder(); err != nil {
		return err
	}
	aside, err := l.writeAside(data)
	if err != nil {
		return err
	}
	l.step("link")
	err = os.Link(aside, l.path(serial))
	l.step("unlink")
	os.Remove(aside) // what stays behind is swept by the next holder
	if errors.Is(err, fs.ErrExist) {
		err = ErrExists
	}
	l.step("sync folder")
	// Also when it exists: it may be ours, of a call that was cut off here.
	return errors.Join(full(err), l.syncFolder())
}

// writeAside puts data into a new file, safe on the disk, and returns its path.
func (l *local) writeAside(data []byte) (string, error) {
	l.step("create")
	f, err := os.OpenFile(filepath.Join(l.folder, asidePrefix+rand.Text()), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", full(err)
	}
	l.step("write")
	err = l.write(f, data)
	l.step("sync file")
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		os.Remove(f.Name())
		return "", full(err)
	}
	return f.Name(), nil
}

// full turns the kernel's words for a full disk into ErrFull.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

func (l *local) makeFolder() error {
	if _, err := os.Stat(l.folder); err == nil {
		return nil
	}
	if err := os.MkdirAll(l.folder, 0o700); err != nil {
		return full(err)
	}
	return syncFolder(filepath.Dir(l.folder))
}

func (l *local) syncFolder() error { return syncFolder(l.folder) }

func syncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (l *local) Get(ctx context.Context, serial Serial) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(l.path(serial))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrAbsent
	}
	return data, err
}

func (l *local) List(ctx context.Context, after Serial) ([]Serial, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := os.Open(l.folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var serials []Serial
	for _, name := range names {
		number, ok := strings.CutSuffix(name, snapshotSuffix)
		if serial, valid := parseSerial(number); ok && valid && serial > after {
			serials = append(serials, serial)
		}
	}
	slices.Sort(serials)
	return serials, nil
}

func (l *local) Delete(ctx context.Context, serial Serial) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := os.Remove(l.path(serial)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Guard takes the folder's flock. The kernel frees it when the process ends.
func (l *local) Guard(ctx context.Context) (func() error, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := l.makeFolder(); err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(l.folder, lockFile), flock.SetPermissions(0o600))
	got, err := lock.TryLock()
	if err != nil {
		return nil, full(err)
	}
	if !got {
		return nil, ErrGuarded
	}
	l.mu.Lock()
	l.unswept = true
	l.mu.Unlock()
	return lock.Close, nil
}

// Lease reads the record. Its age is taken from the file system's clock at
// both ends: the folder may be another machine's.
func (l *local) Lease(ctx context.Context) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	f, err := os.Open(filepath.Join(l.folder, leaseFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, nil
	}
	if err != nil {
		return Record{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Record{}, err
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return Record{}, err
	}
	now, err := l.now()
	if err != nil {
		return Record{}, err
	}
	return Record{Data: data, Version: hash(data), Age: now.Sub(info.ModTime())}, nil
}

// now asks the file system for the time; where it may not be written to, this
// machine.
func (l *local) now() (time.Time, error) {
	f, err := os.CreateTemp(l.folder, asidePrefix)
	if err != nil {
		return time.Now(), nil
	}
	defer os.Remove(f.Name())
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return time.Time{}, err
	}
	return info.ModTime(), nil
}

// SwapLease is called with the guard held, so that between its reading and its
// writing there is nobody else of this machine.
func (l *local) SwapLease(ctx context.Context, version string, data []byte) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.makeFolder(); err != nil {
		return "", err
	}
	have, err := l.Lease(ctx)
	if err != nil {
		return "", err
	}
	if have.Version != version {
		return "", ErrMoved
	}
	aside, err := l.writeAside(data)
	if err != nil {
		return "", err
	}
	if err := os.Rename(aside, filepath.Join(l.folder, leaseFile)); err != nil {
		os.Remove(aside)
		return "", full(err)
	}
	if l.unswept {
		l.unswept = false
		if err := l.sweep(); err != nil {
			return "", err
		}
	}
	return hash(data), l.syncFolder()
}

// sweep removes what dead processes left: files that never got their name.
func (l *local) sweep() error {
	left, err := filepath.Glob(filepath.Join(escapeGlob(l.folder), asidePrefix+"*"))
	if err != nil {
		return err
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// escapeGlob makes a path a pattern that matches only itself.
func escapeGlob(path string) string {
	return strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`).Replace(path)
}
