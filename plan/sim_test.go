package plan

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/cloudship/cloudship/resource"
)

const stackID = resource.StackID("shop-k3v9qd")

// sim is a cloud with its hosts, in memory, in which faults happen where a test wants them.
type sim struct {
	mu     sync.Mutex
	things map[string]*thing        // by id
	hosts  map[string]*host         // by server id
	made   map[resource.Address]int // how many were ever made

	boot, lag time.Duration
	latency   time.Duration // of a cloud call
	perMinute int           // cloud calls that an account may make a minute; 0: any number
	spent     []time.Time   // of the last minute
	schema    resource.Schema

	calls    int            // boundaries passed: calls and commits
	cut      int            // the boundary at which the program is killed; 0: never
	cutAfter bool           // after its effect rather than before it
	dead     bool           // killed: nothing has an effect any more
	onCall   func()         // told of every boundary
	onDone   func(string)   // told of every effect
	onRoute  func(string)   // told of every phase of a route
	kill     func()         // ends the walk of the killed program
	lose     float64        // how many answers are lost after the effect
	random   *rand.Rand     // for lose
	lists    int            // List calls
	cloud    int            // cloud calls, lists included
	refuse   map[string]int // operations that answer busy that often
	unasked  map[resource.Address]string

	badRelease map[string]bool   // its health check fails on a host
	badPhase   map[string]string // release to the phase of a switch that fails with it
	tags       bool              // the provider keeps a tag for the stack

	served bool     // the balancer had a healthy member; from then on it must have one
	wrong  []string // broken promises
	log    []string
}

type thing struct {
	found   resource.Found
	ready   time.Time
	shown   time.Time // listed from then on
	gone    time.Time // deleted; listed a while longer
	members []string  // server ids
}

type host struct {
	docker, release *resource.Found
	commit          *resource.RouteCommit
}

func newSim() *sim {
	return &sim{
		things: map[string]*thing{}, hosts: map[string]*host{}, made: map[resource.Address]int{}, boot: 2 * time.Second, refuse: map[string]int{}, unasked: map[resource.Address]string{},
		badRelease: map[string]bool{}, badPhase: map[string]string{}, random: rand.New(rand.NewPCG(1, 2)),
		schema: resource.Schema{Name: "sim", Batch: map[resource.Kind]int{resource.KindServer: 10}, DeleteByTag: true},
	}
}

func simError(kind resource.ErrorKind, op string) error {
	return &resource.Error{Kind: kind, Op: op, Message: string(kind)}
}

// boundary passes one boundary around an effect.
func (s *sim) boundary(op string, effect func() error) error {
	s.calls++
	if s.onCall != nil {
		s.onCall()
	}
	if s.dead {
		return simError(resource.Failed, "dead: "+op)
	}
	at := s.calls == s.cut
	if at && !s.cutAfter {
		s.die()
		return simError(resource.Failed, "killed before "+op)
	}
	if s.refuse[op] > 0 {
		s.refuse[op]--
		return simError(resource.Busy, op)
	}
	err := effect()
	s.log = append(s.log, op)
	s.check(op)
	if s.onDone != nil {
		if s.onDone(op); s.dead {
			return simError(resource.Failed, "killed after "+op)
		}
	}
	if at {
		s.die()
		return simError(resource.Failed, "killed after "+op)
	}
	if err == nil && s.lose > 0 && s.random.Float64() < s.lose {
		return simError(resource.Ambiguous, "lost answer of "+op)
	}
	return err
}

func (s *sim) die() {
	s.dead = true
	if s.kill != nil {
		s.kill()
	}
}

// check holds the promise that a balancer that once served has a healthy member.
func (s *sim) check(op string) {
	for _, t := range s.things {
		if t.found.Mark.Address.Kind() != resource.KindLoadBalancer || !t.gone.IsZero() {
			continue
		}
		healthy := slices.ContainsFunc(t.members, func(id string) bool {
			server, h := s.things[id], s.hosts[id]
			return server != nil && server.gone.IsZero() && h != nil && h.release != nil && h.release.Ready
		})
		if healthy {
			s.served = true
		} else if s.served {
			s.wrong = append(s.wrong, "no healthy member after "+op)
		}
	}
}

