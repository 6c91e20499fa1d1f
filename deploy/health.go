package deploy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
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

// monitor is how long a container without any check must run before it counts as up, unless the
// service says how long it is to be watched.
const monitor = time.Second

// jobPatience is how long a service may take that others wait for to complete.
const jobPatience = time.Hour

// mayRestart is how often a container may end and be started again before it counts as failed.
const mayRestart = 2

// awaitNeeds waits for the end of the services that must have completed before this one may start.
// That others have started, and are healthy, has been waited for when they came up.
func (r *rollout) awaitNeeds(ctx context.Context, name string) error {
	needs := r.release.Services[name].DependsOn
	for _, other := range slices.Sorted(maps.Keys(needs)) {
		if needs[other].Condition != template.Completed {
			continue
		}
		for _, one := range r.live[other] {
			err := r.awaitJob(ctx, one.id)
			switch {
			case err == nil:
			case needs[other].Optional && ctx.Err() == nil:
				r.say(fmt.Sprintf("%s needs %s, but can do without: %v", name, other, err))
			default:
				return fmt.Errorf("it needs %s to complete: %w", other, err)
			}
		}
	}
	return nil
}

func (r *rollout) awaitJob(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, jobPatience, fmt.Errorf("it has not ended in %s", jobPatience))
	defer cancel()
	return r.awaitEnd(ctx, id)
}

// awaitEnd waits until a container has run to its end with success.
func (r *rollout) awaitEnd(ctx context.Context, id string) error {
	for {
		state, err := r.engine.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		c := state.Container
		if c.State.Status == container.StateExited || c.State.Status == container.StateDead {
			if c.State.ExitCode == 0 && c.State.Status == container.StateExited {
				return nil
			}
			return r.explain(ctx, strings.TrimPrefix(c.Name, "/"), id, fmt.Errorf("exit %d", c.State.ExitCode))
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

// healthy waits until a container is up: healthy by the engine's check, by cloudship's probe, or,
// where there is neither, running for a moment. A service that says how long new containers are
// watched has them watched that long. Restarts are those that the container had before.
func (r *rollout) healthy(ctx context.Context, name string, s template.Service, id string, restarts int) error {
	if r.isAwaited(name) {
		return nil // a service that others wait for to end is judged by its end
	}
	limit := patience(s)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	w := &watched{service: s, id: id, restarts: restarts, since: r.now()}
	for {
		up, err := r.check(ctx, w)
		if up {
			return nil
		}
		var bad *containerError
		if errors.As(err, &bad) {
			return bad
		}
		if err != nil && ctx.Err() == nil {
			w.last = err
		}
		if pause(ctx, 250*time.Millisecond) != nil {
			return r.explain(ctx, or(w.name, id[:12]), id, fmt.Errorf("not healthy in %s: %w", limit.Round(time.Second), orElse(w.last, context.Cause(ctx))))
		}
	}
}

// watched is a container that is to come up.
type watched struct {
	service  template.Service
	id, name string
	restarts int       // before it was watched
	since    time.Time // when it was first looked at
	last     error     // why it was not up when it was last looked at
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
	p := healthPatience + time.Duration(s.Update.Monitor)
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
func (r *rollout) check(ctx context.Context, w *watched) (up bool, err error) {
	inspected, err := r.engine.ContainerInspect(ctx, w.id, client.ContainerInspectOptions{})
	if err != nil {
		return false, err
	}
	c := inspected.Container
	w.name = strings.TrimPrefix(c.Name, "/")
	final := func(format string, args ...any) error {
		return r.explain(ctx, w.name, w.id, fmt.Errorf(format, args...))
	}
	ended := c.State.Status == container.StateExited
	switch {
	case c.RestartCount-w.restarts > mayRestart:
		return false, final("it keeps ending (exit %d, restarted %d times)", c.State.ExitCode, c.RestartCount-w.restarts)
	case ended && completed(c):
		return true, nil
	case ended, c.State.Dead:
		return false, final("it ended with exit %d", c.State.ExitCode)
	case !c.State.Running || c.State.Restarting:
		return false, fmt.Errorf("it is %s", c.State.Status)
	}
	h := c.State.Health
	checked := h != nil && h.Status != container.NoHealthcheck
	if checked && h.Status == container.Unhealthy {
		why := ""
		if len(h.Log) > 0 {
			why = ": " + lastLines(h.Log[len(h.Log)-1].Output, 3)
		}
		return false, final("its health check fails%s", why)
	}
	if checked && h.Status == container.Starting {
		return false, errors.New("its health check has not passed yet")
	}
	if w.service.Probe != nil {
		checked = true
		if err := r.probe(ctx, w.service.Probe, c); err != nil {
			return false, err
		}
	}
	watch := time.Duration(w.service.Update.Monitor)
	if watch == 0 && !checked {
		watch = monitor
	}
	if r.now().Sub(w.since) < watch {
		return false, errors.New("it has just started")
	}
	return true, nil
}

// probe makes cloudship's own check of a container, over the SSH connection.
func (r *rollout) probe(ctx context.Context, p *template.Probe, c container.InspectResponse) error {
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
	return askHTTP(ctx, conn, "http", address, p.HTTP)
}

// askHTTP makes one request over a connection to an address. The connection itself may not know it:
// it can be one through SSH.
func askHTTP(ctx context.Context, conn net.Conn, scheme, address string, p *template.HTTPProbe) error {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	if scheme == "https" {
		conn = tls.Client(conn, &tls.Config{ServerName: p.Host})
	}
	url := fmt.Sprintf("%s://%s%s", scheme, or(p.Host, address), or(p.Path, "/"))
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
