package stack

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// privateAddress is the word for a server's private address.
const privateAddress = "private"

var statsBlock = &block{name: "stats", single: true, help: "has servers measure themselves and their containers, by a timer and a socket of systemd: nothing stays running", attributes: []attribute{
	{name: "history", takes: duration, help: "how long samples are kept on each server: \"7d\" when not said, 0 for none"},
	{name: "every", takes: duration, help: "between samples: \"1m\" when not said"},
	{name: "prometheus", takes: number, help: "a port on which Prometheus is answered at /metrics; on none when not said"},
	{name: "listen", takes: text, help: "on which address: \"127.0.0.1\" when not said, \"private\" for each server's private address, or an IP"},
}}

func (l *loader) buildStats(n *node) *resource.Sampling {
	s := &resource.Sampling{Prometheus: l.number(n, "prometheus", 0, 1, 65535), Listen: orElse(l.text(n, "listen"), "127.0.0.1")}
	history, every := 7*24*time.Hour, time.Minute
	for name, to := range map[string]*time.Duration{"history": &history, "every": &every} {
		if v, ok := l.field(n, name); ok {
			*to, _ = seconds(v)
		}
	}
	switch {
	case every < time.Second || every > time.Hour || every%time.Second != 0:
		l.report(fault(n.where("every"), fmt.Sprintf("every of %s is %s", n.title(), every), "want whole seconds, from \"1s\" to \"1h\"", ""))
	case history != 0 && history < 4*every:
		l.report(fault(n.where("history"), fmt.Sprintf("history of %s is shorter than four samples", n.title()), "want a longer one, or samples more often", ""))
	case history > 366*24*time.Hour:
		l.report(fault(n.where("history"), fmt.Sprintf("history of %s is longer than a year", n.title()), "want \"366d\" at most: have Prometheus keep more", ""))
	case history == 0 && s.Prometheus == 0:
		l.report(fault(n.at, "the stats block asks for nothing", "want a history, a port for prometheus, or both", "take the block away"))
	}
	if _, err := netip.ParseAddr(s.Listen); err != nil && s.Listen != privateAddress {
		l.report(fault(n.where("listen"), fmt.Sprintf("listen of %s is no address", n.title()), "want an IP such as \"127.0.0.1\", or \"private\"", ""))
	}
	if s.Prometheus == 0 {
		s.Listen = ""
	}
	if s.History = int64(history / time.Second); s.History > 0 {
		s.Every = int64(every / time.Second)
	}
	return s
}

// sampling is what every server measures, or nil.
func (s *Stack) sampling() *resource.Sampling {
	if s.Stats == nil {
		return nil
	}
	one := *s.Stats
	return &one
}
