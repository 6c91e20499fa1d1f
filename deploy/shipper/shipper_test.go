package shipper

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cloudship/cloudship/template"
)

var update = flag.Bool("update", false, "write the golden files anew")

var journal = Journal{Stack: "shop-x7k2"}

func TestConfigurations(t *testing.T) {
	for name, sink := range map[string]Sink{
		"http":       {Kind: "http", URL: "https://logs.example.com/ingest"},
		"loki":       {Kind: "loki", URL: "https://loki.example.com/loki/api/v1/push"},
		"syslog-tcp": {Kind: "syslog", URL: "tcp://logs.example.com:601"},
		"syslog-tls": {Kind: "syslog", URL: "tls://logs.example.com:6514"},
		"file":       {Kind: "file", Path: "/var/log/shop/all.log"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := sink.config(journal, sink.URL)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", name+".conf")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s is not current: go test ./deploy/shipper -update\n%s", path, got)
			}
		})
	}
}

func release() *template.Release {
	return &template.Release{Format: 1, Template: "web", Project: "shop", Services: map[string]template.Service{"app": {Replicas: 1}}}
}

func TestASecretURLIsNeverInTheRelease(t *testing.T) {
	r := release()
	const url = "https://user:planted-secret@logs.example.com/ingest"
	secrets, err := Add(r, template.Image{Name: Image}, journal, Sink{Kind: "http", URL: url, Secret: true}, func(string) string { return "d1" })
	if err != nil {
		t.Fatal(err)
	}
	b, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "planted-secret") {
		t.Errorf("the URL is in the release: %s", b)
	}
	if secrets["d1"] != url || strings.Join(r.Secrets, " ") != "d1" {
		t.Errorf("secrets %v, in the release %v", secrets, r.Secrets)
	}
	s, err := r.Reveal(r.Services[Name], secrets)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`url("` + url + `")`, `subst("` + url + `", "***"`} { // the second keeps it out of what the shipper says
		if !strings.Contains(string(s.Files[0].Content), want) {
			t.Errorf("revealed, without %s: %s", want, s.Files[0].Content)
		}
	}
}

func TestTheShipperStopsFirstAndHoldsNoData(t *testing.T) {
	r := release()
	if _, err := Add(r, template.Image{Name: Image}, journal, Sink{Kind: "file", Path: "/var/log/shop/all.log"}, nil); err != nil {
		t.Fatal(err)
	}
	if r.StopFirst(Name) == "" {
		t.Error("two shippers would write down their place in the same file")
	}
	if data := r.Data(template.AnyServer); len(data) > 0 {
		t.Errorf("its place counts as data: %+v", data)
	}
	if errs := r.CheckServers(3); len(errs) > 0 {
		t.Error(errs)
	}
	if r.Services[Name].Resources.Memory != Memory {
		t.Error("its memory has no limit")
	}
}

func TestTheNameOfTheShipperIsTakenOnce(t *testing.T) {
	r := release()
	r.Services[Name] = template.Service{}
	if _, err := Add(r, template.Image{}, journal, Sink{Kind: "http", URL: "http://sink"}, nil); err == nil {
		t.Error("a service of the template was replaced")
	}
}
