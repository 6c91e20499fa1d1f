package sampler

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/cloudship/cloudship/resource"
)

// ship is a server as files: what the script reads of /proc, of the control groups and of Docker,
// and a clock that stands.
type ship struct {
	t      *testing.T
	root   string
	script string
	bin    string
}

func newShip(t *testing.T) *ship {
	s := &ship{t: t, root: t.TempDir(), bin: t.TempDir()}
	files, err := Of("shop-aaaaaa", filepath.Join(t.TempDir(), "shop"), "/var/lib/docker", "", &resource.Sampling{History: 60, Every: 1})
	if err != nil {
		t.Fatal(err)
	}
	s.script = filepath.Join(s.bin, "stats")
	for name, content := range files.Content {
		if filepath.Dir(name) == files.Folder {
			s.put(s.bin, filepath.Base(name), content)
		}
	}
	s.clock(1795842000)
	s.put(s.bin, "stat", "#!/bin/sh\necho 4096 1000 250 500 100\n")
	s.file("proc/loadavg", "0.52 0.58 0.59 1/467 12345\n")
	s.file("proc/meminfo", "MemTotal:         500000 kB\nMemFree:           20000 kB\nMemAvailable:      30000 kB\nBuffers:             100 kB\nCached:             5000 kB\nSwapTotal:        100000 kB\nSwapFree:          40000 kB\n")
	s.file("proc/stat", "cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 50 0 25 400 25 0 0 0 0 0\ncpu1 50 0 25 400 25 0 0 0 0 0\nintr 1\nbtime 1795800000\n")
	s.file("proc/vmstat", "pgfault 5\noom_kill 3\n")
	s.file("proc/net/dev", "Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n    lo:  999  1 0 0 0 0 0 0  999 1 0 0 0 0 0 0\n  eth0: 4000000000 5 0 0 0 0 0 0 5000000000 6 0 0 0 0 0 0\n")
	s.file("proc/mounts", "/dev/vda1 / ext4 rw 0 0\nproc /proc proc rw 0 0\n")
	s.file("proc/diskstats", "   7 0 loop0 1 2 3 4 5 6 7 8\n 254 0 vda 10 0 100 0 20 0 200 0 0 0 0\n")
	return s
}

func (s *ship) put(folder, name, content string) {
	s.t.Helper()
	path := filepath.Join(folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		s.t.Fatal(err)
	}
}

func (s *ship) file(name, content string) { s.put(s.root, name, content) }

func (s *ship) clock(now int64) { s.put(s.bin, "date", fmt.Sprintf("#!/bin/sh\necho %d\n", now)) }

// run runs the script as its units do.
func (s *ship) run(stdin string, args ...string) string {
	s.t.Helper()
	c := exec.Command("sh", append([]string{s.script}, args...)...)
	c.Env = append(os.Environ(), "STATS_ROOT="+s.root, "PATH="+s.bin+":"+os.Getenv("PATH"))
	c.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil || stderr.Len() > 0 {
		s.t.Fatalf("stats %v: %v\n%s", args, err, stderr.String())
	}
	return string(out)
}

// board adds a container: what Docker says of it, with words in it that are to mislead, and what its
// process shows.
func (s *ship) board(pid int, id, service, stack, groups string) {
	config := fmt.Sprintf(`{"StreamConfig":{},"State":{"Running":true,"Paused":false,"OOMKilled":false,"Pid":%d,"ExitCode":0},"ID":"%s","Config":{"Hostname":"x","Env":["NOTE=\"Pid\":7 \"Running\":false \"Name\":\"/wrong\" \"com.docker.compose.service\":\"wrong\""],"Labels":{"cloudship.stack":"%s","com.docker.compose.container-number":"2","com.docker.compose.project":"shop","com.docker.compose.service":"%s"}},"Name":"/shop-%s-2","HostConfig":{"RestartPolicy":{"Name":"always"}}}`, pid, id, stack, service, service)
	s.file("var/lib/docker/containers/"+id+"/config.v2.json", config)
	s.file(fmt.Sprintf("proc/%d/cgroup", pid), groups)
	s.file(fmt.Sprintf("proc/%d/net/dev", pid), "h\nh\n    lo:  9  1 0 0 0 0 0 0  9 1 0 0 0 0 0 0\n  eth0:70 5 0 0 0 0 0 0 80 6 0 0 0 0 0 0\n")
}

func id(c string) string { return strings.Repeat(c, 64) }

