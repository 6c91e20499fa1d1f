package stories

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The second site's hook writes one file, has Nginx test it before it reloads, and puts the old one
// back where Nginx refuses. Nginx is one here that refuses what says "bad", and notes what it was asked.
func TestF22TheHookTouchesItsOwnSiteAlone(t *testing.T) {
	dir := t.TempDir()
	sites := filepath.Join(dir, "sites")
	if err := os.Mkdir(sites, 0o700); err != nil {
		t.Fatal(err)
	}
	asked := filepath.Join(dir, "asked")
	nginx := "#!/bin/sh\necho \"$@\" >> " + asked + "\n[ \"$1\" != -t ] || ! cat " + sites + "/*.conf 2>/dev/null | grep -q bad\n"
	for name, text := range map[string]string{"nginx": nginx, "sites/blog.conf": "another's\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return string(b)
	}
	site := filepath.Join(sites, "shop.conf")
	for _, step := range []struct {
		apps, host string
		fails      bool
		asked      string   // since the step before
		has        []string // in the file; none: there is no file
	}{
		{"shop-app-1 shop-app-2", "shop.example.com", false, "-t|-s reload|", []string{`50% "shop-app-1";`, `* "shop-app-2";`, "server_name shop.example.com;"}},
		{"shop-app-1 shop-app-2", "shop.example.com", false, "", []string{`50% "shop-app-1";`}},
		{"shop-app-3", "shop.example.com", false, "-t|-s reload|", []string{`* "shop-app-3";`}},
		{"shop-app-4", "bad", true, "-t|", []string{`* "shop-app-3";`, "server_name shop.example.com;"}},
		{"", "shop.example.com", false, "-t|-s reload|", nil},
		{"", "shop.example.com", false, "", nil},
		{"shop-app-5", "bad", true, "-t|", nil},
	} {
		_ = os.Remove(asked)
		cmd := exec.Command("sh", "../../examples/second-site/site.sh")
		cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "SITES=" + sites, "SITE=shop", "PORT=8080", "HOST=" + step.host, "APPS=" + step.apps}
		out, err := cmd.CombinedOutput()
		if (err != nil) != step.fails {
			t.Errorf("%+v: %v: %s", step, err, out)
		}
		if have := strings.ReplaceAll(read(asked), "\n", "|"); have != step.asked {
			t.Errorf("%+v: Nginx was asked %q", step, have)
		}
		text := read(site)
		if (text == "") != (len(step.has) == 0) {
			t.Errorf("%+v: the site is %q", step, text)
		}
		for _, want := range step.has {
			if !strings.Contains(text, want) {
				t.Errorf("%+v: the site lacks %q:\n%s", step, want, text)
			}
		}
		if other := read(filepath.Join(sites, "blog.conf")); other != "another's\n" {
			t.Fatalf("%+v: another's site is %q", step, other)
		}
	}
}