// of finds what is there of an address, not deleted.
func (s *sim) of(a resource.Address) []*thing {
	var list []*thing
	for _, id := range slices.Sorted(maps.Keys(s.things)) {
		if t := s.things[id]; t.found.Mark.Address == a && t.gone.IsZero() {
			list = append(list, t)
		}
	}
	return list
}

func (s *sim) view(t *thing) resource.Found {
	f := t.found
	f.Ready = !time.Now().Before(t.ready)
	f.Facts.Status = "new"
	if f.Ready {
		f.Facts.Status = "active"
	}
	return f
}

// membersOf is a balancer's members as the cloud tells them.
func (s *sim) membersOf(lb *thing) resource.Found {
	a := resource.MembersOf(lb.found.Mark.Address.Name)
	spec := &resource.MembersSpec{LoadBalancer: lb.found.Mark.Address}
	f := resource.Found{Mark: resource.Mark{Stack: stackID, Address: a, Generation: lb.found.Mark.Generation}, ID: lb.found.ID, Spec: spec, Observed: []string{"servers"}, Ready: true}
	for _, id := range lb.members {
		if t := s.things[id]; t != nil && t.gone.IsZero() {
			spec.Servers = append(spec.Servers, t.found.Mark.Address)
			f.Facts.Members = append(f.Facts.Members, resource.Member{Server: t.found.Mark.Address, ID: id, Health: resource.Healthy})
		}
	}
	return f
}

// simCloud is the provider.
type simCloud struct{ *sim }

// arrive lets a request take its time, and refuses it when the account has made too many. The
// limiter of a real provider waits for its turn; this one is cruder.
func (s *sim) arrive(ctx context.Context, requests int) error {
	_ = sleep(ctx, s.latency)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.perMinute == 0 {
		return nil
	}
	now := time.Now()
	s.spent = slices.DeleteFunc(s.spent, func(t time.Time) bool { return now.Sub(t) >= time.Minute })
	if len(s.spent) >= s.perMinute {
		return &resource.Error{Kind: resource.RateLimited, Message: "too many requests", Until: s.spent[0].Add(time.Minute)}
	}
	for range requests {
		s.spent = append(s.spent, now)
	}
	return nil
}

