package rackspace

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v2/tokens"

	"github.com/cloudship/cloudship/resource"
)

// Configure reads the credentials from the environment and asks for a token, which tells what the
// account may use and where, so that a wrong key or region is told before anything else.
func (p *Provider) Configure(ctx context.Context, c resource.Config) error {
	region, err := settings(c)
	if err != nil {
		return err
	}
	credentials, err := credentialsFromEnvironment()
	if err != nil {
		return err
	}
	base, err := endpoint(credentials.url, credentials.family+"_AUTH_URL")
	if err != nil {
		return err
	}
	client, err := openstack.NewClient(base.String())
	if err != nil {
		return fmt.Errorf("client for Rackspace: %w", err)
	}
	places := &places{}
	places.add(base)
	// An API does not redirect; a redirect that is followed would repeat a create.
	direct := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.HTTPClient = http.Client{Transport: transport(places), CheckRedirect: direct}
	client.UserAgent.Prepend("cloudship/" + version())
	if err := openstack.AuthenticateV2(ctx, client, credentials, gophercloud.EndpointOpts{}); err != nil {
		return refusedLogin(credentials, err)
	}
	access, ok := client.GetAuthResult().(tokens.CreateResult)
	if !ok {
		return &resource.Error{Kind: resource.Failed, Op: "log in to Rackspace", Message: "the answer holds no token"}
	}
	catalog, err := access.ExtractServiceCatalog()
	if err != nil {
		return fmt.Errorf("log in to Rackspace: the catalogue of services: %w", err)
	}
	p.alias, p.regions = c.Alias, regionsOf(catalog)
	if p.region, err = p.chooseRegion(cmp.Or(region, credentials.region, homeOf(access)), c.Alias); err != nil {
		return err
	}
	compute, err := p.service(client, catalog, places, "compute", "cloudServersOpenStack")
	if err != nil {
		return err
	}
	lbs, err := p.service(client, catalog, places, "rax:load-balancer", "cloudLoadBalancers")
	if err != nil {
		return err
	}
	p.compute, p.lbs = compute, &lbClient{service: lbs}
	return nil
}

// settings reads the provider block.
func settings(c resource.Config) (region string, err error) {
	for name, value := range c.Values {
		if name == "plugin" { // which plugin serves the block: for whoever started it
			continue
		}
		text, ok := value.(string)
		switch {
		case name != "region":
			return "", &resource.Error{Kind: resource.Invalid, Field: name, Message: fmt.Sprintf("provider rackspace has no setting %q", name)}
		case value != nil && !ok:
			return "", &resource.Error{Kind: resource.Invalid, Field: name, Message: "region: want a text"}
		}
		region = strings.ToUpper(text)
	}
	return region, nil
}

// endpoint reads a URL that credentials or tokens go to, so that it must be https unless it is on
// this machine.
func endpoint(named, variable string) (*url.URL, error) {
	wrong := func(what string) error {
		return &resource.Error{Kind: resource.Invalid, Message: fmt.Sprintf("%s is %q, %s", variable, named, what),
			Hint: "unset it for Rackspace itself (" + defaultAuthURL + "), or, for the lab: eval $(cloudship lab env)"}
	}
	base, err := url.Parse(named)
	switch {
	case err != nil || base.Host == "" || (base.Scheme != "https" && base.Scheme != "http"):
		return nil, wrong("which is no URL")
	case base.Scheme == "http" && !local(base.Hostname()):
		return nil, wrong("which would send the key in the clear: want https")
	}
	return base, nil
}

// local reports whether a host is this machine.
func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// refusedLogin is the error of a request for a token.
func refusedLogin(c credentials, err error) error {
	err = fault("log in to Rackspace", resource.Address{}, err, reading)
	if e := (*resource.Error)(nil); errors.As(err, &e) && e.Kind == resource.Unauthorized {
		e.Hint = fmt.Sprintf("check %s_USERNAME and %s_API_KEY", c.family, c.family)
	}
	return err
}

// homeOf is the account's default region, which comes with the token.
func homeOf(access tokens.CreateResult) string {
	var body struct {
		Access struct {
			User struct {
				Region string `json:"RAX-AUTH:defaultRegion"`
			} `json:"user"`
		} `json:"access"`
	}
	if access.ExtractInto(&body) != nil {
		return ""
	}
	return body.Access.User.Region
}

// regionsOf are the regions in which the account may have servers.
func regionsOf(catalog *tokens.ServiceCatalog) []string {
	var regions []string
	for _, entry := range catalog.Entries {
		if entry.Name != "cloudServersOpenStack" {
			continue
		}
		for _, e := range entry.Endpoints {
			regions = append(regions, e.Region)
		}
	}
	slices.Sort(regions)
	return regions
}

func (p *Provider) chooseRegion(region, alias string) (string, error) {
	switch {
	case region == "":
		return "", &resource.Error{Kind: resource.Invalid, Field: "region", Message: "no region is said for Rackspace",
			Hint: fmt.Sprintf("say region = %q in provider %q, or export RACKSPACE_REGION=IAD", "IAD", alias)}
	case !slices.Contains(p.regions, region):
		return "", &resource.Error{Kind: resource.Invalid, Field: "region",
			Message: fmt.Sprintf("the account has no region %q%s", region, suggest(region, p.regions)), Hint: "its regions: " + strings.Join(p.regions, ", ")}
	}
	return region, nil
}

// service makes a client for one of the catalogue's services in the provider's region.
func (p *Provider) service(client *gophercloud.ProviderClient, catalog *tokens.ServiceCatalog, places *places, kind, name string) (*gophercloud.ServiceClient, error) {
	at := publicURL(catalog, kind, name, p.region)
	if at == "" {
		return nil, &resource.Error{Kind: resource.Unauthorized, Op: "log in to Rackspace", Message: fmt.Sprintf("the account has no service %s in %s", name, p.region)}
	}
	base, err := endpoint(at, "the catalogue's URL of "+name)
	if err != nil {
		return nil, err
	}
	places.add(base)
	return &gophercloud.ServiceClient{ProviderClient: client, Endpoint: gophercloud.NormalizeURL(at), Type: kind}, nil
}

// publicURL is where a service answers in a region, by the catalogue of a login; empty where the
// account does not have it. Two services share a type, so the name counts as well.
func publicURL(catalog *tokens.ServiceCatalog, kind, name, region string) string {
	for _, service := range catalog.Entries {
		if service.Type != kind || service.Name != name {
			continue
		}
		for _, e := range service.Endpoints {
			if strings.EqualFold(e.Region, region) {
				return e.PublicURL
			}
		}
	}
	return ""
}
