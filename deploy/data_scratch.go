package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"
)

// What a backup or a restore puts beside the data, and takes away again.
const (
	scratchPrefix = ".cloudship-restore."
	stagePrefix   = ".cloudship-backup."
)

// beforeMark stands between the name of what was replaced and when that was.
const beforeMark = ".before-"

// beforeGlob fits what beforeMark made.
const beforeGlob = beforeMark + "[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]_[0-9][0-9][0-9][0-9][0-9][0-9]*"

// scratch is a folder beside the data, on the same disk, in which a backup is restored.
func (p place) scratch(purpose string) string {
	if p.own {
		return path.Join(p.path, scratchPrefix+purpose+"all")
	}
	return path.Join(path.Dir(p.path), scratchPrefix+purpose+path.Base(p.path))
}

// receiveScripts read a backup from stdin to its end into a new folder $1. The data's own folder $2 is
// made where a new server does not have it yet.
var receiveScripts = map[string]string{
	DataSQLite: receiveHead + `cat >"$1/new"`,
	DataFiles: receiveHead + `mkdir "$1/new"
tar -C "$1/new" --numeric-owner --same-owner -xpf -
cat >/dev/null`,
}

const receiveHead = `rm -rf -- "$1"
mkdir -p -- "$(dirname "$1")"
mkdir -m 700 -- "$1"
`

// receive restores a backup into a scratch folder, which is gone again after an error.
func (h *Holding) receive(ctx context.Context, scratch string, from io.Reader) error {
	w := &whole{from: from}
	err := w.check(h.onHost(ctx, receiveScripts[h.data.Kind], []string{scratch}, w, io.Discard, io.Discard))
	if err != nil {
		return errors.Join(fmt.Errorf("restore into %s: %w", scratch, err), h.clean(ctx, scratch))
	}
	return nil
}

// clean takes a scratch folder away, whatever has happened.
func (h *Holding) clean(ctx context.Context, scratch string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	if err := h.onHost(ctx, `rm -rf -- "$1"`, []string{scratch}, nil, io.Discard, io.Discard); err != nil {
		return fmt.Errorf("remove %s: %w", scratch, err)
	}
	return nil
}

// inspectScript looks whether the database $1 is sound, and asks it what comes from stdin. A copy
// that opens with a log has it taken in.
const inspectScript = `found=$(sqlite3 -batch -init /dev/null "$1" 'PRAGMA integrity_check' 2>&1) || :
[ "$found" = ok ] || { echo "its integrity check says: $found" | head -n 5 >&2; exit 1; }
query=$(cat)
[ -n "$query" ] || exit 0
printf 'PRAGMA query_only=1;\n%s\n;\n' "$query" | sqlite3 -batch -bail -init /dev/null "$1"`

// prove looks whether what a scratch folder holds is sound, and says how.
func (h *Holding) prove(ctx context.Context, scratch string) (how string, err error) {
	var answer strings.Builder
	switch {
	case h.data.Kind == DataSQLite:
		if err := h.needSQLite(ctx); err != nil {
			return "", err
		}
		err = h.onHost(ctx, inspectScript, []string{scratch + "/new"}, strings.NewReader(h.data.Check), &answer, io.Discard)
		how = "integrity_check is ok"
	case h.data.Check != "":
		err = h.onHost(ctx, "cd -- \"$1\"\n"+h.data.Check, []string{scratch + "/new"}, nil, io.Discard, io.Discard)
		how = "unpacked"
	default:
		how = "unpacked"
	}
	if err != nil {
		return "", fmt.Errorf("what is restored is not sound: %w", err)
	}
	if h.data.Check == "" {
		return how, nil
	}
	if h.data.Kind == DataSQLite {
		if err := affirms(answer.String()); err != nil {
			return "", err
		}
	}
	return how + ", check passed", nil
}

// affirms refuses an answer of a check that says no: nothing, 0 or false.
func affirms(answer string) error {
	switch text := strings.ToLower(strings.TrimSpace(answer)); text {
	case "", "0", "f", "false":
		return fmt.Errorf("the check answers %q on what is restored", text)
	}
	return nil
}
