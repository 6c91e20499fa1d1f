package deploy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/template"
)

// test looks at the idle group from outside, then runs the user's commands against it. Nothing has
// been attached: a failure harms nothing.
func (d *routes) test(ctx context.Context, s *switching) error {
	p, err := d.startProbing(ctx, s)
	if err != nil {
		return err
	}
	if p != nil && p.before(ctx) {
		s.say("%s answers now", s.address.Name)
	} else if p != nil && ctx.Err() == nil {
		s.say("%s does not answer now: %v; going on, but there will be no way back to a group that did not answer", s.address.Name, p.last())
	}
	for _, server := range s.new {
		if err := d.awaitHealthy(ctx, s, server, 1, directPatience(s.check)); err != nil {
			return fmt.Errorf("%s is not healthy: %w", server.Mark.Address, err)
		}
		s.say("%s is healthy when asked directly", server.Mark.Address)
	}
	if len(s.spec.Test) == 0 || len(s.new) == 0 {
		return nil
	}
	urls, stop, err := d.testURLs(ctx, s)
	if err != nil {
		return err
	}
	defer stop()
	for _, argv := range s.spec.Test {
		if err := d.runTest(ctx, s, argv, urls); err != nil {
			return err
		}
	}
	return nil
}

// directPatience is how long a server may take until it answers its health check.
func directPatience(c resource.HealthCheck) time.Duration {
	return 30*time.Second + 2*time.Duration(c.Interval+c.Timeout)*time.Second
}

// testURLs forwards a port to each server of the idle group.
func (d *routes) testURLs(ctx context.Context, s *switching) ([]string, func(), error) {
	var urls []string
	var stops []func()
	stop := func() {
		for _, f := range stops {
			f()
		}
	}
	for _, server := range s.new {
		host, err := d.hosts.Reach(ctx, server, true, nil)
		if err != nil {
			stop()
			return nil, nil, err
		}
		local, end, err := host.Forward(ctx, net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)))
		if err != nil {
			stop()
			return nil, nil, err
		}
		stops = append(stops, end)
		urls = append(urls, "http://"+local)
	}
	return urls, stop, nil
}

// runTest runs one of the user's commands. Its output is told line by line.
func (d *routes) runTest(ctx context.Context, s *switching, argv, urls []string) error {
	name := strings.Join(argv, " ")
	s.say("test: %s", name)
	command := exec.CommandContext(ctx, argv[0], argv[1:]...)
	command.Dir = d.options.Dir
	command.Env = append(slices.Clone(d.options.Environ),
		"CLOUDSHIP_TEST_URL="+urls[0],
		"CLOUDSHIP_TEST_URLS="+strings.Join(urls, " "),
		"CLOUDSHIP_GROUP="+s.spec.Live,
		"CLOUDSHIP_RELEASE="+s.spec.Release,
		"CLOUDSHIP_STACK="+s.call.Stack.Name())
	command.WaitDelay = 5 * time.Second
	var tail tailLines
	tail.line = func(line string) { s.say("  %s", line) }
	command.Stdout, command.Stderr = &tail, &tail
	err := command.Run()
	tail.flush()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return resource.WithHint(fmt.Errorf("test %q of %s: %w", name, s.spec.Live, err), "the live group was not touched; mend the release and apply again")
}

// tailLines hands a command's output on line by line.
type tailLines struct {
	mu   sync.Mutex
	part string
	line func(string)
}

func (t *tailLines) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.part += string(b)
	for {
		line, rest, ok := strings.Cut(t.part, "\n")
		if !ok {
			return len(b), nil
		}
		t.line(line)
		t.part = rest
	}
}

func (t *tailLines) flush() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.part != "" {
		t.line(t.part)
		t.part = ""
	}
}

