// Package certificate gets TLS certificates by ACME (RFC 8555), proven by HTTP-01, and reads those
// that there are. It is a client of a CA and knows nothing of servers: who shows the CA what it asks
// for is given as a Prover.
//
//	client, err := certificate.Open(certificate.Options{Directory: url, Account: key})
//	order, err := client.Prove(ctx, domains, prover)
//	chain, err := client.Issue(ctx, order, request)
//
// Between the two, the caller puts the private key where it belongs and notes the order: Issue may be
// repeated, so a run that is killed there loses neither the key nor the certificate.
package certificate

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
)

// SeedSize is how many bytes an account's key is made of: more than the curve's order has, so that
// no key is likelier than another.
const SeedSize = 48

// AccountKey is the key of a CA's account: the same for the same seed, so that no state can lose it.
func AccountKey(seed []byte) (*ecdsa.PrivateKey, error) {
	if len(seed) < SeedSize {
		return nil, fmt.Errorf("derive an account's key: the seed has %d bytes, %d are needed", len(seed), SeedSize)
	}
	curve := elliptic.P256()
	most := new(big.Int).Sub(curve.Params().N, big.NewInt(1))
	scalar := new(big.Int).Mod(new(big.Int).SetBytes(seed[:SeedSize]), most)
	scalar.Add(scalar, big.NewInt(1))
	key, err := ecdsa.ParseRawPrivateKey(curve, scalar.FillBytes(make([]byte, 32)))
	if err != nil {
		return nil, fmt.Errorf("derive an account's key: %w", err)
	}
	return key, nil
}

// NewKey makes a private key for a certificate: ecdsa-p256, ecdsa-p384, rsa-2048 or rsa-4096.
func NewKey(kind string) (crypto.Signer, error) {
	switch kind {
	case "ecdsa-p256":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ecdsa-p384":
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "rsa-2048":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "rsa-4096":
		return rsa.GenerateKey(rand.Reader, 4096)
	}
	return nil, fmt.Errorf("unknown kind of key %q", kind)
}

// KindOfKey names the kind of a public key as NewKey does, or "".
func KindOfKey(public crypto.PublicKey) string {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return "ecdsa-p256"
		case elliptic.P384():
			return "ecdsa-p384"
		}
	case *rsa.PublicKey:
		return fmt.Sprintf("rsa-%d", key.N.BitLen())
	}
	return ""
}

// EncodeKey writes a private key as PEM (PKCS #8), as proxies read it.
func EncodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// Request is what is sent to the CA (PKCS #10): the names, and the public part of the key.
func Request(key crypto.Signer, domains []string) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: domains}, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate request: %w", err)
	}
	return der, nil
}
