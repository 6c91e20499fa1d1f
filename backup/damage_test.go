package backup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cloudship/cloudship/backup"
)

// damaged is a folder with one backup, whose files a test alters.
type damaged struct {
	folder string
	store  *backup.Store
	record backup.Record
}

func newDamaged(t *testing.T, size int) *damaged {
	t.Helper()
	d := &damaged{folder: t.TempDir()}
	d.store = storeOn(t, openFolder(t, d.folder), night)
	d.record = write(t, d.store, strings.Repeat("acknowledged row\n", size/17+1)[:size])
	return d
}

func (d *damaged) path(kind string) string {
	return filepath.Join(d.folder, "shop", "db", d.record.Name+kind)
}

func (d *damaged) read(t *testing.T, kind string) []byte {
	t.Helper()
	data, err := os.ReadFile(d.path(kind))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (d *damaged) write(t *testing.T, kind string, data []byte) {
	t.Helper()
	if err := os.WriteFile(d.path(kind), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// restore does what a restore does: finds the backup and reads it. It returns what was read.
func (d *damaged) restore(ctx context.Context) ([]byte, error) {
	b, err := d.store.Find(ctx, "db", d.record.Name)
	if err != nil {
		return nil, err
	}
	return read(ctx, d.store, b.Record)
}

// wantCorrupted restores and verifies, and wants both to say what is damaged.
func (d *damaged) wantCorrupted(t *testing.T, what string) {
	t.Helper()
	_, err := d.restore(t.Context())
	var corrupt *backup.CorruptError
	if !errors.As(err, &corrupt) || corrupt.Of != "db" || corrupt.Name != d.record.Name || corrupt.Hint() == "" {
		t.Fatalf("%s: restore says %v", what, err)
	}
	if err := d.store.Check(t.Context(), d.record); !errors.Is(err, backup.ErrCorrupted) && !strings.HasPrefix(what, "record") {
		t.Fatalf("%s: check says %v", what, err)
	}
}

func TestF9EveryFlippedByteOfARecordIsTold(t *testing.T) {
	t.Parallel()
	d := newDamaged(t, 1000)
	record := d.read(t, ".json")
	for i := range record {
		altered := bytes.Clone(record)
		altered[i] ^= 1 << (i % 8)
		d.write(t, ".json", altered)
		d.wantCorrupted(t, fmt.Sprintf("record, byte %d of %d, %q", i, len(record), record[max(0, i-10):i+1]))
	}
	for i := range record {
		d.write(t, ".json", record[:i])
		d.wantCorrupted(t, fmt.Sprintf("record cut at %d", i))
	}
	for _, more := range []string{"\n", " ", "x", string(record)} {
		d.write(t, ".json", []byte(string(record)+more))
		d.wantCorrupted(t, "record with more")
	}
	d.write(t, ".json", record)
	if _, err := d.restore(t.Context()); err != nil {
		t.Errorf("as it was: %v", err)
	}
}

func TestF9EveryFlippedByteOfAnObjectIsTold(t *testing.T) {
	t.Parallel()
	d := newDamaged(t, 200_000) // four chunks of 64 KiB
	object := d.read(t, ".age")
	places := map[int]bool{}
	for i := range 400 { // the header, with all of its regions
		places[i] = true
	}
	for i := 400; i < len(object); i += 1999 {
		places[i] = true
	}
	for edge := len(object) - 200_064; edge < len(object); edge += 64<<10 + 16 { // the edges of chunks
		for i := max(0, edge-20); i < edge+20; i++ {
			places[i] = true
		}
	}
	for i := len(object) - 40; i < len(object); i++ {
		places[i] = true
	}
	for i := range places {
		altered := bytes.Clone(object)
		altered[i] ^= 1 << (i % 8)
		d.write(t, ".age", altered)
		d.wantCorrupted(t, fmt.Sprintf("object, byte %d of %d", i, len(object)))
	}
	for _, size := range []int{0, 1, 21, 100, 200, 65_000, 65_736, 131_000, len(object) - 1} {
		d.write(t, ".age", object[:size])
		d.wantCorrupted(t, fmt.Sprintf("object cut at %d", size))
	}
	d.write(t, ".age", append(bytes.Clone(object), 0))
	d.wantCorrupted(t, "object with more")
	if err := os.Remove(d.path(".age")); err != nil {
		t.Fatal(err)
	}
	d.wantCorrupted(t, "no object")
	d.write(t, ".age", object)
	if _, err := d.restore(t.Context()); err != nil {
		t.Errorf("as it was: %v", err)
	}
}

// TestAnObjectOfAnotherBackupIsTold puts an object of the same size, sealed for the same key, in the
// place of another's.
func TestAnObjectOfAnotherBackupIsTold(t *testing.T) {
	d := newDamaged(t, 1000)
	later := storeOn(t, openFolder(t, d.folder), night.Add(time.Hour))
	other := write(t, later, strings.Repeat("x", 1000))
	sealed, err := os.ReadFile(filepath.Join(d.folder, "shop/db", other.Name+".age"))
	if err != nil || len(sealed) != len(d.read(t, ".age")) {
		t.Fatalf("%d bytes, want as many as the first has: %v", len(sealed), err)
	}
	d.write(t, ".age", sealed)
	d.wantCorrupted(t, "another's object")

	record, err := os.ReadFile(filepath.Join(d.folder, "shop/db", other.Name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	d.write(t, ".json", record)
	if _, err := d.restore(t.Context()); !errors.Is(err, backup.ErrCorrupted) || !strings.Contains(err.Error(), "its record is that of shop/db/"+other.Name) {
		t.Errorf("another's record and object: %v", err)
	}
}

// TestNoByteIsTheLastBeforeAllAgree reads a backup that is whole but for its record's sum of the
// content: everything comes, and then no end.
func TestNoByteIsTheLastBeforeAllAgree(t *testing.T) {
	d := newDamaged(t, 1000)
	wrong := d.record
	wrong.Plain.SHA256 = strings.Repeat("0", 64)
	r, err := d.store.Open(t.Context(), wrong)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if len(data) != 1000 || !errors.Is(err, backup.ErrCorrupted) || !strings.Contains(err.Error(), "its content does not agree") {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	if n, again := r.Read(make([]byte, 10)); n != 0 || !errors.Is(again, backup.ErrCorrupted) {
		t.Errorf("read on: %d, %v", n, again)
	}
}

func TestDamageIsListedAndNeverPassedOver(t *testing.T) {
	d := newDamaged(t, 1000)
	target := openFolder(t, d.folder)
	older := write(t, storeOn(t, target, night.Add(-time.Hour)), "older")
	object := d.read(t, ".age")
	d.write(t, ".age", object[:500])
	listing, err := d.store.List(t.Context(), "db")
	if err != nil || len(listing.Backups) != 1 || listing.Backups[0].Name != older.Name || len(listing.Damaged) != 1 {
		t.Fatalf("have %+v, %v", listing, err)
	}
	if says := listing.Damaged[0].Error(); says != fmt.Sprintf("backup db/20260921_180000.sqlite3 is corrupted: its object has 500 bytes, its record says %d", len(object)) {
		t.Errorf("it says %s", says)
	}
	if b, err := d.store.Find(t.Context(), "db", backup.Latest); !errors.Is(err, backup.ErrCorrupted) {
		t.Errorf("the latest is %v, %v", b, err)
	}
	if b, err := d.store.Find(t.Context(), "db", older.Name); err != nil || b.Name != older.Name {
		t.Errorf("the older is %v, %v", b, err)
	}
	// Damage that is older than the newest is in nobody's way, and stays where it is.
	newest := write(t, storeOn(t, target, night.Add(time.Hour)), "newest")
	if b, err := d.store.Find(t.Context(), "db", backup.Latest); err != nil || b.Name != newest.Name {
		t.Errorf("the latest is %v, %v", b, err)
	}
	pruned, err := storeOn(t, target, night.AddDate(1, 0, 0)).Prune(t.Context(), "db", backup.Keep{Last: 1})
	if err != nil || len(pruned.Kept) != 1 || len(pruned.Dropped) != 1 || len(pruned.Damaged) != 1 || len(d.read(t, ".age")) != 500 {
		t.Errorf("have %+v, %v", pruned, err)
	}
}

func TestARecordOfANewerFormatIsToldAsSuch(t *testing.T) {
	d := newDamaged(t, 1000)
	newer := resum(strings.Replace(string(d.read(t, ".json")), `"format": 1`, `"format": 2`, 1))
	d.write(t, ".json", []byte(newer))
	_, err := d.restore(t.Context())
	if !errors.Is(err, backup.ErrNewer) || errors.Is(err, backup.ErrCorrupted) || !strings.Contains(err.Error(), "format 2, this program knows up to 1") {
		t.Errorf("have %v", err)
	}
	if _, err := d.store.Find(t.Context(), "db", backup.Latest); !errors.Is(err, backup.ErrNewer) {
		t.Errorf("the latest is %v", err)
	}
}

func TestFilesOfOthersAreLeftAlone(t *testing.T) {
	d := newDamaged(t, 1000)
	foreign := []string{
		"README", "shop/notes.txt", "shop/db/README.md", "shop/db/package.json", "shop/db/deep/er/x.age", "shop/db/.hidden.age",
		"shop/db/bad name.age", "shop/db/-x.json", "shop/.git/x.json", "other/db/x.age", "shop/db/x.tmp",
	}
	for _, name := range foreign {
		path := filepath.Join(d.folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("{}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(-48 * time.Hour)
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	wantListed(t, d.store, "db/"+d.record.Name)
	if removed, err := d.store.Sweep(t.Context()); err != nil || len(removed) > 0 {
		t.Errorf("swept %v, %v", removed, err)
	}
	if have := files(t, d.folder); len(have) != len(foreign)+2 {
		t.Errorf("there is %q", have)
	}
}
