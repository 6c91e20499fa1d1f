package deploy

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// prober sends the user's probes through a load balancer, from a switch's first phase to its last,
// and counts what fails.
type prober struct {
	probes []probing
	client *http.Client
	cancel context.CancelFunc
	done   chan struct{}

	mu     sync.Mutex
	down   bool // it failed before anything was switched
	counts []count
	reason error // of the newest failure
}

// probing is one probe as it is sent.
type probing struct {
	resource.Probe
	url string
}

// count is what became of one probe.
type count struct{ sent, failed int }

// startProbing gives the route's prober, and starts it where none runs. It is nil where there is
// nothing to probe, or nobody wants it; nor on the way back, where the balancer still sends to the
// group that went bad.
func (d *routes) startProbing(ctx context.Context, s *switching) (*prober, error) {
	if !d.options.Probe || len(s.spec.Probes) == 0 || s.balancer.Facts.PublicIP == "" {
		return nil, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.probing[s.address]; p != nil || d.back[s.address] {
		return p, nil
	}
	dial, err := d.dialBalancer(ctx, s)
	if err != nil {
		return nil, err
	}
	p := newProber(s, dial)
	if d.probing == nil {
		d.probing = map[resource.Address]*prober{}
	}
	d.probing[s.address] = p
	return p, nil
}

func (d *routes) prober(a resource.Address) *prober {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.probing[a]
}

func (d *routes) stopProbing(a resource.Address) {
	d.mu.Lock()
	p := d.probing[a]
	delete(d.probing, a)
	d.mu.Unlock()
	if p != nil {
		p.stop()
	}
}

// close ends all probing.
func (d *routes) close() {
	d.mu.Lock()
	var all []resource.Address
	for a := range d.probing {
		all = append(all, a)
	}
	d.mu.Unlock()
	for _, a := range all {
		d.stopProbing(a)
	}
}

// dial opens a connection, from here or from a server.
type dial func(ctx context.Context, network, address string) (net.Conn, error)

// dialBalancer says from where the probes go: from here, or, where the balancer does not answer
// here, over SSH from a server of the stack. From nowhere is an error.
func (d *routes) dialBalancer(ctx context.Context, s *switching) (dial, error) {
	address := net.JoinHostPort(s.balancer.Facts.PublicIP, strconv.Itoa(listenerOf(s.balancer, "").Port))
	answers := func(from dial) error {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		conn, err := from(ctx, "tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err
	}
	direct := new(net.Dialer).DialContext
	here := answers(direct)
	if here == nil {
		return direct, nil
	}
	for _, server := range slices.Concat(s.old, s.new) {
		a := server.Mark.Address
		docker, managed := s.call.Peers[resource.DockerOn(a.Name, a.Index)]
		if !managed {
			continue
		}
		host, err := d.hosts.Reach(ctx, server, docker.Facts.Enrolled, nil)
		if err == nil && answers(host.DialContext) == nil {
			s.say("%s does not answer here; probing from %s", s.address.Name, a)
			return host.DialContext, nil
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return nil, resource.WithHint(fmt.Errorf("load balancer %s (%s) does not answer, neither here nor to its servers: %w", s.address.Name, address, here),
		"mend the way to it, or say --no-probe to switch without looking")
}

// listenerOf gives a balancer's listener of a name, or its first; a balancer that is not known has
// one on port 80.
func listenerOf(balancer resource.Found, name string) resource.Listener {
	lb, ok := balancer.Spec.(*resource.LoadBalancerSpec)
	if ok {
		for _, l := range lb.Listeners {
			if name == "" || l.Name == name {
				return l
			}
		}
	}
	if ok && len(lb.Listeners) > 0 {
		return lb.Listeners[0]
	}
	return resource.Listener{Protocol: "http", Port: 80, TargetPort: 80}
}

func newProber(s *switching, from dial) *prober {
	ctx, cancel := context.WithCancel(context.Background())
	p := &prober{cancel: cancel, done: make(chan struct{})}
	p.client = &http.Client{
		Transport:     &http.Transport{DialContext: from, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for _, one := range s.spec.Probes {
		p.probes = append(p.probes, probing{one, probeURL(s.balancer, one)})
	}
	p.counts = make([]count, len(p.probes))
	var wg sync.WaitGroup
	for i := range p.probes {
		wg.Add(1)
		go func() {
			defer wg.Done()
			p.run(ctx, i)
		}()
	}
	go func() { wg.Wait(); close(p.done) }()
	return p
}

// probeURL is where a probe goes: the listener that it names, else the first one.
func probeURL(balancer resource.Found, probe resource.Probe) string {
	l := listenerOf(balancer, probe.Listener)
	scheme, host := "http", balancer.Facts.PublicIP
	if strings.HasPrefix(l.Protocol, "https") || l.Protocol == "http2" || l.TLSPassthrough {
		scheme, host = "https", or(probe.Host, host) // the certificate is for a name
	}
	return fmt.Sprintf("%s://%s%s", scheme, net.JoinHostPort(host, strconv.Itoa(l.Port)), or(probe.Path, "/"))
}

func (p *prober) run(ctx context.Context, i int) {
	interval := time.Duration(p.probes[i].Interval) * time.Millisecond
	if interval == 0 {
		interval = 500 * time.Millisecond
	}
	for {
		err := p.ask(ctx, p.probes[i])
		if ctx.Err() != nil {
			return
		}
		p.mu.Lock()
		p.counts[i].sent++
		if err != nil {
			p.counts[i].failed++
			p.reason = err
		}
		p.mu.Unlock()
		if pause(ctx, interval) != nil {
			return
		}
	}
}

// ask sends one probe. A broken connection, a time-out, a 5xx or an unexpected answer is a failure.
func (p *prober) ask(ctx context.Context, one probing) error {
	timeout := time.Duration(one.Timeout) * time.Millisecond
	if timeout == 0 {
		timeout = 5 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, one.url, nil)
	if err != nil {
		return err
	}
	if one.Host != "" {
		request.Host = one.Host
	}
	request.Header.Set("User-Agent", "cloudship-probe")
	answer, err := p.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 256<<10))
	if err != nil {
		return fmt.Errorf("GET %s: %w", one.url, err)
	}
	if answer.StatusCode >= 500 || one.Expect != 0 && answer.StatusCode != one.Expect {
		return fmt.Errorf("GET %s: %s", one.url, answer.Status)
	}
	if one.Contains != "" && !strings.Contains(string(body), one.Contains) {
		return fmt.Errorf("GET %s: the answer does not hold %q", one.url, one.Contains)
	}
	return nil
}

// before waits for each probe's first answer and reports whether all succeeded. What failed by
// then is not counted later: it was so before the switch.
func (p *prober) before(ctx context.Context) bool {
	for {
		p.mu.Lock()
		asked := true
		for _, c := range p.counts {
			asked = asked && c.sent > 0
		}
		if asked {
			for i := range p.counts {
				p.down = p.down || p.counts[i].failed > 0
				p.counts[i].failed = 0
			}
			defer p.mu.Unlock()
			return !p.down
		}
		p.mu.Unlock()
		if pause(ctx, 50*time.Millisecond) != nil {
			return false
		}
	}
}

// wasDown reports whether the balancer did not answer before anything was switched.
func (p *prober) wasDown() bool {
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.down
}

func (p *prober) last() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reason
}

// count sums up what was sent and what failed, and gives the newest reason.
func (p *prober) count() (sent, failed int, reason error) {
	if p == nil {
		return 0, 0, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.counts {
		sent, failed = sent+c.sent, failed+c.failed
	}
	return sent, failed, p.reason
}

// forgive drops what failed so far where the group before did not answer either: it proves nothing
// of the one that is live from now on.
func (p *prober) forgive() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		for i := range p.counts {
			p.counts[i].failed = 0
		}
	}
}

// verdict is an error when more failed than a probe may.
func (p *prober) verdict() error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, c := range p.counts {
		if c.failed > p.probes[i].MaxFailed {
			return fmt.Errorf("%d of %d probes of %s failed, %d may: %w", c.failed, c.sent, p.probes[i].url, p.probes[i].MaxFailed, p.reason)
		}
	}
	return nil
}

// worse is verdict where the group before answered: else failures prove nothing.
func (p *prober) worse() error {
	if p.wasDown() {
		return nil
	}
	return p.verdict()
}

// during waits for d and gives up at once when a verdict says so.
func (p *prober) during(ctx context.Context, d time.Duration, verdict func() error) error {
	end := time.Now().Add(d)
	for {
		if err := verdict(); err != nil {
			return err
		}
		left := time.Until(end)
		if left <= 0 {
			return nil
		}
		if err := pause(ctx, min(left, 200*time.Millisecond)); err != nil {
			return err
		}
	}
}

func (p *prober) stop() {
	p.cancel()
	<-p.done
	p.client.CloseIdleConnections()
}
