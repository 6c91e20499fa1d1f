//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cloudship/cloudship/e2e/load"
	"github.com/cloudship/cloudship/e2e/rig"
)

const quickstart = "../examples/quickstart"

// voyage is one stack in the shared lab, from its first apply to its end. Everything that the
// program prints is kept, and looked through for the planted secret.
type voyage struct {
	*rig.Rig
	t       *testing.T
	ctx     context.Context
	secret  string
	data    []string // flags that name what may be lost at the end
	printed bytes.Buffer
	mu      sync.Mutex
}

// begin copies the quickstart into a stack of its own, on servers that have Docker already, with a
// secret planted in it. What it makes is destroyed when the test ends.
func begin(t *testing.T, name string, edits ...string) *voyage {
	t.Helper()
	v := from(t, quickstart)
	v.edit("cloudship.hcl", append([]string{
		`stack "quickstart" {}`, `stack "` + name + `" {}` + "\n\nvariable \"password\" {\n  sensitive = true\n}",
		`VERSION = var.version }`, `VERSION = var.version, PASSWORD = var.password }`,
		`image    = "debian-12"`, `image    = "docker-20-04"`,
	}, edits...)...)
	v.edit("compose.yaml", "VERSION: ${VERSION:-dev}", "VERSION: ${VERSION:-dev}\n      PASSWORD: ${PASSWORD:-}", "name: quickstart", "name: "+name)
	return v
}

// from copies an example as it is.
func from(t *testing.T, example string) *voyage {
	t.Helper()
	ctx, cancel := context.WithCancel(base)
	if end, ok := t.Deadline(); ok {
		ctx, cancel = context.WithDeadline(base, end.Add(-3*time.Minute)) // time to clean up
	}
	t.Cleanup(cancel)
	r, err := rig.New(lab.Program, example, nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &voyage{Rig: r, t: t, ctx: ctx, secret: "planted-" + rand.Text()}
	r.Out = v
	r.Lab = lab.Lab
	r.Env = append(r.Env, "XDG_CACHE_HOME="+filepath.Join(lab.Root, "cache"), "CLOUDSHIP_VAR_password="+v.secret)
	t.Cleanup(v.end)
	if err := r.Attach(ctx); err != nil {
		t.Fatal(err)
	}
	return v
}

// Write takes what the program prints.
func (v *voyage) Write(b []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.printed.Write(b)
	return v.t.Output().Write(b)
}

// edit replaces texts in one of the stack's files; each must be there.
func (v *voyage) edit(file string, pairs ...string) {
	v.t.Helper()
	path := filepath.Join(v.Dir, file)
	b, err := os.ReadFile(path)
	if err != nil {
		v.t.Fatal(err)
	}
	text := string(b)
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			v.t.Fatalf("%s has no %q", file, pairs[i])
		}
		text = strings.ReplaceAll(text, pairs[i], pairs[i+1])
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		v.t.Fatal(err)
	}
}

// ship runs the program and wants it to end with a code.
func (v *voyage) ship(code int, args ...string) rig.Output {
	v.t.Helper()
	v.t.Logf("$ cloudship %s", strings.Join(args, " "))
	began := time.Now()
	out := v.Run(v.ctx, args...)
	if out.Code != code {
		v.t.Fatalf("cloudship %s: exit %d, want %d\n%s", strings.Join(args, " "), out.Code, code, out.Stderr)
	}
	v.t.Logf("(%s)", time.Since(began).Round(100*time.Millisecond))
	return out
}

// says wants texts in what a run printed.
func (v *voyage) says(out rig.Output, texts ...string) {
	v.t.Helper()
	for _, text := range texts {
		if !strings.Contains(out.Stdout+out.Stderr, text) {
			v.t.Errorf("it does not say %q:\n%s%s", text, out.Stdout, out.Stderr)
		}
	}
}

// settled wants an empty plan.
func (v *voyage) settled(args ...string) {
	v.t.Helper()
	v.ship(0, append([]string{"plan", "--detailed-exitcode"}, args...)...)
}

// on runs a command on a server.
func (v *voyage) on(server string, argv ...string) string {
	v.t.Helper()
	return v.ship(0, append([]string{"ssh", server, "--"}, argv...)...).Stdout
}

// url is where the load balancer answers.
func (v *voyage) url() string {
	v.t.Helper()
	return "http://" + strings.Trim(strings.TrimSpace(v.ship(0, "output", "address").Stdout), `"`)
}

// ask sends one request and gives the version that answered, and the status.
func (v *voyage) ask(url string) (string, int) {
	request, err := http.NewRequestWithContext(v.ctx, http.MethodGet, url, nil)
	if err != nil {
		v.t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", 0
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.Header.Get("X-Version"), answer.StatusCode
}

// eventually waits until something is so.
func (v *voyage) eventually(what string, so func() bool) {
	v.t.Helper()
	ctx, cancel := context.WithTimeout(v.ctx, 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-ctx.Done():
			v.t.Fatalf("%s: not so after two minutes", what)
		case <-tick.C:
		}
	}
}

// serves waits until the balancer is answered by a version.
func (v *voyage) serves(url, version string) {
	v.t.Helper()
	v.eventually(version+" serves", func() bool {
		got, status := v.ask(url)
		return status == http.StatusOK && got == version
	})
}

