package lab

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/cloudship/cloudship/lab/cloud"
	"github.com/cloudship/cloudship/lab/digitalocean"
	"github.com/cloudship/cloudship/lab/machine"
	"github.com/cloudship/cloudship/lab/rackspace"
)

// Hosts is the name under which the calls to paper servers pass the gate: they have latency, faults
// and a barrier as calls to a cloud have.
const Hosts = "hosts"

// hostsPath is where paper servers are reached, each at its public address.
const hostsPath = "/hosts/"

// handler serves the clouds' APIs and, where servers are on paper, the servers.
func (l *Lab) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", l.gate.Wrap(DigitalOcean, l.ocean, digitalocean.Fail))
	mux.Handle(rackspacePath+"/", l.gate.Wrap(Rackspace, l.rack, rackspace.Fail))
	paper, ok := l.host.(*machine.Paper)
	if !ok {
		return mux
	}
	mux.Handle(hostsPath, l.gate.Wrap(Hosts, paperHosts(paper), func(w http.ResponseWriter, status int, message string) {
		http.Error(w, message, status)
	}))
	return mux
}

// paperHosts lets a program work on paper servers as it would on real ones over SSH: it reads what
// is noted there, and writes and removes files.
func paperHosts(paper *machine.Paper) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hosts/{ip}", func(w http.ResponseWriter, r *http.Request) {
		disk, err := paper.Read(r.PathValue("ip"))
		if err != nil {
			refuse(w, err)
			return
		}
		cloud.WriteJSON(w, http.StatusOK, disk)
	})
	mux.HandleFunc("PUT /hosts/{ip}/{file...}", func(w http.ResponseWriter, r *http.Request) {
		content, err := io.ReadAll(r.Body)
		if err == nil && !json.Valid(content) {
			err = errors.New("a file on paper is JSON")
		}
		if err == nil {
			err = paper.Write(r.PathValue("ip"), r.PathValue("file"), content)
		}
		done(w, err)
	})
	mux.HandleFunc("DELETE /hosts/{ip}/{file...}", func(w http.ResponseWriter, r *http.Request) {
		done(w, paper.Write(r.PathValue("ip"), r.PathValue("file"), nil))
	})
	return mux
}

func done(w http.ResponseWriter, err error) {
	if err != nil {
		refuse(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func refuse(w http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	switch {
	case errors.Is(err, machine.ErrNoServer):
		status = http.StatusNotFound
	case errors.Is(err, machine.ErrOff):
		status = http.StatusServiceUnavailable
	}
	http.Error(w, err.Error(), status)
}