func (c simCloud) List(ctx context.Context, q resource.Query) (resource.Listing, error) {
	if err := c.arrive(ctx, 1); err != nil {
		return resource.Listing{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var l resource.Listing
	c.lists++
	c.cloud += c.pages(q.Only)
	err := c.boundary("list", func() error {
		for _, id := range slices.Sorted(maps.Keys(c.things)) {
			t := c.things[id]
			now := time.Now()
			if now.Before(t.shown) || !t.gone.IsZero() && !now.Before(t.gone.Add(c.lag)) {
				continue
			}
			kind := t.found.Mark.Address.Kind()
			if len(q.Only) == 0 || slices.Contains(q.Only, kind) {
				l.Found = append(l.Found, c.view(t))
			}
			if kind == resource.KindLoadBalancer && t.gone.IsZero() && (len(q.Only) == 0 || slices.Contains(q.Only, resource.KindMembers)) {
				l.Found = append(l.Found, c.membersOf(t))
			}
		}
		return nil
	})
	return l, err
}

// pages is how many requests a list costs: each kind has its own, of 200 things a page.
func (s *sim) pages(kinds []resource.Kind) int {
	if len(kinds) == 0 {
		kinds = []resource.Kind{resource.KindSSHKey, resource.KindNetwork, resource.KindFirewall, resource.KindServer, resource.KindLoadBalancer}
	}
	n := 0
	for _, k := range kinds {
		of := 0
		for _, t := range s.things {
			if t.found.Mark.Address.Kind() == k && t.gone.IsZero() {
				of++
			}
		}
		n += max(1, (of+199)/200)
	}
	return n
}

func (c simCloud) Read(_ context.Context, _ resource.Query, have resource.Found) (resource.Found, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cloud++
	var f resource.Found
	err := c.boundary("read "+have.Mark.Address.String(), func() error {
		t := c.things[have.ID]
		switch {
		case t == nil || !t.gone.IsZero():
			return simError(resource.Gone, "read")
		case have.Mark.Address.Kind() == resource.KindMembers:
			f = c.membersOf(t)
		default:
			f = c.view(t)
		}
		return nil
	})
	return f, err
}

func (c simCloud) Create(ctx context.Context, call resource.Call) []resource.Result {
	if err := c.arrive(ctx, 1); err != nil {
		return resource.Fail(call, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cloud++
	var results []resource.Result
	err := c.boundary("create "+call.Items[0].Mark.String(), func() error {
		for _, item := range call.Items {
			f := c.create(item, call)
			results = append(results, resource.Result{Address: item.Mark.Address, Found: &f})
		}
		return nil
	})
	if err != nil {
		return resource.Fail(call, err)
	}
	return results
}

func (s *sim) create(item resource.Item, call resource.Call) resource.Found {
	a := item.Mark.Address
	if a.Kind() == resource.KindMembers {
		lb := s.things[call.Peers[resource.LoadBalancer(a.Name)].ID]
		s.setMembers(lb, item.Spec.(*resource.MembersSpec), call)
		return s.membersOf(lb)
	}
	s.made[a]++
	now := time.Now()
	t := &thing{ready: now, shown: now.Add(s.lag), found: resource.Found{Mark: item.Mark, ID: fmt.Sprintf("%s-%s-%d.%d", a.Kind(), a.Name, a.Index, s.made[a]), Spec: resource.Clone(item.Spec), Created: now}}
	for _, f := range resource.Fields(item.Spec) {
		if f.Mode != resource.ModeMemo && f.Mode != resource.ModeInitial {
			t.found.Observed = append(t.found.Observed, f.Name)
		}
	}
	if k := a.Kind(); k == resource.KindServer || k == resource.KindLoadBalancer {
		t.ready = now.Add(s.boot)
		t.found.Facts.PublicIP = fmt.Sprintf("192.0.2.%d", 1+a.Index)
	}
	s.things[t.found.ID] = t
	s.tags = true
	return s.view(t)
}

func (s *sim) setMembers(lb *thing, spec *resource.MembersSpec, call resource.Call) {
	lb.members = nil
	for _, a := range spec.Servers {
		peer, ok := call.Peers[a]
		if !ok || s.things[peer.ID] == nil {
			s.wrong = append(s.wrong, fmt.Sprintf("members name %s, which is not there", a))
			continue
		}
		lb.members = append(lb.members, peer.ID)
	}
}

func (c simCloud) Update(ctx context.Context, call resource.Call) []resource.Result {
	if err := c.arrive(ctx, 1); err != nil {
		return resource.Fail(call, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cloud++
	item := call.Items[0]
	var f resource.Found
	err := c.boundary("update "+item.Mark.Address.String()+" "+call.Phase, func() error {
		t := c.things[item.Have.ID]
		if t == nil || !t.gone.IsZero() {
			return simError(resource.Gone, "update")
		}
		if spec, ok := item.Spec.(*resource.MembersSpec); ok {
			c.setMembers(t, spec, call)
			f = c.membersOf(t)
			return nil
		}
		for _, name := range item.Changed {
			if name == Broken {
				t.found.Broken = ""
				continue
			}
			resource.CopyField(t.found.Spec, item.Spec, name)
		}
		f = c.view(t)
		return nil
	})
	if err != nil {
		return resource.Fail(call, err)
	}
	return []resource.Result{{Address: item.Mark.Address, Found: &f}}
}

func (c simCloud) Delete(ctx context.Context, call resource.Call) []resource.Result {
	if err := c.arrive(ctx, 1); err != nil {
		return resource.Fail(call, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cloud++
	err := c.boundary("delete "+call.Items[0].Mark.String(), func() error {
		for _, item := range call.Items {
			c.delete(item.Have.ID)
		}
		return nil
	})
	if err != nil {
		return resource.Fail(call, err)
	}
	var results []resource.Result
	for _, item := range call.Items {
		results = append(results, resource.Result{Address: item.Mark.Address})
	}
	return results
}

func (s *sim) delete(id string) {
	t := s.things[id]
	if t == nil || !t.gone.IsZero() {
		return
	}
	for _, user := range s.things {
		if t.found.Mark.Address.Kind() != resource.KindServer && user.gone.IsZero() && slices.Contains(refsOf(user.found.Spec, resource.ModeFixed), t.found.Mark.Address) && len(s.of(t.found.Mark.Address)) == 1 {
			s.wrong = append(s.wrong, fmt.Sprintf("%s is deleted before %s lets go", t.found.Mark.Address, user.found.Mark.Address))
		}
	}
	t.gone = time.Now()
	delete(s.hosts, id)
	for _, lb := range s.things {
		if slices.Contains(lb.members, id) && lb.gone.IsZero() {
			s.wrong = append(s.wrong, fmt.Sprintf("%s is deleted while it is a member", t.found.Mark))
		}
		lb.members = slices.DeleteFunc(lb.members, func(m string) bool { return m == id })
	}
}

// byHand deletes something behind our back, long ago.
func (s *sim) byHand(a resource.Address) {
	wrong := len(s.wrong)
	t := s.of(a)[0]
	s.delete(t.found.ID)
	t.gone = t.gone.Add(-time.Hour)
	s.wrong = s.wrong[:wrong]
}

func (c simCloud) Retire(context.Context, resource.StackID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cloud++
	return c.boundary("retire", func() error { c.tags = false; return nil })
}

// simHosts is the driver of docker, releases and routes.
type simHosts struct{ *sim }

func (h simHosts) List(_ context.Context, q resource.Query) (resource.Listing, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var l resource.Listing
	err := h.boundary("list hosts", func() error {
		commits := map[resource.Address]*resource.RouteCommit{}
		for a, peer := range q.Peers {
			if a.Kind() != resource.KindServer {
				continue
			}
			on := h.hosts[peer.ID]
			if reason := h.unasked[a]; reason != "" {
				l.Unknown = append(l.Unknown, resource.Unknown{Address: resource.DockerOn(a.Name, a.Index), Reason: reason}, resource.Unknown{Address: resource.ReleaseOn(a.Name, a.Index), Reason: reason})
				continue
			}
			if on == nil {
				continue
			}
			if on.docker != nil {
				l.Found = append(l.Found, *on.docker)
			}
			if on.release != nil {
				l.Found = append(l.Found, *on.release)
			}
			if c := on.commit; c != nil && (commits[c.Route] == nil || commits[c.Route].Serial < c.Serial) {
				commits[c.Route] = c
			}
		}
		for a, c := range commits {
			l.Found = append(l.Found, resource.Found{Mark: resource.Mark{Stack: stackID, Address: a, Generation: q.Peers[resource.LoadBalancer(a.Name)].Mark.Generation},
				Spec: &resource.RouteSpec{Live: c.Live}, Observed: []string{"live"}, Ready: true})
		}
		return nil
	})
	return l, err
}

func (h simHosts) Read(context.Context, resource.Query, resource.Found) (resource.Found, error) {
	return resource.Found{}, simError(resource.Failed, "read")
}

func (h simHosts) Create(ctx context.Context, call resource.Call) []resource.Result {
	return h.put(ctx, "create", call)
}

func (h simHosts) Update(ctx context.Context, call resource.Call) []resource.Result {
	return h.put(ctx, "update", call)
}

// put does what a create or an update wants; on hosts they are one.
func (h simHosts) put(ctx context.Context, do string, call resource.Call) []resource.Result {
	h.mu.Lock()
	defer h.mu.Unlock()
	item := call.Items[0]
	found := resource.Found{Mark: item.Mark, Spec: resource.Clone(item.Spec), Ready: true}
	err := h.boundary(do+" "+item.Mark.Address.String()+" "+call.Phase, func() error {
		switch spec := item.Spec.(type) {
		case *resource.DockerSpec:
			id := call.Peers[spec.Server].ID
			if t := h.things[id]; t == nil || !t.gone.IsZero() || time.Now().Before(t.ready) {
				h.wrong = append(h.wrong, fmt.Sprintf("docker on %s, which is not ready", spec.Server))
				return simError(resource.Failed, "no host")
			}
			if h.hosts[id] == nil {
				h.hosts[id] = &host{}
			}
			found.Observed, found.Facts.Enrolled = []string{"keys"}, true
			h.hosts[id].docker = &found
		case *resource.ReleaseSpec:
			on := h.hosts[call.Peers[spec.Server].ID]
			if on == nil || on.docker == nil {
				h.wrong = append(h.wrong, fmt.Sprintf("release on %s, which has no docker", spec.Server))
				return simError(resource.Failed, "no docker")
			}
			if _, ok := call.Releases[spec.Release]; !ok {
				h.wrong = append(h.wrong, "release without its document")
			}
			if h.badRelease[spec.Release] {
				return simError(resource.Failed, "unhealthy")
			}
			found.Observed = []string{"release", "scale"}
			on.release = &found
		case *resource.RouteSpec:
			if h.onRoute != nil {
				h.onRoute(call.Phase)
			}
			if ctx.Err() != nil {
				return ctx.Err() // a phase that watches is left
			}
			return h.route(spec, item, call)
		}
		return nil
	})
	if err != nil {
		return resource.Fail(call, err)
	}
	return []resource.Result{{Address: item.Mark.Address, Found: &found}}
}

func (h simHosts) route(spec *resource.RouteSpec, item resource.Item, call resource.Call) error {
	if call.Phase != "" && h.badPhase[spec.Release] == call.Phase {
		return simError(resource.Failed, "bad at "+call.Phase)
	}
	switch call.Phase {
	case "", PhaseCommit:
	default:
		return nil
	}
	serial := int64(0)
	for _, on := range h.hosts {
		if on.commit != nil {
			serial = max(serial, on.commit.Serial)
		}
	}
	for a, peer := range call.Peers {
		if on := h.hosts[peer.ID]; a.Kind() == resource.KindServer && on != nil && on.docker != nil {
			on.commit = &resource.RouteCommit{Route: item.Mark.Address, Live: spec.Live, Release: spec.Release, Serial: serial + 1}
		}
	}
	return nil
}

func (h simHosts) Delete(_ context.Context, call resource.Call) []resource.Result {
	h.mu.Lock()
	defer h.mu.Unlock()
	item := call.Items[0]
	err := h.boundary("delete "+item.Mark.Address.String(), func() error {
		for _, on := range h.hosts {
			if on.release != nil && on.release.Mark == item.Mark {
				on.release = nil
			}
			if on.docker != nil && on.docker.Mark == item.Mark {
				on.docker = nil
			}
		}
		return nil
	})
	return []resource.Result{{Address: item.Mark.Address, Err: err}}
}

// desk is the program and its state: what the engine does around this package, in little.
type desk struct {
	sim    *sim
	stored resource.Memory // the last committed one
	saved  bool            // plans are saved and read back before they are applied
	file   file
}

// file is what a stack file says.
type file struct {
	groups    []string
	servers   int
	size      string
	release   string // the candidate
	balancer  bool
	network   string
	template  bool
	data      bool
	keys      []string
	listeners int
}

func pairFile() file {
	return file{groups: []string{"blue", "green"}, servers: 2, size: "small", release: "v1", balancer: true, network: "lan", template: true, listeners: 80}
}

func (f file) shapes() ([]Group, []Balancer) {
	var groups []Group
	for _, g := range f.groups {
		group := Group{Name: g, Provider: "cloud", Servers: f.servers, Data: f.data}
		if f.template {
			group.Template = "web"
		}
		groups = append(groups, group)
	}
	if !f.balancer {
		return groups, nil
	}
	return groups, []Balancer{{Name: "www", Provider: "cloud", Groups: f.groups, Route: resource.RouteSpec{Groups: f.groups}, Drain: true}}
}

func (f file) wants(intent resource.Intent) []Want {
	var wants []Want
	price := priceOf(&resource.ServerSpec{Size: f.size})
	free := resource.Price{Known: true}
	add := func(a resource.Address, s resource.Spec, provider string, p resource.Price) {
		wants = append(wants, Want{Address: a, Spec: s, Provider: provider, Price: p})
	}
	network := resource.Address{Block: "network", Name: f.network}
	key := resource.Address{Block: "ssh_key", Name: "ann"}
	add(key, &resource.SSHKeySpec{PublicKey: "ssh-ed25519 AAAA"}, "cloud", free)
	if f.network != "" {
		add(network, &resource.NetworkSpec{Region: "ams3"}, "cloud", free)
	} else {
		network = resource.Address{}
	}
	add(resource.Address{Block: "firewall", Name: "web"}, &resource.FirewallSpec{Groups: f.groups, Inbound: []resource.FirewallRule{{Protocol: "tcp", Ports: "22"}}}, "cloud", free)
	for _, g := range f.groups {
		for i := range f.servers {
			add(resource.Server(g, i), &resource.ServerSpec{Group: g, Region: "ams3", Size: f.size, Image: "debian-12", Network: network, Keys: []resource.Address{key}}, "cloud", price)
			if f.template {
				add(resource.DockerOn(g, i), &resource.DockerSpec{Server: resource.Server(g, i), Keys: f.keys}, "", free)
				add(resource.ReleaseOn(g, i), &resource.ReleaseSpec{Server: resource.Server(g, i), Docker: resource.DockerOn(g, i), Template: "web", Release: intent.Releases[g], Scale: intent.Scale["web"]}, "", free)
			}
		}
	}
	if !f.balancer {
		return wants
	}
	lb := resource.LoadBalancer("www")
	add(lb, &resource.LoadBalancerSpec{Region: "ams3", Network: network, Listeners: []resource.Listener{{Name: "http", Protocol: "http", Port: f.listeners, TargetProtocol: "http", TargetPort: 80}}}, "cloud", priceOf(&resource.LoadBalancerSpec{}))
	live := intent.Live["www"]
	var servers []resource.Address
	for i := range f.servers {
		servers = append(servers, resource.Server(live, i))
	}
	add(resource.MembersOf("www"), &resource.MembersSpec{LoadBalancer: lb, Servers: servers}, "cloud", free)
	add(resource.RouteOf("www"), &resource.RouteSpec{LoadBalancer: lb, Groups: f.groups, Live: live, Release: intent.Releases[live]}, "", free)
	return wants
}

func priceOf(s resource.Spec) resource.Price {
	p := resource.Price{Currency: "USD", Known: true}
	switch s := s.(type) {
	case *resource.ServerSpec:
		p.Monthly = map[string]float64{"small": 6, "large": 12}[s.Size]
	case *resource.LoadBalancerSpec:
		p.Monthly = 12
	}
	return p
}

func costsOf(m resource.Memory) map[resource.Address]resource.Price {
	costs := map[resource.Address]resource.Price{}
	for a, rec := range m.Records {
		if rec.Provider != "" {
			costs[a] = priceOf(rec.Want)
		}
	}
	return costs
}

// memory reads what was committed last, through its form in the state.
func (d *desk) memory() resource.Memory {
	m := resource.Memory{Stack: stackID}
	b, err := json.Marshal(d.stored)
	if err == nil && d.stored.Stack != "" {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		d.sim.wrong = append(d.sim.wrong, "stored memory: "+err.Error())
	}
	return m
}

func (d *desk) drivers() Drivers {
	return Drivers{Clouds: map[string]Cloud{"cloud": {Driver: simCloud{d.sim}, Schema: d.sim.schemaNow()}}, Hosts: simHosts{d.sim}}
}

func (s *sim) schemaNow() resource.Schema {
	schema := s.schema
	schema.ListLag = s.lag
	return schema
}

// wish is one command line.
type wish struct {
	command string
	flags   Flags
	destroy bool
	targets []resource.Address
	replace []resource.Address
}

// plan makes a plan, asking the world.
func (d *desk) plan(ctx context.Context, w wish) (*Plan, Have, error) {
	m := d.memory()
	groups, balancers := d.file.shapes()
	entry := resource.ReleaseEntry{ID: d.file.release, Template: "web", Document: json.RawMessage(`{}`)}
	var candidates map[string]resource.ReleaseEntry
	if d.file.template {
		candidates = map[string]resource.ReleaseEntry{"web": entry}
	}
	have, err := Refresh(ctx, d.drivers(), m, RefreshOptions{Clouds: true, Hosts: true})
	if err != nil {
		return nil, have, err
	}
	in := Input{Command: w.command, Now: time.Now(), Nonce: "n0nce", Memory: m, Have: have, Groups: groups, Balancers: balancers,
		Schemas: map[string]resource.Schema{"cloud": d.sim.schemaNow()}, Releases: map[string]resource.ReleaseEntry{entry.ID: entry},
		Costs: costsOf(m), Targets: w.targets, Replace: w.replace, Destroy: w.destroy}
	if !w.destroy {
		in.Decision, err = Decide(Situation{Memory: m, Groups: groups, Balancers: balancers, Candidates: candidates, Flags: w.flags})
		if err != nil {
			return nil, have, err
		}
		in.Wants = d.file.wants(in.Decision.Intent)
	}
	p, err := Make(in)
	if err == nil {
		d.sim.wrong = append(d.sim.wrong, disorder(p)...)
	}
	return p, have, err
}

// disorder tells what is wrong with a plan's graph: an id that is there twice, a need that comes
// later, two steps at one address of which neither waits for the other.
func disorder(p *Plan) []string {
	var wrong []string
	at := map[string]int{}
	touched := map[resource.Address][]int{}
	for i, s := range p.Steps {
		if _, twice := at[s.ID]; twice {
			wrong = append(wrong, "two steps are "+s.ID)
		}
		for _, n := range s.Needs {
			if _, before := at[n]; !before {
				wrong = append(wrong, s.ID+" needs "+n+", which comes later")
			}
		}
		at[s.ID] = i
		for _, item := range s.Items {
			touched[item.Mark.Address] = append(touched[item.Mark.Address], i)
		}
	}
	for a, steps := range touched {
		for k := 1; k < len(steps); k++ {
			if !reaches(p, at, steps[k], steps[k-1]) && a.Kind() != resource.KindServer && len(p.Steps[steps[k]].Items) == 1 {
				wrong = append(wrong, fmt.Sprintf("%s and %s may run at once", p.Steps[steps[k-1]].ID, p.Steps[steps[k]].ID))
			}
		}
	}
	return wrong
}

// reaches reports whether a step waits for another, by way of its needs.
func reaches(p *Plan, at map[string]int, from, to int) bool {
	seen := map[int]bool{}
	var visit func(i int) bool
	visit = func(i int) bool {
		if i == to {
			return true
		}
		if seen[i] || i < to {
			return false
		}
		seen[i] = true
		return slices.ContainsFunc(p.Steps[i].Needs, func(n string) bool { return visit(at[n]) })
	}
	return visit(from)
}

// apply plans and walks. The memory is stored whenever the walk commits, and at the end unless the
// program was killed.
func (d *desk) apply(ctx context.Context, w wish) (*Plan, Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d.sim.mu.Lock()
	d.sim.dead, d.sim.kill = false, cancel
	d.sim.mu.Unlock()
	p, have, err := d.plan(ctx, w)
	if err != nil {
		return nil, Result{}, err
	}
	if d.saved {
		if p, err = roundTrip(p); err != nil {
			return nil, Result{}, err
		}
	}
	ledger := NewLedger(d.memory(), have, "ann")
	store := func() error {
		d.sim.mu.Lock()
		defer d.sim.mu.Unlock()
		return d.sim.boundary("commit", func() error {
			d.stored = ledger.Memory()
			return nil
		})
	}
	lose := d.sim.lose
	commit := func(context.Context) error {
		d.sim.mu.Lock()
		d.sim.lose = 0
		d.sim.mu.Unlock()
		err := store()
		d.sim.mu.Lock()
		d.sim.lose = lose
		d.sim.mu.Unlock()
		return err
	}
	result := Walk(ctx, p, World{Drivers: d.drivers(), Ledger: ledger, Commit: commit})
	d.sim.mu.Lock()
	dead := d.sim.dead
	d.sim.mu.Unlock()
	if !dead {
		_ = commit(ctx)
	}
	return p, result, nil
}

// roundTrip saves a plan and reads it back, as apply of a saved plan does.
func roundTrip(p *Plan) (*Plan, error) {
	b, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	var q Plan
	return &q, json.Unmarshal(b, &q)
}

func newRandom(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

// intent is what a first apply intends.
func (f file) intent() resource.Intent {
	i := resource.Intent{Live: map[string]string{"www": f.groups[0]}, Releases: map[string]string{}}
	for _, g := range f.groups {
		if f.template {
			i.Releases[g] = f.release
		}
	}
	return i
}
