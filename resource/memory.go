package resource

import (
	"encoding/json"
	"time"
)

// Memory is the body of a state snapshot: what the stack remembers. The clouds are the truth;
// memory holds what they cannot tell.
type Memory struct {
	Stack     StackID                 `json:"stack"`
	Intent    Intent                  `json:"intent"`
	Records   map[Address]Record      `json:"records,omitempty"`
	Extra     []Record                `json:"extra,omitempty"`    // generations beside the record's, on their way out
	Releases  map[string]ReleaseEntry `json:"releases,omitempty"` // every release that some server has or may be brought back
	Outputs   map[string]Output       `json:"outputs,omitempty"`
	Retired   []string                `json:"retired,omitempty"` // providers of earlier stack files that may still hold things of ours
	Providers map[string]Config       `json:"providers,omitempty"`
	Restores  map[string]Restore      `json:"restores,omitempty"` // backup block to what new servers wait for
}

// Restore is a backup that is to be put onto a server which was made anew, once its release runs
// there.
type Restore struct {
	Backup  string    `json:"backup"`           // its name
	Target  string    `json:"target,omitempty"` // that it is read from
	Servers []Address `json:"servers"`          // those that were made anew
	Since   time.Time `json:"since"`
}

// Record is a resource as it is remembered.
type Record struct {
	Found
	Announced bool `json:"announced,omitempty"` // its create was about to be sent; whether it was is not known yet
	Want      Spec `json:"-"`                   // what it was last brought to; memo and initial fields live here
}

type recordJSON struct {
	Found     Found           `json:"found"`
	Announced bool            `json:"announced,omitempty"`
	Want      json.RawMessage `json:"want,omitempty"`
}

// MarshalJSON writes the record.
func (r Record) MarshalJSON() ([]byte, error) {
	j := recordJSON{Found: r.Found, Announced: r.Announced}
	if r.Want != nil {
		want, err := Encode(r.Want)
		if err != nil {
			return nil, err
		}
		j.Want = want
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads it back.
func (r *Record) UnmarshalJSON(b []byte) error {
	var j recordJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	*r = Record{Found: j.Found, Announced: j.Announced}
	if len(j.Want) > 0 && string(j.Want) != "null" {
		want, err := Decode(j.Found.Mark.Address.Kind(), j.Want)
		if err != nil {
			return err
		}
		r.Want = want
	}
	return nil
}

// Intent is what is wanted but not written in the stack file.
type Intent struct {
	Live     map[string]string         `json:"live,omitempty"`     // load balancer to live group
	Releases map[string]string         `json:"releases,omitempty"` // group to the release it is to run
	Bad      map[string][]string       `json:"bad,omitempty"`      // load balancer to releases that were switched or rolled back from
	Scale    map[string]map[string]int `json:"scale,omitempty"`    // template to replicas per service, where scale said so
	Switch   map[string]Switch         `json:"switch,omitempty"`   // load balancer to the switch that is under way
	History  []Event                   `json:"history,omitempty"`  // newest last; at most 200
}

// Switch is a switch under way, committed before the first call of each phase.
type Switch struct {
	From    string    `json:"from"`
	To      string    `json:"to"`
	Release string    `json:"release"`
	Phase   string    `json:"phase"` // see package plan
	Since   time.Time `json:"since"`
	Back    bool      `json:"back,omitempty"` // it is the way back from a release that went bad
}

// Committed reports whether the switch is past its commit: then it is finished, not undone.
func (s Switch) Committed() bool {
	switch s.Phase {
	case "commit", "drain", "detach", "watch":
		return true
	}
	return false
}

// Event is one entry of the history of routes and releases.
type Event struct {
	At       time.Time `json:"at"`
	Actor    string    `json:"actor"`
	What     string    `json:"what"` // released, switched, switched back, rolled back, refused, scaled
	Group    string    `json:"group,omitempty"`
	Balancer string    `json:"balancer,omitempty"`
	Release  string    `json:"release,omitempty"`
	Note     string    `json:"note,omitempty"`
}

// ReleaseEntry is a release as it is remembered.
type ReleaseEntry struct {
	ID        string            `json:"id"`
	Template  string            `json:"template"`
	Document  json.RawMessage   `json:"document"`            // see package template: late references unresolved, secrets by digest
	Secrets   []string          `json:"secrets,omitempty"`   // the digests that it needs
	Sealed    string            `json:"sealed,omitempty"`    // their values, sealed
	Sensitive []string          `json:"sensitive,omitempty"` // of the digests, those whose values may be in no output; the others are files and ordinary words
	Made      time.Time         `json:"made"`
	Actor     string            `json:"actor,omitempty"`
	Commit    string            `json:"commit,omitempty"` // git commit of the stack folder, "-dirty" when it had changes
	Images    map[string]string `json:"images,omitempty"` // service to image reference with digest
	Tags      []string          `json:"tags,omitempty"`
}

// Output is an evaluated output block. A sensitive one holds its sealed value.
type Output struct {
	Value     json.RawMessage `json:"value,omitempty"`
	Sealed    string          `json:"sealed,omitempty"`
	Sensitive bool            `json:"sensitive,omitempty"`
}
