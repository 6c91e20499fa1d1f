package redact

import "slices"

// machine finds many patterns in one pass over a text (Aho and Corasick's). Its
// states are the beginnings of patterns; in a state it has just read that
// beginning, and no longer one.
type machine struct {
	states []state
	start  [256]int32 // from state 0: one step for every byte
}

type state struct {
	next  []edge // in order of their bytes
	fail  int32  // the longest beginning that is a proper end of this one
	depth int32  // its length
	match int32  // length of the longest pattern that ends here; 0 is none
}

type edge struct {
	on byte
	to int32
}

func compile(patterns map[string]bool) *machine {
	m := &machine{states: make([]state, 1)}
	for pattern := range patterns {
		m.insert(pattern)
	}
	for _, e := range m.states[0].next {
		m.start[e.on] = e.to
	}
	// By breadth, so that fail always points to a finished state.
	line := []int32{0}
	for len(line) > 0 {
		from := line[0]
		line = line[1:]
		for _, e := range m.states[from].next {
			to := &m.states[e.to]
			if from != 0 {
				to.fail = m.step(m.states[from].fail, e.on)
				to.match = max(to.match, m.states[to.fail].match)
			}
			line = append(line, e.to)
		}
	}
	return m
}

func (m *machine) empty() bool { return len(m.states) == 1 }

func (m *machine) insert(pattern string) {
	at := int32(0)
	for i := range len(pattern) {
		next := m.states[at].next
		k, found := slices.BinarySearchFunc(next, pattern[i], func(e edge, b byte) int { return int(e.on) - int(b) })
		if found {
			at = next[k].to
			continue
		}
		to := int32(len(m.states))
		m.states[at].next = slices.Insert(next, k, edge{pattern[i], to})
		m.states = append(m.states, state{depth: m.states[at].depth + 1})
		at = to
	}
	m.states[at].match = int32(len(pattern))
}

// step returns the state after reading b in state at.
func (m *machine) step(at int32, b byte) int32 {
	for at != 0 {
		for _, e := range m.states[at].next {
			if e.on == b {
				return e.to
			}
		}
		at = m.states[at].fail
	}
	return m.start[b]
}
