package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// What containers print goes to their server's journal where the stack file has a log block. The
// journal outlives the containers, bounds itself by size and age, and is a part of the system: no
// process of ours runs. The engine writes a container's labels as fields beside each line.

// journalDriver is the engine's name for the journal.
const journalDriver = "journald"

// journalLabels are the labels that the engine writes beside each line.
var journalLabels = []string{labelStack, labelGroup, labelRelease, composeService, composeNumber}

// LogToJournal has the services of a release log to the journal, but for those that say themselves
// where to. Its id changes with it.
func LogToJournal(r *template.Release) {
	for name, s := range r.Services {
		if s.Logging == nil {
			s.Logging = &template.Logging{Driver: journalDriver, Options: map[string]string{"labels": strings.Join(journalLabels, ",")}}
			r.Services[name] = s
		}
	}
}

// journaled reports whether a container's lines are in the journal, with our fields beside them.
func journaled(c container.InspectResponse) bool {
	return c.HostConfig != nil && c.HostConfig.LogConfig.Type == journalDriver && strings.Contains(c.HostConfig.LogConfig.Config["labels"], labelStack)
}

// journalConfig is where the journal of a server is told what to keep. The name sorts behind those
// that others use: the last one is believed.
const journalConfig = "etc/systemd/journald.conf.d/zz-cloudship.conf"

// journalScript notes what a stack wants of the journal ($3 MB for $4 seconds; 0 MB: nothing any
// more) in its folder $2, and makes the configuration of the journal below $5 of the largest that the stacks
// in $1 want. Several may do so at once. A journal file is thrown away whole, by its oldest line: it is
// begun anew often enough, and the age counts from its newest. The journal must not limit the rate:
// to it, all containers are one service.
const journalScript = `umask 022
config=$5` + journalConfig + `
if ! [ -S "$5run/systemd/journal/socket" ] || ! command -v journalctl >/dev/null; then
	[ "$3" = 0 ] && exit 0
	echo "systemd-journald does not run here" >&2
	exit 3
fi
[ "$3" != 0 ] || [ -d "$1" ] || exit 0
mkdir -p "$1"
exec 9>"$1/journal.lock"
flock 9
if [ "$3" = 0 ]; then
	rm -f "$2/journal"
else
	mkdir -p -m 0700 "$2"
	echo "$3 $4" >"$2/journal.new"
	mv -f "$2/journal.new" "$2/journal"
fi
new=$(cat "$1"/*/journal 2>/dev/null | awk '
	$1 > keep { keep = $1 }
	$2 == 0 { forever = 1 }
	$2 > age { age = $2 }
	END {
		if (!keep) exit
		file = age / 10
		if (file < 3600) file = 3600
		if (file > 86400 || forever) file = 86400
		print "# Written by cloudship: the largest that the log blocks of the stacks on this server want."
		print "[Journal]\nStorage=persistent"
		printf "SystemMaxUse=%.0fM\nMaxRetentionSec=%.0f\nMaxFileSec=%.0f\n", keep, forever ? 0 : age + file, file
		print "RateLimitIntervalSec=0\nRateLimitBurst=0"
	}')
old=$(cat "$config" 2>/dev/null || true)
[ "$new" != "$old" ] || exit 0
mkdir -p "$(dirname "$config")" "$5var/log/journal"
if [ -n "$new" ]; then
	printf '%s\n' "$new" >"$config.new"
	mv -f "$config.new" "$config"
else
	rm -f "$config"
fi
systemctl restart systemd-journald
journalctl --flush || true
echo changed`

// putJournal has a server's journal keep what is wanted, nil: nothing on this stack's account.
func putJournal(ctx context.Context, f folder, want *resource.Journal, say func(string)) error {
	if want == nil {
		want = &resource.Journal{}
	}
	out, err := f.host.Run(ctx, journalCommand(f.root, want))
	var exit *remote.ExitError
	if errors.As(err, &exit) && exit.Code == 3 {
		return resource.WithHint(fmt.Errorf("the log block needs systemd's journal, and %s", exit.Stderr), "install systemd on the server, take another image, or take the log block away")
	}
	if err != nil {
		return fmt.Errorf("set the journal up: %w", err)
	}
	if len(bytes.TrimSpace(out.Stdout)) > 0 {
		if want.KeepMB == 0 {
			say("the journal keeps nothing for this stack any more")
		} else {
			say(fmt.Sprintf("the journal keeps %d MB of what containers print", want.KeepMB))
		}
	}
	return nil
}

func journalCommand(root string, want *resource.Journal) remote.Command {
	return remote.Script(journalScript, path.Dir(root), root, strconv.Itoa(want.KeepMB), strconv.Itoa(want.MaxAge), "/").AsRoot()
}

// lookJournalScript prints what the stack in folder $1 wanted, and what the journal's configuration
// $2 says.
const lookJournalScript = `[ -f "$1/journal" ] || exit 0
cat "$1/journal"
sed -n 's/^SystemMaxUse=\([0-9]*\)M$/\1/p; s/^MaxRetentionSec=//p' "$2" 2>/dev/null || true`

// lookJournal finds what a server's journal keeps on this stack's account: what was wanted, unless
// somebody has taken from it. That others want more is no difference.
func lookJournal(ctx context.Context, f folder) (*resource.Journal, error) {
	out, err := f.host.Run(ctx, remote.Script(lookJournalScript, f.root, "/"+journalConfig).AsRoot())
	if err != nil {
		return nil, fmt.Errorf("look at the journal's configuration: %w", err)
	}
	return parseJournal(string(out.Stdout)), nil
}

func parseJournal(text string) *resource.Journal {
	var n []int
	for _, word := range strings.Fields(text) {
		i, err := strconv.Atoi(word)
		if err != nil {
			return nil // somebody wrote into it
		}
		n = append(n, i)
	}
	if len(n) != 4 {
		return nil
	}
	wanted, use, age := resource.Journal{KeepMB: n[0], MaxAge: n[1]}, n[2], n[3]
	if use < wanted.KeepMB {
		return &resource.Journal{KeepMB: use, MaxAge: wanted.MaxAge}
	}
	if age != 0 && (wanted.MaxAge == 0 || age < wanted.MaxAge) {
		return &resource.Journal{KeepMB: wanted.KeepMB, MaxAge: age}
	}
	return &wanted
}
