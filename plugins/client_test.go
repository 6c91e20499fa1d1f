package plugins

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cloudship/cloudship/resource"
)

func TestErrorsSurviveTheWire(t *testing.T) {
	c := start(t, nil)
	for name, want := range everyError() {
		_, have := c.List(t.Context(), resource.Query{Stack: resource.StackID(name)})
		if resource.KindOf(have) != resource.KindOf(want) || resource.HintOf(have) != resource.HintOf(want) {
			t.Errorf("%s: want kind %s hint %q, have %s %q", name, resource.KindOf(want), resource.HintOf(want), resource.KindOf(have), resource.HintOf(have))
		}
		if have.Error() != strings.ToValidUTF8(want.Error(), "\uFFFD") {
			t.Errorf("%s: want %q, have %q", name, want, have)
		}
		var e, f *resource.Error
		if !errors.As(want, &e) || errors.Unwrap(want) != nil {
			continue
		}
		if !errors.As(have, &f) || !reflect.DeepEqual(e, f) {
			t.Errorf("%s: want %#v, have %#v", name, e, f)
		}
	}
}

func TestCallsCrossTheWireWhole(t *testing.T) {
	c := start(t, map[string]string{"MEMO_TOKEN": "t"})
	ctx := t.Context()
	if err := c.Configure(ctx, resource.Config{Alias: "memo", Values: map[string]any{"region": "r1"}}); err != nil {
		t.Fatal(err)
	}
	listing, err := c.List(ctx, resource.Query{Stack: "shop-k3v9qd"})
	if err != nil || len(listing.Found) != 3000 || listing.Found[2999].Spec.(*resource.ServerSpec).Group != "blue" {
		t.Errorf("list: %d found, %v", len(listing.Found), err)
	}
	create := call("", 0, 1)
	create.UserData = "#cloud-config"
	var mu sync.Mutex
	var said []string
	create.Progress = func(a resource.Address, line string) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, a.String()+" "+line)
	}
	results := c.Create(ctx, create)
	for i, r := range results {
		if r.Address != resource.Server("blue", i) || r.Found == nil || r.Found.ID != "#cloud-config" || resource.KindOf(r.Err) != resource.Failed {
			t.Errorf("create %d: %+v", i, r)
		}
	}
	if want := []string{"group.blue.server[0] making", "group.blue.server[1] making"}; !reflect.DeepEqual(said, want) {
		t.Errorf("progress: want %q, have %q", want, said)
	}
	if r := c.Delete(ctx, call("", 0, 1)); resource.KindOf(r[0].Err) != resource.Ambiguous || len(r) != 2 {
		t.Errorf("delete with a result missing: %+v", r)
	}
	if problems := c.Preflight(ctx, resource.Forecast{}); len(problems) != 2 || resource.KindOf(problems[0]) != resource.Quota {
		t.Errorf("preflight: %v", problems)
	}
	wishes := []resource.Wish{{Address: resource.Server("blue", 0), Spec: &resource.ServerSpec{Size: "small"}}}
	if r, err := c.Resolve(ctx, wishes); err != nil || len(r) != 1 || r[0].Spec.(*resource.ServerSpec).Size != "small" || r[0].Note != "as it was" {
		t.Errorf("resolve: %+v %v", r, err)
	}
}

func TestPluginGetsOnlyWhatItsSchemaNames(t *testing.T) {
	c := start(t, map[string]string{"MEMO_TOKEN": "secret-1", "OTHER_TOKEN": "secret-2", "PATH": "/bin", "MEMO_LIST_LAG": "1s"})
	if err := c.Configure(t.Context(), resource.Config{Alias: "memo"}); err != nil {
		t.Fatal(err)
	}
	initial, err := os.ReadFile("/proc/" + c.Pid() + "/environ")
	if err == nil && strings.Contains(string(initial), "secret") {
		t.Error("a credential is in the environment that the process was started with")
	}
	catalog, err := c.Catalog(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]bool{}
	for _, r := range catalog.Regions {
		name, _, _ := strings.Cut(r.Name, "=")
		has[name] = true
	}
	for name, want := range map[string]bool{"MEMO_TOKEN": true, "PATH": true, "MEMO_LIST_LAG": true, "OTHER_TOKEN": false, "HOME": false} {
		if has[name] != want {
			t.Errorf("%s in the plugin's environment: want %v, have %v", name, want, has[name])
		}
	}
}

