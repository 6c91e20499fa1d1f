package backup

// The statuses by which our scripts say what the contract of Target names.
const (
	statusAbsent = 44
	statusFull   = 45
	statusDenied = 46
	statusExists = 47
)

// scriptHead begins every script. fail ends it with the status for a tool's words; try runs a command
// and ends with its words when it fails.
const scriptHead = `set -eu
umask 077
LC_ALL=C
export LC_ALL
fail() {
	printf '%s\n' "$1" >&2
	case $1 in
	*"No space left"* | *"uota exceeded"*) exit 45 ;;
	*"ermission denied"* | *"Read-only file system"*) exit 46 ;;
	esac
	exit 1
}
try() { said=$("$@" 2>&1) || fail "$said"; }
`

// writeScript writes stdin aside: folder, aside, name.
const writeScript = `[ ! -e "$3" ] || exit 47
try mkdir -p "$1"
said=$( { cat >"$2"; } 2>&1) || {
	rm -f "$2"
	fail "$said"
}
`

// nameScript makes what was written aside safe on the disk, and gives it its name if its size is right
// and the name is free: folder, aside, name, size, base. Older tools sync no single file.
const nameScript = `safe() {
	said=$(sync "$@" 2>&1) || case $said in
	*"pace left"* | *"uota exceeded"* | *"nput/output error"*) fail "$said" ;;
	*) sync ;;
	esac
}
safe "$2"
size=$(wc -c <"$2")
[ "$size" -eq "$4" ] || {
	rm -f "$2"
	fail "$size of $4 bytes arrived"
}
if ! said=$(ln "$2" "$3" 2>&1); then
	rm -f "$2"
	[ ! -e "$3" ] || exit 47
	fail "$said"
fi
rm -f "$2"
folder=$1
safe "$folder"
while [ "$folder" != "$5" ] && [ "${#folder}" -gt "${#5}" ]; do
	folder=$(dirname "$folder")
	safe "$folder"
done
`

// readScript prints a file.
const readScript = `[ -e "$1" ] || exit 44
said=$( [ -f "$1" ] && [ -r "$1" ] 2>&1) || fail "$1: permission denied, or no file"
exec cat "$1"
`

// listScript prints the time, then size, time of change and name of every file of a folder, then "end".
// What vanishes meanwhile has it look again.
const listScript = `[ -e "$1" ] || { date +%s; echo end; exit 0; }
try cd "$1"
cd "$1"
for round in 1 2 3; do
	if found=$(find . -type f ! -path '*/.*' ! -path '*
*' -exec stat -c '%s %Y %n' {} + 2>&1); then
		date +%s
		[ -z "$found" ] || printf '%s\n' "$found"
		echo end
		exit 0
	fi
done
fail "$found"
`

// deleteScript removes a file for good: file, folder.
const deleteScript = `[ -e "$1" ] || exit 0
try rm -f "$1"
sync "$2" 2>/dev/null || sync
`

// sweepScript removes what was written aside and is older than so many minutes, and prints it: folder, minutes.
const sweepScript = `[ -e "$1" ] || exit 0
find "$1" -type f -name '.aside-*' -mmin "+$2" -print -exec rm -f {} +
`
