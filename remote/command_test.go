package remote

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

func TestCommandLines(t *testing.T) {
	env := Argv("docker", "ps")
	env.Env = map[string]string{"B": "2 3", "A": "1"}
	for _, c := range []struct {
		command Command
		user    string
		want    string
	}{
		{Argv("echo", "a b", "it's", ""), "root", `echo 'a b' 'it'\''s' ''`},
		{Argv("rm", "-f", "/x").AsRoot(), "root", "rm -f /x"},
		{Argv("rm", "-f", "/x").AsRoot(), "debian", "sudo -n -- rm -f /x"},
		{Script(`echo "$1"`, "$HOME"), "root", `sh -euc 'echo "$1"' sh '$HOME'`},
		{Script(`id`).AsRoot(), "debian", `sudo -n -- sh -euc id sh`},
		{env.AsRoot(), "debian", "sudo -n -- env 'A=1' 'B=2 3' docker ps"},
	} {
		if got := c.command.line(c.user); got != c.want {
			t.Errorf("%v as %s\n got %s\nwant %s", c.command.Argv, c.user, got, c.want)
		}
	}
}

func TestCommandPrintsNoStdin(t *testing.T) {
	c := Argv("cat").WithStdin([]byte("secret"))
	if got := c.String(); got != "cat <(6 bytes)" {
		t.Errorf("prints as %s", got)
	}
	if got := Script("\nfirst\nsecond\n").Name(); got != "'first ...'" {
		t.Errorf("is called %s", got)
	}
}

// Whatever a word holds, a real sh reads it back unchanged.
func FuzzQuote(f *testing.F) {
	for _, word := range []string{"", "a", "it's", "a b", "$HOME `id` \\", "\n", "--", "*", "~", "\xff", "'''", "!", "=a"} {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		if strings.ContainsRune(word, 0) {
			return
		}
		c := Script(`printf %s "$1"`, word)
		got, err := exec.CommandContext(t.Context(), "sh", "-c", c.line("root")).Output()
		if err != nil || !bytes.Equal(got, []byte(word)) {
			t.Errorf("%q came back as %q, %v", word, got, err)
		}
	})
}
