package backup

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A Shell runs POSIX shell scripts on a machine, as one user. It is safe for concurrent use.
type Shell interface {
	// Run runs a script with arguments $1, $2, ... between streams, and returns its exit status. An
	// error says that it was not run to its end: the machine cannot be reached, the connection was
	// lost, it died of a signal, or ctx ended. A script may end without having read stdin to its end, so
	// Run does not wait for a stdin that blocks. The streams may be used a little longer than Run takes.
	Run(ctx context.Context, script string, args []string, stdin io.Reader, stdout, stderr io.Writer) (status int, err error)
}

// shellFolder is a Target in a folder of a machine that is reached by a shell.
type shellFolder struct {
	shell Shell
	base  string // absolute, or beginning with ./
	name  string
}

// OpenShell returns the target in a folder on another machine, which is made by the first Put; its
// files are for their owner alone. A relative path is in the user's home. place names the machine:
// "ssh://backup@vault.example/srv/backups". There are needed: a POSIX sh, the tools of coreutils or busybox
// (cat, ln, stat -c, sync, find), and hard links.
func OpenShell(shell Shell, folder, place string) (Target, error) {
	if folder == "" || strings.ContainsAny(folder, "\x00\n") {
		return nil, fmt.Errorf("open the backup folder %q in %s: no such path", folder, place)
	}
	base := path.Clean(strings.TrimPrefix(folder, "~/"))
	if !path.IsAbs(base) {
		base = "./" + base
	}
	return &shellFolder{shell: shell, base: base, name: place}, nil
}

func (f *shellFolder) String() string { return f.name }

func (f *shellFolder) path(name string) string { return f.base + "/" + name }

// run runs a script, and gives its end the names of the contract.
func (f *shellFolder) run(ctx context.Context, script string, args []string, stdin io.Reader, stdout io.Writer) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	told := &said{}
	status, err := f.shell.Run(ctx, scriptHead+script, args, stdin, stdout, told)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return cause
		}
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	words := strings.TrimSpace(told.String())
	switch status {
	case 0:
		return nil
	case statusAbsent:
		return ErrAbsent
	case statusExists:
		return ErrExists
	case statusFull:
		return fmt.Errorf("%w: %s", ErrFull, words)
	case statusDenied:
		return fmt.Errorf("%w: %s", fs.ErrPermission, words)
	}
	return fmt.Errorf("status %d: %s", status, words)
}

// Put writes aside first. A connection that breaks looks like the content's end over there, so the
// file gets its name by a second command, once its size is known to be right.
func (f *shellFolder) Put(ctx context.Context, name string, content io.Reader) error {
	if err := checkObject(name); err != nil {
		return err
	}
	folder := f.path(path.Dir(name))
	aside := folder + "/" + asidePrefix + rand.Text()
	in := &counted{Reader: withContext{ctx, content}}
	err := f.run(ctx, writeScript, []string{folder, aside, f.path(name)}, in, io.Discard)
	size, ended := in.result()
	if ended != nil && ended != io.EOF {
		err = ended // the script took it for the end
	}
	if err == nil && ended == nil {
		err = fmt.Errorf("%w: it stopped reading after %d bytes", ErrUnreachable, size)
	}
	if err == nil {
		err = f.run(ctx, nameScript, []string{folder, aside, f.path(name), strconv.FormatInt(size, 10), f.base}, strings.NewReader(""), io.Discard)
	}
	if err != nil && !errors.Is(err, ErrUnreachable) {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
		defer cancel()
		_ = f.run(last, deleteScript, []string{aside, folder}, strings.NewReader(""), io.Discard) // else Sweep does
	}
	return err
}

// counted counts what is read, and keeps what ended it.
type counted struct {
	io.Reader
	mu    sync.Mutex
	size  int64
	ended error
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.size += int64(n)
	if err != nil {
		c.ended = err
	}
	return n, err
}

func (c *counted) result() (size int64, ended error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size, c.ended
}

func (f *shellFolder) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	if err := checkObject(name); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	out, in := io.Pipe()
	go func() {
		err := f.run(ctx, readScript, []string{f.path(name)}, strings.NewReader(""), in)
		_ = in.CloseWithError(err)
	}()
	reader := bufio.NewReader(out)
	if _, err := reader.Peek(1); err != nil && err != io.EOF {
		cancel()
		_ = out.Close()
		return nil, err
	}
	return &reading{Reader: reader, out: out, cancel: cancel}, nil
}

// reading is an object that is being read; to close it ends the command.
type reading struct {
	io.Reader
	out    *io.PipeReader
	cancel context.CancelFunc
}

func (r *reading) Close() error {
	r.cancel()
	return r.out.Close()
}

func (f *shellFolder) List(ctx context.Context, folder string) ([]Object, error) {
	if err := checkObject(folder); err != nil {
		return nil, err
	}
	var out locked
	if err := f.run(ctx, listScript, []string{f.path(folder)}, strings.NewReader(""), &out); err != nil {
		return nil, err
	}
	objects, err := parseListing(folder, out.String())
	sortObjects(objects)
	return objects, err
}

// parseListing reads what listScript prints: the time, a line "size time ./name" for each file, "end".
func parseListing(folder, text string) ([]Object, error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	now, err := strconv.ParseInt(lines[0], 10, 64)
	if err != nil || len(lines) < 2 || lines[len(lines)-1] != "end" {
		return nil, fmt.Errorf("the listing of %s is incomplete", folder)
	}
	var objects []Object
	for _, line := range lines[1 : len(lines)-1] {
		words := strings.SplitN(line, " ", 3)
		if len(words) != 3 {
			return nil, fmt.Errorf("the listing of %s has a line %q", folder, line)
		}
		size, sizeErr := strconv.ParseInt(words[0], 10, 64)
		written, timeErr := strconv.ParseInt(words[1], 10, 64)
		name, found := strings.CutPrefix(words[2], "./")
		if sizeErr != nil || timeErr != nil || !found {
			return nil, fmt.Errorf("the listing of %s has a line %q", folder, line)
		}
		if name = folder + "/" + name; ValidObject(name) {
			objects = append(objects, Object{Name: name, Size: size, Age: time.Duration(now-written) * time.Second})
		}
	}
	return objects, nil
}

func (f *shellFolder) Delete(ctx context.Context, name string) error {
	if err := checkObject(name); err != nil {
		return err
	}
	return f.run(ctx, deleteScript, []string{f.path(name), f.path(path.Dir(name))}, strings.NewReader(""), io.Discard)
}

func (f *shellFolder) Sweep(ctx context.Context, folder string, age time.Duration) ([]string, error) {
	if err := checkObject(folder); err != nil {
		return nil, err
	}
	var out locked
	minutes := strconv.FormatInt(int64(age/time.Minute), 10)
	err := f.run(ctx, sweepScript, []string{f.path(folder), minutes}, strings.NewReader(""), &out)
	var removed []string
	for line := range strings.Lines(out.String()) {
		removed = append(removed, strings.TrimPrefix(strings.TrimSpace(line), f.base+"/"))
	}
	return removed, err
}

// locked is a buffer that a command may still write to when it was left behind.
type locked struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buffer.String()
}

// said keeps the first bytes of what a script says: its own words are few.
type said struct{ locked }

const longestWords = 2048

func (t *said) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buffer.Write(p[:min(len(p), longestWords-t.buffer.Len())])
	return len(p), nil
}
