package remote

import (
	"flag"
	"os"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const annsKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ3lDrR3vAWbRQhzBBs5IhC5mS2ihdSBKtIJ1dSGDRDw ann's laptop: #1"

func TestUserData(t *testing.T) {
	keys := testKeys(t)
	got, err := UserData(keys.Bootstrap(testMark), keys.Login(), []string{annsKey + "\n", annsKey})
	if err != nil {
		t.Fatal(err)
	}
	golden := "testdata/user-data.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s:\n%s", golden, got)
	}
}

func TestUserDataRefusesWhatIsNoKey(t *testing.T) {
	keys := testKeys(t)
	for _, line := range []string{"", "hello", annsKey + "\nruncmd: [reboot]", "# a comment"} {
		if text, err := UserData(keys.Bootstrap("a"), keys.Login(), []string{line}); err == nil {
			t.Errorf("%q was taken:\n%s", line, text)
		}
	}
}

// Whatever a key's comment holds, the user data stays what we mean.
func FuzzUserData(f *testing.F) {
	f.Add(annsKey)
	f.Add("from=\"10.0.0.0/8\" " + annsKey)
	f.Add(annsKey + "\n  - injected")
	f.Add(annsKey + "' # \t\\n \u2028")
	f.Fuzz(func(t *testing.T, line string) {
		keys := testKeys(t)
		text, err := UserData(keys.Bootstrap("a"), keys.Login(), []string{line})
		if err != nil {
			return
		}
		lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
		last := strings.TrimSuffix(strings.TrimPrefix(lines[len(lines)-1], "  - '"), "'")
		key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(strings.ReplaceAll(last, "''", "'")))
		if err != nil {
			t.Fatalf("last line %q: %v", last, err)
		}
		want, _, _, _, _ := ssh.ParseAuthorizedKey([]byte(line))
		if string(key.Marshal()) != string(want.Marshal()) {
			t.Errorf("another key came out of %q", line)
		}
	})
}
