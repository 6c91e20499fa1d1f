package hosts_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/cloudship/cloudship/plugins"
	"github.com/cloudship/cloudship/resource"
)

var web = []resource.Address{resource.Server("web", 0), resource.Server("web", 1)}

// resolved completes the servers of group web on machines.
func (r *rack) resolved(c *plugins.Client, n int, names ...any) []resource.Item {
	r.Helper()
	var wishes []resource.Wish
	for i := range n {
		wishes = append(wishes, resource.Wish{Address: resource.Server("web", i), Spec: &resource.ServerSpec{Group: "web", Image: "debian-12", Options: resource.Options{"hosts": names}}})
	}
	answers, err := c.Resolve(r.Context(), wishes)
	if err != nil {
		r.Fatal(err)
	}
	var items []resource.Item
	for _, a := range answers {
		items = append(items, resource.Item{Mark: resource.Mark{Stack: stack, Address: a.Address, Generation: 1}, Spec: a.Spec})
	}
	return items
}

// take makes servers of machines.
func (r *rack) take(c *plugins.Client, items ...resource.Item) []resource.Found {
	r.Helper()
	var found []resource.Found
	for _, result := range c.Create(r.Context(), resource.Call{Stack: stack, Items: items}) {
		if result.Err != nil {
			r.Fatal(result.Err)
		}
		found = append(found, *result.Found)
	}
	return found
}

func peers(found []resource.Found) map[resource.Address]resource.Found {
	m := map[resource.Address]resource.Found{}
	for _, f := range found {
		m[f.Mark.Address] = f
	}
	return m
}

func TestServerIsReachedByWhatTheBlockSays(t *testing.T) {
	t.Parallel()
	r := newRack(t, 2)
	r.values["hosts"].(map[string]any)["m1"].(map[string]any)["jump"] = "m0"
	r.values["user"] = "root"
	c := r.open()
	found := r.take(c, r.resolved(c, 1, "m1")...)[0]
	access := found.Facts.Access
	if access == nil || access.Address != r.machines[1].address() || access.HostKey != r.machines[1].key() || access.User != "root" {
		t.Fatalf("access %+v", access)
	}
	if access.Jump == nil || access.Jump.Address != r.machines[0].address() || access.Jump.HostKey != r.machines[0].key() {
		t.Errorf("jump %+v", access.Jump)
	}
	if found.Facts.PublicIP != "127.0.0.1" || !found.Ready || found.ID != r.machines[1].address() {
		t.Errorf("found %+v", found)
	}
}

func TestUnreachableMachineIsUnknownAndNotGone(t *testing.T) {
	t.Parallel()
	r := newRack(t, 2)
	c := r.open()
	found := r.take(c, r.resolved(c, 2, "m0", "m1")...)
	r.machines[1].stop()
	listing, err := c.List(t.Context(), resource.Query{Stack: stack, Peers: peers(found)})
	if err != nil {
		t.Fatal(err)
	}
	if len(listing.Found) != 1 || listing.Found[0].Mark.Address != web[0] || len(listing.Unknown) != 1 || listing.Unknown[0].Address != web[1] {
		t.Errorf("listing %+v", listing)
	}
	if _, err := c.Read(t.Context(), resource.Query{Stack: stack}, found[1]); resource.KindOf(err) != resource.Unavailable {
		t.Errorf("read of a machine that is down: %v", err)
	}
	// Who has lost the state must know of every machine, and is not kept waiting.
	if _, err := c.List(t.Context(), resource.Query{Name: stack.Name()}); resource.KindOf(err) != resource.Failed || resource.HintOf(err) == "" {
		t.Errorf("list by name: %v", err)
	}
}

func TestMachineTakenOutOfTheBlockIsGone(t *testing.T) {
	t.Parallel()
	r := newRack(t, 2)
	c := r.open()
	found := r.take(c, r.resolved(c, 2, "m0", "m1")...)
	delete(r.values["hosts"].(map[string]any), "m1")
	c = r.open()
	if _, err := c.Read(t.Context(), resource.Query{Stack: stack}, found[1]); !resource.IsGone(err) {
		t.Errorf("want gone, have %v", err)
	}
	item := resource.Item{Mark: found[1].Mark, Have: &found[1]}
	if result := c.Delete(t.Context(), resource.Call{Stack: stack, Items: []resource.Item{item}})[0]; result.Err != nil {
		t.Error(result.Err)
	}
	if _, err := os.Stat(filepath.Join(r.machines[1].kept(), string(stack), "taken.json")); err != nil {
		t.Errorf("what nobody names was touched: %v", err)
	}
}

func TestAnotherHostKeyIsRefused(t *testing.T) {
	t.Parallel()
	r := newRack(t, 1)
	other, _ := newKey(t)
	r.values["hosts"].(map[string]any)["m0"].(map[string]any)["host_key"] = lineOf(other)
	c := r.open()
	items := r.resolved(c, 1, "m0")
	err := c.Create(t.Context(), resource.Call{Stack: stack, Items: items})[0].Err
	if resource.KindOf(err) != resource.Unauthorized || !strings.Contains(err.Error(), "host key") {
		t.Errorf("create: %v", err)
	}
	problems := c.Preflight(t.Context(), resource.Forecast{Stack: stack, Create: []resource.Wish{{Address: web[0], Spec: items[0].Spec}}})
	if len(problems) != 1 || resource.HintOf(problems[0]) == "" {
		t.Errorf("preflight: %v", problems)
	}
	if n := r.machines[0].commands.Load(); n != 0 {
		t.Errorf("%d commands ran on a machine with another key", n)
	}
}

