package backup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/cloudship/cloudship/backup"
)

// night is when the story's backup was made.
var night = time.Date(2026, 9, 21, 18, 0, 0, 0, time.UTC)

var testKey = newKey()

func newKey() *age.X25519Identity {
	key, err := age.GenerateX25519Identity()
	if err != nil {
		panic(err)
	}
	return key
}

// storeOn is the store of stack shop in a target, at a time.
func storeOn(t testing.TB, target backup.Target, at time.Time) *backup.Store {
	t.Helper()
	return storeOf(t, target, "shop", at)
}

func storeOf(t testing.TB, target backup.Target, stack string, at time.Time) *backup.Store {
	t.Helper()
	s, err := backup.NewStore(target, stack, backup.Options{
		Recipients: []age.Recipient{testKey.Recipient()}, Identities: []age.Identity{testKey},
		Writer: "cloudship test", Now: func() time.Time { return at },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func pattern(t testing.TB, text string) backup.Pattern {
	t.Helper()
	p, err := backup.ParsePattern(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// draft is that of the story's database.
func draft(t testing.TB) *backup.Draft {
	t.Helper()
	return &backup.Draft{
		Of: "db", Pattern: pattern(t, "{{timestamp}}.sqlite3"), Release: "r-0123",
		Source: backup.Source{Kind: "sqlite", Service: "app", Path: "/data/production.sqlite3"},
		Tools:  map[string]string{"sqlite3": "3.40.1"},
	}
}

func content(data []byte) backup.Fill {
	return func(_ context.Context, w io.Writer) error {
		_, err := w.Write(data)
		return err
	}
}

func write(t testing.TB, s *backup.Store, data string) backup.Record {
	t.Helper()
	r, err := s.Write(t.Context(), draft(t), content([]byte(data)))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// read returns what a backup holds, or the error at which its reader ended.
func read(ctx context.Context, s *backup.Store, r backup.Record) ([]byte, error) {
	reader, err := s.Open(ctx, r)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(reader)
	return data, errors.Join(err, reader.Close())
}

// listed are the names of the backups that read back whole.
func listed(t testing.TB, s *backup.Store) []string {
	t.Helper()
	listing, err := s.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if len(listing.Damaged) > 0 {
		t.Errorf("damaged: %v", listing.Damaged)
	}
	var names []string
	for _, b := range listing.Backups {
		names = append(names, b.String())
		if err := s.Check(t.Context(), b.Record); err != nil {
			t.Errorf("%s is listed: %v", b, err)
		}
	}
	return names
}

func wantListed(t testing.TB, s *backup.Store, want ...string) {
	t.Helper()
	if have := listed(t, s); !slices.Equal(have, want) {
		t.Errorf("listed are %q, want %q", have, want)
	}
}

// files are the paths of all files below a folder.
func files(t testing.TB, folder string) []string {
	t.Helper()
	var all []string
	err := filepath.Walk(folder, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			all = append(all, strings.TrimPrefix(path, folder+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestBackupIsWrittenAndReadBack(t *testing.T) {
	folder := t.TempDir()
	s := storeOn(t, openFolder(t, folder), night)
	d := draft(t)
	data := bytes.Repeat([]byte("acknowledged row\n"), 10_000)
	wrote, err := s.Write(t.Context(), d, func(_ context.Context, w io.Writer) error {
		d.Notes = map[string]string{"rows of users": "512"}
		_, err := w.Write(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"shop/db/20260921_180000.sqlite3.age", "shop/db/20260921_180000.sqlite3.json"}; !slices.Equal(files(t, folder), want) {
		t.Errorf("the folder has %q, want %q", files(t, folder), want)
	}
	b, err := s.Find(t.Context(), "db", backup.Latest)
	if err != nil {
		t.Fatal(err)
	}
	if have, want := fmt.Sprintf("%+v", b.Record), fmt.Sprintf("%+v", wrote); have != want {
		t.Errorf("found\n%s\nwrote\n%s", have, want)
	}
	if b.Name != "20260921_180000.sqlite3" || b.Source.Path != "/data/production.sqlite3" || b.Notes["rows of users"] != "512" ||
		b.Plain.Size != int64(len(data)) || b.Stored.Size <= b.Plain.Size || b.SealFor[0] != testKey.Recipient().String() || b.Sum() == "" {
		t.Errorf("the record is %+v", b.Record)
	}
	have, err := read(t.Context(), s, b.Record)
	if err != nil || !bytes.Equal(have, data) {
		t.Errorf("read %d bytes back, %v", len(have), err)
	}
	sealed, err := os.ReadFile(filepath.Join(folder, "shop/db/20260921_180000.sqlite3.age"))
	if err != nil || bytes.Contains(sealed, []byte("acknowledged")) || !bytes.HasPrefix(sealed, []byte("age-encryption.org/v1\n")) {
		t.Errorf("the object is not sealed: %.40q, %v", sealed, err)
	}
	for _, name := range files(t, folder) {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v", name, info.Mode(), err)
		}
	}
}

func TestTwoBackupsOfOneSecondHaveTwoNames(t *testing.T) {
	target := openFolder(t, t.TempDir())
	const writers = 6
	var group sync.WaitGroup
	for i := range writers {
		group.Go(func() {
			s := storeOn(t, target, night)
			_, err := s.Write(t.Context(), draft(t), content(fmt.Appendf(nil, "writer %d", i)))
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	s := storeOn(t, target, night)
	wantListed(t, s, "db/20260921_180000.sqlite3", "db/20260921_180000-6.sqlite3", "db/20260921_180000-5.sqlite3",
		"db/20260921_180000-4.sqlite3", "db/20260921_180000-3.sqlite3", "db/20260921_180000-2.sqlite3")
	all, err := s.List(t.Context(), "db")
	if err != nil {
		t.Fatal(err)
	}
	var contents []string
	for _, b := range all.Backups {
		data, err := read(t.Context(), s, b.Record)
		if err != nil {
			t.Error(err)
		}
		contents = append(contents, string(data))
	}
	slices.Sort(contents)
	for i, have := range contents {
		if have != fmt.Sprint("writer ", i) {
			t.Errorf("the contents are %q", contents)
		}
	}
}

func TestStacksInOneTargetAreApart(t *testing.T) {
	folder := t.TempDir()
	shop, other := storeOn(t, openFolder(t, folder), night), storeOf(t, openFolder(t, folder), "shop-2", night)
	mine := write(t, shop, "mine")
	wantListed(t, other)
	if _, err := other.Find(t.Context(), "", "2026"); !errors.Is(err, backup.ErrAbsent) {
		t.Errorf("the other finds %v", err)
	}
	if _, err := other.Open(t.Context(), mine); err == nil {
		t.Error("the other opens it")
	}
	write(t, other, "theirs")
	if err := other.Delete(t.Context(), "db", mine.Name); err != nil {
		t.Fatal(err)
	}
	wantListed(t, other)
	wantListed(t, shop, "db/"+mine.Name)
}

func TestFindTakesNamesAndBeginnings(t *testing.T) {
	target := openFolder(t, t.TempDir())
	for i, at := range []time.Time{night, night.Add(time.Hour), night.AddDate(0, 0, 1)} {
		write(t, storeOn(t, target, at), fmt.Sprint(i))
	}
	s := storeOn(t, target, night)
	d := draft(t)
	d.Of = "files"
	if _, err := s.Write(t.Context(), d, content(nil)); err != nil {
		t.Fatal(err)
	}
	tests := []struct{ of, name, want, says string }{
		{"db", "latest", "db/20260922_180000.sqlite3", ""},
		{"", "latest", "db/20260922_180000.sqlite3", ""},
		{"files", "latest", "files/20260921_180000.sqlite3", ""},
		{"", "files/latest", "files/20260921_180000.sqlite3", ""},
		{"db", "20260921_180000.sqlite3", "db/20260921_180000.sqlite3", ""},
		{"db", "20260922", "db/20260922_180000.sqlite3", ""},
		{"", "db/20260921_19", "db/20260921_190000.sqlite3", ""},
		{"db", "20260921", "", "backup db/20260921 may be any of 2: db/20260921_190000.sqlite3, db/20260921_180000.sqlite3"},
		{"", "20260921_180000.sqlite3", "", "may be any of 2"},
		{"db", "", "", "there is no backup db/"},
		{"db", "1999", "", "there is no backup db/1999"},
		{"nothing", "latest", "", "there is no backup nothing/latest yet"},
		{"db", "files/latest", "", "there is no backup db/files/latest"},
	}
	for _, tt := range tests {
		b, err := s.Find(t.Context(), tt.of, tt.name)
		if tt.want != "" && (err != nil || b.String() != tt.want) {
			t.Errorf("find %q %q: %v, %v; want %s", tt.of, tt.name, b, err, tt.want)
		}
		if tt.want == "" && (!errors.Is(err, backup.ErrAbsent) || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("find %q %q: %v, %v; want %q", tt.of, tt.name, b, err, tt.says)
		}
	}
}

func TestProofVouchesForOneRecordOnly(t *testing.T) {
	folder := t.TempDir()
	target := openFolder(t, folder)
	s := storeOn(t, target, night)
	first := write(t, s, "first")
	second := write(t, storeOn(t, target, night.Add(time.Hour)), "second")
	for i := range 3 { // a later proof takes the place of an earlier one
		at := night.AddDate(0, 0, i)
		if _, err := storeOn(t, target, at).Prove(t.Context(), first, "restored into a scratch container", map[string]string{"integrity_check": "ok"}); err != nil {
			t.Fatal(err)
		}
		b, err := s.Find(t.Context(), "db", first.Name)
		if err != nil || b.Proof == nil || !b.Proof.Proven.Equal(at) || b.Proof.Notes["integrity_check"] != "ok" {
			t.Fatalf("have %+v, %v", b.Proof, err)
		}
	}
	if b, err := s.Find(t.Context(), "db", second.Name); err != nil || b.Proof != nil {
		t.Errorf("the second is proven: %+v, %v", b.Proof, err)
	}
	object := func(r backup.Record) string { return filepath.Join(folder, "shop/db", r.Name+".proof") }
	proof, err := os.ReadFile(object(first))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(object(second), proof, 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range proof {
		damaged := bytes.Clone(proof)
		damaged[i] ^= 0x10
		if err := os.WriteFile(object(first), damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		listing, err := s.List(t.Context(), "db")
		if err != nil || len(listing.Backups) != 2 || listing.Backups[0].Proof != nil || listing.Backups[1].Proof != nil {
			t.Fatalf("byte %d: %+v, %v", i, listing, err)
		}
	}
	if _, err := s.Prove(t.Context(), backup.Record{Of: "db", Name: "x"}, "", nil); err == nil {
		t.Error("a record that was never read was proven")
	}
	if err := s.Delete(t.Context(), "db", first.Name); err != nil {
		t.Fatal(err)
	}
	wantListed(t, s, "db/"+second.Name)
	for _, name := range files(t, folder) {
		if strings.Contains(name, first.Name) {
			t.Errorf("%s was left", name)
		}
	}
}

func TestAnotherKeyIsTold(t *testing.T) {
	target := openFolder(t, t.TempDir())
	r := write(t, storeOn(t, target, night), "x")
	for _, identities := range [][]age.Identity{nil, {newKey()}} {
		other, err := backup.NewStore(target, "shop", backup.Options{Identities: identities})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := read(t.Context(), other, r); !errors.Is(err, backup.ErrWrongKey) || errors.Is(err, backup.ErrCorrupted) {
			t.Errorf("have %v", err)
		}
		if _, err := other.Write(t.Context(), draft(t), content(nil)); err == nil {
			t.Error("a backup was written unsealed")
		}
	}
	both, err := backup.NewStore(target, "shop", backup.Options{Identities: []age.Identity{newKey(), testKey}})
	if err != nil {
		t.Fatal(err)
	}
	if data, err := read(t.Context(), both, r); err != nil || string(data) != "x" {
		t.Errorf("with both keys: %q, %v", data, err)
	}
}
