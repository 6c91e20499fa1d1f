package balancer

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strconv"
	"strings"
)

// serveHTTP answers one request that came in by this rule.
func (b *balancer) serveHTTP(w http.ResponseWriter, r *http.Request, rule *rule) {
	c := b.config.Load()
	if c.RedirectHTTP && r.TLS == nil {
		redirect(w, r, c)
		return
	}
	var wish string
	if c.StickyCookie != "" {
		if cookie, err := r.Cookie(c.StickyCookie); err == nil {
			wish = cookie.Value
		}
	}
	m, cut := b.pool.choose(wish)
	if m == nil {
		http.Error(w, "no server is available to handle this request", http.StatusServiceUnavailable)
		return
	}
	if c.StickyCookie != "" && wish != m.cookie {
		http.SetCookie(w, &http.Cookie{
			Name: c.StickyCookie, Value: m.cookie, Path: "/",
			MaxAge: int(c.StickyTTL.Seconds()), HttpOnly: true,
		})
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(cut, cancel)()
	if remote, err := net.ResolveTCPAddr("tcp", r.RemoteAddr); err == nil {
		local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
		if local != nil {
			ctx = context.WithValue(ctx, originKey{}, &origin{remote: remote, local: local})
		}
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(p *httputil.ProxyRequest) { rewrite(p, c, rule, m) },
		Transport:     m.transport.Load(),
		FlushInterval: -1,
		ErrorLog:      slog.NewLogLogger(b.log.Handler(), slog.LevelDebug),
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			b.log.Debug("request failed", "balancer", c.ID, "backend", m.id, "path", r.URL.Path, "error", err)
			w.WriteHeader(statusOf(err))
		},
	}
	proxy.ServeHTTP(w, r.WithContext(ctx))
}

// rewrite makes of the client's request the one that the backend sees.
func rewrite(p *httputil.ProxyRequest, c *Config, rule *rule, m *member) {
	p.Out.URL.Scheme = "http"
	if rule.TargetProtocol != "http" {
		p.Out.URL.Scheme = "https"
	}
	p.Out.URL.Host = m.at(rule.TargetPort)
	p.Out.Host = p.In.Host
	p.Out.Header["X-Forwarded-For"] = p.In.Header["X-Forwarded-For"]
	p.SetXForwarded()
	p.Out.Header.Set("X-Forwarded-Port", strconv.Itoa(rule.EntryPort))
	if c.StickyCookie != "" {
		stripCookie(p.Out.Header, c.StickyCookie)
	}
}

// stripCookie takes the named cookie out of a request's header and leaves the
// others as the client wrote them.
func stripCookie(h http.Header, name string) {
	var lines []string
	for _, line := range h["Cookie"] {
		var kept []string
		for part := range strings.SplitSeq(line, ";") {
			part = strings.TrimSpace(part)
			key, _, _ := strings.Cut(part, "=")
			if part != "" && strings.TrimSpace(key) != name {
				kept = append(kept, part)
			}
		}
		if len(kept) > 0 {
			lines = append(lines, strings.Join(kept, "; "))
		}
	}
	if len(lines) == 0 {
		h.Del("Cookie")
		return
	}
	h["Cookie"] = lines
}

// statusOf is the answer to a request that the backend did not answer.
func statusOf(err error) int {
	var timeout net.Error
	switch {
	case errors.Is(err, errUnreachable):
		return http.StatusServiceUnavailable
	case errors.As(err, &timeout) && timeout.Timeout():
		return http.StatusGatewayTimeout
	}
	return http.StatusBadGateway
}

// redirect sends the client to the https entry.
func redirect(w http.ResponseWriter, r *http.Request, c *Config) {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	if port := c.httpsPort(); port != 443 {
		host = net.JoinHostPort(strings.Trim(host, "[]"), strconv.Itoa(port))
	}
	http.Redirect(w, r, "https://"+host+r.URL.RequestURI(), http.StatusTemporaryRedirect)
}
