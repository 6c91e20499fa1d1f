package digitalocean

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"time"
)

func (a *API) certificateRoutes() {
	a.handle("GET /v2/certificates", a.listCertificates)
	a.handle("POST /v2/certificates", a.createCertificate)
	a.handle("GET /v2/certificates/{certificate}", a.getCertificate)
	a.handle("DELETE /v2/certificates/{certificate}", a.deleteCertificate)
}

// certificate is a TLS certificate with its key.
type certificate struct {
	ID          string
	Name        string
	Type        string // "custom" or "lets_encrypt"
	DNSNames    []string
	NotAfter    time.Time
	Fingerprint string
	Created     time.Time
	VerifiedAt  time.Time // pending until then
	Failed      bool      // its names could not be verified
	CertPEM     string
	KeyPEM      string
}

type certificateView struct {
	ID          string    `json:"id"`
	Name        string    `json:"name"`
	NotAfter    time.Time `json:"not_after"`
	Fingerprint string    `json:"sha1_fingerprint"`
	CreatedAt   time.Time `json:"created_at"`
	DNSNames    []string  `json:"dns_names"`
	State       string    `json:"state"`
	Type        string    `json:"type"`
}

func viewCertificate(c *call) func(*certificate) certificateView {
	return func(k *certificate) certificateView {
		v := certificateView{
			ID: k.ID, Name: k.Name, NotAfter: second(k.NotAfter), Fingerprint: k.Fingerprint,
			CreatedAt: second(k.Created), DNSNames: some(k.DNSNames), State: "verified", Type: k.Type,
		}
		switch {
		case c.now.Before(k.VerifiedAt):
			v.State = "pending"
		case k.Failed:
			v.State = "error"
		}
		return v
	}
}

func (a *API) listCertificates(c *call) (reply, error) {
	name := c.URL.Query().Get("name")
	all := slices.DeleteFunc(a.state.Certificates.List(c.now, c.timing.ListLag), func(k *certificate) bool {
		return name != "" && k.Name != name
	})
	return page(c, "certificates", all, viewCertificate(c))
}

// certificateRequest is the body of a create.
type certificateRequest struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	DNSNames []string `json:"dns_names"`
	Key      string   `json:"private_key"`
	Leaf     string   `json:"leaf_certificate"`
	Chain    string   `json:"certificate_chain"`
}

func (a *API) createCertificate(c *call) (reply, error) {
	var r certificateRequest
	if err := c.decode(&r); err != nil {
		return reply{}, err
	}
	if r.Name == "" {
		return reply{}, invalid("name can't be blank")
	}
	for _, other := range a.state.Certificates.All {
		if other.Name == r.Name {
			return reply{}, invalid("certificate name %s is already in use", r.Name)
		}
	}
	k := &certificate{ID: newUUID(), Name: r.Name, Type: r.Type, Created: c.now, VerifiedAt: c.now}
	var err error
	switch r.Type {
	case "", "custom":
		k.Type = "custom"
		err = k.takeCustom(&r)
	case "lets_encrypt":
		err = a.issue(c, k, r.DNSNames)
	default:
		err = invalid("type must be custom or lets_encrypt")
	}
	if err != nil {
		return reply{}, err
	}
	a.state.Certificates.Put(c.now, k.ID, k)
	return reply{http.StatusCreated, map[string]any{"certificate": viewCertificate(c)(k)}}, nil
}

// takeCustom takes a certificate that the client brings along.
func (k *certificate) takeCustom(r *certificateRequest) error {
	k.CertPEM = strings.TrimSpace(r.Leaf) + "\n" + strings.TrimSpace(r.Chain) + "\n"
	k.KeyPEM = r.Key
	pair, err := tls.X509KeyPair([]byte(k.CertPEM), []byte(k.KeyPEM))
	if err != nil {
		return invalid("certificate and private_key do not fit: %v", err)
	}
	k.describe(pair.Leaf)
	if k.NotAfter.Before(k.Created) {
		return invalid("certificate has expired")
	}
	return nil
}

func (k *certificate) describe(leaf *x509.Certificate) {
	sum := sha1.Sum(leaf.Raw)
	k.Fingerprint, k.NotAfter, k.DNSNames = hex.EncodeToString(sum[:]), leaf.NotAfter, leaf.DNSNames
}

// issue makes a certificate as Let's Encrypt would, which takes a while, and
// fails where DigitalOcean does not have the domain. The lab signs it itself.
func (a *API) issue(c *call, k *certificate, names []string) error {
	if len(names) == 0 {
		return invalid("dns_names can't be blank")
	}
	k.VerifiedAt = c.now.Add(durationOf(c.timing.BalancerActive))
	for _, name := range names {
		k.Failed = k.Failed || !a.hosts(strings.TrimPrefix(name, "*."))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("issue certificate %s: %w", k.Name, err)
	}
	model := &x509.Certificate{
		SerialNumber: big.NewInt(c.now.UnixNano()), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: c.now.Add(-time.Hour), NotAfter: c.now.AddDate(0, 0, 90),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, model, model, &key.PublicKey, key)
	if err != nil {
		return invalid("dns_names: %v", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("issue certificate %s: %w", k.Name, err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("issue certificate %s: %w", k.Name, err)
	}
	k.describe(leaf)
	k.CertPEM = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	k.KeyPEM = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
	return nil
}

// hosts tells whether a domain, or one above it, is the account's.
func (a *API) hosts(name string) bool {
	for d := range a.state.Domains.All {
		if name == d || strings.HasSuffix(name, "."+d) {
			return true
		}
	}
	return false
}

func (a *API) shownCertificate(c *call) (*certificate, error) {
	k, ok := a.state.Certificates.Find(c.now, c.PathValue("certificate"), c.timing.NotFound)
	if !ok {
		return nil, notFound()
	}
	return k, nil
}

func (a *API) getCertificate(c *call) (reply, error) {
	k, err := a.shownCertificate(c)
	if err != nil {
		return reply{}, err
	}
	return reply{http.StatusOK, map[string]any{"certificate": viewCertificate(c)(k)}}, nil
}

func (a *API) deleteCertificate(c *call) (reply, error) {
	k, err := a.shownCertificate(c)
	if err != nil {
		return reply{}, err
	}
	for _, lb := range a.state.Balancers.All {
		for _, r := range lb.ForwardingRules {
			if r.CertificateID == k.ID {
				return reply{}, fail(http.StatusForbidden,
					"Make sure the certificate is not in use before deleting it: it is being used by one or more load balancers")
			}
		}
	}
	a.state.Certificates.Delete(c.now, k.ID, c.now)
	return none, nil
}

func (a *API) hasCertificate(id string) bool {
	_, ok := a.state.Certificates.Get(id)
	return ok
}

// certificatePEM is a certificate with its chain, and its key; nil if there is
// none.
func (a *API) certificatePEM(id string) (cert, key []byte) {
	if k, ok := a.state.Certificates.Get(id); ok {
		return []byte(k.CertPEM), []byte(k.KeyPEM)
	}
	return nil, nil
}
