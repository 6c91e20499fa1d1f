package template

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Ref is one late reference: {{ SERVICE | WHAT }}, or {{ random | LENGTH }}.
type Ref struct {
	Service string // or Random
	What    string
}

// Random is the word that stands where a service's name does in {{ random | 24 }}.
const Random = "random"

// What a reference may ask of a service, beside port_NUMBER and env_NAME.
const (
	ContainerName      = "container_name"
	ContainerPrivateIP = "container_private_ip"
	HostIP             = "host_ip"
)

var (
	refPattern  = regexp.MustCompile(`^\{\{\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*\|\s*([A-Za-z0-9_./-]+)\s*\}\}`)
	portPattern = regexp.MustCompile(`^port_([1-9][0-9]{0,4})(?:/(tcp|udp|sctp))?$`)
	envPattern  = regexp.MustCompile(`^env_([A-Za-z_][A-Za-z0-9_.-]*)$`)
)

// MaxRandom is the longest random value.
const MaxRandom = 256

// Env is the variable that the reference reads from the other service, or "".
func (r Ref) Env() string {
	if m := envPattern.FindStringSubmatch(r.What); m != nil {
		return m[1]
	}
	return ""
}

// Port is the container port whose host port is asked for, as "9292/tcp", or "".
func (r Ref) Port() string {
	m := portPattern.FindStringSubmatch(r.What)
	if m == nil {
		return ""
	}
	if m[2] == "" {
		m[2] = "tcp"
	}
	return m[1] + "/" + m[2]
}

// Length is the length of a random value, or 0 for a reference to a service.
func (r Ref) Length() int {
	n, err := strconv.Atoi(r.What)
	if r.Service != Random || err != nil || n < 1 || n > MaxRandom {
		return 0
	}
	return n
}

// Static reports whether the reference can be resolved before any container of the service is
// there.
func (r Ref) Static() bool { return r.What == HostIP || r.Service == Random }

// String is the reference as it is written.
func (r Ref) String() string { return "{{ " + r.Service + " | " + r.What + " }}" }

// valid tells what is wrong with what the reference asks for.
func (r Ref) valid() error {
	switch {
	case r.Service == Random && r.Length() == 0:
		return fmt.Errorf("%s: want a length from 1 to %d, as in {{ random | 24 }}", r, MaxRandom)
	case r.Service == Random, r.Env() != "", r.Port() != "":
		return nil
	case r.What == ContainerName, r.What == ContainerPrivateIP, r.What == HostIP:
		return nil
	}
	return fmt.Errorf("%s: unknown reference %q%s", r, r.What, didYouMean(r.What, ContainerName, ContainerPrivateIP, HostIP, "port_", "env_"))
}

// piece is either plain text or one reference.
type piece struct {
	text string
	ref  Ref
}

// parse cuts a text into plain pieces and references. What stands in braces and is no NAME | WORD
// is plain text: Go templates and the like pass through untouched.
func parse(t Text) []piece {
	s, plain := string(t), 0
	var pieces []piece
	for at := 0; at < len(s); {
		open := strings.Index(s[at:], "{{")
		if open < 0 {
			break
		}
		at += open
		m := refPattern.FindStringSubmatch(s[at:])
		if m == nil {
			at++
			continue
		}
		if plain < at {
			pieces = append(pieces, piece{text: s[plain:at]})
		}
		pieces = append(pieces, piece{ref: Ref{m[1], m[2]}})
		at += len(m[0])
		plain = at
	}
	if plain < len(s) {
		pieces = append(pieces, piece{text: s[plain:]})
	}
	return pieces
}

// Refs lists the references in a text, in their order.
func (t Text) Refs() []Ref {
	var refs []Ref
	for _, p := range parse(t) {
		if p.ref != (Ref{}) {
			refs = append(refs, p.ref)
		}
	}
	return refs
}
