package deploy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/resource"
)

// world is a Docker engine's API over containers that exist in memory only, and the server that it
// runs on. A container is healthy at once, unless its VERSION says otherwise:
//
//	broken   its health check fails
//	crashes  it ends again and again
//
// A container with a variable ROW adds it to the rows of each volume that it may write to when it
// starts; one whose command is "true" ends at once.
//
// A container whose service is proxy reads its upstreams, one address a line, from the file that is
// mounted at /upstreams: when it starts, and when "reload" is run in it, which fails when the file
// has a line that says "bad".
type world struct {
	*machineOnDisk
	t    *testing.T
	http *httptest.Server

	mu         sync.Mutex
	containers map[string]*fakeContainer
	networks   map[string]network.Network
	volumes    map[string]map[string]string
	execs      map[string]*fakeExec
	made       int // names of all that is made
	address    int // the last that was given
	changes    []string
	killAt     int  // the change at which the client dies; 0: never
	after      bool // it dies after the change took effect rather than before
	dead       bool
	check      func() error               // after every change
	broken     []error                    // what it said
	starts     func(*fakeContainer) error // may keep a container from starting; nil: none
}

// arm has the client die at a change, counted from now.
func (w *world) arm(at int, after bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changes, w.killAt, w.after = nil, at, after
}

// revive lets the client live on, and tells at which change it died.
func (w *world) revive() (died string, dead bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if dead = w.dead; dead {
		died = w.changes[len(w.changes)-1]
	}
	w.dead, w.killAt = false, 0
	return died, dead
}

// changed lists what was changed since the last arm.
func (w *world) changed() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.changes)
}

type fakeContainer struct {
	container.InspectResponse
	networking map[string]*network.EndpointSettings
	upstreams  []string // what a proxy has read
	runs       int      // how often it was started
}

type fakeExec struct {
	in     *fakeContainer
	cmd    []string
	env    []string
	output string
	code   int
}

var errKilled = errors.New("killed")

func newWorld(t *testing.T) *world {
	w := &world{
		t: t, containers: map[string]*fakeContainer{}, networks: map[string]network.Network{}, volumes: map[string]map[string]string{}, execs: map[string]*fakeExec{},
	}
	w.machineOnDisk = &machineOnDisk{world: w}
	mux := http.NewServeMux()
	handle := func(pattern string, changes bool, do func(r *http.Request) (any, error)) {
		method, path, _ := strings.Cut(pattern, " ")
		answer := func(rw http.ResponseWriter, r *http.Request) { w.serve(rw, r, pattern, changes, do) }
		mux.HandleFunc(method+" "+path, answer)
		mux.HandleFunc(method+" /v1.41"+path, answer)
	}
	handle("GET /_ping", false, func(*http.Request) (any, error) { return nil, nil })
	handle("HEAD /_ping", false, func(*http.Request) (any, error) { return nil, nil })
	handle("GET /containers/json", false, w.list)
	handle("GET /containers/{id}/json", false, w.inspect)
	handle("GET /containers/{id}/logs", false, func(*http.Request) (any, error) { return nil, nil })
	handle("POST /containers/create", true, w.create)
	handle("POST /containers/{id}/start", true, w.on(w.start))
	handle("POST /containers/{id}/restart", true, w.on(w.start))
	handle("POST /containers/{id}/unpause", true, w.on(func(c *fakeContainer, _ *http.Request) error { w.state(c, container.StateRunning, 0); return nil }))
	handle("POST /containers/{id}/stop", true, w.on(func(c *fakeContainer, _ *http.Request) error { w.state(c, container.StateExited, 0); return nil }))
	handle("POST /containers/{id}/kill", true, w.on(func(*fakeContainer, *http.Request) error { return nil }))
	handle("POST /containers/{id}/rename", true, w.on(w.rename))
	handle("DELETE /containers/{id}", true, w.on(func(c *fakeContainer, _ *http.Request) error { delete(w.containers, c.ID); return nil }))
	handle("POST /containers/{id}/exec", false, w.exec)
	handle("GET /exec/{id}/json", false, func(r *http.Request) (any, error) {
		return container.ExecInspectResponse{ExitCode: &w.execs[r.PathValue("id")].code}, nil
	})
	mux.HandleFunc("POST /v1.41/exec/{id}/start", w.execStart)
	handle("GET /networks", false, w.listNetworks)
	handle("GET /networks/{name}", false, func(r *http.Request) (any, error) { return found(w.networks, r.PathValue("name")) })
	handle("POST /networks/create", true, w.createNetwork)
	handle("POST /networks/{name}/connect", true, func(*http.Request) (any, error) { return nil, nil })
	handle("DELETE /networks/{name}", true, func(r *http.Request) (any, error) {
		maps.DeleteFunc(w.networks, func(_ string, n network.Network) bool { return n.ID == r.PathValue("name") })
		return nil, nil
	})
	handle("GET /volumes/{name}", false, func(r *http.Request) (any, error) { return found(w.volumes, r.PathValue("name")) })
	handle("POST /volumes/create", true, func(r *http.Request) (any, error) {
		var v struct {
			Name   string
			Labels map[string]string
		}
		err := json.NewDecoder(r.Body).Decode(&v)
		w.volumes[v.Name] = map[string]string{"Name": v.Name, "Rows": "", labelStack: v.Labels[labelStack]}
		return v, err
	})
	w.http = httptest.NewServer(mux)
	t.Cleanup(w.http.Close)
	w.root = t.TempDir()
	return w
}

