package stack

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// DefaultDirectory is the CA that is asked when nothing is said: Let's Encrypt.
const DefaultDirectory = "https://acme-v02.api.letsencrypt.org/directory"

// maxDomains is how many names a certificate may have: Let's Encrypt's own limit.
const maxDomains = 100

// Certificate is a certificate block: TLS for a proxy on a server, got by ACME.
type Certificate struct {
	Name       string
	Group      string
	Domains    []string
	Email      string
	Directory  string
	CA         string // PEM
	Key        string
	Renew      time.Duration // before its end; 0: a third of its life
	Challenges string
	Path       string
	Service    string
	Hook       string
	HTTPPort   int
	HTTPSPort  int
	Place      string
	node       *node
}

var certificateBlock = &block{name: "certificate", labelled: true, help: "TLS for the proxy of a single server, got and renewed by ACME (see docs/certificates.md)", attributes: []attribute{
	{name: "group", takes: reference, of: "group", required: true, help: "of one server, behind no load balancer"},
	{name: "domains", takes: texts, required: true, help: "host names that lead to that server; no wildcards"},
	{name: "email", takes: text, help: "for the CA's account"},
	{name: "directory", takes: text, help: "the CA's ACME directory; Let's Encrypt when not said"},
	{name: "ca", takes: text, help: "PEM of who vouches for the directory's own TLS, where the system does not know it: file(\"ca.pem\")"},
	{name: "challenges", takes: text, required: true, help: "folder on the server that the proxy serves below /.well-known/acme-challenge/"},
	{name: "path", takes: text, required: true, help: "folder on the server that gets NAME/fullchain.pem and NAME/privkey.pem"},
	{name: "service", takes: text, required: true, help: "of the template: the proxy, which is told of a new certificate"},
	{name: "hook", takes: text, help: "of that service: what tells it; SIGHUP when not said"},
	{name: "renew", takes: duration, help: "\"30d\" before its end an apply renews it; a third of its life when not said"},
	{name: "key", takes: text, help: "ecdsa-p256 (default), ecdsa-p384, rsa-2048 or rsa-4096"},
	{name: "http_port", takes: number, help: "where the server answers plain HTTP; 80 when not said"},
	{name: "https_port", takes: number, help: "where it answers TLS; 443 when not said"},
}}

func (l *loader) buildCertificateBlock(n *node) *Certificate {
	c := &Certificate{
		Name: n.label, Group: l.text(n, "group"), Domains: l.texts(n, "domains"), Email: l.text(n, "email"), CA: l.text(n, "ca"),
		Directory: orElse(l.text(n, "directory"), DefaultDirectory), Key: l.oneWord(n, "key", "ecdsa-p256", "ecdsa-p256", "ecdsa-p384", "rsa-2048", "rsa-4096"),
		Challenges: l.folderOnServer(n, "challenges"), Path: l.folderOnServer(n, "path"), Service: l.text(n, "service"), Hook: l.text(n, "hook"),
		Renew:    l.span(n, "renew", 0, time.Hour, 365*24*time.Hour),
		HTTPPort: l.number(n, "http_port", 80, 1, 65535), HTTPSPort: l.number(n, "https_port", 443, 1, 65535),
		Place: place(n.at), node: n,
	}
	if n.attributes["domains"] != nil && (len(c.Domains) == 0 || len(c.Domains) > maxDomains) && !l.diags.HasErrors() {
		l.report(fault(n.where("domains"), fmt.Sprintf("%s has %d domains", n.title(), len(c.Domains)), fmt.Sprintf("want from 1 to %d", maxDomains), ""))
	}
	for i, domain := range c.Domains {
		if problem, hint := domainProblem(domain); problem != "" {
			l.report(fault(n.where("domains"), fmt.Sprintf("%q %s", domain, problem), `want host names such as "www.example.com"`, hint))
		} else if slices.Contains(c.Domains[:i], domain) {
			l.report(fault(n.where("domains"), fmt.Sprintf("%q stands twice in domains of %s", domain, n.title()), "want each once", ""))
		}
	}
	if u, err := url.Parse(c.Directory); err != nil || u.Scheme != "https" || u.Host == "" {
		l.report(fault(n.where("directory"), fmt.Sprintf("%q is no ACME directory", c.Directory), "want an https URL, as "+DefaultDirectory, ""))
	}
	if c.Email != "" && (!strings.Contains(c.Email, "@") || strings.ContainsAny(c.Email, " ,:?\n")) {
		l.report(fault(n.where("email"), fmt.Sprintf("%q is no address of mail", c.Email), `want one address: "me@example.com"`, ""))
	}
	if c.CA != "" && !holdsCertificates(c.CA) {
		l.report(fault(n.where("ca"), "ca holds no certificate", "want PEM", `read it from a file: file("ca.pem")`))
	}
	return c
}

