package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cloudship/cloudship/lab"
	"github.com/cloudship/cloudship/lab/cloud"
)

// TestScripts runs the real program, with its plugins as real processes, over a lab whose servers
// are on paper: testdata/script/*.txtar. A script starts in the stack's folder; a stack that it
// does not bring is that of testdata/stack. Beside testscript's own commands it has those of
// scriptCommands.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setUp,
		Cmds:                scriptCommands,
	})
}

// setUp gives a script a lab of its own and an environment in which nothing outside its folder is
// written.
func setUp(env *testscript.Env) error {
	instant := cloud.Instant()
	l, err := lab.Start(context.Background(), lab.Options{Faults: &instant})
	if err != nil {
		return err
	}
	env.Defer(func() { _ = l.Close() })
	env.Values["lab"] = l
	stack := filepath.Join(env.WorkDir, "stack")
	if err := fill(stack, "testdata/stack"); err != nil {
		return err
	}
	env.Cd = stack
	for name, value := range map[string]string{
		"HOME": filepath.Join(env.WorkDir, "home"), "XDG_CONFIG_HOME": filepath.Join(env.WorkDir, "config"),
		"XDG_CACHE_HOME": filepath.Join(env.WorkDir, "cache"), "CI": "true",
		"DIGITALOCEAN_LIST_LAG": "100ms",
		"CLOUDSHIP_PAPER":       l.URL(lab.DigitalOcean), "CLOUDSHIP_PACE": "10ms", "CLOUDSHIP_NEW_KEY": "true", "CLOUDSHIP_AUTO_APPROVE": "true",
	} {
		env.Setenv(name, value)
	}
	for name, value := range l.Environment() {
		env.Setenv(name, value)
	}
	env.Setenv("RACKSPACE_LIST_LAG", "100ms")
	return nil
}

// fill copies the files of a folder that are not there yet.
func fill(to, from string) error {
	return filepath.WalkDir(from, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rest, err := filepath.Rel(from, name)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rest)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o700)
		}
		if _, err := os.Stat(target); err == nil {
			return nil
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(target, b, 0o600)
	})
}

// scriptCommands are what a script can do beside running the program:
//
//	exits CODE PROGRAM ARG...   run a program and want it to exit with CODE
//	edit FILE OLD NEW           replace a text in a file, which must be there
//	cloud METHOD PATH [JSON]    call the cloud's API, as somebody at its console would; the answer
//	                            is the output. {NAME} in it is the id of what has that name, or
//	                            whose name begins with it and a dot
//	unplug SERVER [FILE]        take a file off a paper server, "container" being its container
//	faults JSON                 change the cloud's times, limits and faults
//	held                        wait until a call to the cloud is held, as a rule of faults says
//	free                        let it go on, and hold no other
//	counts KIND=N...            want the cloud to hold so many
//	objects                     want the output of the last program to be a stream of objects
//	conceals TEXT               want a text in no file below the stack's folder, nor in the output
//	                            of the last program
var scriptCommands = map[string]func(*testscript.TestScript, bool, []string){
	"exits":    exits,
	"edit":     edit,
	"cloud":    callCloud,
	"unplug":   unplug,
	"faults":   setFaults,
	"held":     held,
	"free":     free,
	"counts":   counts,
	"conceals": conceals,
	"objects":  objects,
}

func labOf(ts *testscript.TestScript) *lab.Lab { return ts.Value("lab").(*lab.Lab) }

func usageOf(ts *testscript.TestScript, ok bool, text string) {
	if !ok {
		ts.Fatalf("usage: %s", text)
	}
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, len(args) >= 2 && !neg, "exits CODE PROGRAM ARG...")
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	have := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		have = exit.ExitCode()
	}
	if have != want {
		ts.Fatalf("exit %d, want %d\n[stdout]\n%s[stderr]\n%s", have, want, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
	}
}

func edit(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, len(args) == 3 && !neg, "edit FILE OLD NEW")
	text := ts.ReadFile(args[0])
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("no %q in %s", args[1], args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.ReplaceAll(text, args[1], args[2])), 0o600))
}

// ask makes one call to the lab's cloud or hosts.
func ask(l *lab.Lab, method, path, body string) ([]byte, error) {
	request, err := http.NewRequest(method, l.URL(lab.DigitalOcean)+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+l.Token())
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= 300 {
		err = fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, b)
	}
	return b, err
}