// group writes the files of a control group.
func (s *ship) group(at string, files ...string) {
	for i := 0; i < len(files); i += 2 {
		s.file("sys/fs/cgroup/"+at+"/"+files[i], files[i+1]+"\n")
	}
}

// aboard are containers under control groups of both versions, by the engine's two drivers, and from
// inside of a server that is a container itself.
var aboard = map[string]func(*ship){
	"version 2, systemd": func(s *ship) {
		s.board(101, id("a"), "app", "shop-aaaaaa", "0::/system.slice/docker-"+id("a")+".scope\n")
		second(s, "system.slice/docker-"+id("a")+".scope")
	},
	"version 2, cgroupfs": func(s *ship) {
		s.board(101, id("a"), "app", "shop-aaaaaa", "0::/docker/"+id("a")+"\n")
		second(s, "docker/"+id("a"))
	},
	"version 2, groups inside of it": func(s *ship) {
		s.board(101, id("a"), "app", "shop-aaaaaa", "0::/docker/"+id("a")+"/init.scope\n")
		second(s, "docker/"+id("a"))
		s.group("docker/"+id("a")+"/init.scope", "memory.current", "1", "cpu.stat", "usage_usec 1")
	},
	"version 1, cgroupfs": func(s *ship) {
		s.board(101, id("a"), "app", "shop-aaaaaa", old("/docker/"+id("a")))
		first(s, "docker/"+id("a"))
	},
	"version 1, systemd": func(s *ship) {
		s.board(101, id("a"), "app", "shop-aaaaaa", old("/system.slice/docker-"+id("a")+".scope"))
		first(s, "system.slice/docker-"+id("a")+".scope")
	},
	"version 1, in a container": func(s *ship) {
		s.board(101, id("a"), "app", "shop-aaaaaa", old("/docker/"+id("f")+"/docker/"+id("a")))
		first(s, "docker/"+id("a"))
	},
}

func old(path string) string {
	return "12:pids:" + path + "\n9:blkio:" + path + "\n5:cpu,cpuacct:" + path + "\n4:memory:" + path + "\n1:name=systemd:" + path + "\n0::/\n"
}

func second(s *ship, at string) {
	s.group(at, "memory.current", "9000000000", "memory.stat", "anon 5\ninactive_file 1000000000\nactive_file 1", "memory.max", "max", "cpu.stat", "usage_usec 7000000000\nuser_usec 1",
		"memory.events", "low 0\noom 2\noom_kill 1\noom_group_kill 0", "pids.current", "5", "io.stat", "254:0 rbytes=3000000000 wbytes=10 rios=1 wios=1 dbytes=0 dios=0\n254:16 rbytes=1 wbytes=2 rios=1 wios=1", "cgroup.procs", "101")
}

func first(s *ship, at string) {
	s.group("memory/"+at, "memory.usage_in_bytes", "9000000000", "memory.stat", "cache 5\ntotal_inactive_file 1000000000", "memory.limit_in_bytes", "9223372036854771712", "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1")
	s.group("cpuacct/"+at, "cpuacct.usage", "7000000000000")
	s.group("pids/"+at, "pids.current", "5")
	s.group("blkio/"+at, "blkio.throttle.io_service_bytes_recursive", "254:0 Read 3000000000\n254:0 Write 10\n254:0 Total 3000000010\n254:16 Read 1\n254:16 Write 2\nTotal 3000000013")
}

// TestP18ASampleIsWhatTheServerShows holds a line against what the files say.
func TestP18ASampleIsWhatTheServerShows(t *testing.T) {
	for name, load := range aboard {
		t.Run(name, func(t *testing.T) {
			s := newShip(t)
			load(s)
			s.board(102, id("b"), "other", "blog-bbbbbb", "0::/\n") // another stack's
			s.file("var/lib/docker/containers/"+id("c")+"/config.v2.json", `{"State":{"Running":false,"Pid":0},"Name":"/shop-dead-1"}`)
			s.file("var/lib/docker/containers/"+id("d")+"/config.v2.json", `{"State":{"Runn`) // half written
			s.run("", "sample", filepath.Join(s.root, "history"), "3600", "1000000", "shop-aaaaaa")
			text, err := os.ReadFile(filepath.Join(s.root, "history", "samples.1795842000"))
			if err != nil {
				t.Fatal(err)
			}
			samples, torn := Decode(string(text))
			want := []Sample{{
				At: time.Unix(1795842000, 0).UTC(), Load1: 0.52, CPUs: 2, Ticks: 1000, Idle: 850, MemoryTotal: 500000 << 10, MemoryAvailable: 30000 << 10,
				SwapTotal: 100000 << 10, SwapFree: 40000 << 10, DiskTotal: 4096000, DiskAvailable: 1024000, Inodes: 500, InodesFree: 100, OOMKills: 3, NetIn: 4000000000, NetOut: 5000000000,
				Containers: []ContainerSample{{Service: "app", Number: 2, ID: "aaaaaaaaaaaa", CPU: 7000000000, Memory: 8000000000, NetIn: 70, NetOut: 80, BlockRead: 3000000001, BlockWrite: 12, PIDs: 5, OOMKills: 1}},
			}}
			if torn != 0 || !reflect.DeepEqual(samples, want) {
				t.Errorf("have %+v, %d torn\nwant %+v\nof %s", samples, torn, want, text)
			}
		})
	}
}

