package deploy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/cloudship/cloudship/template"
)

// healthPatience is how long a container may take until it is healthy, beyond what its own check
// allows.
const healthPatience = 30 * time.Second

// awaitNeeds waits until the conditions hold under which a service may start.
func (r *rollout) awaitNeeds(ctx context.Context, name string) error {
	s := r.release.Services[name]
	for other, need := range s.DependsOn {
		for _, one := range r.live[other] {
			var err error
			if need.Condition == template.Completed {
				err = r.awaitEnd(ctx, other, one.id)
			}
			if err != nil && !need.Optional {
				return fmt.Errorf("it needs %s: %w", other, err)
			}
		}
	}
	return nil
}

// awaitEnd waits until a container has run to its end with success.
func (r *rollout) awaitEnd(ctx context.Context, service, id string) error {
	for {
		state, err := r.engine.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		if err != nil {
			return err
		}
		c := state.Container
		if c.State.Status == container.StateExited {
			if c.State.ExitCode == 0 {
				return nil
			}
			return r.explain(ctx, strings.TrimPrefix(c.Name, "/"), id, fmt.Errorf("exit %d", c.State.ExitCode))
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return fmt.Errorf("waiting for the end of %s: %w", service, err)
		}
	}
}

// healthy waits until a container is up: healthy by the engine's check, by cloudship's probe, or,
// where there is neither, running for a moment.
func (r *rollout) healthy(ctx context.Context, name string, s template.Service, id string) error {
	if r.isAwaited(name) {
		return nil // a service that others wait for to end is judged by its end
	}
	ctx, cancel := context.WithTimeout(ctx, patience(s))
	defer cancel()
	var last error
	since := r.now()
	for {
		c, up, err := r.check(ctx, s, id, since)
		if up {
			return nil
		}
		var bad *containerError
		if errors.As(err, &bad) {
			return bad
		}
		if err != nil && ctx.Err() == nil {
			last = err
		}
		if pause(ctx, 250*time.Millisecond) != nil {
			return r.explain(ctx, c, id, fmt.Errorf("not healthy in %s: %w", patience(s).Round(time.Second), orElse(last, context.Cause(ctx))))
		}
	}
}

func orElse(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// isAwaited reports whether some service waits for the end of this one.
func (r *rollout) isAwaited(name string) bool {
	for _, s := range r.release.Services {
		if s.DependsOn[name].Condition == template.Completed {
			return true
		}
	}
	return false
}

// patience is how long a service's container may take to become healthy.
func patience(s template.Service) time.Duration {
	p := healthPatience
	if h := s.Healthcheck; h != nil && !h.Disabled() {
		interval, timeout, start := 30*time.Second, 30*time.Second, time.Duration(0)
		for _, v := range []struct {
			to   *time.Duration
			from *template.Duration
		}{{&interval, h.Interval}, {&timeout, h.Timeout}, {&start, h.StartPeriod}} {
			if v.from != nil {
				*v.to = time.Duration(*v.from)
			}
		}
		retries := h.Retries
		if retries == 0 {
			retries = 3
		}
		p += start + time.Duration(retries)*(interval+timeout)
	}
	if b := s.Probe; b != nil {
		p += time.Duration(b.StartPeriod) + time.Duration(max(b.Retries, 1))*(time.Duration(b.Interval)+time.Duration(b.Timeout))
	}
	return p
}

// check looks at a container once. A *containerError is final: it is dead or unhealthy.
func (r *rollout) check(ctx context.Context, s template.Service, id string, since time.Time) (name string, up bool, err error) {
	inspected, err := r.engine.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
	if err != nil {
		return id[:12], false, err
	}
	c := inspected.Container
	name = strings.TrimPrefix(c.Name, "/")
	final := func(format string, args ...any) error {
		return r.explain(ctx, name, id, fmt.Errorf(format, args...))
	}
	switch {
	case c.State.Restarting || c.RestartCount > 2:
		return name, false, final("it keeps ending (exit %d, restarted %d times)", c.State.ExitCode, c.RestartCount)
	case c.State.Status == container.StateExited && !r.completed(s, c), c.State.Dead:
		return name, false, final("it ended with exit %d", c.State.ExitCode)
	case c.State.Status == container.StateExited:
		return name, true, nil
	case !c.State.Running:
		return name, false, fmt.Errorf("it is %s", c.State.Status)
	}
	if h := c.State.Health; h != nil && h.Status != container.NoHealthcheck {
		switch h.Status {
		case container.Unhealthy:
			why := ""
			if len(h.Log) > 0 {
				why = ": " + lastLines(h.Log[len(h.Log)-1].Output, 3)
			}
			return name, false, final("its health check fails%s", why)
		case container.Starting:
			return name, false, errors.New("its health check has not passed yet")
		}
	}
	if s.Probe != nil {
		err := r.probe(ctx, s, c)
		return name, err == nil, err
	}
	if c.State.Health == nil && r.now().Sub(since) < monitor {
		return name, false, errors.New("it has just started")
	}
	return name, true, nil
}

// probe makes cloudship's own check of a container, over the SSH connection.
func (r *rollout) probe(ctx context.Context, s template.Service, c container.InspectResponse) error {
	p := s.Probe
	timeout := time.Duration(p.Timeout)
	if timeout == 0 {
		timeout = 5 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if len(p.Command) > 0 {
		_, err := r.engine.exec(ctx, c.ID, client.ExecCreateOptions{Cmd: words(p.Command)}, nil)
		return err
	}
	port := p.TCP
	if p.HTTP != nil {
		port = p.HTTP.Port
	}
	address := privateIP(c)
	if address == "" { // the host's network
		address = "127.0.0.1"
	}
	address = net.JoinHostPort(address, strconv.Itoa(port))
	conn, err := r.engine.host.DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("probe %s: %w", address, err)
	}
	defer func() { _ = conn.Close() }()
	if p.HTTP == nil {
		return nil
	}
	return askHTTP(ctx, conn, "http", p.HTTP)
}

// askHTTP makes one request over a connection to a container.
func askHTTP(ctx context.Context, conn net.Conn, scheme string, p *template.HTTPProbe) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if scheme == "https" {
		conn = tls.Client(conn, &tls.Config{ServerName: p.Host})
	}
	url := fmt.Sprintf("%s://%s%s", scheme, or(p.Host, conn.RemoteAddr().String()), or(p.Path, "/"))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("probe %s: %w", url, err)
	}
	request.Header.Set("User-Agent", "cloudship-probe")
	request.Close = true
	if err := request.Write(conn); err != nil {
		return fmt.Errorf("probe %s: %w", url, err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil {
		return fmt.Errorf("probe %s: %w", url, err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, _ := io.ReadAll(io.LimitReader(answer.Body, 64<<10))
	if p.Expect != 0 && answer.StatusCode != p.Expect || p.Expect == 0 && (answer.StatusCode < 200 || answer.StatusCode >= 400) {
		return fmt.Errorf("probe %s answered %s: %s", url, answer.Status, lastLines(string(body), 3))
	}
	if p.Contains != "" && !strings.Contains(string(body), p.Contains) {
		return fmt.Errorf("probe %s: the answer does not hold %q", url, p.Contains)
	}
	return nil
}
