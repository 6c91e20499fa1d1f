package remote

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// writeScript replaces a file in one motion. It compares the size before it
// does, so that a line that breaks in the middle leaves the old file.
const writeScript = `umask 077
mkdir -p "$(dirname "$1")"
tmp=$(mktemp "$1.XXXXXXXX")
trap 'rm -f "$tmp"' EXIT
cat >"$tmp"
[ "$(wc -c <"$tmp")" -eq "$4" ]
chmod "$2" "$tmp"
[ -z "$3" ] || chown "$3" "$tmp"
sync "$tmp" 2>/dev/null || sync
mv -fT "$tmp" "$1"`

// missing is the status by which our scripts say that there is no such file.
const missing = 44

// WriteFile puts content at path as root, atomically, with mode and owner
// ("user:group"; empty is root). Missing folders are made, for root alone.
// It may be repeated. The content goes over stdin, so it may be secret.
func (h *Host) WriteFile(ctx context.Context, path string, mode fs.FileMode, owner string, content []byte) error {
	c := writeFile(path, mode, owner, content)
	if _, err := h.Run(ctx, c); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func writeFile(path string, mode fs.FileMode, owner string, content []byte) Command {
	octal := strconv.FormatUint(uint64(mode.Perm()), 8)
	return Script(writeScript, path, octal, owner, strconv.Itoa(len(content))).WithStdin(content).AsRoot()
}

// ReadFile answers the content of a file, read as root. A file that is not
// there is fs.ErrNotExist.
func (h *Host) ReadFile(ctx context.Context, path string) ([]byte, error) {
	script := fmt.Sprintf(`[ -e "$1" ] || exit %d; cat -- "$1"`, missing)
	out, err := h.Run(ctx, Script(script, path).AsRoot())
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, orNotExist(err))
	}
	return out.Stdout, nil
}

// RemoveFile removes a file as root; one that is not there is no error.
func (h *Host) RemoveFile(ctx context.Context, path string) error {
	if _, err := h.Run(ctx, Argv("rm", "-f", "--", path).AsRoot()); err != nil {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	return nil
}

// ListDir answers the names in a folder, sorted, read as root. A folder that
// is not there is fs.ErrNotExist.
func (h *Host) ListDir(ctx context.Context, path string) ([]string, error) {
	script := fmt.Sprintf(`[ -e "$1" ] || exit %d; find "$1/" -mindepth 1 -maxdepth 1 -printf '%%f\0' | LC_ALL=C sort -z`, missing)
	out, err := h.Run(ctx, Script(script, path).AsRoot())
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", path, orNotExist(err))
	}
	names := strings.Split(string(out.Stdout), "\x00")
	return names[:len(names)-1], nil
}

// orNotExist is fs.ErrNotExist where a script said so, else err.
func orNotExist(err error) error {
	var exit *ExitError
	if errors.As(err, &exit) && exit.Code == missing {
		return fmt.Errorf("%w on %s", fs.ErrNotExist, exit.Address)
	}
	return err
}