// TestF20AServerInAContainerHasItsOwnMemory wants a server that is a container, as that of a small
// provider or of the lab, to show its own memory and its own killed processes.
func TestF20AServerInAContainerHasItsOwnMemory(t *testing.T) {
	for version, files := range map[string][]string{
		"1": {"memory/memory.limit_in_bytes", "268435456", "memory/memory.usage_in_bytes", "200000000", "memory/memory.stat", "total_inactive_file 50000000", "memory/memory.oom_control", "oom_kill 7"},
		"2": {"memory.max", "268435456", "memory.current", "200000000", "memory.stat", "inactive_file 50000000", "memory.events", "oom_kill 7"},
	} {
		s := newShip(t)
		s.group("", files...)
		s.run("", "sample", filepath.Join(s.root, "history"), "3600", "1000000", "shop-aaaaaa")
		text, _ := os.ReadFile(filepath.Join(s.root, "history", "samples.1795842000"))
		samples, _ := Decode(string(text))
		if len(samples) != 1 || samples[0].MemoryTotal != 268435456 || samples[0].MemoryAvailable != 118435456 || samples[0].OOMKills != 7 {
			t.Errorf("version %s: %+v of %s", version, samples, text)
		}
	}
}

// TestHistoryIsBounded lets time pass and wants samples of the time that was asked for, and not much
// more, within the size that was said.
func TestHistoryIsBounded(t *testing.T) {
	s := newShip(t)
	folder := filepath.Join(s.root, "history")
	all := func() ([]Sample, int64) {
		var text []byte
		files, _ := filepath.Glob(filepath.Join(folder, "samples.*"))
		for _, file := range files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			text = append(text, b...)
		}
		samples, torn := Decode(string(text))
		if torn > 0 {
			t.Errorf("%d lines are torn", torn)
		}
		return samples, int64(len(text))
	}
	const start = 1795842000
	for i := range 60 {
		s.clock(start + int64(i)*10)
		s.run("", "sample", folder, "100", "100000", "shop-aaaaaa")
		samples, _ := all()
		if span := samples[len(samples)-1].At.Sub(samples[0].At); span > 160*time.Second || i >= 10 && span < 100*time.Second {
			t.Fatalf("after %d samples the history spans %s", i+1, span)
		}
	}
	for i := range 40 { // small
		s.clock(start + 600 + int64(i))
		s.run("", "sample", folder, "100000", "2000", "shop-aaaaaa")
	}
	if samples, size := all(); size > 2400 || len(samples) < 5 {
		t.Errorf("%d bytes, %d samples; want 2000 bytes, or a line more", size, len(samples))
	}
	s.clock(start - 5000) // the clock is set back
	s.run("", "sample", folder, "100", "100000", "shop-aaaaaa")
	if samples, _ := all(); len(samples) != 1 || samples[0].At.Unix() != start-5000 {
		t.Errorf("after the clock was set back: %+v", samples)
	}
}

