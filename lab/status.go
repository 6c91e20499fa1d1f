package lab

import (
	"net/http"
	"os"

	"github.com/cloudship/cloudship/lab/cloud"
)

// Report is what /_lab/status tells of a lab.
type Report struct {
	PID     int               `json:"pid"`
	Servers string            `json:"servers"` // Paper or Containers
	URLs    map[string]string `json:"urls"`    // by provider
	Calls   int               `json:"calls"`
	Counts  map[string]int    `json:"counts"` // how many resources of each kind there are
}

// Report tells what the lab is and holds.
func (l *Lab) Report() Report {
	counts := l.ocean.Counts()
	for kind, n := range l.rack.Counts() {
		counts[Rackspace+"_"+kind] = n
	}
	return Report{
		PID:     os.Getpid(),
		Servers: l.options.Servers,
		URLs:    map[string]string{DigitalOcean: l.URL(DigitalOcean), Rackspace: l.URL(Rackspace)},
		Calls:   l.Calls().Len(),
		Counts:  counts,
	}
}

// adminRoutes are the endpoints under /_lab/ that only the whole lab can serve.
func (l *Lab) adminRoutes() {
	l.gate.HandleAdmin("GET /_lab/status", func(w http.ResponseWriter, r *http.Request) {
		cloud.WriteJSON(w, http.StatusOK, l.Report())
	})
}