func TestRefusedLoginSaysWhereTheKeyGoes(t *testing.T) {
	t.Parallel()
	r := newRack(t, 1)
	_, r.login = newKey(t)
	c := r.open()
	problems := c.Preflight(t.Context(), resource.Forecast{Stack: stack, Create: []resource.Wish{{Address: web[0], Spec: r.resolved(c, 1, "m0")[0].Spec}}})
	if len(problems) != 1 || resource.KindOf(problems[0]) != resource.Unauthorized || !strings.Contains(resource.HintOf(problems[0]), "authorized_keys") {
		t.Errorf("preflight: %v, hint %q", problems, resource.HintOf(problems[0]))
	}
}

func TestMachineTooSmallIsRefusedBeforeItIsTaken(t *testing.T) {
	t.Parallel()
	r := newRack(t, 1)
	c := r.open()
	spec := r.resolved(c, 1, "m0")[0].Spec.(*resource.ServerSpec)
	spec.Need = &resource.Need{CPUs: 4096}
	problems := c.Preflight(t.Context(), resource.Forecast{Stack: stack, Create: []resource.Wish{{Address: web[0], Spec: spec}}})
	if len(problems) != 1 || !strings.Contains(problems[0].Error(), "4096") {
		t.Errorf("preflight: %v", problems)
	}
}

func TestLostAnswerAndKilledPluginLeaveOneMark(t *testing.T) {
	t.Parallel()
	r := newRack(t, 1)
	c := r.open()
	items := r.resolved(c, 1, "m0")
	lost := false
	r.machines[0].lose(func(command string) bool {
		now := !lost && strings.Contains(command, "mkdir -p") // the one that writes the mark
		lost = lost || now
		return now
	})
	if err := c.Create(t.Context(), resource.Call{Stack: stack, Items: items})[0].Err; err == nil {
		t.Fatal("a create whose answer is lost succeeds")
	}
	pid, err := strconv.Atoi(c.Pid())
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	listing, err := r.open().List(t.Context(), resource.Query{Stack: stack})
	if err != nil || len(listing.Found) != 1 || listing.Found[0].Mark != items[0].Mark {
		t.Fatalf("listing %+v, %v", listing, err)
	}
	c = r.open()
	again := r.take(c, items...)[0]
	if !again.Created.Equal(listing.Found[0].Created) {
		t.Error("taking again has made another mark")
	}
}

func TestMachineIsWaitedForWhileAnotherAddressHasIt(t *testing.T) {
	t.Parallel()
	r := newRack(t, 2)
	c := r.open()
	found := r.take(c, r.resolved(c, 1, "m0")...)
	items := r.resolved(c, 2, "m1", "m0")
	if err := c.Create(t.Context(), resource.Call{Stack: stack, Items: items[1:]})[0].Err; resource.KindOf(err) != resource.Busy || !strings.Contains(err.Error(), web[0].String()) {
		t.Fatalf("want busy, have %v", err)
	}
	// Its next generation takes it over, and the delete of the old one leaves it alone.
	next := r.resolved(c, 1, "m0")[0]
	next.Mark.Generation = 2
	r.take(c, next)
	if result := c.Delete(t.Context(), resource.Call{Stack: stack, Items: []resource.Item{{Mark: found[0].Mark, Have: &found[0]}}})[0]; result.Err != nil {
		t.Fatal(result.Err)
	}
	listing, err := c.List(t.Context(), resource.Query{Stack: stack})
	if err != nil || len(listing.Found) != 1 || listing.Found[0].Mark.Generation != 2 {
		t.Errorf("listing %+v, %v", listing, err)
	}
}

func TestMachinesThatChangePlacesAreRefused(t *testing.T) {
	t.Parallel()
	r := newRack(t, 2)
	c := r.open()
	r.take(c, r.resolved(c, 2, "m0", "m1")...)
	var wishes []resource.Wish
	for _, item := range r.resolved(c, 2, "m1", "m0") {
		wishes = append(wishes, resource.Wish{Address: item.Mark.Address, Spec: item.Spec})
	}
	problems := c.Preflight(t.Context(), resource.Forecast{Stack: stack, Create: wishes})
	if len(problems) != 1 || !strings.Contains(resource.HintOf(problems[0]), "keep the order") {
		t.Errorf("preflight: %v", problems)
	}
}

func TestOneMachineIsTwoStacksAndEachLetsItsOwnGo(t *testing.T) {
	t.Parallel()
	r := newRack(t, 1)
	c := r.open()
	items := r.resolved(c, 1, "m0")
	mine := r.take(c, items...)[0]
	theirs := items[0]
	theirs.Mark.Stack = "blog-a1b2c3"
	r.take(c, theirs)
	keep := filepath.Join(r.machines[0].kept(), "blog-a1b2c3", "current.json")
	gone := filepath.Join(r.machines[0].kept(), string(stack), "current.json")
	for _, file := range []string{keep, gone} {
		if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if result := c.Delete(t.Context(), resource.Call{Stack: stack, Items: []resource.Item{{Mark: mine.Mark, Have: &mine}}})[0]; result.Err != nil {
		t.Fatal(result.Err)
	}
	if _, err := os.Stat(keep); err != nil {
		t.Errorf("the other stack's folder: %v", err)
	}
	if _, err := os.Stat(filepath.Dir(gone)); !os.IsNotExist(err) {
		t.Errorf("our folder is left: %v", err)
	}
}
