package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Scripts for databases that a service serves. They run in its container, as the image's own programs,
// with what the container's environment says: no password is in a process list. Their first two
// arguments are user and database; empty is what the environment says.

// sqlHead sets who connects to which database.
var sqlHead = map[string]string{
	DataPostgreSQL: `user=${1:-${POSTGRES_USER:-postgres}}
db=${2:-${POSTGRES_DB:-$user}}
[ -n "${POSTGRES_PASSWORD:-}" ] || [ ! -r "${POSTGRES_PASSWORD_FILE:-}" ] || POSTGRES_PASSWORD=$(cat "$POSTGRES_PASSWORD_FILE")
export PGUSER="$user" PGPASSWORD="${PGPASSWORD:-${POSTGRES_PASSWORD:-}}" PGCONNECT_TIMEOUT=10
sql() { psql -X -q -A -t -v ON_ERROR_STOP=1 -v db="$db" -v scratch="$db$scratch" -v before="${before:-}" "$@"; }
scratch=_cloudship_scratch
`,
	DataMySQL: `secret() { eval "value=\${$1:-}; file=\${$1_FILE:-}"; [ -n "$value" ] || [ ! -r "$file" ] || value=$(cat "$file"); printf %s "$value"; }
password=$(secret MYSQL_ROOT_PASSWORD)
[ -n "$password" ] || password=$(secret MARIADB_ROOT_PASSWORD)
user=${1:-root}
db=${2:-${MYSQL_DATABASE:-${MARIADB_DATABASE:-}}}
[ "$user" = root ] || { password=$(secret MYSQL_PASSWORD); [ -n "$password" ] || password=$(secret MARIADB_PASSWORD); }
[ -n "$db" ] || { echo "which database is meant is said neither in the stack file nor by MYSQL_DATABASE or MARIADB_DATABASE" >&2; exit 1; }
case "$db" in *[!A-Za-z0-9_-]*) echo "a database of the name $db is beyond these scripts" >&2; exit 1 ;; esac
export MYSQL_PWD="$password"
one() { for program in "$@"; do if command -v "$program" >/dev/null 2>&1; then echo "$program"; return; fi; done; echo "the container has no $1" >&2; exit 1; }
mysql=$(one mariadb mysql)
dump=$(one mariadb-dump mysqldump)
scratch=${db}_cloudship_scratch
sql() { "$mysql" --no-defaults -u "$user" -N -B "$@"; }
`,
}

// sqlSave writes a dump to stdout. Its last line is told apart by no reader: the status tells.
var sqlSave = map[string]string{
	DataPostgreSQL: `exec pg_dump -Fc -d "$db"`,
	DataMySQL:      `exec "$dump" --no-defaults -u "$user" --single-transaction --quick --routines --triggers --events --hex-blob --no-tablespaces "$db"`,
}

