package rackspace

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
)

func (a *API) sslRoutes() {
	const at = "/loadbalancers/{lb}/ssltermination"
	a.handle(loadBalancers, "GET "+at, a.getSSL)
	a.handle(loadBalancers, "PUT "+at, a.putSSL)
	a.handle(loadBalancers, "DELETE "+at, a.dropPart("SSL termination is not configured.", func(lb *loadBalancer) bool {
		had := lb.SSL != nil
		lb.SSL, lb.HTTPSRedirect = nil, false
		return had
	}))
}

// sslTerm is TLS that ends at a balancer, on a port of its own.
type sslTerm struct {
	Certificate  string
	Intermediate string
	PrivateKey   string
	SecurePort   int
	SecureOnly   bool
	Enabled      bool
}

func (s *sslTerm) chain() string { return s.Certificate + "\n" + s.Intermediate }

// getSSL shows everything but the private key.
func (a *API) getSSL(c *call) (reply, error) {
	lb, err := a.part(c)
	if err != nil {
		return reply{}, err
	}
	s := lb.SSL
	if s == nil {
		return reply{}, fail(http.StatusNotFound, "SSL termination not found")
	}
	view := map[string]any{
		"certificate": s.Certificate, "securePort": s.SecurePort, "secureTrafficOnly": s.SecureOnly, "enabled": s.Enabled,
		"securityProtocols": []map[string]string{{"securityProtocolName": "TLS_10", "securityProtocolStatus": "ENABLED"}},
	}
	if s.Intermediate != "" {
		view["intermediateCertificate"] = s.Intermediate
	}
	return reply{status: http.StatusOK, body: map[string]any{"sslTermination": view}}, nil
}

// putSSL sets up TLS, or changes what the body names.
func (a *API) putSSL(c *call) (reply, error) {
	var body struct {
		SSL *struct {
			Certificate  *string `json:"certificate"`
			Intermediate *string `json:"intermediateCertificate"`
			PrivateKey   *string `json:"privatekey"`
			SecurePort   *int    `json:"securePort"`
			SecureOnly   *bool   `json:"secureTrafficOnly"`
			Enabled      *bool   `json:"enabled"`
		} `json:"sslTermination"`
	}
	if err := c.decode(&body); err != nil {
		return reply{}, err
	}
	if body.SSL == nil {
		return reply{}, &Error{Status: http.StatusBadRequest, Message: badSchema}
	}
	lb, err := a.changeable(c)
	if err != nil {
		return reply{}, err
	}
	next := sslTerm{Enabled: true, SecurePort: 443}
	if lb.SSL != nil {
		next = *lb.SSL
	}
	set(&next.Certificate, body.SSL.Certificate)
	set(&next.Intermediate, body.SSL.Intermediate)
	set(&next.PrivateKey, body.SSL.PrivateKey)
	set(&next.SecurePort, body.SSL.SecurePort)
	set(&next.SecureOnly, body.SSL.SecureOnly)
	set(&next.Enabled, body.SSL.Enabled)
	if err := next.check(lb); err != nil {
		return reply{}, err
	}
	lb.SSL = &next
	a.changed(c, lb)
	return accepted, nil
}

func (s *sslTerm) check(lb *loadBalancer) error {
	_, secure := map[string]bool{"HTTPS": true, "IMAPS": true, "LDAPS": true, "POP3S": true}[lb.Protocol]
	switch {
	case secure || datagrams(lb.Protocol):
		return fail(http.StatusBadRequest, "SSL termination cannot be enabled on a load balancer of protocol %s", lb.Protocol)
	case s.SecurePort == lb.Port || s.SecurePort < 1 || s.SecurePort > 65535:
		return fail(http.StatusBadRequest, "Secure port: '%d'  must be unique across loadbalancers  Ports taken: '%d'", s.SecurePort, lb.Port)
	case s.Certificate == "" || s.PrivateKey == "":
		return fail(http.StatusBadRequest, "Must provide a certificate and a private key for SSL termination")
	case lb.HTTPSRedirect && (!s.SecureOnly || s.SecurePort != 443):
		return fail(http.StatusBadRequest, "HTTPS Redirect requires secure port 443 and secure traffic only.")
	}
	if _, err := tls.X509KeyPair([]byte(s.chain()), []byte(s.PrivateKey)); err != nil {
		return fail(http.StatusBadRequest, "The certificate and the private key do not match: %v", err)
	}
	block, _ := pem.Decode([]byte(s.Certificate))
	if block == nil {
		return fail(http.StatusBadRequest, "The certificate cannot be read")
	}
	if leaf, err := x509.ParseCertificate(block.Bytes); err != nil || leaf.PublicKeyAlgorithm != x509.RSA {
		return fail(http.StatusBadRequest, "Only RSA keys are supported")
	}
	return nil
}
