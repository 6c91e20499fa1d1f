package image

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// aptSetup is how packages are fetched on this machine: what works here works
// in the lab's images too.
type aptSetup struct {
	entries []aptEntry        // Debian's own archives, empty if this is no Debian
	conf    string            // proxies, time-outs and the like
	certs   map[string][]byte // extra certificates that this machine trusts
}

// aptEntry is one archive.
type aptEntry struct {
	uri        string
	suffix     string // of the suite after its code name, such as "-security"
	components string
}

// debianKeyring holds Debian's archive keys, here and in the images.
const debianKeyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// debianSuite matches the suites of Debian's own archives.
var debianSuite = regexp.MustCompile(`^(?:bullseye|bookworm|trixie|forky)(-updates|-security|)$`)

// readApt reads the set-up of the machine whose root is given ("/").
func readApt(ctx context.Context, root string) (aptSetup, error) {
	var setup aptSetup
	paths := []string{filepath.Join(root, "etc/apt/sources.list")}
	for _, pattern := range []string{"*.list", "*.sources"} {
		// The pattern is a constant, and a bad pattern is its only error.
		more, _ := filepath.Glob(filepath.Join(root, "etc/apt/sources.list.d", pattern))
		paths = append(paths, more...)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return setup, err
		}
		parse := parseList
		if strings.HasSuffix(path, ".sources") {
			parse = parseSources
		}
		for _, e := range parse(string(text)) {
			if !slices.Contains(setup.entries, e) {
				setup.entries = append(setup.entries, e)
			}
		}
	}
	if dump, err := exec.CommandContext(ctx, "apt-config", "dump").Output(); err == nil {
		setup.conf = filterConf(string(dump))
	}
	setup.conf += proxyConf(setup.conf)
	var err error
	setup.certs, err = readCerts(filepath.Join(root, "usr/local/share/ca-certificates"))
	return setup, err
}

// parseList reads one-line entries, those of Debian's own archives.
func parseList(text string) []aptEntry {
	var entries []aptEntry
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		options := ""
		if before, rest, found := strings.Cut(line, "["); found {
			inside, after, _ := strings.Cut(rest, "]")
			options, line = inside, before+after
		}
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[0] != "deb" || foreignKey(options) {
			continue
		}
		entries = appendDebian(entries, fields[1], fields[2], fields[3:])
	}
	return entries
}

// parseSources reads stanzas in the deb822 format, those of Debian's own
// archives.
func parseSources(text string) []aptEntry {
	var entries []aptEntry
	for _, stanza := range stanzas(text) {
		if stanza["enabled"] == "no" || foreignKey(stanza["signed-by"]) ||
			!slices.Contains(strings.Fields(stanza["types"]), "deb") {
			continue
		}
		for _, uri := range strings.Fields(stanza["uris"]) {
			for _, suite := range strings.Fields(stanza["suites"]) {
				entries = appendDebian(entries, uri, suite, strings.Fields(stanza["components"]))
			}
		}
	}
	return entries
}

func stanzas(text string) []map[string]string {
	var all []map[string]string
	current, last := map[string]string{}, ""
	for line := range strings.Lines(text + "\n\n") {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.TrimSpace(line) == "":
			if len(current) > 0 {
				all = append(all, current)
			}
			current, last = map[string]string{}, ""
		case line[0] == ' ' || line[0] == '\t':
			if last != "" {
				current[last] += " " + strings.TrimSpace(line)
			}
		default:
			key, value, _ := strings.Cut(line, ":")
			last = strings.ToLower(strings.TrimSpace(key))
			current[last] = strings.TrimSpace(value)
		}
	}
	return all
}

// foreignKey reports whether an archive is signed by somebody else.
func foreignKey(options string) bool {
	return strings.Contains(options, "/") && !strings.Contains(options, "debian-archive")
}

func appendDebian(entries []aptEntry, uri, suite string, components []string) []aptEntry {
	found := debianSuite.FindStringSubmatch(suite)
	if found == nil || !slices.Contains(components, "main") {
		return entries
	}
	return append(entries, aptEntry{uri: uri, suffix: found[1], components: "main"})
}

// sources is the list for a release of Debian, from this machine's archives;
// empty if this machine has none.
func (a aptSetup) sources(codename string) string {
	var list strings.Builder
	for _, e := range a.entries {
		list.WriteString("deb [signed-by=" + debianKeyring + "] " + e.uri + " " + codename + e.suffix + " " + e.components + "\n")
	}
	return list.String()
}

// confLine matches the settings that belong to the way packages are fetched.
var confLine = regexp.MustCompile(`^Acquire::(?:(?:http|https|ftp)(?:::[^ ]+)?|Check-Valid-Until|Check-Date|ForceIPv4|ForceIPv6) "[^"]+";$`)

func filterConf(dump string) string {
	var kept strings.Builder
	lines := bufio.NewScanner(strings.NewReader(dump))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); confLine.MatchString(line) {
			kept.WriteString(line + "\n")
		}
	}
	return kept.String()
}

// proxyConf says in apt's words what the environment says of proxies, where
// apt's own settings do not.
func proxyConf(conf string) string {
	var add string
	for _, scheme := range []string{"http", "https"} {
		name := "Acquire::" + scheme + "::Proxy "
		proxy := os.Getenv(scheme + "_proxy")
		if proxy != "" && !strings.Contains(conf, name) && !strings.ContainsAny(proxy, "\"\n") {
			add += name + "\"" + proxy + "\";\n"
		}
	}
	return add
}

func readCerts(dir string) (map[string][]byte, error) {
	certs := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() || filepath.Ext(path) != ".crt" {
			return err
		}
		pem, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if bytes.Contains(pem, []byte("BEGIN CERTIFICATE")) {
			certs[filepath.Base(path)] = pem
		}
		return nil
	})
	return certs, err
}

// files is the set-up as files below "/" of an image.
func (a aptSetup) files(codename string) map[string][]byte {
	files := map[string][]byte{
		"etc/apt/apt.conf.d/70lab": []byte(a.conf),
	}
	if sources := a.sources(codename); sources != "" {
		files["etc/apt/sources.list"] = []byte(sources)
		// Some images come with these, and one list is enough.
		files["etc/apt/sources.list.d/debian.sources"] = nil
	}
	for name, pem := range a.certs {
		files["usr/local/share/ca-certificates/"+name] = pem
	}
	return files
}
