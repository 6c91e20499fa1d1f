//go:build e2e

package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cloudship/cloudship/e2e/rig"
)

// printer is a stack of one server whose lines are kept and shipped.
const printer = `
stack "printer" {}

variable "version" {}
variable "password" {
  sensitive = true
}
variable "sink" {}

provider "digitalocean" {
  region = "fra1"
}

template "web" {
  compose = "compose.yaml"
  inputs  = { VERSION = var.version }
}

group "shop" {
  provider = "digitalocean"
  servers  = 1
  size     = { cpus = 1, memory = "1GB" }
  image    = "docker-20-04"
  template = "web"
}
`

const printerLog = `
log {
  keep    = "16MB"
  max_age = "14d"
  ship "http" {
    url    = "${var.sink}/${var.password}"
    image  = "cloudship-test/syslog-ng:latest"
    memory = "48MB"
  }
}
`

// What the application prints has a number on each line; the last line of a container says how far
// it came.
const printerCompose = `
services:
  app:
    image: cloudship-test/syslog-ng:latest
    pull_policy: never
    entrypoint: ["bash", "-c"]
    environment:
      VERSION: ${VERSION}
    command:
      - |
        n=0
        trap 'echo "$$VERSION end $$n"; exit 0' TERM
        echo "$$VERSION long $$(head -c 40000 /dev/zero | tr '\0' x)"
        while :; do
          for i in {1..20}; do echo "$$VERSION line $$((n + 1))"; n=$$((n + 1)); done
          if [ -f /tmp/flood ]; then rm /tmp/flood; yes "$$VERSION flood $$(head -c 900 /dev/zero | tr '\0' y)" | head -n 30000; echo "$$VERSION flooded"; fi
          sleep 0.4
        done
    stop_grace_period: 5s
`

const printerImage = `FROM debian:bookworm
RUN apt-get update && apt-get install -y --no-install-recommends syslog-ng-core syslog-ng-mod-http && rm -rf /var/lib/apt/lists/*
`

// count is what somebody has of the lines: how often each number of each version came.
type count struct {
	mu   sync.Mutex
	had  map[string]map[int]int
	ends map[string]int
	long map[string]int // the length of the long line, whole
}

var numbered = regexp.MustCompile(`^(v[0-9]) (line|end|long) (.*)$`)

func (c *count) line(text string) {
	m := numbered.FindStringSubmatch(text)
	if m == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.had == nil {
		c.had, c.ends, c.long = map[string]map[int]int{}, map[string]int{}, map[string]int{}
	}
	if m[2] == "long" {
		c.long[m[1]] += len(m[3])
		return
	}
	n, err := strconv.Atoi(m[3])
	switch {
	case err != nil:
	case m[2] == "end":
		c.ends[m[1]] = n
	default:
		if c.had[m[1]] == nil {
			c.had[m[1]] = map[int]int{}
		}
		c.had[m[1]][n]++
	}
}

// ended says whether the last line of each version is there.
func (c *count) ended(versions ...string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, version := range versions {
		if _, ok := c.ends[version]; !ok {
			return false
		}
	}
	return true
}

// complete wants every number of the versions up to its container's last.
func (c *count) complete(t *testing.T, who string, once bool, versions ...string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, version := range versions {
		var missing, doubled []int
		for n := 1; n <= c.ends[version]; n++ {
			switch had := c.had[version][n]; {
			case had == 0:
				missing = append(missing, n)
			case had > 1:
				doubled = append(doubled, n)
			}
		}
		t.Logf("%s: %s: %d lines, %d missing, %d twice", who, version, c.ends[version], len(missing), len(doubled))
		if len(missing) > 0 || c.ends[version] == 0 {
			t.Errorf("%s: %s: %d of %d lines are missing: %v", who, version, len(missing), c.ends[version], head(missing))
		}
		if once && len(doubled) > 0 {
			t.Errorf("%s: %s: %d lines came twice: %v", who, version, len(doubled), head(doubled))
		}
	}
}

func head(list []int) []int { return list[:min(10, len(list))] }

// logSink is an HTTP sink that may be out of order.
type logSink struct {
	count
	down    atomic.Bool
	refused atomic.Int64
}

func (s *logSink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if s.down.Load() {
		s.refused.Add(1)
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	for _, line := range strings.Split(string(b), "\n") {
		var l struct{ Text string }
		if json.Unmarshal([]byte(line), &l) == nil {
			s.line(l.Text)
		}
	}
}

// listen serves the sink where the lab's servers reach it, and gives its URL.
func (s *logSink) listen(t *testing.T) string {
	t.Helper()
	services := &rig.Services{}
	t.Cleanup(services.Stop)
	ip, err := services.Address(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: s}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return "http://" + listener.Addr().String()
}

// readLogs counts the lines of a stream of objects.
func readLogs(from io.Reader, c *count) {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<22)
	for lines.Scan() {
		var o struct {
			Type string
			Line struct{ Text string }
		}
		if json.Unmarshal(lines.Bytes(), &o) == nil && o.Type == "log_line" {
			c.line(o.Line.Text)
		}
	}
}

