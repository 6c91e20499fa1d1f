package backup_test

import (
	"strings"
	"testing"
	"time"

	"github.com/cloudship/cloudship/backup"
)

func TestPatternsMakeNames(t *testing.T) {
	of := backup.NameOf{
		Time:  time.Date(2026, 9, 21, 20, 0, 0, 0, time.FixedZone("CEST", 2*3600)),
		Stack: "shop", Backup: "db", Release: "r/01:2",
	}
	tests := map[string][2]string{
		"{{timestamp}}.sqlite3":         {"20260921_180000.sqlite3", "20260921_180000-2.sqlite3"},
		"{{ timestamp }}":               {"20260921_180000", "20260921_180000-2"},
		"%Y%m%d_%H%M%S.sqlite3":         {"20260921_180000.sqlite3", "20260921_180000-2.sqlite3"},
		"{{date}}.tar.gz":               {"20260921.tar.gz", "20260921-2.tar.gz"},
		"{{stack}}-{{backup}}-%F.dump":  {"shop-db-2026-09-21.dump", "shop-db-2026-09-21-2.dump"},
		"{{release}}_{{timestamp}}.sql": {"r-01-2_20260921_180000.sql", "r-01-2_20260921_180000-2.sql"},
		"%d-%b-%y_{{backup}}.sql":       {"21-Sep-26_db.sql", "21-Sep-26-2_db.sql"},
		"day%j-of-%Y":                   {"day264-of-2026", "day264-of-2026-2"},
		"{{backup}}.%s":                 {"db.1790013600", "db.1790013600-2"},
		"a+b=c@d%s":                     {"a+b=c@d1790013600", "a+b=c@d1790013600-2"},
	}
	for text, want := range tests {
		p, err := backup.ParsePattern(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if have := p.Name(of, 1); have != want[0] {
			t.Errorf("%s: have %s, want %s", text, have, want[0])
		}
		if have := p.Name(of, 2); have != want[1] {
			t.Errorf("%s: the second has %s, want %s", text, have, want[1])
		}
	}
}

func TestPatternsThatAreRefused(t *testing.T) {
	tests := map[string]string{
		strings.Repeat("%Y%j", 200):       "longer than 500 bytes",
		"":                                "it needs a time",
		"backup.sqlite3":                  "it needs a time",
		"%H%M%S":                          "it needs a time",
		"%m-%d":                           "it needs a time",
		"%Y-%m":                           "it needs a time",
		"{{stack}}/{{timestamp}}":         `which '/' is not`,
		"../{{timestamp}}":                `which '/' is not`,
		".{{timestamp}}":                  "begins with a letter or digit",
		"-{{timestamp}}":                  "begins with a letter or digit",
		"my backup {{timestamp}}":         `which ' ' is not`,
		"{{timestamp}":                    "a {{ has no }}",
		"{{time}}":                        "{{time}} is unknown; there are timestamp",
		"%Y%m%d%":                         "a % stands alone",
		"%Y%m%d%Z":                        `"%Z" is unknown`,
		"{{timestamp}}\n":                 "is not",
		"{{timestamp}}é":                  "is not",
		strings.Repeat("x", 200) + "%Y%j": "at most",
		strings.Repeat("{{stack}}", 4) + "%Y%j" + strings.Repeat("{{stack}}", 2): "at most",
	}
	for text, says := range tests {
		_, err := backup.ParsePattern(text)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: the error is %v, want %q", text, err, says)
		}
	}
}

func FuzzParsePattern(f *testing.F) {
	for _, text := range []string{"{{timestamp}}.sqlite3", "%Y%m%d_%H%M%S", "{{date}}{{", "%", "{{}}", "%Y%j{{release}}", "a/b{{timestamp}}"} {
		f.Add(text, "shop", "r1", int64(1790013600))
	}
	f.Fuzz(func(t *testing.T, text, stack, release string, unix int64) {
		p, err := backup.ParsePattern(text)
		if err != nil {
			return
		}
		at := time.Unix(unix%(250_000_000_000), 0)
		if year := at.UTC().Year(); year < 1000 || year > 9999 {
			return
		}
		of := backup.NameOf{Time: at, Stack: stack, Backup: "db", Release: release}
		seen := map[string]bool{}
		for n := range 12 {
			name := p.Name(of, n+1)
			if !backup.ValidName(name) || seen[name] {
				t.Errorf("%q makes %q as the name %d", text, name, n+1)
			}
			seen[name] = true
		}
		of.Time = at.AddDate(0, 0, 1)
		if seen[p.Name(of, 1)] && !strings.Contains(text, "{{stack}}") && !strings.Contains(text, "-") {
			t.Errorf("%q makes the same name a day later", text)
		}
	})
}