// named is something that the cloud holds.
type named struct {
	ID       any    `json:"id"`
	Name     string `json:"name"`
	Networks struct {
		V4 []struct {
			IP   string `json:"ip_address"`
			Type string `json:"type"`
		} `json:"v4"`
	} `json:"networks"`
}

// find looks for the thing that has a name, or whose name begins with it and a dot.
func find(ts *testscript.TestScript, name string) named {
	for _, kind := range []string{"droplets", "load_balancers", "firewalls"} {
		b, err := ask(labOf(ts), "GET", "/v2/"+kind+"?per_page=200", "")
		ts.Check(err)
		var list map[string]json.RawMessage
		ts.Check(json.Unmarshal(b, &list))
		var things []named
		d := json.NewDecoder(bytes.NewReader(list[kind]))
		d.UseNumber()
		ts.Check(d.Decode(&things))
		for _, thing := range things {
			if thing.Name == name || strings.HasPrefix(thing.Name, name+".") {
				return thing
			}
		}
	}
	ts.Fatalf("the cloud has nothing named %s", name)
	return named{}
}

var names = regexp.MustCompile(`\{([a-z][a-z0-9-]*)\}`)

func callCloud(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, (len(args) == 2 || len(args) == 3) && !neg, "cloud METHOD PATH [JSON]")
	path, body := args[1], ""
	if len(args) == 3 {
		body = args[2]
	}
	for _, name := range names.FindAllStringSubmatch(path+body, -1) {
		id := fmt.Sprint(find(ts, name[1]).ID)
		path, body = strings.ReplaceAll(path, name[0], id), strings.ReplaceAll(body, name[0], id)
	}
	b, err := ask(labOf(ts), args[0], path, body)
	ts.Check(err)
	_, _ = ts.Stdout().Write(b)
}

func unplug(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, len(args) >= 1 && len(args) <= 2 && !neg, "unplug SERVER [FILE]")
	for _, v4 := range find(ts, args[0]).Networks.V4 {
		if v4.Type != "public" {
			continue
		}
		b, err := ask(labOf(ts), "GET", "/hosts/"+v4.IP, "")
		ts.Check(err)
		var files map[string]json.RawMessage
		ts.Check(json.Unmarshal(b, &files))
		for file := range files {
			if file == args[len(args)-1] || len(args) == 1 && strings.HasPrefix(file, "containers/") {
				_, err := ask(labOf(ts), "DELETE", "/hosts/"+v4.IP+"/"+file, "")
				ts.Check(err)
				return
			}
		}
	}
	ts.Fatalf("nothing to take off %s", args[0])
}

func setFaults(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, len(args) == 1 && !neg, "faults JSON")
	_, err := ask(labOf(ts), "PUT", "/_lab/faults", args[0])
	ts.Check(err)
}

func held(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, len(args) == 0 && !neg, "held")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, err := labOf(ts).Barrier().Wait(ctx)
	ts.Check(err)
}

func free(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, len(args) == 0 && !neg, "free")
	labOf(ts).Faults().Reset()
}

func counts(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, len(args) > 0 && !neg, "counts KIND=N...")
	have := labOf(ts).Report().Counts
	for _, arg := range args {
		kind, number, _ := strings.Cut(arg, "=")
		want, err := strconv.Atoi(number)
		ts.Check(err)
		if have[kind] != want {
			ts.Fatalf("%d %s, want %d; the cloud holds %v", have[kind], kind, want, have)
		}
	}
}

func conceals(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, len(args) == 1 && args[0] != "" && !neg, "conceals TEXT")
	for _, output := range []string{"stdout", "stderr"} {
		if strings.Contains(ts.ReadFile(output), args[0]) {
			ts.Fatalf("%q is in the %s", args[0], output)
		}
	}
	ts.Check(filepath.WalkDir(ts.MkAbs("."), func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		if err == nil && bytes.Contains(b, []byte(args[0])) {
			err = fmt.Errorf("%q is in %s", args[0], name)
		}
		return err
	}))
}

func objects(ts *testscript.TestScript, neg bool, args []string) {
	usageOf(ts, len(args) == 0 && !neg, "objects")
	for i, line := range strings.Split(strings.TrimSuffix(ts.ReadFile("stdout"), "\n"), "\n") {
		var object struct {
			Type    string `json:"type"`
			Message string `json:"@message"`
			UI      string `json:"ui"`
		}
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			ts.Fatalf("line %d is no object: %v: %s", i+1, err, line)
		}
		if object.Type == "" || i == 0 && (object.Type != "version" || object.UI == "") {
			ts.Fatalf("line %d: want a type, and the version first: %s", i+1, line)
		}
	}
}
