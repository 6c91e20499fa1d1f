package resource

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A StackID names a stack in every cloud for ever: its name and a short random part,
// "shop-k3v9qd". It is committed to the state before the first call.
type StackID string

var stackID = regexp.MustCompile(`^[a-z][a-z0-9-]*-[a-z0-9]{6}$`)

// Valid reports whether the id is a name, a dash and six random characters.
func (id StackID) Valid() bool { return stackID.MatchString(string(id)) && len(id) <= MaxLabel+7 }

// Name is the stack's name, as it stands in the stack file.
func (id StackID) Name() string {
	if !id.Valid() {
		return ""
	}
	return string(id[:len(id)-7])
}

// A Mark says whose a resource is. It is written on the thing itself in the call that creates it,
// so that what was made is always found again.
type Mark struct {
	Stack      StackID `json:"stack"`
	Address    Address `json:"address"`
	Generation int     `json:"generation"` // 1 for the first; a replacement has the next
}

func (m Mark) String() string {
	return fmt.Sprintf("%s %s generation %d", m.Stack, m.Address, m.Generation)
}

// Encode writes the mark as one name of hostname characters, for things that carry no labels:
//
//	blue-0.server.g1.shop-k3v9qd
//	www.load-balancer.g1.shop-k3v9qd
//
// The first word is what a server's hostname becomes.
func (m Mark) Encode() string {
	first := m.Address.Name
	if m.Address.Counted() {
		first += "-" + strconv.Itoa(m.Address.Index)
	}
	kind := strings.ReplaceAll(string(m.Address.Kind()), "_", "-")
	return fmt.Sprintf("%s.%s.g%d.%s", first, kind, m.Generation, m.Stack)
}

// DecodeMark is the inverse of Encode. It reports false for every name that Encode cannot have
// written: such a thing is not ours.
func DecodeMark(name string) (Mark, bool) {
	words := strings.Split(name, ".")
	if len(words) != 4 {
		return Mark{}, false
	}
	m := Mark{Stack: StackID(words[3])}
	a, ok := addressOfKind(Kind(strings.ReplaceAll(words[1], "-", "_")), words[0])
	if !ok {
		return Mark{}, false
	}
	m.Address = a
	digits, ok := strings.CutPrefix(words[2], "g")
	n, err := strconv.Atoi(digits)
	if !ok || err != nil || n < 1 {
		return Mark{}, false
	}
	m.Generation = n
	if !m.Stack.Valid() || m.Address.Valid() != nil || m.Encode() != name {
		return Mark{}, false
	}
	return m, true
}

// addressOfKind finds the address of a kind whose first word in an encoded mark is given.
func addressOfKind(kind Kind, first string) (Address, bool) {
	for block, known := range parts {
		for part, counted := range known {
			a := Address{Block: block, Part: part}
			if a.Kind() != kind {
				continue
			}
			if !counted {
				a.Name = first
				return a, true
			}
			cut := strings.LastIndexByte(first, '-')
			if cut < 0 {
				return Address{}, false
			}
			n, err := strconv.Atoi(first[cut+1:])
			if err != nil || n < 0 {
				return Address{}, false
			}
			a.Name, a.Index = first[:cut], n
			return a, true
		}
	}
	return Address{}, false
}
