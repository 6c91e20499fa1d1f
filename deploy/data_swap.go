package deploy

import (
	"context"
	"io"
	"path"
	"strings"
)

// How what was restored takes the data's place. All of it happens in a few renames on one disk, while
// nobody has the data open. A script that is cut off anywhere leaves the old or the new in its place,
// whole; settle finds out which, and takes away what is left over.

// fileSwap puts the database $1/new in the place of $2, whose old self is $3 from then on. Closed by
// its last user, a database is one file, since its log is taken in: so the one rename decides. One
// that cannot be read any more keeps its log beside it.
const fileSwap = `if [ -e "$2" ]; then
	chown --reference="$2" -- "$1/new"
	chmod --reference="$2" -- "$1/new"
	if taken=$(sqlite3 -batch -init /dev/null -cmd '.timeout 5000' "$2" 'PRAGMA wal_checkpoint(TRUNCATE)' 2>/dev/null); then
		case "$taken" in
		1*) echo "another process has $2 open" >&2; exit 1 ;;
		esac
	fi
	for part in -wal -shm -journal; do
		[ ! -e "$2$part" ] || ln -- "$2$part" "$3$part"
	done
	ln -- "$2" "$3"
	sync -- "$1/new" 2>/dev/null || sync
	rm -f -- "$2-wal" "$2-shm" "$2-journal"
else
	chown --reference="$(dirname "$2")" -- "$1/new"
	chmod 640 "$1/new"
	sync -- "$1/new" 2>/dev/null || sync
fi
mv -fT -- "$1/new" "$2"
sync -- "$(dirname "$2")" 2>/dev/null || sync
rm -rf -- "$1"`

// fileSettle ends a swap that was cut off: a second name of the data that still is in its place is no
// old copy of it.
const fileSettle = `rm -rf -- "$1"
for before in "$2"` + beforeGlob + `; do
	if [ "$before" -ef "$2" ]; then rm -f -- "$before" "$before-wal" "$before-shm" "$before-journal"; fi
done`

// fileBack puts the old database $3 back in the place of $2. Where there was none there is none again.
const fileBack = `rm -f -- "$2-wal" "$2-shm" "$2-journal"
if [ ! -e "$3" ]; then rm -f -- "$2"; exit 0; fi
mv -fT -- "$3" "$2"
for part in -wal -journal; do
	[ ! -e "$3$part" ] || mv -f -- "$3$part" "$2$part"
done
rm -f -- "$3-shm"`

// exchange swaps two names in one motion, which the kernel can and mv cannot yet.
const exchange = `exchange() {
	case "$(uname -m)" in
	x86_64) call=316 ;;
	aarch64) call=276 ;;
	*) return 1 ;;
	esac
	perl -e 'exit(syscall($ARGV[0] + 0, -100, $ARGV[1], -100, $ARGV[2], 2) != 0)' "$call" "$1" "$2" 2>/dev/null
}
move() { find "$1" -mindepth 1 -maxdepth 1 ! -path "$3" ! -name '` + beforeGlob + `' -exec mv -t "$2" -- {} +; }
`

// folderSwap puts the folder $5 in the place of $2, whose old self is $3 from then on. $1 is its
// scratch folder. Where $4 is own, the folder is a disk of its own, whose name stays: then its contents
// change places.
const folderSwap = exchange + `new=$5
echo "$3" >"$1/before"
echo "$new" >"$1/source"
if [ ! -e "$2" ]; then
	mv -T -- "$new" "$2"
elif [ "$4" = own ]; then
	chown --reference="$new" -- "$2"
	chmod --reference="$new" -- "$2"
	mkdir "$1/out"
	move "$2" "$1/out" "$1"
	sync
	: >"$1/in"
	move "$new" "$2" "$1"
	mv -T -- "$1/out" "$3"
else
	chcon -R --reference="$2" "$new" 2>/dev/null || :
	stat -c %i "$2" >"$1/old"
	sync
	if exchange "$new" "$2"; then
		mv -T -- "$new" "$3"
	else
		mv -T -- "$2" "$1/out"
		mv -T -- "$new" "$2"
		mv -T -- "$1/out" "$3"
	fi
fi
sync
rm -rf -- "$1"`

// folderSettle ends a swap that was cut off: it goes on where the new is in its place, in part or
// whole, and goes back where it is not.
const folderSettle = exchange + `if [ -s "$1/source" ]; then
	before=$(cat "$1/before")
	new=$(cat "$1/source")
	if [ -f "$1/old" ]; then
		if [ ! -e "$2" ] && [ -d "$1/out" ]; then
			mv -T -- "$1/out" "$2"
		elif [ -d "$1/out" ]; then
			mv -T -- "$1/out" "$before"
		elif [ -d "$new" ] && [ "$(stat -c %i "$new")" = "$(cat "$1/old")" ]; then
			mv -T -- "$new" "$before"
		fi
	elif [ -e "$1/in" ]; then
		move "$new" "$2" "$1"
		if [ -d "$1/out" ]; then mv -T -- "$1/out" "$before"; fi
	elif [ -d "$1/out" ]; then
		move "$1/out" "$2" "$1"
	fi
fi
rm -rf -- "$1"`

// folderBack puts the old folder $3 back in the place of $2: a swap after which what was in its place
// goes. Where there was none there is none again.
const folderBack = `if [ ! -e "$3" ]; then rm -rf -- "$2"; exit 0; fi
rm -rf -- "$1"
mkdir -m 700 -- "$1"
set -- "$1" "$2" "$1/gone" "$4" "$3"
` + folderSwap + `
rm -rf -- "$5"`

var swapScripts = map[string]struct{ swap, settle, back string }{
	DataSQLite: {fileSwap, fileSettle, fileBack},
	DataFiles:  {folderSwap, folderSettle, folderBack},
}

// swapping is one restore of data on a disk: where it is restored, what it replaces, and what that
// is called afterwards.
type swapping struct {
	h                     *Holding
	scratch, file, before string
	own                   string
}

// swapping prepares for a restore at a moment: 20260921_180000.
func (h *Holding) swapping(p place, stamp string) swapping {
	s := swapping{h: h, scratch: p.scratch(""), file: p.path, before: p.path + beforeMark + stamp, own: "shared"}
	if p.own {
		s.own, s.before = "own", path.Join(p.path, beforeMark+stamp)
	}
	return s
}

func (s swapping) arguments() []string {
	return []string{s.scratch, s.file, s.before, s.own, s.scratch + "/new"}
}

func (s swapping) script(ctx context.Context, script string) error {
	return s.h.onHost(ctx, script, s.arguments(), nil, io.Discard, io.Discard)
}

func (s swapping) swap(ctx context.Context) error {
	return s.script(ctx, swapScripts[s.h.data.Kind].swap)
}
func (s swapping) settle(ctx context.Context) error {
	return s.script(ctx, swapScripts[s.h.data.Kind].settle)
}
func (s swapping) back(ctx context.Context) error {
	return s.script(ctx, swapScripts[s.h.data.Kind].back)
}

// replaced reports whether the old data is there under its other name.
func (s swapping) replaced(ctx context.Context) (bool, error) {
	var answer strings.Builder
	err := s.h.onHost(ctx, `[ ! -e "$1" ] || echo yes`, []string{s.before}, nil, &answer, io.Discard)
	return answer.Len() > 0, err
}
