package deploy

import (
	"strings"
	"testing"
	"unicode/utf8"
)

const entryHead = `"__CURSOR":"s=1;i=2","__REALTIME_TIMESTAMP":"1795841749009342","CONTAINER_NAME":"shop-app-2","COM_DOCKER_COMPOSE_SERVICE":"app","COM_DOCKER_COMPOSE_CONTAINER_NUMBER":"2","CONTAINER_ID_FULL":"c1"`

func TestEntriesOfAJournalAreRead(t *testing.T) {
	for _, c := range []struct {
		name, fields, text, at string
		stderr, part           bool
	}{
		{"a line", `"MESSAGE":"hello","PRIORITY":"6"`, "hello", "04:55:49.009342", false, false},
		{"of stderr", `"MESSAGE":"oh","PRIORITY":"3"`, "oh", "04:55:49.009342", true, false},
		{"an empty line", `"MESSAGE":"","PRIORITY":"6"`, "", "04:55:49.009342", false, false},
		{"colours, as numbers", `"MESSAGE":[27,91,51,49,109,114,101,100]`, "\x1b[31mred", "04:55:49.009342", false, false},
		{"bytes that are no text", `"MESSAGE":[255,98,105,110]`, `\xffbin`, "04:55:49.009342", false, false},
		{"several of one name", `"MESSAGE":["first","second"]`, "first", "04:55:49.009342", false, false},
		{"several, as numbers", `"MESSAGE":[[104,105],"second"]`, "hi", "04:55:49.009342", false, false},
		{"nothing", `"MESSAGE":null`, "", "04:55:49.009342", false, false},
		{"a piece", `"MESSAGE":"xx","CONTAINER_PARTIAL_MESSAGE":"true"`, "xx", "04:55:49.009342", false, true},
		{"when it was sent", `"MESSAGE":"x","_SOURCE_REALTIME_TIMESTAMP":"1795841749008945"`, "x", "04:55:49.008945", false, false},
		{"when it was printed", `"MESSAGE":"x","SYSLOG_TIMESTAMP":"2026-11-28T04:55:48.123456789Z"`, "x", "04:55:48.123456789", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := parseEntry([]byte("{" + entryHead + "," + c.fields + "}"))
			if err != nil {
				t.Fatal(err)
			}
			if e.Text != c.text || e.At.Format("15:04:05.999999999") != c.at || e.Stderr != c.stderr || e.part != c.part {
				t.Errorf("%q at %s, stderr %t, part %t", e.Text, e.At, e.Stderr, e.part)
			}
			if e.Service != "app" || e.Number != 2 || e.Container != "shop-app-2" || e.cursor != "s=1;i=2" {
				t.Errorf("of %+v", e)
			}
		})
	}
	for _, bad := range []string{"", "x", "{}", "[]", `{"__CURSOR":"c"}`, `{"__REALTIME_TIMESTAMP":"1"}`, "-- No entries --"} {
		if _, err := parseEntry([]byte(bad)); err == nil {
			t.Errorf("%q is taken for an entry", bad)
		}
	}
}

func TestLongLinesArePutTogether(t *testing.T) {
	p := pieces{}
	add := func(from, cursor, text string, part bool) (string, string) {
		l, cursors, whole := p.add(journalEntry{LogLine: LogLine{Text: text}, cursor: cursor, from: from, part: part})
		if !whole {
			return "", ""
		}
		return l.Text, strings.Join(cursors, " ")
	}
	for _, step := range []struct {
		from, cursor, text string
		part               bool
		line, cursors      string
	}{
		{"c1", "1", "aa", true, "", ""},
		{"c2", "2", "other", false, "other", "2"},
		{"c1", "3", "bb", true, "", ""},
		{"c1", "4", "cc", false, "aabbcc", "1 3 4"},
		{"c1", "5", "dd", false, "dd", "5"},
	} {
		if line, cursors := add(step.from, step.cursor, step.text, step.part); line != step.line || cursors != step.cursors {
			t.Errorf("at %s: %q of %q, want %q of %q", step.cursor, line, cursors, step.line, step.cursors)
		}
	}
	long := strings.Repeat("x", 16<<10)
	lines := 0
	for range 40 {
		if _, _, whole := p.add(journalEntry{LogLine: LogLine{Text: long}, from: "c3", part: true}); whole {
			lines++
		}
	}
	if lines == 0 {
		t.Error("a line without end is kept for ever")
	}
}

func FuzzJournalEntry(f *testing.F) {
	f.Add([]byte("{" + entryHead + `,"MESSAGE":[255,1,[2]]}`))
	f.Add([]byte("{" + entryHead + `,"MESSAGE":[["a"],"b"],"PRIORITY":["3"]}`))
	f.Add([]byte("{" + entryHead + `,"MESSAGE":"\ud800"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var whole []journalEntry
		w := &entryWriter{entry: func(e journalEntry) { whole = append(whole, e) }}
		_, _ = w.Write(append(b, '\n'))
		var cut []journalEntry
		w = &entryWriter{entry: func(e journalEntry) { cut = append(cut, e) }}
		for _, one := range append(b, '\n') {
			_, _ = w.Write([]byte{one})
		}
		if len(whole) != len(cut) {
			t.Fatalf("%d entries, %d when it comes byte by byte", len(whole), len(cut))
		}
		for i, e := range whole {
			if e != cut[i] {
				t.Errorf("%+v and %+v", e, cut[i])
			}
			if !utf8.ValidString(e.Text) || e.cursor == "" {
				t.Errorf("%+v", e)
			}
		}
	})
}
