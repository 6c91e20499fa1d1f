package backup

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// asidePrefix begins the names of files that are being written.
const asidePrefix = ".aside-"

// folder is a Target in a local folder. A file gets its name only when its content is safe on the
// disk, and never changes afterwards. What leads out of the folder by a symbolic link is not followed.
type folder struct {
	path string
}

// OpenFolder returns the target in a local folder, which is made by the first Put. Its files are for
// their owner alone (mode 0600). The file system must know hard links.
func OpenFolder(path string) (Target, error) {
	absolute, err := filepath.Abs(path)
	if err != nil || path == "" {
		return nil, fmt.Errorf("open the backup folder %q: no such path", path)
	}
	return &folder{absolute}, nil
}

func (f *folder) String() string { return f.path }

func (f *folder) Put(ctx context.Context, name string, content io.Reader) error {
	if err := checkObject(name); err != nil {
		return err
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	root, err := f.make()
	if err != nil {
		return full(err)
	}
	defer root.Close()
	if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return full(err)
	}
	if _, err := root.Lstat(name); err == nil {
		return ErrExists
	}
	aside := path.Join(path.Dir(name), asidePrefix+rand.Text())
	defer root.Remove(aside)
	if err := writeAside(root, aside, withContext{ctx, content}); err != nil {
		return full(err)
	}
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := root.Link(aside, name); err != nil {
		return linkError(err)
	}
	if err := syncUp(root, path.Dir(name)); err != nil {
		// It has its name already, and may lose it with the power.
		return errors.Join(full(err), root.Remove(name))
	}
	return nil
}

// make opens the folder, and makes it before.
func (f *folder) make() (*os.Root, error) {
	root, err := os.OpenRoot(f.path)
	if !errors.Is(err, fs.ErrNotExist) {
		return root, err
	}
	if err := os.MkdirAll(f.path, 0o700); err != nil {
		return nil, err
	}
	parent, err := os.Open(filepath.Dir(f.path))
	if err != nil {
		return nil, err
	}
	if err := errors.Join(parent.Sync(), parent.Close()); err != nil {
		return nil, err
	}
	return os.OpenRoot(f.path)
}

// writeAside writes a new file that is safe on the disk when it returns.
func writeAside(root *os.Root, name string, content io.Reader) error {
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// syncUp makes the names in a folder and in those above it safe.
func syncUp(root *os.Root, name string) error {
	for {
		dir, err := root.Open(name)
		if err != nil {
			return err
		}
		if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
			return err
		}
		if name == "." {
			return nil
		}
		name = path.Dir(name)
	}
}

// full turns the kernel's words for a full disk into ErrFull.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}

// linkError names what a link may answer.
func linkError(err error) error {
	switch {
	case errors.Is(err, fs.ErrExist):
		return ErrExists
	case errors.Is(err, syscall.EPERM), errors.Is(err, errors.ErrUnsupported):
		return fmt.Errorf("the file system may not know hard links, which a backup folder needs: %w", err)
	}
	return full(err)
}

func (f *folder) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := checkObject(name); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrAbsent
	}
	if err != nil {
		return nil, err
	}
	defer root.Close()
	info, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil, ErrAbsent
	}
	if err != nil {
		return nil, err
	}
	file, err := root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrAbsent
	}
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{withContext{ctx, file}, file}, nil
}

func (f *folder) List(ctx context.Context, under string) ([]Object, error) {
	var objects []Object
	err := f.walk(ctx, under, func(_ *os.Root, name string, info fs.FileInfo) error {
		if ValidObject(name) {
			objects = append(objects, Object{Name: name, Size: info.Size(), Age: ageOf(info)})
		}
		return nil
	})
	sortObjects(objects)
	return objects, err
}

// ageOf is a file's age in whole seconds, as the other targets know it.
func ageOf(info fs.FileInfo) time.Duration {
	return time.Since(info.ModTime()).Truncate(time.Second)
}

// walk visits the regular files below a folder. What vanishes meanwhile is passed over.
func (f *folder) walk(ctx context.Context, under string, visit func(*os.Root, string, fs.FileInfo) error) error {
	if err := checkObject(under); err != nil {
		return err
	}
	root, err := os.OpenRoot(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), under, func(name string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err = errors.Join(err, context.Cause(ctx)); err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return visit(root, name, info)
	})
}

func (f *folder) Delete(ctx context.Context, name string) error {
	if err := errors.Join(checkObject(name), context.Cause(ctx)); err != nil {
		return err
	}
	root, err := os.OpenRoot(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Remove(name); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return syncUp(root, path.Dir(name))
}

func (f *folder) Sweep(ctx context.Context, under string, age time.Duration) ([]string, error) {
	var removed []string
	err := f.walk(ctx, under, func(root *os.Root, name string, info fs.FileInfo) error {
		if !strings.HasPrefix(path.Base(name), asidePrefix) || ageOf(info) < age {
			return nil
		}
		if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		removed = append(removed, name)
		return nil
	})
	return removed, err
}
