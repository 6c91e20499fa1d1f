package rackspace_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"testing"
	"time"
)

// certificate makes a certificate for an address, and its key.
func certificate(t *testing.T, address string, key crypto.Signer) (certPEM, keyPEM string) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: address}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.ParseIP(address)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	b, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b}))
}

func rsaPair(t *testing.T, address string) (string, string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return certificate(t, address, key)
}

func TestTLSEndsAtABalancer(t *testing.T) {
	f := newFixture(t)
	at := f.balancer()
	lb := f.settled(at)
	address := get[string](t, lb, "virtualIps", 0, "address")
	f.want(202, "POST", at+"/nodes", object{"nodes": f.nodes(1, "ENABLED")})
	f.want(404, "GET", at+"/ssltermination", nil)
	cert, key := rsaPair(t, address)
	put := func(status int, change object) {
		t.Helper()
		body := object{"certificate": cert, "privatekey": key, "securePort": 28443, "enabled": true, "secureTrafficOnly": false}
		for k, v := range change {
			body[k] = v
		}
		f.want(status, "PUT", at+"/ssltermination", object{"sslTermination": body})
	}
	elliptical, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	otherCert, otherKey := certificate(t, address, elliptical)
	put(400, object{"privatekey": otherKey})
	put(400, object{"certificate": otherCert, "privatekey": otherKey})
	put(400, object{"securePort": 28080})
	put(202, nil)
	shown := f.want(200, "GET", at+"/ssltermination", nil)
	ssl := get[object](t, shown.body, "sslTermination")
	if _, there := ssl["privatekey"]; there || ssl["securePort"] != 28443.0 || ssl["certificate"] != cert {
		t.Errorf("shown: %s", shown.text)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(cert))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	asks := func(scheme string, port int) int {
		r, err := client.Get(fmt.Sprintf("%s://%s:%d/", scheme, address, port))
		if err != nil {
			return 0
		}
		r.Body.Close()
		return r.StatusCode
	}
	f.eventually("https is answered", func() bool { return asks("https", 28443) == 200 })
	if code := asks("http", 28080); code != 200 {
		t.Errorf("http is answered by %d", code)
	}
	put(202, object{"secureTrafficOnly": true})
	f.eventually("http is refused", func() bool { return asks("http", 28080) == 0 })
	f.refused(400, "HTTPS Redirect requires", "PUT", at, object{"loadBalancer": object{"httpsRedirect": true}})
	f.want(202, "DELETE", at+"/ssltermination", nil)
	f.eventually("http is answered again", func() bool { return asks("http", 28080) == 200 })
	f.refused(422, "not configured", "DELETE", at+"/ssltermination", nil)
}
