package backup_test

import (
	"path/filepath"
	"testing"

	"github.com/cloudship/cloudship/backup"
	"github.com/cloudship/cloudship/backup/targettest"
)

func openFolder(t testing.TB, path string) backup.Target {
	t.Helper()
	target, err := backup.OpenFolder(path)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func TestFolderTarget(t *testing.T) {
	targettest.Run(t, 1<<20, func(t *testing.T) backup.Target {
		return openFolder(t, filepath.Join(t.TempDir(), "deep", "er"))
	})
}
