package backup

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// A Target keeps objects: streams of bytes under names such as "shop/db/20260921_180000.sqlite3.age",
// which [ValidObject] accepts. All methods are safe for concurrent use, from several machines too.
// An error is, where it can be told, ErrExists, ErrAbsent, ErrFull, ErrUnreachable, fs.ErrPermission
// or the context's; any other is in the target's own words.
type Target interface {
	// Put writes an object that did not exist; one that does stays as it is (ErrExists). It reads
	// content to its end, of unknown size. Until Put has succeeded the object is not listed, and
	// never with half its content: an error of content, a cancelled context or a lost connection
	// leaves nothing that List shows. After ErrUnreachable it may be there as a whole. A content
	// that blocks is to be ended by the caller.
	Put(ctx context.Context, name string, content io.Reader) error
	// Get opens an object, or says ErrAbsent. Its reader ends with io.EOF only at the object's end.
	Get(ctx context.Context, name string) (io.ReadCloser, error)
	// List returns the objects below a folder, all of them or an error, sorted by name. A folder that
	// does not exist has none. What others keep there is listed too, if its name is valid.
	List(ctx context.Context, folder string) ([]Object, error)
	// Delete removes an object for good; one that does not exist is no error.
	Delete(ctx context.Context, name string) error
	// Sweep removes what Puts below a folder left behind that were cut off, and that is older than
	// age by the target's clock. It returns what it removed, in words.
	Sweep(ctx context.Context, folder string, age time.Duration) ([]string, error)
	// String names the place, without secrets.
	String() string
}

// An Object is what a listing tells of an object.
type Object struct {
	Name string
	Size int64
	Age  time.Duration // since it was written, by the target's clock, in whole seconds
}

// longestPart is how long a part of an object's name may be, in bytes: file systems take 255.
const longestPart = 200

// ValidObject tells whether a name may be an object's: parts of letters, digits and ._-+=@, joined by
// slashes, none of which begins with a dot.
func ValidObject(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if !validPart(part) {
			return false
		}
	}
	return true
}

// validPart tells whether a part of a name is safe in every file system, shell and bucket.
func validPart(part string) bool {
	if part == "" || len(part) > longestPart || part[0] == '.' {
		return false
	}
	for i := range len(part) {
		if !nameByte(part[i]) {
			return false
		}
	}
	return true
}

func nameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("._-+=@", c) >= 0
}

// checkObject refuses names that no Target takes.
func checkObject(name string) error {
	if !ValidObject(name) {
		return fmt.Errorf("%w: %q is no name of an object", fs.ErrInvalid, name)
	}
	return nil
}

// withContext is a reader that ends with the context's error once that has ended.
type withContext struct {
	ctx context.Context
	io.Reader
}

func (r withContext) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// sortObjects puts a listing into its order.
func sortObjects(objects []Object) {
	slices.SortFunc(objects, func(a, b Object) int { return strings.Compare(a.Name, b.Name) })
}