func found[T any](in map[string]T, name string) (any, error) {
	if v, ok := in[name]; ok {
		return v, nil
	}
	return nil, notFound(name)
}

type notFound string

func (n notFound) Error() string { return "no such thing: " + string(n) }

// engine connects a rollout to the world.
func (w *world) engine() *engine { return w.engineOf("shop-aaaaaa") }

// engineOf is the same engine as another stack sees it.
func (w *world) engineOf(stack resource.StackID) *engine {
	docker, err := client.New(client.WithHost("tcp://"+w.http.Listener.Addr().String()), client.WithAPIVersion("1.41"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = docker.Close() })
	return (&engine{Client: docker, host: w, stack: stack}).of("one")
}

// serve answers one call, under the world's lock.
func (w *world) serve(rw http.ResponseWriter, r *http.Request, pattern string, changes bool, do func(*http.Request) (any, error)) {
	rw.Header().Set("Api-Version", "1.41")
	w.mu.Lock()
	defer w.mu.Unlock()
	var answer any
	act := func() (err error) { answer, err = do(r); return err }
	err := act1(w, changes, pattern+" "+r.PathValue("id")+r.URL.Query().Get("name"), act)
	var gone notFound
	switch {
	case errors.Is(err, errKilled):
		panic(http.ErrAbortHandler)
	case errors.As(err, &gone):
		rw.WriteHeader(http.StatusNotFound)
		_ = json.NewEncoder(rw).Encode(map[string]string{"message": err.Error()})
	case err != nil:
		rw.WriteHeader(http.StatusInternalServerError)
		_ = json.NewEncoder(rw).Encode(map[string]string{"message": err.Error()})
	case answer != nil:
		rw.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(rw).Encode(answer)
	}
}

// act1 does one thing to the world, unless the client is dead or dies of it.
func act1(w *world, changes bool, what string, act func() error) error {
	if w.dead {
		return errKilled
	}
	if !changes {
		return act()
	}
	w.changes = append(w.changes, what)
	dies := len(w.changes) == w.killAt
	if dies && !w.after {
		w.dead = true
		return errKilled
	}
	err := act()
	if w.check != nil {
		if bad := w.check(); bad != nil {
			w.broken = append(w.broken, fmt.Errorf("after %s: %w", what, bad))
		}
	}
	if dies {
		w.dead = true
		return errKilled
	}
	return err
}

func (w *world) on(do func(*fakeContainer, *http.Request) error) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		c, err := w.container(r)
		if err != nil {
			return nil, err
		}
		return nil, do(c, r)
	}
}

func (w *world) container(r *http.Request) (*fakeContainer, error) {
	id := r.PathValue("id")
	for _, c := range w.containers {
		if c.ID == id || c.Name == "/"+id {
			return c, nil
		}
	}
	return nil, notFound(id)
}

// labelled reads the filter of a request that lists things by their labels.
func labelled(r *http.Request) (fits func(labels map[string]string) bool, err error) {
	var filters map[string]map[string]bool
	if text := r.URL.Query().Get("filters"); text != "" {
		if err := json.Unmarshal([]byte(text), &filters); err != nil {
			return nil, err
		}
	}
	return func(labels map[string]string) bool {
		for want := range filters["label"] {
			if name, value, _ := strings.Cut(want, "="); labels[name] != value {
				return false
			}
		}
		return true
	}, nil
}

