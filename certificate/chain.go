package certificate

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cloudship/cloudship/resource"
)

// Chain is a certificate with those that vouch for it.
type Chain struct {
	Leaf *x509.Certificate
	PEM  []byte // leaf first
}

// maxChain is how many bytes of PEM are looked at.
const maxChain = 1 << 20

// ParseChain reads PEM, the leaf first. Text between the certificates is left out.
func ParseChain(text []byte) (Chain, error) {
	var chain Chain
	if len(text) > maxChain {
		return chain, errors.New("read a certificate: it is larger than any certificate")
	}
	for rest := text; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return Chain{}, fmt.Errorf("read a certificate: there is a %q in it", block.Type)
		}
		one, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return Chain{}, fmt.Errorf("read a certificate: %w", err)
		}
		if chain.Leaf == nil {
			chain.Leaf = one
		}
		chain.PEM = append(chain.PEM, pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})...)
	}
	if chain.Leaf == nil {
		return Chain{}, errors.New("read a certificate: there is none")
	}
	return chain, nil
}

// encode writes what a CA gave as PEM.
func encode(ders [][]byte) []byte {
	var b bytes.Buffer
	for _, der := range ders {
		b.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	return b.Bytes()
}

// Names are the host names of the certificate, sorted.
func (c Chain) Names() []string { return slices.Sorted(slices.Values(c.Leaf.DNSNames)) }

// For reports whether the certificate is for these domains and no others, in any order.
func (c Chain) For(domains []string) bool {
	return slices.Equal(c.Names(), slices.Sorted(slices.Values(domains)))
}

// Renewal is when the certificate is due: so long before its end, or at two thirds of its life where
// that is 0. A wish of more than half its life counts as half, or each run would renew it again.
func (c Chain) Renewal(before time.Duration) time.Time {
	life := c.Leaf.NotAfter.Sub(c.Leaf.NotBefore)
	switch {
	case before <= 0:
		before = life / 3
	case before > life/2:
		before = life / 2
	}
	return c.Leaf.NotAfter.Add(-before)
}

// Fingerprint is the SHA-256 of the leaf, in hex.
func (c Chain) Fingerprint() string {
	sum := sha256.Sum256(c.Leaf.Raw)
	return hex.EncodeToString(sum[:])
}

// Serial is the leaf's serial number, in hex.
func (c Chain) Serial() string { return c.Leaf.SerialNumber.Text(16) }

// Facts describes the certificate.
func (c Chain) Facts(before time.Duration) *resource.CertificateFacts {
	return &resource.CertificateFacts{
		NotBefore: c.Leaf.NotBefore.UTC(), NotAfter: c.Leaf.NotAfter.UTC(), Names: printables(c.Names()), Serial: c.Serial(), Fingerprint: c.Fingerprint(),
		Issuer: printable(c.Leaf.Issuer.String()), Renewal: c.Renewal(before).UTC(),
	}
}

// printable keeps what a certificate says of itself from steering a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}

// Answers reports whether a chain is what was asked for: for these domains, with the public key of
// the request, and valid now.
func (c Chain) Answers(request []byte, domains []string, now time.Time) error {
	asked, err := x509.ParseCertificateRequest(request)
	if err != nil {
		return fmt.Errorf("read a certificate request: %w", err)
	}
	mine, errMine := x509.MarshalPKIXPublicKey(asked.PublicKey)
	its, errIts := x509.MarshalPKIXPublicKey(c.Leaf.PublicKey)
	switch {
	case errMine != nil || errIts != nil || !bytes.Equal(mine, its):
		return errors.New("the CA's certificate is for another key than the one that it was asked for")
	case !c.For(domains):
		return fmt.Errorf("the CA's certificate is for %q, not for %q", c.Names(), domains)
	case !now.Before(c.Leaf.NotAfter):
		return fmt.Errorf("the CA's certificate has ended already, at %s", c.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

func printables(texts []string) []string {
	for i, text := range texts {
		texts[i] = printable(text)
	}
	return texts
}
