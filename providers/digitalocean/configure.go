package digitalocean

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/digitalocean/godo"

	"github.com/cloudship/cloudship/plugins"
	"github.com/cloudship/cloudship/resource"
)

// Configure reads the token from the environment and asks for the account once, so that a wrong
// token is told before anything else.
func (p *Provider) Configure(ctx context.Context, c resource.Config) error {
	for name, value := range c.Values {
		if name == "plugin" { // which plugin serves the block: for whoever started it
			continue
		}
		region, ok := value.(string)
		switch {
		case name != "region":
			return &resource.Error{Kind: resource.Invalid, Field: name, Message: fmt.Sprintf("provider digitalocean has no setting %q", name)}
		case value != nil && !ok:
			return &resource.Error{Kind: resource.Invalid, Field: name, Message: "region: want a text"}
		}
		p.region = region
	}
	p.alias = c.Alias
	token := strings.TrimSpace(cmp.Or(os.Getenv(tokenVariable), os.Getenv(accessVariable)))
	if token == "" {
		return &resource.Error{Kind: resource.Unauthorized, Message: "no token for DigitalOcean: " + tokenVariable + " is not set",
			Hint: "export " + tokenVariable + "=dop_v1_...   (make a token at " + tokenPage + ")"}
	}
	base, err := endpoint()
	if err != nil {
		return err
	}
	// An API does not redirect; a redirect that is followed would repeat a create.
	direct := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client, err := godo.New(&http.Client{Transport: transport(token, base.Host), CheckRedirect: direct},
		godo.SetBaseURL(base.String()), godo.SetUserAgent("cloudship/"+version()))
	if err != nil {
		return fmt.Errorf("client for DigitalOcean: %w", err)
	}
	account, _, err := client.Account.Get(ctx)
	if err != nil {
		return fault("read the account", resource.Address{}, err, reading)
	}
	p.api, p.account = client, account
	return nil
}

// endpoint is where the API is: DigitalOcean itself unless the environment names another. The
// token goes there, so that it must be https unless it is on this machine.
func endpoint() (*url.URL, error) {
	named := cmp.Or(os.Getenv(endpointVariable), "https://api.digitalocean.com")
	wrong := func(what string) error {
		return &resource.Error{Kind: resource.Invalid, Message: fmt.Sprintf("%s is %q, %s", endpointVariable, named, what),
			Hint: "unset " + endpointVariable + " for DigitalOcean itself, or, for the lab: eval $(cloudship lab env)"}
	}
	base, err := url.Parse(named)
	switch {
	case err != nil || base.Host == "" || (base.Scheme != "https" && base.Scheme != "http"):
		return nil, wrong("which is no URL")
	case base.Scheme == "http" && !local(base.Hostname()):
		return nil, wrong("which would send the token in the clear: want https")
	}
	return &url.URL{Scheme: base.Scheme, Host: base.Host, Path: "/"}, nil
}

// local reports whether a host is this machine.
func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// answerTimeout is how long the API may take to begin its answer.
const answerTimeout = 60 * time.Second

// transport is how requests go out: with the token, and as fast as the account may.
func transport(token, host string) http.RoundTripper {
	wire := http.DefaultTransport.(*http.Transport).Clone()
	wire.DialContext = (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	wire.ResponseHeaderTimeout = answerTimeout
	wire.MaxIdleConnsPerHost = 32
	return &plugins.Limit{
		Base:    bearer{token, host, wire},
		Headers: plugins.RateHeaders{Remaining: "Ratelimit-Remaining", Reset: "Ratelimit-Reset"},
		Scope: func(r *http.Request) string {
			if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/account/keys") {
				return "keys" // ten lists of keys a minute: a limit of its own
			}
			return ""
		},
	}
}

// bearer puts the token on requests to the API, and on no others.
type bearer struct {
	token, host string
	next        http.RoundTripper
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host != b.host {
		return nil, fmt.Errorf("request to %s, which is not the API at %s", r.URL.Host, b.host)
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	return b.next.RoundTrip(r)
}

// telling lets a call's progress tell when the limiter makes it wait.
func telling(ctx context.Context, c resource.Call, a resource.Address) context.Context {
	return plugins.Telling(ctx, func(line string) { c.Say(a, line) })
}
