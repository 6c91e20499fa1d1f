//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// sinks has the lines shipped as Loki wants them, and then as syslog does, to a host that the server
// reaches.
func (v *voyage) sinks(host, version string) {
	v.t.Helper()
	var pushed, logged atomic.Int64
	push := v.serve(host, func(l net.Listener) {
		_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			pushed.Add(lokiLines(r, version))
			w.WriteHeader(http.StatusNoContent)
		}))
	})
	v.shipsTo(fmt.Sprintf("ship \"loki\" {\n    url = %q", "http://"+push+"/loki/api/v1/push"), version)
	v.eventually("Loki has lines with their time", func() bool { return pushed.Load() > 40 })

	syslog := v.serve(host, func(l net.Listener) {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				for lines := bufio.NewScanner(c); lines.Scan(); {
					if m := rfc5424.FindStringSubmatch(lines.Text()); m != nil && recent(m[1]) && strings.HasPrefix(m[2], version+" line ") {
						logged.Add(1)
					}
				}
			}()
		}
	})
	v.shipsTo(fmt.Sprintf("ship \"syslog\" {\n    url = %q", "tcp://"+syslog), version)
	v.eventually("syslog has lines with their time", func() bool { return logged.Load() > 40 })
}

// rfc5424 is a line of syslog of this application: how long it is, priority, version, time, host,
// application, process and message id, data, and the text.
var rfc5424 = regexp.MustCompile(`<\d+>1 (\S+) \S+ app 1 \S+ (?:-|\[.*\]) (?:\x{feff})?(.*)$`)

func recent(stamp string) bool {
	at, err := time.Parse(time.RFC3339Nano, stamp)
	return err == nil && time.Since(at).Abs() < 10*time.Minute
}

// lokiLines counts a version's lines in a push that are as Loki wants them.
func lokiLines(r *http.Request, version string) (n int64) {
	var body struct {
		Streams []struct {
			Stream map[string]string
			Values [][2]string
		}
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil {
		return 0
	}
	for _, s := range body.Streams {
		for _, value := range s.Values {
			ns, err := strconv.ParseInt(value[0], 10, 64)
			if err == nil && time.Since(time.Unix(0, ns)).Abs() < 10*time.Minute && s.Stream["service"] == "app" && strings.HasPrefix(value[1], version+" line ") {
				n++
			}
		}
	}
	return n
}

// serve listens on a host until the test ends, and gives the address.
func (v *voyage) serve(host string, serve func(net.Listener)) string {
	v.t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { _ = l.Close() })
	go serve(l)
	return l.Addr().String()
}

// shipsTo replaces where lines go.
func (v *voyage) shipsTo(ship, version string) {
	v.t.Helper()
	text := printer + strings.ReplaceAll(printerLog, "ship \"http\" {\n    url    = \"${var.sink}/${var.password}\"", ship)
	if !strings.Contains(text, ship) {
		v.t.Fatal("the log block has no url to replace")
	}
	if err := os.WriteFile(filepath.Join(v.Dir, "cloudship.hcl"), []byte(text), 0o644); err != nil {
		v.t.Fatal(err)
	}
	v.ship(0, "apply", "-y", "--var", "version="+version)
}
