package image

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestParseList(t *testing.T) {
	text := `
# a comment
deb http://mirror.example/debian bookworm main contrib  # and another
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] https://mirror.example/security bookworm-security main
deb [signed-by=/etc/apt/keyrings/other.gpg] https://other.example/debian bookworm main
deb https://other.example/apt stable main
deb https://other.example/debian bookworm stable
deb http://mirror.example/debian bookworm-backports main
deb
`
	want := []aptEntry{
		{"http://mirror.example/debian", "", "main"},
		{"https://mirror.example/security", "-security", "main"},
	}
	if got := parseList(text); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestParseSources(t *testing.T) {
	text := `Types: deb deb-src
# in the middle
URIs: http://mirror.example/debian
Suites: trixie
 trixie-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://off.example/debian
Suites: trixie
Components: main
Enabled: no

Types: deb-src
URIs: http://source.example/debian
Suites: trixie
Components: main

Types: deb
URIs: http://foreign.example/debian
Suites: trixie
Components: main
Signed-By: /etc/apt/keyrings/other.asc`
	want := []aptEntry{
		{"http://mirror.example/debian", "", "main"},
		{"http://mirror.example/debian", "-updates", "main"},
	}
	if got := parseSources(text); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestSourcesNameTheWantedRelease(t *testing.T) {
	setup := aptSetup{entries: []aptEntry{{"http://mirror.example/debian", "-security", "main"}}}
	want := "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.example/debian trixie-security main\n"
	if got := setup.sources("trixie"); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFilterConfKeepsTheWayPackagesAreFetched(t *testing.T) {
	dump := `APT "";
Acquire::http "";
Acquire::http::Proxy "http://proxy.example:3128";
Acquire::https::Verify-Peer "true";
Acquire::Check-Date "false";
Acquire::Languages:: "none";
Acquire::CompressionTypes::xz "xz";
DPkg::Post-Invoke:: "rm -rf /";
`
	want := `Acquire::http::Proxy "http://proxy.example:3128";
Acquire::https::Verify-Peer "true";
Acquire::Check-Date "false";
`
	if got := filterConf(dump); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestProxyOfTheEnvironmentStandsInForAptsOwn(t *testing.T) {
	t.Setenv("http_proxy", "http://proxy.example:3128")
	t.Setenv("https_proxy", "")
	if got, want := proxyConf(""), "Acquire::http::Proxy \"http://proxy.example:3128\";\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := proxyConf(`Acquire::http::Proxy "http://other.example";`); got != "" {
		t.Errorf("apt has a proxy of its own, and still got %q", got)
	}
}

func TestReadAptOfAMachine(t *testing.T) {
	root := t.TempDir()
	for path, text := range map[string]string{
		"etc/apt/sources.list":                          "deb http://mirror.example/debian bookworm main\n",
		"etc/apt/sources.list.d/debian.sources":         "Types: deb\nURIs: http://mirror.example/debian\nSuites: bookworm bookworm-updates\nComponents: main\n",
		"usr/local/share/ca-certificates/own.crt":       "-----BEGIN CERTIFICATE-----\n",
		"usr/local/share/ca-certificates/sub/other.crt": "-----BEGIN CERTIFICATE-----\n",
		"usr/local/share/ca-certificates/readme.txt":    "no",
	} {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	setup, err := readApt(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	if len(setup.entries) != 2 {
		t.Errorf("archives %v, want two without a repetition", setup.entries)
	}
	if len(setup.certs) != 2 {
		t.Errorf("%d certificates, want 2", len(setup.certs))
	}
	files := setup.files("bookworm")
	if !strings.Contains(string(files["etc/apt/sources.list"]), "bookworm-updates main") {
		t.Errorf("sources.list %q", files["etc/apt/sources.list"])
	}
	if files["usr/local/share/ca-certificates/own.crt"] == nil {
		t.Error("the certificate is missing")
	}
}

func TestReadAptOfAMachineWithoutApt(t *testing.T) {
	setup, err := readApt(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := setup.files("bookworm")["etc/apt/sources.list"]; ok {
		t.Error("an image keeps its own archives where this machine has none to name")
	}
}

func FuzzSources(f *testing.F) {
	f.Add("Types: deb\nURIs: http://mirror.example/debian\nSuites: trixie\n trixie-updates\nComponents: main\n")
	f.Add("deb [signed-by=/x] http://mirror.example/debian bookworm main")
	f.Add(": \n \n\t\n[")
	f.Fuzz(func(t *testing.T, text string) {
		for _, e := range append(parseList(text), parseSources(text)...) {
			if strings.ContainsAny(e.uri+e.suffix+e.components, " \n") {
				t.Errorf("an entry with a blank in it: %+v", e)
			}
		}
	})
}