// TestF21LogsAreKeptAndShipped releases three times under an application that always prints: no line
// is missing at the sink, though it is out of order for a while; none is missing or doubled for who
// follows, though the connection breaks; and those of containers that are gone can be read.
func TestF21LogsAreKeptAndShipped(t *testing.T) {
	t.Parallel()
	v := begin(t, "printer")
	for name, text := range map[string]string{"cloudship.hcl": printer + printerLog, "compose.yaml": printerCompose, "image/Dockerfile": printerImage} {
		path := filepath.Join(v.Dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(v.ctx, "docker", "build", "--tag", "cloudship-test/syslog-ng:latest", filepath.Join(v.Dir, "image"))
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the shipper's image: %v\n%s", err, out)
	}
	sink := &logSink{}
	sinkURL := sink.listen(t)
	v.Env = append(v.Env, "CLOUDSHIP_VAR_sink="+sinkURL)
	apply := func(version string) {
		t.Helper()
		v.ship(0, "apply", "-y", "--new-key", "--var", "version="+version)
	}
	v.says(v.ship(0, "plan", "--new-key", "--var", "version=v1"), "log")
	apply("v1")
	v.settled("--var", "version=v1")
	v.eventually("the sink has lines", func() bool {
		sink.mu.Lock()
		defer sink.mu.Unlock()
		return len(sink.had["v1"]) > 60
	})

	var followed count
	follow := v.Command(v.ctx, "logs", "app", "--follow", "--tail", "all", "--json")
	out, err := follow.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := follow.Start(); err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(func() { readLogs(out, &followed) })

	sink.down.Store(true)
	apply("v2")
	v.eventually("the sink has refused something", func() bool { return sink.refused.Load() > 0 })
	v.on("shop", "sh", "-c", "pkill -f 'journalctl.*--follo[w]'; docker kill printer-cloudship-logs-1 >/dev/null")
	apply("v3")
	sink.down.Store(false)
	apply("v4")
	v.settled("--var", "version=v4")
	gone := []string{"v1", "v2", "v3"}
	v.eventually("the sink has the ends", func() bool { return sink.ended(gone...) })
	sink.complete(t, "sink", false, gone...)
	v.eventually("the ends are followed", func() bool { return followed.ended(gone...) })
	if err := follow.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	reading.Wait()
	var exit *exec.ExitError
	if err := follow.Wait(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	followed.complete(t, "follow", true, gone...)

	var kept count
	readLogs(strings.NewReader(v.quiet("logs", "app", "--since", "1h", "--tail", "all", "--json")), &kept)
	kept.complete(t, "kept", true, gone...)
	if kept.long["v1"] != 40000 || followed.long["v2"] != 40000 {
		t.Errorf("the long lines have %d and %d bytes, want 40000", kept.long["v1"], followed.long["v2"])
	}
	v.says(v.ship(0, "logs", "app", "--tail", "all", "--grep", "^v1 end"), "shop[0] app.1 |", "v1 end")

	own := v.on("shop", "journalctl", "--no-pager", "--output=cat", "COM_DOCKER_COMPOSE_SERVICE=cloudship-logs")
	if !strings.Contains(own, "503") || strings.Contains(own, v.secret) {
		t.Errorf("the shipper does not say why it cannot send, or says the secret:\n%s", own)
	}
	v.on("shop", "docker", "exec", "printer-app-1", "touch", "/tmp/flood")
	v.eventually("the flood is over", func() bool {
		return strings.Contains(v.quiet("logs", "app", "--tail", "3000", "--grep", "v4 flooded$"), "v4 flooded")
	})
	used := strings.Fields(v.on("shop", "du", "-sm", "/var/log/journal"))[0]
	if n, err := strconv.Atoi(used); err != nil || n > 16+8 {
		t.Errorf("the journal has %s MB after 27 MB more, want no more than the 16 MB that it is to keep, and a file", used)
	}

	at, err := url.Parse(sinkURL)
	if err != nil {
		t.Fatal(err)
	}
	v.sinks(at.Hostname(), "v4")

	// Without the block all is as it was before.
	if err := os.WriteFile(filepath.Join(v.Dir, "cloudship.hcl"), []byte(printer), 0o644); err != nil {
		t.Fatal(err)
	}
	apply("v4")
	v.settled("--var", "version=v4")
	if found := v.on("shop", "sh", "-c", "ls /etc/systemd/journald.conf.d; docker inspect -f '{{.HostConfig.LogConfig.Type}}' printer-app-1; docker ps -a --format '{{.Names}}'"); strings.Contains(found, "cloudship") || !strings.Contains(found, "json-file") {
		t.Errorf("left on the server: %s", found)
	}
}

// quiet runs the program and gives what it prints, which is long.
func (v *voyage) quiet(args ...string) string {
	v.t.Helper()
	began := time.Now()
	out, err := v.Command(v.ctx, args...).Output()
	if err != nil {
		v.t.Fatalf("cloudship %s: %v", strings.Join(args, " "), err)
	}
	v.t.Logf("$ cloudship %s (%s, %d bytes)", strings.Join(args, " "), time.Since(began).Round(100*time.Millisecond), len(out))
	return string(out)
}
