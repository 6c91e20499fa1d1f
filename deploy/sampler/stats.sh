#!/bin/sh
# What this server and its containers use. Installed by cloudship; nothing of it stays running.
#
#	stats sample FOLDER KEEP MOST STACK   append a line to the history: KEEP seconds, MOST bytes at most
#	stats metrics                         print Prometheus's text format
#	stats serve                           answer one request for /metrics on stdin and stdout
#
# The history is in segments, samples.TIME, of which the oldest goes.
set -u
export LC_ALL=C
root=${STATS_ROOT:-}
docker=${STATS_DOCKER:-/var/lib/docker}
here=$(dirname "$0")

collect() { # MODE STACK
	set -- "$1" "$2" "$root$docker"/containers/*/config.v2.json
	mode=$1 stack=$2
	shift 2
	[ -e "${1:-}" ] || set --
	awk -v mode="$mode" -v stack="$stack" -v root="$root" -v now="$(date +%s)" \
		-v fs="$(stat -f -c '%S %b %a %c %d' "$root/")" -f "$here/stats.awk" "$@" </dev/null
}

sample() { # FOLDER KEEP MOST STACK
	line=$(collect line "$4") || exit 1
	now=${line#s1 }
	now=${now%% *}
	mkdir -p "$1" && cd "$1" || exit 1
	newest=
	for one in samples.[0-9]*; do
		[ -f "$one" ] || continue
		start=${one#samples.}
		if [ "$start" -gt "$now" ]; then rm -f -- "$one"; continue; fi # the clock was set back
		newest=$one
	done
	start=${newest#samples.}
	if [ -z "$newest" ] || [ $((now - start)) -ge $(($2 / 4)) ] || [ "$(wc -c <"$newest")" -ge $(($3 / 5)) ]; then
		newest=samples.$now
	fi
	printf '%s\n' "$line" >>"$newest" || exit 1
	set -- "$2" samples.[0-9]*
	keep=$1
	shift
	while [ $# -gt 1 ]; do # a segment ends where the next one begins
		next=${2#samples.}
		if [ $# -gt 5 ] || [ "$next" -lt $((now - keep)) ]; then rm -f -- "$1"; fi
		shift
	done
}

answer() { # STATUS TYPE BODY
	printf 'HTTP/1.0 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n' "$1" "$2" $((${#3} + 1)) "$3"
}

serve() {
	cr=$(printf '\r')
	IFS= read -r request || exit 0
	lines=0
	while IFS= read -r header && [ -n "${header%"$cr"}" ] && [ $lines -lt 100 ]; do lines=$((lines + 1)); done
	request=${request%"$cr"}
	case $request in
	"GET /metrics HTTP/"* | "GET /metrics?"*" HTTP/"*)
		if body=$(collect metrics ""); then
			answer "200 OK" "text/plain; version=0.0.4; charset=utf-8" "$body"
		else
			answer "500 Internal Server Error" text/plain "the server could not be measured"
		fi ;;
	"GET "*) answer "404 Not Found" text/plain "see /metrics" ;;
	*) answer "405 Method Not Allowed" text/plain "only GET is answered" ;;
	esac
}

case ${1:-} in
sample) shift; sample "$@" ;;
metrics) collect metrics "" ;;
serve) serve ;;
*) echo "usage: stats sample FOLDER KEEP MOST STACK | metrics | serve" >&2; exit 64 ;;
esac
