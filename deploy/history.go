package deploy

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/cloudship/cloudship/deploy/sampler"
	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
)

// ServerHistory is what a server and its containers have used in some time.
type ServerHistory struct {
	Server  resource.Address `json:"server"`
	Problem string           `json:"problem,omitempty"` // why it could not be asked, or keeps nothing
	sampler.History
}

// HistoryPoints is how many parts a history's time is divided into.
const HistoryPoints = 24

// historyScript prints the server's time, and the samples of the last $2 seconds in folder $1. What
// is no whole line is printed too: it is for the reader to tell.
const historyScript = `now=$(date +%s)
echo "$now"
cd "$1" 2>/dev/null || exit 44
set -- "$2" samples.[0-9]*
[ -f "$2" ] || exit 44
since=$1
shift
cat "$@" | awk -v since="$((now - since))" '$1 != "s1" || $2 >= since'`

// History reads what a server has kept of its last time.
func (d *Driver) History(ctx context.Context, server resource.Found, enrolled bool, last time.Duration) (ServerHistory, error) {
	h := ServerHistory{Server: server.Mark.Address}
	host, err := d.hosts.Reach(ctx, server, enrolled, nil)
	if err != nil {
		return h, err
	}
	folder := path.Join(d.hosts.folder(host).root, "stats", "history")
	out, err := host.Run(ctx, remote.Script(historyScript, folder, strconv.FormatInt(int64(last/time.Second), 10)).AsRoot())
	var exit *remote.ExitError
	if errors.As(err, &exit) && exit.Code == 44 {
		return h, resource.WithHint(fmt.Errorf("%s keeps no history", server.Mark.Address), "put a block into the stack file, stats { history = \"7d\" }, and apply")
	}
	if err != nil {
		return h, fmt.Errorf("read the history of %s: %w", server.Mark.Address, err)
	}
	first, lines, _ := strings.Cut(string(out.Stdout), "\n")
	now, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return h, fmt.Errorf("read the history of %s: %q is no time", server.Mark.Address, first)
	}
	until := time.Unix(now, 0).UTC()
	samples, torn := sampler.Decode(lines)
	h.History = sampler.Sum(samples, until.Add(-last), until, HistoryPoints)
	h.Torn = torn
	return h, nil
}