// under puts a load on an address until the test ends, or until the function that it returns is
// called, which wants that no request failed.
func (v *voyage) under(url string) (unfailed func()) {
	l := load.Start(url, 15)
	var once sync.Once
	stop := func() { once.Do(l.Stop) }
	v.t.Cleanup(stop)
	return func() {
		v.t.Helper()
		stop()
		sent, failed, failures := l.Count()
		v.t.Logf("load: %d requests, %d failed", sent, failed)
		if failed > 0 || sent == 0 {
			v.t.Errorf("%d of %d requests failed:\n  %s", failed, sent, strings.Join(failures, "\n  "))
		}
	}
}

// watching runs the program and calls then as soon as it has printed a text, to its standard error
// or output.
func (v *voyage) watching(text string, then func(*exec.Cmd), args ...string) rig.Output {
	v.t.Helper()
	v.t.Logf("$ cloudship %s", strings.Join(args, " "))
	cmd := v.Command(v.ctx, args...)
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	read := make(chan string, 1)
	go func() {
		var all strings.Builder
		lines := bufio.NewScanner(r)
		lines.Buffer(nil, 1<<20)
		done := false
		for lines.Scan() {
			_, _ = v.Write([]byte(lines.Text() + "\n"))
			all.WriteString(lines.Text() + "\n")
			if !done && strings.Contains(lines.Text(), text) {
				done = true
				then(cmd)
			}
		}
		read <- all.String()
	}()
	_ = cmd.Wait()
	_ = w.Close()
	out := rig.Output{Stdout: <-read, Code: cmd.ProcessState.ExitCode()}
	if !strings.Contains(out.Stdout, text) {
		v.t.Fatalf("cloudship %s ended with %d and did not say %q", strings.Join(args, " "), out.Code, text)
	}
	return out
}

// container is one container of a server, as its engine lists it.
type container struct {
	ID, Names, State, Labels, Image, Networks string
}

// containers lists what a server's engine has, running or not.
func (v *voyage) containers(server string) []container {
	v.t.Helper()
	var list []container
	decoder := json.NewDecoder(strings.NewReader(v.on(server, "docker", "ps", "--all", "--no-trunc", "--format", "{{json .}}")))
	for {
		var c container
		err := decoder.Decode(&c)
		if err == io.EOF {
			return list
		}
		if err != nil {
			v.t.Fatal(err)
		}
		list = append(list, c)
	}
}

// deleteDroplet deletes a server of a group as somebody else would: in the cloud, past the program.
func (v *voyage) deleteDroplet(group string) {
	v.t.Helper()
	env := map[string]string{}
	for _, pair := range v.Env {
		name, value, _ := strings.Cut(pair, "=")
		env[name] = value
	}
	call := func(method, path string, into any) {
		v.t.Helper()
		request, err := http.NewRequestWithContext(v.ctx, method, env["DIGITALOCEAN_API_URL"]+path, nil)
		if err != nil {
			v.t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+env["DIGITALOCEAN_TOKEN"])
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			v.t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		if answer.StatusCode >= 300 {
			v.t.Fatalf("%s %s: %s", method, path, answer.Status)
		}
		if into != nil {
			if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
				v.t.Fatal(err)
			}
		}
	}
	find := func() int {
		var list struct {
			Droplets []struct {
				ID   int
				Name string
				Tags []string
			}
		}
		call(http.MethodGet, "/v2/droplets?per_page=200", &list)
		for _, d := range list.Droplets {
			ours := slices.ContainsFunc(d.Tags, func(tag string) bool { return strings.HasPrefix(tag, "cloudship:"+v.stackName()+"-") })
			if ours && strings.HasPrefix(d.Name, group+"-0.") {
				return d.ID
			}
		}
		return 0
	}
	if id := find(); id != 0 {
		call(http.MethodDelete, fmt.Sprintf("/v2/droplets/%d", id), nil)
		// A droplet that is on its way out is listed for a while, as at DigitalOcean.
		v.eventually("the droplet is gone", func() bool { return find() == 0 })
		return
	}
	v.t.Fatalf("no droplet of %s is listed", group)
}

// stackName is the name that the file gives the stack.
func (v *voyage) stackName() string {
	v.t.Helper()
	b, err := os.ReadFile(filepath.Join(v.Dir, "cloudship.hcl"))
	if err != nil {
		v.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "\nstack \"")
	name, _, _ := strings.Cut(rest, "\"")
	return name
}

// end destroys the stack, looks for the secret, and removes the folder.
func (v *voyage) end() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(base), 2*time.Minute)
	defer cancel()
	if out := v.Run(ctx, append([]string{"destroy", "-y"}, v.data...)...); out.Err != nil {
		v.t.Errorf("destroy: %v", out.Err)
	}
	if out := v.Run(ctx, "lab", "logs", "--lab", v.Lab); out.Err != nil {
		v.t.Errorf("lab logs: %v", out.Err)
	}
	v.mu.Lock()
	if bytes.Contains(v.printed.Bytes(), []byte(v.secret)) {
		v.t.Error("the planted secret was printed")
	}
	v.mu.Unlock()
	for _, dir := range []string{v.Dir, filepath.Join(v.Root, "tmp"), filepath.Join(v.Root, "config")} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			b, err := os.ReadFile(path)
			if bytes.Contains(b, []byte(v.secret)) {
				v.t.Errorf("the planted secret is in %s", path)
			}
			return err
		})
		if err != nil {
			v.t.Error(err)
		}
	}
	if err := os.RemoveAll(v.Root); err != nil {
		v.t.Error(err)
	}
}
