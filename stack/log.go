package stack

import (
	"fmt"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// Log is the log block: what containers print is kept by each server's journal, which outlives them.
type Log struct {
	Keep   int64         // bytes on each server
	MaxAge time.Duration // 0: only Keep bounds it
	Ship   *Ship         // nil: it stays on the servers
	Place  string
	node   *node
}

// Ship is where a shipper sends what is kept.
type Ship struct {
	Sink   string // http, loki, syslog or file
	URL    Value  // of every sink but file
	Path   string // of file: absolute, on each server
	Image  string // empty: the shipper's own
	Memory int64  // bytes; 0: the shipper's own
	Place  string
}

// Bounds of a log block.
const (
	leastKept   = 16 << 20
	mostKept    = 1 << 40
	defaultKept = 200 << 20
	leastAge    = time.Hour
	mostAge     = 10 * 365 * 24 * time.Hour
)

// sinks says which schemes a sink's URL may have; file has none.
var sinks = map[string][]string{"http": {"http", "https"}, "loki": {"http", "https"}, "syslog": {"tcp", "tls"}, "file": nil}

// Journal is what the log block wants of a server, or nil.
func (s *Stack) Journal() *resource.Journal {
	if s.Log == nil {
		return nil
	}
	return &resource.Journal{KeepMB: int(s.Log.Keep >> 20), MaxAge: int(s.Log.MaxAge / time.Second)}
}

func (l *loader) buildLog(n *node) *Log {
	g := &Log{Keep: l.bytes(n, "keep", defaultKept, leastKept, mostKept), MaxAge: l.wholeSpan(n, "max_age", 0, leastAge, mostAge), Place: place(n.at), node: n}
	if inner := n.only("ship"); inner != nil {
		g.Ship = l.buildShip(inner)
	}
	return g
}

func (l *loader) buildShip(n *node) *Ship {
	s := &Ship{Sink: n.label, URL: l.value(n, "url"), Path: l.text(n, "path"), Image: l.text(n, "image"), Memory: l.bytes(n, "memory", 0, 16<<20, 1<<36), Place: place(n.at)}
	schemes, known := sinks[s.Sink]
	switch {
	case !known:
		valid := []string{"file", "http", "loki", "syslog"}
		l.report(fault(n.at, fmt.Sprintf("logs cannot be shipped to %q", s.Sink), oneOf(valid), didYouMean(s.Sink, valid)))
	case s.Sink == "file":
		l.checkShipFile(n, s)
	default:
		l.checkShipURL(n, s, schemes)
	}
	return s
}

func (l *loader) checkShipFile(n *node, s *Ship) {
	if n.attributes["url"] != nil {
		l.report(fault(n.where("url"), n.title()+" has a url", `want path = "/var/log/shop/all.log"`, ""))
	}
	if n.attributes["path"] == nil {
		l.report(fault(n.at, n.title()+" has no path", `want path = "/var/log/shop/all.log"`, ""))
		return
	}
	if !path.IsAbs(s.Path) || path.Clean(s.Path) != s.Path || path.Dir(s.Path) == "/" || strings.ContainsAny(s.Path, "\"\\$`\n\r\x00") {
		l.report(fault(n.where("path"), fmt.Sprintf("%q is no path of a file in a folder", s.Path), `want one on each server, such as "/var/log/shop/all.log"`, ""))
	}
}

func (l *loader) checkShipURL(n *node, s *Ship, schemes []string) {
	example := map[string]string{
		"http": "https://logs.example.com/ingest", "loki": "https://loki.example.com/loki/api/v1/push", "syslog": "tls://logs.example.com:6514",
	}[s.Sink]
	if n.attributes["path"] != nil {
		l.report(fault(n.where("path"), n.title()+" has a path", fmt.Sprintf("want url = %q", example), ""))
	}
	if n.attributes["url"] == nil {
		l.report(fault(n.at, n.title()+" has no url", fmt.Sprintf("want url = %q", example), ""))
		return
	}
	if s.URL.Text == "" {
		return // a stand-in for a value that is not known here
	}
	u, err := url.Parse(s.URL.Text)
	fits := err == nil && u.Hostname() != "" && !strings.ContainsAny(s.URL.Text, "\"\\`$ \n\r\t\x00")
	valid := false
	for _, scheme := range schemes {
		valid = valid || fits && u.Scheme == scheme
	}
	if !valid || s.Sink == "syslog" && u.Port() == "" {
		l.report(fault(n.where("url"), "the url of "+n.title()+" is none that it can be shipped to", fmt.Sprintf("want one such as %q", example), ""))
	}
}