// gate waits until the new members get traffic: each of them has passed cloudship's own check, made
// as the balancer makes its own, for as long as the balancer needs to believe it, and a margin; and
// the probes through the balancer succeed all the while.
func (d *routes) gate(ctx context.Context, s *switching) error {
	p, err := d.startProbing(ctx, s)
	if err != nil {
		return err
	}
	passes := max(s.check.Healthy, 1) + 2 // the balancer may look an interval later, and starts anew at its first look
	var wg sync.WaitGroup
	errs := make([]error, len(s.new))
	for i, server := range s.new {
		wg.Add(1)
		go func() {
			defer wg.Done()
			errs[i] = d.awaitHealthy(ctx, s, server, passes, gatePatience(s.check))
			if errs[i] != nil {
				errs[i] = fmt.Errorf("%s: %w", server.Mark.Address, errs[i])
			}
		}()
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	s.say("%s has passed %d checks in a row", s.spec.Live, passes)
	return p.worse()
}

// gatePatience is how long the new members may take to pass.
func gatePatience(c resource.HealthCheck) time.Duration {
	return time.Minute + 4*time.Duration(max(c.Healthy, 1)+2)*time.Duration(max(c.Interval, 1))*time.Second
}

// awaitHealthy waits until a server passes the balancer's check that many times in a row, at the
// balancer's interval.
func (d *routes) awaitHealthy(ctx context.Context, s *switching, server resource.Found, passes int, within time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	interval := time.Duration(max(s.check.Interval, 1)) * time.Second
	var last error
	for row := 0; ; {
		err := d.checkServer(limited, s, server)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil {
			row++
		} else {
			row, last = 0, err
		}
		if row >= passes {
			return nil
		}
		if pause(limited, interval) == nil {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("not healthy within %s: %w", within.Round(time.Second), orElse(last, context.Cause(limited)))
	}
}

// checkServer makes the balancer's own health check of one server, over SSH where we have it.
func (d *routes) checkServer(ctx context.Context, s *switching, server resource.Found) error {
	timeout := time.Duration(max(s.check.Timeout, 3)) * time.Second
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := d.dialServer(ctx, s, server)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if s.check.Protocol == "tcp" {
		return nil
	}
	address := net.JoinHostPort(or(server.Facts.PrivateIP, server.Facts.PublicIP), strconv.Itoa(s.check.Port))
	return askHTTP(ctx, conn, or(s.check.Protocol, "http"), address, &template.HTTPProbe{Port: s.check.Port, Path: or(s.check.Path, "/")})
}

func (d *routes) dialServer(ctx context.Context, s *switching, server resource.Found) (net.Conn, error) {
	port := strconv.Itoa(s.check.Port)
	a := server.Mark.Address
	docker, managed := s.call.Peers[resource.DockerOn(a.Name, a.Index)]
	if !managed {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "tcp", net.JoinHostPort(server.Facts.PublicIP, port))
	}
	host, err := d.hosts.Reach(ctx, server, docker.Facts.Enrolled, nil)
	if err != nil {
		return nil, err
	}
	return host.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
}

// watch looks at what the world sees for the watch window. The old group is detached by now; its
// draining ends, so that it is ready if it has to come back.
func (d *routes) watch(ctx context.Context, s *switching) error {
	if err := d.undrain(ctx, s, s.old); err != nil {
		s.say("ending the drain of %s: %v", s.oldGroup, err)
	}
	p, err := d.startProbing(ctx, s)
	if err != nil || p == nil {
		return err
	}
	window := time.Duration(s.spec.Watch) * time.Second
	s.say("watching for %s", window)
	err = p.during(ctx, window, p.verdict)
	if err != nil && ctx.Err() == nil && p.wasDown() {
		s.say("%v; but %s did not answer before the switch either, so there is no way back to it", err, s.oldGroup)
		err = nil
	}
	if err != nil {
		return err
	}
	sent, failed, _ := p.count()
	s.say("%d requests through %s, %d failed", sent, s.address.Name, failed)
	return nil
}
