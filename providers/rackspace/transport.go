package rackspace

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/cloudship/cloudship/plugins"
)

// answerTimeout is how long an API may take to begin its answer.
const answerTimeout = 60 * time.Second

// transport is how requests go out: to the account's services only, and as fast as it may.
func transport(to *places) http.RoundTripper {
	wire := http.DefaultTransport.(*http.Transport).Clone()
	wire.DialContext = (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	wire.ResponseHeaderTimeout = answerTimeout
	wire.MaxIdleConnsPerHost = 32
	return &plugins.Limit{
		Base: overLimit{guard{to, wire}},
		Scope: func(r *http.Request) string { // each service counts each method
			service := r.URL.Host
			if strings.Contains(r.URL.Path, "/loadbalancers") {
				service += " loadbalancers"
			}
			return r.Method + " " + service
		},
	}
}

// places are where the account's services are. It is safe for concurrent use.
type places struct {
	mu    sync.Mutex
	hosts map[string]bool // scheme and host
}

func (p *places) add(u *url.URL) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hosts == nil {
		p.hosts = map[string]bool{}
	}
	p.hosts[u.Scheme+"://"+u.Host] = true
}

func (p *places) has(u *url.URL) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hosts[u.Scheme+"://"+u.Host]
}

// guard sends requests, which carry the token, to the account's services and nowhere else.
type guard struct {
	to   *places
	next http.RoundTripper
}

func (g guard) RoundTrip(r *http.Request) (*http.Response, error) {
	if !g.to.has(r.URL) {
		return nil, fmt.Errorf("request to %s, which is none of the account's services", r.URL.Host)
	}
	return g.next.RoundTrip(r)
}

// overLimit tells apart what Rackspace says with a 413: that the account asks too often, which is
// everybody else's 429, or that it has too much of something.
type overLimit struct{ next http.RoundTripper }

// longestRefusal bounds how much of an answer is read to tell what it means.
const longestRefusal = 64 << 10

func (o overLimit) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := o.next.RoundTrip(r)
	if err != nil || res.StatusCode != http.StatusRequestEntityTooLarge {
		return res, err
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, longestRefusal))
	res.Body.Close()
	if err != nil {
		return nil, err
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	if res.Header.Get("Retry-After") == "" {
		res.Header.Set("Retry-After", res.Header.Get("Reply-After")) // as some of its documents spell it
	}
	if res.Header.Get("Retry-After") != "" || bytes.Contains(body, []byte(`"overLimit"`)) {
		res.StatusCode = http.StatusTooManyRequests
	}
	return res, nil
}
