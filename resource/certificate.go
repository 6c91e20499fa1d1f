package resource

import "time"

// CertificateSpec is a TLS certificate that lies on a server for the proxy there, got by ACME
// (RFC 8555) and proven by HTTP-01.
type CertificateSpec struct {
	Server     Address   `json:"server,omitzero" plan:"fixed"`
	Domains    []string  `json:"domains,omitempty"`
	Directory  string    `json:"directory,omitempty"`           // URL of the CA's directory
	CA         string    `json:"ca,omitempty" plan:"memo"`      // PEM: who is believed to be the directory, beside the system's own
	Email      string    `json:"email,omitempty"`               // for the account
	Key        string    `json:"key,omitempty"`                 // ecdsa-p256, ecdsa-p384, rsa-2048, rsa-4096
	Renew      int       `json:"renew,omitempty"`               // seconds before its end from which on it is renewed; 0: a third of its life
	Challenges string    `json:"challenges,omitempty"`          // folder of the server that is served below /.well-known/acme-challenge/
	Path       string    `json:"path,omitempty"`                // folder of the server: NAME/fullchain.pem and NAME/privkey.pem
	Service    string    `json:"service,omitempty"`             // of the template: who is told of a new one
	Hook       string    `json:"hook,omitempty"`                // of that service: how; SIGHUP when empty
	HTTPPort   int       `json:"http_port,omitempty"`           // of the server, where challenges are answered
	HTTPSPort  int       `json:"https_port,omitempty"`          // of the server, where the certificate is served
	Release    string    `json:"release,omitempty" plan:"memo"` // what its server is to run: whose hook it is
	After      time.Time `json:"after,omitzero" plan:"memo"`    // one that was got earlier is renewed, due or not
}

// Kind of the spec.
func (*CertificateSpec) Kind() Kind { return KindCertificate }

// CertificateFacts describes a certificate that lies on a server. There is no key in it.
type CertificateFacts struct {
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	Names       []string  `json:"names,omitempty"`
	Issuer      string    `json:"issuer,omitempty"`
	Serial      string    `json:"serial,omitempty"`      // in hex
	Fingerprint string    `json:"fingerprint,omitempty"` // SHA-256 of the certificate, in hex
	Renewal     time.Time `json:"renewal,omitzero"`      // when it is due
}
