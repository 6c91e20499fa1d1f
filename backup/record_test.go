package backup_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cloudship/cloudship/backup"
)

// resum gives a document the sum that its lines have now.
func resum(text string) string {
	at := strings.LastIndex(text, `  "record_sha256": "`)
	if at < 0 {
		return text
	}
	return fmt.Sprintf("%s  \"record_sha256\": \"%x\"\n}\n", text[:at], sha256.Sum256([]byte(text[:at])))
}

// recordText is a record as it lies in a target.
func recordText(t testing.TB) string {
	t.Helper()
	folder := t.TempDir()
	r := write(t, storeOn(t, openFolder(t, folder), night), "x")
	data, err := os.ReadFile(filepath.Join(folder, "shop/db", r.Name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestRecordsThatNoWriteMakesAreRefused(t *testing.T) {
	text := recordText(t)
	tests := map[string][2]string{
		"a path for a name":       {`"name": "20260921_180000.sqlite3"`, `"name": "../../etc/passwd"`},
		"no block":                {`"of": "db"`, `"of": ""`},
		"a path for a stack":      {`"stack": "shop"`, `"stack": "shop/db"`},
		"no time":                 {`"created": "2026-09-21T18:00:00Z"`, `"created": "0001-01-01T00:00:00Z"`},
		"a size below nothing":    {`"size": 1,`, `"size": -1,`},
		"an unknown member":       {`"of": "db"`, `"of": "db", "shell": "rm -rf /"`},
		"no format":               {`"format": 1`, `"format": 0`},
		"a format of text":        {`"format": 1`, `"format": "1"`},
		"a sum that is too short": {`"sha256": "2d711642`, `"sha256": "`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			altered := resum(strings.Replace(text, tt[0], tt[1], 1))
			if altered == text {
				t.Fatalf("%s is not in %s", tt[0], text)
			}
			if _, err := backup.DecodeRecord([]byte(altered)); !errors.Is(err, backup.ErrCorrupted) {
				t.Errorf("have %v", err)
			}
		})
	}
	if resum(text) != text {
		t.Error("resum is not how sums are made")
	}
}

func FuzzDecodeRecord(f *testing.F) {
	text := recordText(f)
	f.Add(text)
	f.Add(strings.Replace(text, `"notes"`, `"n":1,"notes"`, 1))
	f.Add(strings.Replace(text, `1`, `2`, 1))
	f.Add("{}\n")
	f.Add("{\n  \"record_sha256\": \"\"\n}\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, text := range []string{text, resum(text)} { // else the sum keeps everything out
			r, err := backup.DecodeRecord([]byte(text))
			if err != nil {
				if !errors.Is(err, backup.ErrCorrupted) && !errors.Is(err, backup.ErrNewer) {
					t.Errorf("an error without a name: %v", err)
				}
				continue
			}
			if !backup.ValidName(r.Name) || !backup.ValidObject(r.Stack+"/"+r.Of+"/"+r.Name+".age") || r.Sum() == "" || r.Plain.Size < 0 {
				t.Errorf("taken was %+v", r)
			}
		}
	})
}

func FuzzDecodeProof(f *testing.F) {
	folder := f.TempDir()
	s := storeOn(f, openFolder(f, folder), night)
	r := write(f, s, "x")
	if _, err := s.Prove(f.Context(), r, "restored", nil); err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(folder, "shop/db", r.Name+".proof"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(data))
	f.Add(strings.Replace(string(data), "restored", "", 1))
	f.Fuzz(func(t *testing.T, text string) {
		for _, text := range []string{text, resum(text)} {
			p, err := backup.DecodeProof([]byte(text))
			if err == nil && (len(p.Record) != 64 || p.Proven.IsZero()) {
				t.Errorf("taken was %+v", p)
			}
			if err != nil && !errors.Is(err, backup.ErrCorrupted) && !errors.Is(err, backup.ErrNewer) {
				t.Errorf("an error without a name: %v", err)
			}
		}
	})
}