func (w *world) listNetworks(r *http.Request) (any, error) {
	fits, err := labelled(r)
	if err != nil {
		return nil, err
	}
	list := []network.Network{}
	for _, name := range slices.Sorted(maps.Keys(w.networks)) {
		if n := w.networks[name]; fits(n.Labels) {
			list = append(list, n)
		}
	}
	return list, nil
}

func (w *world) list(r *http.Request) (any, error) {
	fits, err := labelled(r)
	if err != nil {
		return nil, err
	}
	list := []container.Summary{}
	for _, id := range slices.Sorted(maps.Keys(w.containers)) {
		c := w.containers[id]
		if fits(c.Config.Labels) {
			list = append(list, container.Summary{ID: id, Names: []string{c.Name}, Labels: c.Config.Labels})
		}
	}
	return list, nil
}

func (w *world) inspect(r *http.Request) (any, error) {
	c, err := w.container(r)
	if err != nil {
		return nil, err
	}
	if c.State.Health != nil && c.Config.Labels[composeService] == "proxy" {
		c.State.Health.Status = container.Starting // and never healthy while it sends to nobody
		if len(c.upstreams) == 0 || w.serves() == nil {
			c.State.Health.Status = container.Healthy
		}
	}
	return c.InspectResponse, nil
}

func (w *world) create(r *http.Request) (any, error) {
	var request container.CreateRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		return nil, err
	}
	name := r.URL.Query().Get("name")
	for _, c := range w.containers {
		if c.Name == "/"+name {
			return nil, fmt.Errorf("conflict: the name %s is taken", name)
		}
	}
	w.made++
	c := &fakeContainer{}
	c.ID, c.Name = fmt.Sprintf("c%063d", w.made), "/"+name
	c.Created = fmt.Sprintf("2026-01-01T00:00:00.%09dZ", w.made)
	c.Config, c.HostConfig = request.Config, request.HostConfig
	c.NetworkSettings = &container.NetworkSettings{Networks: map[string]*network.EndpointSettings{}}
	if request.NetworkingConfig != nil {
		c.networking = request.NetworkingConfig.EndpointsConfig
	}
	c.State = &container.State{Status: container.StateCreated}
	if err := w.mountAll(c); err != nil {
		return nil, err
	}
	w.containers[c.ID] = c
	return container.CreateResponse{ID: c.ID}, nil
}

// mountAll gives a container its volumes: those that it names, and those of other containers.
func (w *world) mountAll(c *fakeContainer) error {
	for _, m := range c.HostConfig.Mounts {
		if m.Type != mount.TypeVolume {
			continue
		}
		if m.Source == "" {
			return errors.New("an anonymous volume")
		}
		if _, there := w.volumes[m.Source]; !there {
			return fmt.Errorf("there is no volume %s", m.Source)
		}
		c.Mounts = append(c.Mounts, container.MountPoint{Type: mount.TypeVolume, Name: m.Source, Destination: m.Target, RW: !m.ReadOnly})
	}
	for _, from := range c.HostConfig.VolumesFrom {
		id, mode, _ := strings.Cut(from, ":")
		other, there := w.containers[id]
		if !there {
			return notFound(id)
		}
		for _, m := range other.Mounts {
			m.RW = m.RW && mode != "ro"
			c.Mounts = append(c.Mounts, m)
		}
	}
	return nil
}

// start gives a container another address at every start, as an engine may.
func (w *world) start(c *fakeContainer, _ *http.Request) error {
	for _, other := range w.containers {
		if other != c && other.State.Running && samePort(other, c) {
			return errors.New("port is already allocated")
		}
	}
	if w.starts != nil {
		if err := w.starts(c); err != nil {
			return err
		}
	}
	c.runs++
	w.address++
	ip := netip.AddrFrom4([4]byte{172, 18, byte(w.address >> 8), byte(w.address)})
	w.randomPorts(c)
	for name := range c.networking {
		c.NetworkSettings.Networks[name] = &network.EndpointSettings{IPAddress: ip}
	}
	switch {
	case slices.Contains(c.Config.Env, "VERSION=crashes"):
		c.RestartCount = 5
	case slices.Contains(c.Config.Cmd, "true"):
		w.state(c, container.StateExited, 0)
		return nil
	case slices.Contains(c.Config.Env, "JOB=yes"):
		w.state(c, container.StateExited, 0)
		return nil
	}
	w.state(c, container.StateRunning, 0)
	w.insert(c)
	if c.Config.Labels[composeService] == "proxy" {
		return w.read(c)
	}
	return nil
}