var hostName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// domainProblem says why no certificate can be had for a name by HTTP-01, or "".
func domainProblem(domain string) (problem, hint string) {
	_, err := netip.ParseAddr(strings.Trim(domain, "[]"))
	switch {
	case strings.HasPrefix(domain, "*."):
		return "is a wildcard: a CA gives those for a proof in the DNS alone (DNS-01), which cloudship does not do",
			"list the host names that are served"
	case err == nil:
		return "is an address, not a name", "give the server a name in the DNS"
	case domain != strings.ToLower(domain):
		return "has capitals", fmt.Sprintf("write %q", strings.ToLower(domain))
	case strings.HasSuffix(domain, "."):
		return "ends with a dot", fmt.Sprintf("write %q", strings.TrimSuffix(domain, "."))
	case len(domain) > 253 || !hostName.MatchString(domain):
		return "is no host name that a CA certifies", ""
	}
	return "", ""
}

// folderOnServer is an absolute path of a server, without detours.
func (l *loader) folderOnServer(n *node, name string) string {
	at := l.text(n, name)
	if at == "" {
		return ""
	}
	if !path.IsAbs(at) || path.Clean(at) != strings.TrimSuffix(at, "/") || at == "/" {
		l.report(fault(n.where(name), fmt.Sprintf("%s of %s is %q", name, n.title(), at), `want the whole path of a folder on the server, such as "/srv/proxy"`, ""))
		return ""
	}
	return path.Clean(at)
}

func holdsCertificates(text string) bool {
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" {
		return false
	}
	_, err := x509.ParseCertificate(block.Bytes)
	return err == nil
}

// checkCertificate holds the rules between a certificate and its group.
func (l *loader) checkCertificate(c *Certificate) {
	at, g := c.node.where("group"), l.stack.Group(c.Group)
	switch {
	case g == nil:
	case g.Balancer != "":
		l.report(fault(at, fmt.Sprintf("group %q is behind load balancer %q", g.Name, g.Balancer),
			"the CA's question would reach the balancer, which may ask any server, and TLS ends there",
			fmt.Sprintf(`give load_balancer %q its own: listener "https" { port = 443, certificate { ... } }`, g.Balancer)))
	case g.Servers != 1:
		l.report(fault(at, fmt.Sprintf("group %q has %d servers", g.Name, g.Servers),
			"the CA's question would reach any one of them; want a group of one server", "put a load balancer with a certificate of its own before several servers"))
	case g.Template == "":
		l.report(fault(at, fmt.Sprintf("group %q runs no template", g.Name), "want a group with a proxy that answers the CA", ""))
	}
	for _, other := range l.stack.Certificates {
		if other != c && other.Group == c.Group && other.Path == c.Challenges {
			l.report(fault(c.node.where("challenges"), "challenges are served to everybody: this folder holds private keys", "want a folder of its own", ""))
		}
	}
	if c.Path == c.Challenges || strings.HasPrefix(c.Path+"/", c.Challenges+"/") {
		l.report(fault(c.node.where("challenges"), "challenges are served to everybody: this folder holds private keys", "want a folder of its own, beside path", ""))
	}
}

// wantCertificate gives a certificate, which rests on the release of its server: the proxy answers
// the CA's question.
func (s *Stack) wantCertificate(c *Certificate, sel Selection) Wanted {
	w := Wanted{Address: resource.CertificateNamed(c.Name), Place: c.Place, Spec: &resource.CertificateSpec{
		Server: resource.Server(c.Group, 0), Domains: sorted(c.Domains), Directory: c.Directory, CA: c.CA, Email: c.Email, Key: c.Key,
		Renew: int(c.Renew / time.Second), Challenges: c.Challenges, Path: c.Path, Service: c.Service, Hook: c.Hook,
		HTTPPort: c.HTTPPort, HTTPSPort: c.HTTPSPort, Release: sel.Releases[c.Group],
	}}
	w.Needs = []resource.Address{resource.DockerOn(c.Group, 0)}
	if sel.Releases[c.Group] != "" {
		w.Needs = append(w.Needs, resource.ReleaseOn(c.Group, 0))
	}
	return w
}

// CertificatesOf lists the certificates for a group's server.
func (s *Stack) CertificatesOf(group string) []*Certificate {
	var list []*Certificate
	for _, c := range s.Certificates {
		if c.Group == group {
			list = append(list, c)
		}
	}
	return list
}
