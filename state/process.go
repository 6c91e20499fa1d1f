package state

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"
)

// A process names a running program so that another one of the same machine
// can tell whether it still runs.
type process struct {
	Boot  string `json:"boot,omitempty"`  // this run of the kernel; "" where the system does not say
	Space string `json:"space,omitempty"` // the namespace that the PID belongs to
	PID   int    `json:"pid"`
	Start string `json:"start,omitempty"` // when it started: PIDs are used again
}

// self describes the running program.
func self() process {
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	space, _ := os.Readlink("/proc/self/ns/pid")
	pid := os.Getpid()
	return process{Boot: strings.TrimSpace(string(boot)), Space: space, PID: pid, Start: startOf(pid)}
}

// sameKernel tells that p runs, or ran, on the machine that we are on, since it
// was last started.
func (p process) sameKernel(here process) bool {
	return p.Boot != "" && p.Boot == here.Boot
}

// dead tells that p is known to have ended. Where it cannot be known, as of
// another machine's process, it is false.
func (p process) dead(here process) bool {
	if !p.sameKernel(here) || p.Space == "" || p.Space != here.Space {
		return false
	}
	if errors.Is(syscall.Kill(p.PID, 0), syscall.ESRCH) {
		return true
	}
	start := startOf(p.PID)
	return start != "" && start != p.Start
}

// startOf returns the start time of a process in the kernel's own ticks, ""
// if it is not known.
func startOf(pid int) string {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return ""
	}
	// The name, in brackets, may hold anything; what follows has no brackets.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return ""
	}
	return string(fields[19])
}

// DefaultActor returns user@host.
func DefaultActor() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s@%s", name, host)
}