func TestDeadPluginIsStartedAgain(t *testing.T) {
	c := start(t, map[string]string{"MEMO_TOKEN": "t"})
	ctx := t.Context()
	if err := c.Configure(ctx, resource.Config{Alias: "first"}); err != nil {
		t.Fatal(err)
	}
	for _, r := range c.Create(ctx, call("die", 0, 1)) {
		if resource.KindOf(r.Err) != resource.Ambiguous {
			t.Errorf("create under which the plugin died: want ambiguous, have %v", r.Err)
		}
	}
	catalog, err := c.Catalog(ctx)
	if err != nil || catalog.Sizes[0].Name != "first" {
		t.Errorf("after a death the plugin is not configured as before: %+v, %v", catalog.Sizes, err)
	}
	if r := c.Update(ctx, call("die", 0)); resource.KindOf(r[0].Err) != resource.Unavailable {
		t.Errorf("update under which the plugin died twice: want unavailable, have %v", r[0].Err)
	}
	mine := filepath.Join(t.TempDir(), "alive")
	if err := os.WriteFile(mine, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	once := call("die once", 0)
	once.Tag = mine
	if r := c.Update(ctx, once); r[0].Err != nil || r[0].Found.ID != "7" {
		t.Errorf("update under which the plugin died once: %+v", r[0])
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Catalog(ctx); resource.KindOf(err) != resource.Unavailable {
		t.Errorf("call after Close: %v", err)
	}
}

func TestCancelReachesThePlugin(t *testing.T) {
	c := start(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	create := call("hang", 0)
	create.Progress = func(_ resource.Address, line string) {
		if line == "hanging" {
			cancel()
		}
	}
	r := c.Create(ctx, create)
	if resource.KindOf(r[0].Err) != resource.Ambiguous || !errors.Is(r[0].Err, context.Canceled) {
		t.Errorf("cancelled create: %v", r[0].Err)
	}
}

func TestWrongChecksumIsRefused(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	_, err = Start(t.Context(), Source{Name: "memo", Path: self, SHA256: strings.Repeat("00", 32)})
	if err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("want a refusal, have %v", err)
	}
}

// parents are what this test binary does when it is started as the parent of a plugin.
var parents = map[string]func(){
	// It starts a plugin, prints its process id, and waits to be killed.
	"idle": func() {
		c, err := Start(context.Background(), Source{Name: "memo", Stderr: os.Stderr})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(c.Pid())
		_, _ = io.Copy(io.Discard, os.Stdin)
	},
}

// startParent starts this test binary as a plugin's parent in a process group of its own and
// answers the plugin's process id. stdin keeps it alive.
func startParent(t *testing.T) (parent *exec.Cmd, plugin int, stdin io.Closer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent = exec.Command(self)
	parent.Env = append(os.Environ(), "PLUGINS_TEST_PARENT=idle", "TMPDIR="+t.TempDir())
	parent.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	parent.Stderr = t.Output()
	in, err := parent.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = parent.Process.Kill() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if plugin, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
		t.Fatal(err)
	}
	return parent, plugin, in
}

// ended waits until a process that is not our child is no more.
func ended(pid int, within time.Duration) bool {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for alive(pid) {
		select {
		case <-deadline.C:
			return false
		case <-tick.C:
		}
	}
	return true
}

// alive reports whether a process runs; one that only waits to be reaped does not.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return os.IsNotExist(err) == false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

func TestPluginEndsWithItsKilledParent(t *testing.T) {
	parent, plugin, _ := startParent(t)
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	if !ended(plugin, time.Minute) {
		t.Errorf("plugin %d outlives its parent", plugin)
	}
}

func TestInterruptOfTheGroupIsLeftToTheParent(t *testing.T) {
	parent, plugin, stdin := startParent(t)
	// The group's interrupt, without the parent: it reaches the plugin first.
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		if err := syscall.Kill(plugin, s); err != nil {
			t.Fatal(err)
		}
	}
	if ended(plugin, 300*time.Millisecond) {
		t.Error("the plugin ended by a signal that its parent has to decide on")
	}
	_ = stdin.Close() // the parent ends without a word to its plugin
	_ = parent.Wait()
	if !ended(plugin, time.Minute) {
		t.Errorf("plugin %d outlives its parent", plugin)
	}
}

func TestNothingIsLeftInTheTemporaryFolder(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	c := start(t, map[string]string{"TMPDIR": dir})
	if _, err := c.Schema(t.Context()); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 0 {
		t.Errorf("while the plugin runs: %v, %v", entries, err)
	}
}