// sqlReceive restores a dump from stdin into a scratch database, made as the one that there is.
var sqlReceive = map[string]string{
	DataPostgreSQL: `sql -d template1 <<'END'
DROP DATABASE IF EXISTS :"scratch";
SELECT coalesce((SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING %L LC_COLLATE %L LC_CTYPE %L', :'scratch', pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype)
FROM pg_database WHERE datname = :'db'), format('CREATE DATABASE %I TEMPLATE template0', :'scratch')) \gexec
END
pg_restore --exit-on-error -d "$db$scratch"
cat >/dev/null`,
	DataMySQL: `sql -e "DROP DATABASE IF EXISTS \` + "`$scratch\\`" + `; CREATE DATABASE \` + "`$scratch\\`" + `"
sql "$scratch"
cat >/dev/null`,
}

// sqlCheck asks the scratch database what comes from stdin.
var sqlCheck = map[string]string{
	DataPostgreSQL: `sql -d "$db$scratch"`,
	DataMySQL:      `sql "$scratch"`,
}

// sqlDrop takes the scratch database away.
var sqlDrop = map[string]string{
	DataPostgreSQL: `echo 'DROP DATABASE IF EXISTS :"scratch"' | sql -d template1`,
	DataMySQL:      "sql -e \"DROP DATABASE IF EXISTS \\`$scratch\\`\"",
}

// sqlSwap puts the scratch database in the place of the other, which has _before_$3 at the
// end of its name from then on, and prints that name if there was one. PostgreSQL renames both in one transaction, for which nobody may
// be connected: who is, is disconnected, and connects to the new one. MySQL renames all tables in one
// statement; what else there is of a schema would stay behind, so that is refused.
var sqlSwap = map[string]string{
	DataPostgreSQL: `before=$(printf %.40s "$db")_before_$3
exists=$(echo "SELECT count(*) FROM pg_database WHERE datname = :'db'" | sql -d template1)
if [ "$exists" = 0 ]; then
	echo 'ALTER DATABASE :"scratch" RENAME TO :"db"' | sql -d template1
	exit 0
fi
tries=0
until sql -d template1 <<'END' 2>/tmp/cloudship-swap.$$
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN (:'db', :'scratch') \g /dev/null
BEGIN;
ALTER DATABASE :"db" RENAME TO :"before";
ALTER DATABASE :"scratch" RENAME TO :"db";
COMMIT;
END
do
	tries=$((tries + 1))
	if [ "$tries" -ge 10 ]; then cat /tmp/cloudship-swap.$$ >&2; rm -f /tmp/cloudship-swap.$$; exit 1; fi
done
rm -f /tmp/cloudship-swap.$$
echo "$before"`,
	DataMySQL: `before=$(printf %.40s "$db")_before_$3
others=$(sql -e "SELECT count(*) FROM information_schema.views WHERE table_schema IN ('$db', '$scratch')")
others=$((others + $(sql -e "SELECT count(*) FROM information_schema.triggers WHERE trigger_schema IN ('$db', '$scratch')")))
others=$((others + $(sql -e "SELECT count(*) FROM information_schema.routines WHERE routine_schema IN ('$db', '$scratch')")))
others=$((others + $(sql -e "SELECT count(*) FROM information_schema.events WHERE event_schema IN ('$db', '$scratch')")))
if [ "$others" != 0 ]; then
	echo "$db has views, triggers, routines or events, which MySQL cannot rename into another database: the backup is in the database $scratch" >&2
	exit 1
fi
moves=$(sql -e "SET SESSION group_concat_max_len = 100000000;
SELECT group_concat(concat('\` + "`$db\\`.\\`', table_name, '\\` TO \\`$before\\`.\\`', table_name, '\\`') ORDER BY table_name SEPARATOR ', ') FROM information_schema.tables WHERE table_schema = '$db';" + `
SELECT group_concat(concat('\` + "`$scratch\\`.\\`', table_name, '\\` TO \\`$db\\`.\\`', table_name, '\\`') ORDER BY table_name SEPARATOR ', ') FROM information_schema.tables WHERE table_schema = '$scratch'\"" + ` | grep -v '^NULL$' | paste -sd, -)
sql -e "CREATE DATABASE IF NOT EXISTS \` + "`$db\\`; CREATE DATABASE \\`$before\\`" + `"
[ -z "$moves" ] || sql -e "RENAME TABLE $moves"
sql -e "DROP DATABASE \` + "`$scratch\\`" + `"
echo "$before"`,
}

// login are the first arguments of these scripts.
func (h *Holding) login() []string { return []string{h.data.User, h.data.Database} }

// sql runs one of these scripts.
func (h *Holding) sql(ctx context.Context, script map[string]string, args []string, stdin io.Reader, stdout io.Writer) error {
	return h.run(ctx, sqlHead[h.data.Kind]+script[h.data.Kind], append(h.login(), args...), stdin, stdout)
}

// receiveDatabase restores a dump into a scratch database and looks whether that is sound.
func (h *Holding) receiveDatabase(ctx context.Context, from io.Reader) (how string, err error) {
	w := &whole{from: from}
	if err := w.check(h.sql(ctx, sqlReceive, nil, w, io.Discard)); err != nil {
		return "", fmt.Errorf("restore into a scratch database: %w", err)
	}
	if h.data.Check == "" {
		return "all statements succeeded", nil
	}
	var answer strings.Builder
	if err := h.sql(ctx, sqlCheck, nil, strings.NewReader(h.data.Check), &answer); err != nil {
		return "", fmt.Errorf("check of what is restored: %w", err)
	}
	return "all statements succeeded, check passed", affirms(answer.String())
}

// dropScratch takes the scratch database away, whatever has happened.
func (h *Holding) dropScratch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if err := h.sql(ctx, sqlDrop, nil, nil, io.Discard); err != nil {
		return fmt.Errorf("drop the scratch database: %w", err)
	}
	return nil
}

func (h *Holding) proveDatabase(ctx context.Context, from io.Reader) (how string, err error) {
	how, err = h.receiveDatabase(ctx, from)
	if err := errors.Join(err, h.dropScratch(ctx)); err != nil {
		return "", err
	}
	return "restored into a scratch database: " + how, nil
}

// restoreDatabase needs no container stopped: the rename is one motion.
func (h *Holding) restoreDatabase(ctx context.Context, open func(context.Context) (io.ReadCloser, error), stamp string) (before string, err error) {
	from, err := open(ctx)
	if err != nil {
		return "", err
	}
	how, err := h.receiveDatabase(ctx, from)
	if err := errors.Join(err, from.Close()); err != nil {
		return "", errors.Join(fmt.Errorf("%w; nothing was changed", err), h.dropScratch(ctx))
	}
	h.say("restored into a scratch database: " + how)
	var answer strings.Builder
	if err := h.sql(ctx, sqlSwap, []string{stamp}, nil, &answer); err != nil {
		return "", fmt.Errorf("put the restored database in the place of the other: %w", err)
	}
	if before = strings.TrimSpace(answer.String()); before != "" {
		before = "database " + before
	}
	return before, nil
}
