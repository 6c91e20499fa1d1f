package deploy

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
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
// nothing to probe, or nobody wants it.
func (d *routes) startProbing(ctx context.Context, s *switching) *prober {
	if !d.options.Probe || len(s.spec.Probes) == 0 || s.balancer.Facts.PublicIP == "" {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.probing[s.address]; p != nil {
		return p
	}
	p := newProber(s, d.dialBalancer(ctx, s))
	if d.probing == nil {
		d.probing = map[resource.Address]*prober{}
	}
	d.probing[s.address] = p
	return p
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

// dialBalancer says from where the probes go: from here, or, where the balancer does not answer
// here, over SSH from a server of the stack.
func (d *routes) dialBalancer(ctx context.Context, s *switching) func(context.Context, string, string) (net.Conn, error) {
	var direct net.Dialer
	test, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	lb, _ := s.balancer.Spec.(*resource.LoadBalancerSpec)
	if lb == nil || len(lb.Listeners) == 0 {
		return direct.DialContext
	}
	conn, err := direct.DialContext(test, "tcp", net.JoinHostPort(s.balancer.Facts.PublicIP, strconv.Itoa(lb.Listeners[0].Port)))
	if err == nil {
		_ = conn.Close()
		return direct.DialContext
	}
	for _, server := range append(s.old, s.new...) {
		a := server.Mark.Address
		docker, managed := s.call.Peers[resource.DockerOn(a.Name, a.Index)]
		if !managed {
			continue
		}
		host, err := d.hosts.Reach(ctx, server, docker.Facts.Enrolled, nil)
		if err != nil {
			continue
		}
		s.say("the balancer does not answer here; probing from %s", a)
		return host.DialContext
	}
	return direct.DialContext
}

func newProber(s *switching, dial func(context.Context, string, string) (net.Conn, error)) *prober {
	ctx, cancel := context.WithCancel(context.Background())
	p := &prober{cancel: cancel, done: make(chan struct{})}
	p.client = &http.Client{
		Transport:     &http.Transport{DialContext: dial, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	lb, _ := s.balancer.Spec.(*resource.LoadBalancerSpec)
	for _, one := range s.spec.Probes {
		p.probes = append(p.probes, probing{one, probeURL(s.balancer.Facts.PublicIP, lb, one)})
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

// probeURL is where a probe goes: the listener that it names, else the first one that speaks HTTP.
func probeURL(ip string, lb *resource.LoadBalancerSpec, probe resource.Probe) string {
	scheme, port := "http", 80
	if lb != nil {
		for _, l := range lb.Listeners {
			if probe.Listener != "" && l.Name != probe.Listener {
				continue
			}
			scheme, port = "http", l.Port
			if strings.HasPrefix(l.Protocol, "https") || l.Protocol == "http2" || l.TLSPassthrough {
				scheme = "https"
			}
			break
		}
	}
	host := ip
	if scheme == "https" && probe.Host != "" {
		host = probe.Host // the certificate is for a name
	}
	return fmt.Sprintf("%s://%s%s", scheme, net.JoinHostPort(host, strconv.Itoa(port)), or(probe.Path, "/"))
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

func (p *prober) wasDown() bool {
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

// verdict is an error when more failed than a probe may. Where the group before did not answer
// either, failures prove nothing.
func (p *prober) verdict() error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return nil
	}
	for i, c := range p.counts {
		if c.failed > p.probes[i].MaxFailed {
			return fmt.Errorf("%d of %d probes of %s failed, %d may: %w", c.failed, c.sent, p.probes[i].Path, p.probes[i].MaxFailed, p.reason)
		}
	}
	return nil
}

// during waits for d and gives up at once when too much fails.
func (p *prober) during(ctx context.Context, d time.Duration) error {
	end := time.Now().Add(d)
	for {
		if err := p.verdictOfNew(); err != nil {
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

// verdictOfNew is verdict, but counts also where the group before did not answer.
func (p *prober) verdictOfNew() error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, c := range p.counts {
		if c.failed > p.probes[i].MaxFailed {
			return fmt.Errorf("%d of %d probes of %s failed, %d may: %w", c.failed, c.sent, p.probes[i].Path, p.probes[i].MaxFailed, p.reason)
		}
	}
	return nil
}

func (p *prober) stop() {
	p.cancel()
	<-p.done
	p.client.CloseIdleConnections()
}
