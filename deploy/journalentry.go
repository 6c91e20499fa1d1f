package deploy

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// journalEntry is an entry of a server's journal: a line that a container printed, or a piece of a
// long one.
type journalEntry struct {
	LogLine
	cursor string // its place in the journal
	from   string // the stream that it is of, for those that are in pieces
	part   bool   // more of the line follows
}

// The fields of an entry that are read; cursor and time come always.
var journalFields = []string{
	"MESSAGE", "PRIORITY", "CONTAINER_NAME", "CONTAINER_ID_FULL", "CONTAINER_PARTIAL_MESSAGE", "SYSLOG_TIMESTAMP", "_SOURCE_REALTIME_TIMESTAMP",
	fieldOf(composeService), fieldOf(composeNumber),
}

// fieldOf is the name of the field into which the engine writes a label.
func fieldOf(label string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, label)
}

var errNoEntry = errors.New("this is no entry of a journal")

// parseEntry reads one line of `journalctl -o json`. A field is a text, an array of bytes where it
// is none that can be printed, or an array of these where there are several of its name.
func parseEntry(line []byte) (journalEntry, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		return journalEntry{}, errNoEntry
	}
	text := func(name string) string { return fieldText(fields[name]) }
	e := journalEntry{cursor: text("__CURSOR"), part: text("CONTAINER_PARTIAL_MESSAGE") == "true"}
	micros, err := strconv.ParseInt(text("__REALTIME_TIMESTAMP"), 10, 64)
	if e.cursor == "" || err != nil {
		return journalEntry{}, errNoEntry
	}
	if source, err := strconv.ParseInt(text("_SOURCE_REALTIME_TIMESTAMP"), 10, 64); err == nil {
		micros = source
	}
	e.At = time.UnixMicro(micros).UTC()
	if at, err := time.Parse(time.RFC3339Nano, text("SYSLOG_TIMESTAMP")); err == nil {
		e.At = at.UTC() // when it was printed, from engines that tell
	}
	e.Text, e.Stderr = text("MESSAGE"), text("PRIORITY") == "3"
	e.Service, e.Container = text(fieldOf(composeService)), text("CONTAINER_NAME")
	e.Number, _ = strconv.Atoi(text(fieldOf(composeNumber)))
	e.from = text("CONTAINER_ID_FULL") + text("PRIORITY")
	return e, nil
}

// fieldText is the value of a field, the first where there are several, with what is no UTF-8
// replaced.
func fieldText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var numbers []uint16
	if json.Unmarshal(raw, &numbers) == nil {
		b := make([]byte, len(numbers))
		for i, n := range numbers {
			b[i] = byte(n)
		}
		return validText(b)
	}
	var several []json.RawMessage
	if json.Unmarshal(raw, &several) == nil && len(several) > 0 && len(several[0]) < len(raw) {
		return fieldText(several[0])
	}
	return ""
}

// validText writes the bytes that are no UTF-8 as \xNN.
func validText(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var text strings.Builder
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == utf8.RuneError && size == 1 {
			text.WriteString(`\x` + strconv.FormatUint(uint64(b[0])+0x100, 16)[1:])
		} else {
			text.WriteRune(r)
		}
		b = b[size:]
	}
	return text.String()
}

// pieces puts long lines together again: the engine writes them in pieces of 16 KB.
type pieces map[string]*piece

// piece is what has come of a line.
type piece struct {
	LogLine
	cursors []string
}

// add takes an entry and gives the line that ends with it and the cursors of its entries, or false
// while more is to come.
func (p pieces) add(e journalEntry) (LogLine, []string, bool) {
	begun := p[e.from]
	if begun == nil {
		begun = &piece{LogLine: e.LogLine}
	} else {
		begun.Text += e.Text
	}
	begun.cursors = append(begun.cursors, e.cursor)
	if e.part && len(begun.Text) <= maxLogLine {
		p[e.from] = begun
		return LogLine{}, nil, false
	}
	delete(p, e.from)
	return begun.LogLine, begun.cursors, true
}

// rest gives out what has no end.
func (p pieces) rest(line func(LogLine)) {
	for from, one := range p {
		line(one.LogLine)
		delete(p, from)
	}
}
