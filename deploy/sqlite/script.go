package sqlite

// Script writes the stream of a snapshot to its output, as a POSIX shell script for the one who may
// read the database. $1 is the database file; $2 is a folder on the same disk that it makes and
// removes to hold a copy meanwhile, so that the transaction is held for as short as possible, or
// empty to hold nothing. It needs the program sqlite3, which holds the transaction: that it still
// does at the end is asked before the script succeeds.
const Script = `db=$1 stage=$2
[ -f "$db" ] || { echo "there is no file $db" >&2; exit 1; }
pipes=$(mktemp -d /dev/shm/cloudship-backup.XXXXXX 2>/dev/null || mktemp -d)
trap 'rm -rf "$pipes" ${stage:+"$stage"}' EXIT
trap 'exit 1' HUP INT TERM PIPE
if [ -n "$stage" ]; then rm -rf "$stage"; mkdir -m 700 "$stage"; fi
mkfifo "$pipes/in" "$pipes/out"
sqlite3 -batch -init /dev/null "$db" <"$pipes/in" >"$pipes/out" 2>"$pipes/err" &
exec 3>"$pipes/in" 4<"$pipes/out"
failed() { cat "$pipes/err" >&2; echo "sqlite3 does not hold its transaction on $db" >&2; exit 1; }
printf '.bail on\n.timeout 20000\nBEGIN;\nSELECT count(*) FROM sqlite_master;\n.print reading\n' >&3
read -r tables <&4 || failed
read -r word <&4 && [ "$word" = reading ] || failed
size=0
if [ -f "$db-wal" ]; then size=$(stat -c %s "$db-wal"); fi
copy() {
	echo "cloudship-sqlite 1 $size"
	if [ "$size" -gt 0 ]; then
		part "$1-wal" "$size"
		part "$db-wal" 32
	fi
	cat "$1"
}
part() {
	{ head -c "$2" "$1" || echo "$1" >"$pipes/unread"; cat /dev/zero; } 2>>"$pipes/err" | head -c "$2"
	[ ! -e "$pipes/unread" ] || failed
}
if [ -n "$stage" ]; then
	copy "$db" >"$stage/stream"
else
	copy "$db"
fi
printf 'SELECT count(*) FROM sqlite_master;\n.print held\n' >&3
read -r tables <&4 || failed
read -r word <&4 && [ "$word" = held ] || failed
exec 3>&- 4<&-
wait
if [ -n "$stage" ]; then cat "$stage/stream"; fi`