// TestF20PrometheusReadsIt has the text read by Prometheus's own parser.
func TestF20PrometheusReadsIt(t *testing.T) {
	s := newShip(t)
	aboard["version 2, systemd"](s)
	s.board(102, id("b"), "other", "blog-bbbbbb", "0::/\n")
	text := s.run("", "metrics")
	families := parsed(t, text)
	for name, want := range map[string]float64{
		`node_load1{}`:                                0.52,
		`node_memory_MemAvailable_bytes{}`:            30000 << 10,
		`node_vmstat_oom_kill{}`:                      3,
		`node_cpu_seconds_total{cpu="1",mode="idle"}`: 4,
		`node_filesystem_avail_bytes{device="/dev/vda1",fstype="ext4",mountpoint="/"}`: 1024000,
		`node_network_receive_bytes_total{device="eth0"}`:                              4000000000,
		`node_disk_read_bytes_total{device="vda"}`:                                     51200,
		`container_cpu_usage_seconds_total{container_label_com_docker_compose_project="shop",container_label_com_docker_compose_service="app",cpu="total",id="/system.slice/docker-` + id("a") + `.scope",name="shop-app-2"}`: 7000,
		`container_memory_working_set_bytes{container_label_com_docker_compose_project="shop",container_label_com_docker_compose_service="app",id="/system.slice/docker-` + id("a") + `.scope",name="shop-app-2"}`:            8000000000,
	} {
		if have, ok := families[name]; !ok || have != want {
			t.Errorf("%s: %v, %t; want %v", name, have, ok, want)
		}
	}
	// What this machine itself shows is read as well.
	here := exec.Command("sh", s.script, "metrics")
	out, err := here.Output()
	if err != nil {
		t.Fatal(err)
	}
	if real := parsed(t, string(out)); real["node_memory_MemTotal_bytes{}"] <= 0 || len(real) < 30 {
		t.Errorf("of this machine: %v", real)
	}
}

// parsed reads the text format: every sample by its name and labels.
func parsed(t *testing.T, text string) map[string]float64 {
	t.Helper()
	var parser expfmt.TextParser
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	all := map[string]float64{}
	for name, family := range families {
		if counter := strings.HasSuffix(name, "_total"); counter != (family.GetType() == dto.MetricType_COUNTER) {
			t.Errorf("%s is a %s", name, family.GetType())
		}
		if family.GetHelp() == "" {
			t.Errorf("%s says nothing about itself", name)
		}
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			slices.Sort(labels)
			key := name + "{" + strings.Join(labels, ",") + "}"
			if _, twice := all[key]; twice {
				t.Errorf("%s is there twice", key)
			}
			all[key] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + m.GetUntyped().GetValue()
		}
	}
	return all
}

// TestServe makes requests as they come in through the socket.
func TestServe(t *testing.T) {
	s := newShip(t)
	for request, want := range map[string]int{
		"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: text/plain\r\n\r\n": 200,
		"GET /metrics?x=y HTTP/1.0\r\n\r\n":                              200,
		"GET /metrics HTTP/1.1\n\n":                                      200,
		"GET /etc/passwd HTTP/1.1\r\n\r\n":                               404,
		"GET /metrics/../../x HTTP/1.1\r\n\r\n":                          404,
		"POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc":         405,
		"nonsense $(touch /tmp/x) `reboot` %s%n\r\n\r\n":                 405,
		"GET /metrics HTTP/1.1\r\n" + strings.Repeat("A: b\r\n", 1000):   200,
	} {
		answer, err := http.ReadResponse(bufio.NewReader(strings.NewReader(s.run(request, "serve"))), nil)
		if err != nil || answer.StatusCode != want {
			t.Errorf("%.40q: %v, %v; want %d", request, answer, err, want)
			continue
		}
		var body bytes.Buffer
		n, err := body.ReadFrom(answer.Body)
		if err != nil || n != answer.ContentLength {
			t.Errorf("%.40q: %d of %d bytes, %v", request, n, answer.ContentLength, err)
		}
		if want == 200 {
			if kind := answer.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/plain; version=0.0.4") {
				t.Errorf("type %q", kind)
			}
			parsed(t, body.String())
		}
	}
	if out := s.run("", "serve"); out != "" {
		t.Errorf("who says nothing is told %q", out)
	}
}

// BenchmarkSample tells what one sample of this machine costs.
func BenchmarkSample(b *testing.B) {
	dir := b.TempDir()
	files, err := Of("shop-aaaaaa", dir, "/var/lib/docker", "", &resource.Sampling{History: 60, Every: 1})
	if err != nil {
		b.Fatal(err)
	}
	if err := os.MkdirAll(files.Folder, 0o700); err != nil {
		b.Fatal(err)
	}
	for name, content := range files.Content {
		if filepath.Dir(name) == files.Folder {
			if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
				b.Fatal(err)
			}
		}
	}
	var cpu time.Duration
	for b.Loop() {
		c := exec.Command("sh", filepath.Join(files.Folder, "stats"), "sample", filepath.Join(dir, "history"), "3600", "1000000", "shop-aaaaaa")
		if err := c.Run(); err != nil {
			b.Fatal(err)
		}
		cpu += c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	}
	b.ReportMetric(float64(cpu.Milliseconds())/float64(b.N), "cpu-ms/op")
}
