package stories

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The example's hook writes Nginx's upstream list, lets Nginx test it before it reloads, and keeps
// the list before it where Nginx refuses. Nginx is one here that refuses what says "bad", and notes
// what it was asked.
func TestP23TheHookKeepsTheOldListWhereNginxRefuses(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	read := func(name string) string {
		t.Helper()
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(path(name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	script := strings.NewReplacer("/etc/nginx/conf.d/default.conf", path("default.conf"), "/run/nginx.pid", path("nginx.pid")).
		Replace(read("../../examples/proleads/upstreams.sh"))
	write("upstreams.sh", script, 0o600)
	write("default.conf", "the first\n", 0o600)
	write("nginx.pid", "1\n", 0o600)
	write("nginx", "#!/bin/sh\necho \"$@\" >> "+path("asked")+"\n[ \"$1\" != -t ] || ! grep -q bad "+path("default.conf")+"\n", 0o700)
	hook := func(servers string) error {
		cmd := exec.Command("sh", path("upstreams.sh"))
		cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "servers=" + servers}
		return cmd.Run()
	}
	if err := hook("server 172.18.0.2:9292 max_fails=1 fail_timeout=2s; server 172.18.0.3:9292 max_fails=1 fail_timeout=2s;"); err != nil {
		t.Fatal(err)
	}
	good := read(path("default.conf"))
	if want := read("testdata/default.conf"); good != want {
		t.Errorf("it wrote\n%s\nwant\n%s", good, want)
	}
	if asked := read(path("asked")); asked != "-t\n-s reload\n" {
		t.Errorf("Nginx was asked %q, want a test and then a reload", asked)
	}
	if err := hook("server bad;"); err == nil {
		t.Error("a list that Nginx refuses is no error")
	}
	if now := read(path("default.conf")); now != good {
		t.Errorf("the old list is not kept:\n%s", now)
	}
	if asked := read(path("asked")); asked != "-t\n-s reload\n-t\n" {
		t.Errorf("Nginx was asked %q, want no reload after a list that it refused", asked)
	}
}
