package backup_test

import (
	"context"
	"io"
	"runtime"
	"testing"

	"filippo.io/age"

	"github.com/cloudship/cloudship/backup"
)

// keyVariable holds the recipient for a process that a test starts.
const keyVariable = "CLOUDSHIP_BACKUPTEST_RECIPIENT"

func recipients(text string) []age.Recipient {
	recipient, err := age.ParseX25519Recipient(text)
	if err != nil {
		return nil
	}
	return []age.Recipient{recipient}
}

// held measures what is alive on the heap while a stream passes.
type held struct {
	base, most uint64
	passed     int
}

func alive() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func (h *held) Write(p []byte) (int, error) {
	const step = 8 << 20
	if h.passed/step != (h.passed+len(p))/step {
		h.most = max(h.most, alive())
	}
	h.passed += len(p)
	return len(p), nil
}

func (h *held) wantAtMost(t *testing.T, what string, most uint64) {
	t.Helper()
	if h.most == 0 || h.most > h.base+most {
		t.Errorf("%s held %d bytes, at most %d are expected", what, int64(h.most)-int64(h.base), most)
	}
}

// TestABigBackupIsNotHeld sends 64 MB through each target, and measures what is held on the way.
func TestABigBackupIsNotHeld(t *testing.T) {
	const size = 64 << 20
	bucket := &objects{discard: true}
	tests := map[string]struct {
		target backup.Target
		most   uint64 // bytes
	}{
		"folder": {openFolder(t, t.TempDir()), 2 << 20},
		"shell":  {openShell(t, &localShell{home: t.TempDir()}, "b"), 2 << 20},
		// The part is held here and by the server of the test.
		"bucket": {openBucket(t, backup.Bucket{URL: serveObjects(t, bucket)}), 24 << 20},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := storeOn(t, tt.target, night)
			writing := &held{base: alive()}
			r, err := s.Write(t.Context(), draft(t), func(_ context.Context, w io.Writer) error {
				_, err := io.CopyN(io.MultiWriter(w, writing), zeros{}, size)
				return err
			})
			writing.wantAtMost(t, "writing", tt.most)
			if name == "bucket" {
				return // its server keeps nothing
			}
			if err != nil {
				t.Fatal(err)
			}
			reading := &held{base: alive()}
			reader, err := s.Open(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			defer reader.Close()
			if n, err := io.Copy(reading, reader); err != nil || n != size {
				t.Errorf("read %d bytes, %v", n, err)
			}
			reading.wantAtMost(t, "reading", tt.most)
		})
	}
}
