//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestF20Stats has a real server measure itself: nothing stays running for it, its history and its
// answers to Prometheus show a container that burns CPU, and it all goes when the block goes.
func TestF20Stats(t *testing.T) {
	t.Parallel()
	v := begin(t, "stats")
	file := strings.Replace(alone, `stack "alone" {}`, `stack "stats" {}`, 1)
	block := "\nstats {\n  history    = \"1h\"\n  every      = \"1s\"\n  prometheus = 9100\n}\n"
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(v.Dir, "cloudship.hcl"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(file)
	v.ship(0, "apply", "-y", "--new-key", "--var", "version=v1")

	t.Run("F2NothingResidentByDefault", func(t *testing.T) {
		if units := v.on("shop", "sh", "-c", "systemctl list-unit-files --no-legend 'cloudship*'; ls /etc/systemd/system | grep cloudship || true"); strings.TrimSpace(units) != "" {
			t.Errorf("units %q", units)
		}
	})
	before := v.processes()
	v.says(v.ship(1, "stats", "--since", "1h", "--var", "version=v1"), "keeps no history")

	write(file + block)
	v.ship(0, "apply", "-y", "--var", "version=v1")
	v.settled("--var", "version=v1")
	v.eventually("there is a history", func() bool {
		return v.Run(v.ctx, "stats", "--since", "1h", "--json").Code == 0
	})
	v.on("shop", "docker", "exec", "-d", "stats-proxy-1", "sh", "-c", "i=0; while [ $i -lt 3000000 ]; do i=$((i+1)); done")
	var history struct {
		Type    string `json:"type"`
		History struct {
			Samples int `json:"samples"`
			Series  []struct {
				Service string                          `json:"service"`
				CPU     struct{ Min, Avg, Max float64 } `json:"cpu_percent"`
				Memory  struct{ Min, Avg, Max float64 } `json:"memory"`
			} `json:"series"`
		} `json:"history"`
	}
	v.eventually("the history shows the CPU that is burnt", func() bool {
		out := v.Run(v.ctx, "stats", "--since", "1h", "--json")
		for line := range strings.Lines(out.Stdout) {
			if json.Unmarshal([]byte(line), &history) != nil || history.Type != "stats_history" {
				continue
			}
			for _, s := range history.History.Series {
				if s.Service == "proxy" && s.CPU.Max > 20 && s.Memory.Avg > 0 {
					return true
				}
			}
		}
		return false
	})
	v.says(v.ship(0, "stats", "--since", "1h"), "the server", "proxy.1")

	metrics := v.on("shop", "bash", "-c", `exec 3<>/dev/tcp/127.0.0.1/9100; printf "GET /metrics HTTP/1.0\r\n\r\n" >&3; cat <&3`)
	for _, want := range []string{"200 OK", "node_memory_MemAvailable_bytes ", `container_cpu_usage_seconds_total{id="`, `name="stats-proxy-1"`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %q in %.2000s", want, metrics)
		}
	}

	t.Run("F2NothingResidentWithStats", func(t *testing.T) {
		v.eventually("nothing more runs than before", func() bool {
			for _, process := range v.processes() {
				if !slices.Contains(before, process) && strings.Contains(process, "cloudship") {
					return false
				}
			}
			return true
		})
	})

	// What somebody changes is mended; what is not wanted any more goes.
	v.on("shop", "systemctl", "stop", "cloudship-stats-"+v.stack()+".timer")
	v.says(v.ship(2, "plan", "--detailed-exitcode", "--var", "version=v1"), "group.shop.docker[0]")
	v.ship(0, "apply", "-y", "--var", "version=v1")
	v.settled("--var", "version=v1")
	write(file)
	v.ship(0, "apply", "-y", "--var", "version=v1")
	v.settled("--var", "version=v1")
	if left := v.on("shop", "sh", "-c", "ls /etc/systemd/system /var/lib/cloudship/*/ | grep -e cloudship-stats -e '^stats$' || true"); strings.TrimSpace(left) != "" {
		t.Errorf("left over: %q", left)
	}
}

// processes lists what runs on the server, but for the kernel's own and for this very question.
func (v *voyage) processes() []string {
	v.t.Helper()
	var list []string
	for line := range strings.Lines(v.on("shop", "sh", "-c", "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline 2>/dev/null && echo; done")) {
		if line = strings.TrimSpace(line); line != "" && !strings.Contains(line, "sshd") && !strings.Contains(line, "/proc/[0-9]") {
			list = append(list, line)
		}
	}
	return list
}

// stack is the stack's id, as the server's folder has it.
func (v *voyage) stack() string {
	v.t.Helper()
	return strings.TrimSpace(v.on("shop", "sh", "-c", "basename /var/lib/cloudship/*/"))
}
