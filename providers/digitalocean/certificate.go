package digitalocean

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"

	"github.com/digitalocean/godo"

	"github.com/cloudship/cloudship/resource"
)

// Certificates are no kind of their own: they come and go with the listeners that use them. One
// that exists in the account is named by the stack file, by name, since the id of one from Let's
// Encrypt changes at every renewal. One from files is made here; its name is the balancer's mark
// and a digest of its content, so that a new content is a new certificate and the old one can be
// taken out of use before it is deleted.

func (b balancers) certificates(ctx context.Context) ([]godo.Certificate, error) {
	return all(ctx, "certificates", func(c godo.Certificate) string { return c.ID }, b.api.Certificates.List)
}

// certificateName is the name of a certificate from files.
func certificateName(m resource.Mark, c *resource.Certificate) string {
	key := ""
	if c.PrivateKey != nil {
		key = c.PrivateKey.Digest
	}
	sum := sha256.Sum256([]byte(c.Chain + "\n" + key))
	return m.Encode() + "." + hex.EncodeToString(sum[:6])
}

// madeFor reads the mark of the balancer that a certificate from files was made for.
func madeFor(name string) (resource.Mark, bool) {
	at := strings.LastIndexByte(name, '.')
	if at < 0 {
		return resource.Mark{}, false
	}
	m, ok := resource.DecodeMark(name[:at])
	return m, ok && m.Address.Kind() == resource.KindLoadBalancer
}

// certificateIDs finds the certificate of every listener that has one, by the listener's port, and
// makes those from files that are not there yet.
func (b balancers) certificateIDs(ctx context.Context, c resource.Call, item resource.Item, spec *resource.LoadBalancerSpec) (map[int]string, error) {
	if !slices.ContainsFunc(spec.Listeners, func(l resource.Listener) bool { return l.Certificate != nil }) {
		return nil, nil
	}
	list, err := b.certificates(ctx)
	if err != nil {
		return nil, err
	}
	byName := map[string]string{}
	for _, have := range list {
		byName[have.Name] = have.ID
	}
	ids := map[int]string{}
	for _, l := range spec.Listeners {
		cert := l.Certificate
		if cert == nil {
			continue
		}
		name := cert.Name
		if name == "" {
			name = certificateName(item.Mark, cert)
		}
		id, ok := byName[name]
		switch {
		case ok:
		case cert.Name != "":
			return nil, unmet(item.Mark.Address, "listeners", "see https://cloud.digitalocean.com/account/security", "the account has no certificate %q%s", name, suggest(name, names(byName)))
		default:
			if id, err = b.makeCertificate(ctx, c, item, name, cert); err != nil {
				return nil, err
			}
			byName[name] = id
		}
		ids[l.Port] = id
	}
	return ids, nil
}

// makeCertificate uploads a certificate from files. It is named by its content: a repeated create
// is refused, and the next call finds it.
func (b balancers) makeCertificate(ctx context.Context, c resource.Call, item resource.Item, name string, cert *resource.Certificate) (string, error) {
	key := ""
	if cert.PrivateKey != nil {
		key = c.Secrets[cert.PrivateKey.Digest]
	}
	leaf, rest := pem.Decode([]byte(cert.Chain))
	if leaf == nil || key == "" {
		return "", unmet(item.Mark.Address, "listeners", "", "a listener's certificate needs a chain in PEM, the leaf first, and its private key")
	}
	c.Say(item.Mark.Address, "uploading its certificate")
	made, _, err := b.api.Certificates.Create(ctx, &godo.CertificateRequest{Type: "custom", Name: name, PrivateKey: key,
		LeafCertificate: string(pem.EncodeToMemory(leaf)), CertificateChain: strings.TrimSpace(string(rest))})
	if err != nil {
		return "", fault("create certificate", item.Mark.Address, err, repeatable)
	}
	return made.ID, nil
}

// dropCertificates deletes certificates from files that a balancer does not use any more. What
// DigitalOcean still holds in use goes with the next update, or when the stack is retired.
func (b balancers) dropCertificates(ctx context.Context, of func(resource.Mark) bool, used map[string]bool) error {
	list, err := b.certificates(ctx)
	if err != nil {
		return err
	}
	for _, cert := range list {
		m, ours := madeFor(cert.Name)
		if !ours || !of(m) || used[cert.ID] {
			continue
		}
		_, err := b.api.Certificates.Delete(ctx, cert.ID)
		if err = fault("delete certificate "+cert.Name, m.Address, err, repeatable); err != nil && !resource.IsGone(err) && resource.KindOf(err) != resource.Conflict {
			return err
		}
	}
	return nil
}

// certified reports whether a balancer's rules use certificates.
func certified(rules []godo.ForwardingRule) bool {
	return slices.ContainsFunc(rules, func(r godo.ForwardingRule) bool { return r.CertificateID != "" })
}

// nameCertificates puts the names of certificates into listeners. It reports false where they are
// not known, or are those of certificates from files: what was in those the API does not tell.
func nameCertificates(list []resource.Listener, rules []godo.ForwardingRule, certificates map[string]string) bool {
	for _, r := range rules {
		if r.CertificateID == "" {
			continue
		}
		name, known := certificates[r.CertificateID]
		if _, fromFiles := madeFor(name); !known || fromFiles {
			return false
		}
		for i := range list {
			if list[i].Port == r.EntryPort {
				list[i].Certificate = &resource.Certificate{Name: name}
			}
		}
	}
	return true
}

// usedCertificates are the ids of the certificates in a balancer's rules.
func usedCertificates(rules []godo.ForwardingRule) map[string]bool {
	used := map[string]bool{}
	for _, r := range rules {
		if r.CertificateID != "" {
			used[r.CertificateID] = true
		}
	}
	return used
}

// lookUpCertificates tells the names of certificates where one of the balancers uses any.
func (b balancers) lookUpCertificates(ctx context.Context, list ...godo.LoadBalancer) (map[string]string, error) {
	if !slices.ContainsFunc(list, func(lb godo.LoadBalancer) bool { return certified(lb.ForwardingRules) }) {
		return map[string]string{}, nil
	}
	certificates, err := b.certificates(ctx)
	if err != nil {
		return nil, fmt.Errorf("names of certificates: %w", err)
	}
	byID := map[string]string{}
	for _, c := range certificates {
		byID[c.ID] = c.Name
	}
	return byID, nil
}
