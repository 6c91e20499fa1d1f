package balancer

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// health is what the checks of one backend have shown.
type health struct {
	up     bool
	streak int // checks in a row that speak against up
}

// note takes in the outcome of one check and reports whether up changed.
func (h *health) note(passed bool, c Check) (changed bool) {
	if passed == h.up {
		h.streak = 0
		return false
	}
	h.streak++
	need := c.Healthy
	if h.up {
		need = c.Unhealthy
	}
	if h.streak < need {
		return false
	}
	h.up, h.streak = passed, 0
	return true
}

// watch checks until the context ends: the first time after one interval, as
// a backend that was just added has proved nothing yet.
func watch(ctx context.Context, c Check, probe func(context.Context) error, note func(error)) {
	ticker := time.NewTicker(c.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		once, cancel := context.WithTimeout(ctx, c.Timeout)
		err := probe(once)
		cancel()
		if ctx.Err() != nil {
			return
		}
		note(err)
	}
}

// newProbe returns one check of the backend at host, an address with its port.
func newProbe(c Config, host string) func(context.Context) error {
	if c.Check.Protocol == "tcp" {
		return func(ctx context.Context) error {
			conn, err := dial(ctx, c, nil, host)
			if err != nil {
				return err
			}
			return conn.Close()
		}
	}
	target := url.URL{Scheme: c.Check.Protocol, Host: host, Path: "/"}
	if path, query, err := splitPath(c.Check.Path); err == nil && path != "" {
		target.Path, target.RawQuery = path, query
	}
	client := &http.Client{
		Transport: newTransport(c, false),
		// A redirect is an answer: the backend is alive.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
		resp.Body.Close()
		if resp.StatusCode < 200 || resp.StatusCode > 399 {
			return fmt.Errorf("answered %s", resp.Status)
		}
		return err
	}
}

func splitPath(s string) (path, query string, err error) {
	u, err := url.ParseRequestURI(s)
	if err != nil {
		return "", "", err
	}
	return u.Path, u.RawQuery, nil
}
