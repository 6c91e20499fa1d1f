package hosts

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
)

// kept is where machines keep what stacks leave with them, one folder a stack.
const kept = "/var/lib/cloudship"

// taken is what the file says by which a machine is a stack's: KEPT/STACK/taken.json, in one line.
type taken struct {
	Mark  resource.Mark `json:"mark"`
	Taken time.Time     `json:"taken"` // by the machine's clock
}

// takeScript writes the mark $2 into the folder $1 in one motion, unless it is there, and prints
// what is there afterwards.
const takeScript = `umask 077
file=$1/taken.json
if ! { [ -s "$file" ] && grep -qF -- "\"mark\":$2," "$file"; }; then
	mkdir -p "$1"
	printf '{"mark":%s,"taken":"%s"}\n' "$2" "$(date -u +%Y-%m-%dT%H:%M:%SZ)" >"$file.new"
	sync
	mv -f "$file.new" "$file"
fi
cat "$file"`

// lookScript prints the marks of all stacks that have taken the machine, below the folder $1.
const lookScript = `for file in "$1"/*/taken.json; do
	[ ! -s "$file" ] || cat "$file"
done`

// forgetScript removes a stack's folder $1, its mark last.
const forgetScript = `[ -d "$1" ] || exit 0
find "$1" -mindepth 1 -maxdepth 1 ! -name taken.json -exec rm -rf -- {} +
rm -rf -- "$1"`

func folder(stack resource.StackID) string { return path.Join(kept, string(stack)) }

// marksOn reads the marks that a machine keeps. One that cannot be read is nobody's that we know.
func marksOn(ctx context.Context, host *remote.Host) ([]taken, error) {
	out, err := host.Run(ctx, remote.Script(lookScript, kept).AsRoot())
	if err != nil {
		return nil, err
	}
	return parseMarks(string(out.Stdout)), nil
}

func parseMarks(text string) []taken {
	var list []taken
	for line := range strings.Lines(text) {
		var t taken
		if json.Unmarshal([]byte(line), &t) == nil && t.Mark.Stack.Valid() && t.Mark.Address.Valid() == nil &&
			t.Mark.Address.Kind() == resource.KindServer && t.Mark.Generation > 0 {
			list = append(list, t)
		}
	}
	return list
}

// markOf is the mark that a stack has on a machine, or nil.
func markOf(ctx context.Context, host *remote.Host, stack resource.StackID) (*taken, error) {
	marks, err := marksOn(ctx, host)
	if err != nil {
		return nil, err
	}
	for _, t := range marks {
		if t.Mark.Stack == stack {
			return &t, nil
		}
	}
	return nil, nil
}

// write puts a mark on a machine.
func write(ctx context.Context, host *remote.Host, m resource.Mark) (taken, error) {
	b, err := json.Marshal(m)
	if err != nil {
		return taken{}, err
	}
	out, err := host.Run(ctx, remote.Script(takeScript, folder(m.Stack), string(b)).AsRoot())
	if err != nil {
		return taken{}, err
	}
	marks := parseMarks(string(out.Stdout))
	if len(marks) != 1 || marks[0].Mark != m {
		return taken{}, fmt.Errorf("the machine keeps another mark than the one that was written: %s", strings.TrimSpace(string(out.Stdout)))
	}
	return marks[0], nil
}