// insert adds a container's row to what it may write to.
func (w *world) insert(c *fakeContainer) {
	for _, v := range c.Config.Env {
		row, ok := strings.CutPrefix(v, "ROW=")
		for _, m := range c.Mounts {
			if ok && m.RW {
				w.volumes[m.Name]["Rows"] += row + " "
			}
		}
	}
}

// randomPorts gives a container other host ports at every start, as engines do where none is wished
// for. What its image exposes is what it says itself.
func (w *world) randomPorts(c *fakeContainer) {
	given := func(port network.Port) {
		w.address++
		c.NetworkSettings.Ports[port] = []network.PortBinding{{HostPort: fmt.Sprint(32768 + w.address)}}
	}
	c.NetworkSettings.Ports = network.PortMap{}
	for port, bindings := range c.HostConfig.PortBindings {
		if c.NetworkSettings.Ports[port] = bindings; len(bindings) == 1 && bindings[0].HostPort == "" {
			given(port)
		}
	}
	if c.HostConfig.PublishAllPorts {
		for port := range c.Config.ExposedPorts {
			given(port)
		}
	}
}

func samePort(a, b *fakeContainer) bool {
	for port, bindings := range a.HostConfig.PortBindings {
		for _, one := range bindings {
			for _, other := range b.HostConfig.PortBindings[port] {
				if one.HostPort != "" && one.HostPort == other.HostPort {
					return true
				}
			}
		}
	}
	return false
}

// state sets a container's state; one that runs has its health.
func (w *world) state(c *fakeContainer, status container.ContainerState, code int) {
	c.State = &container.State{Status: status, Running: status == container.StateRunning, ExitCode: code}
	if !c.State.Running || c.Config.Healthcheck == nil {
		return
	}
	health := container.Healthy
	if slices.Contains(c.Config.Env, "VERSION=broken") {
		health = container.Unhealthy
	}
	c.State.Health = &container.Health{Status: health}
}

func (w *world) rename(c *fakeContainer, r *http.Request) error {
	c.Name = "/" + r.URL.Query().Get("name")
	return nil
}

func (w *world) exec(r *http.Request) (any, error) {
	c, err := w.container(r)
	if err != nil {
		return nil, err
	}
	var request container.ExecCreateRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		return nil, err
	}
	if !c.State.Running {
		return nil, errors.New("container is not running")
	}
	w.made++
	id := fmt.Sprint("exec", w.made)
	w.execs[id] = &fakeExec{in: c, cmd: request.Cmd, env: request.Env}
	return container.ExecCreateResponse{ID: id}, nil
}

func (w *world) execStart(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.execs[r.PathValue("id")]
	err := act1(w, true, "exec "+strings.Join(e.cmd, " ")+" in "+e.in.Name, func() error {
		if err := w.read(e.in); err != nil {
			e.code, e.output = 1, err.Error()+"\n"
		}
		return nil
	})
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	conn, buffer, err := rw.(http.Hijacker).Hijack()
	if err != nil {
		w.t.Error(err)
		return
	}
	defer func() {
		_ = conn.(*net.TCPConn).CloseWrite()
		go func() { // the client closes when it has read all
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
		}()
	}()
	_, _ = io.WriteString(buffer, "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
	_, _ = frame(buffer, e.output)
	_ = buffer.Flush()
}

// frame writes a text as an engine multiplexes output.
func frame(to io.Writer, text string) (int, error) {
	n := len(text)
	head := []byte{byte(stdcopy.Stdout), 0, 0, 0, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
	return to.Write(append(head, text...))
}

// read lets a proxy read its upstreams; with a bad line it goes on with what it had.
func (w *world) read(c *fakeContainer) error {
	for _, m := range c.HostConfig.Mounts {
		if m.Target != "/upstreams" {
			continue
		}
		b, err := os.ReadFile(m.Source)
		if err != nil {
			return err
		}
		lines := strings.Fields(string(b))
		if slices.Contains(lines, "bad") {
			return errors.New("the upstreams are bad")
		}
		c.upstreams = lines
	}
	return nil
}

func (w *world) createNetwork(r *http.Request) (any, error) {
	var request network.CreateRequest
	if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
		return nil, err
	}
	w.made++
	n := network.Network{Name: request.Name, ID: fmt.Sprint("n", w.made), Labels: request.Labels}
	w.networks[n.Name] = n
	return network.CreateResponse{ID: n.ID}, nil
}

// files lists what there is below the stack's folder.
func (w *world) files() []string {
	var files []string
	err := filepath.WalkDir(w.root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(w.root, path)
			files = append(files, rel)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return files
}
