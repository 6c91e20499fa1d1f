// Command pebble is a CA for tests: Let's Encrypt's own Pebble, in a module of its own, so that the
// product's module stays clean. All names lead to ADDRESS, but those below nowhere.example.
//
//	pebble FOLDER ADDRESS HTTP-PORT DAYS
//
// Into FOLDER go ca.pem, which vouches for the directory's TLS, and root.pem, which vouches for what
// is issued. What is printed first is the directory's URL. The certificates are good for DAYS. The
// name denied.example is refused; one request in five is told that its nonce is too old; nothing that
// was proven is believed a second time, unless Pebble's own variables say otherwise.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "pebble:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 4 {
		return errors.New("usage: pebble FOLDER ADDRESS HTTP-PORT DAYS")
	}
	folder, address := args[0], net.ParseIP(args[1])
	port, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	days, err := strconv.Atoi(args[3])
	if err != nil {
		return err
	}
	for name, value := range map[string]string{"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "20", "PEBBLE_AUTHZREUSE": "0"} {
		if os.Getenv(name) != "" {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	names, err := resolver(address)
	if err != nil {
		return err
	}
	logger := log.New(os.Stderr, "pebble ", 0)
	store := db.NewMemoryStore()
	if err := store.AddBlockedDomain("denied.example"); err != nil {
		return err
	}
	issuer := ca.New(logger, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {ValidityPeriod: uint64(days) * 24 * 60 * 60}})
	front := wfe.New(logger, store, va.New(logger, port, port, true, names, store), issuer, []string{"pebble.example"}, true, false, 1, 1)
	root := httptest.NewRecorder()
	front.ManagementHandler().ServeHTTP(root, httptest.NewRequest(http.MethodGet, "/roots/0", nil))
	if err := os.WriteFile(filepath.Join(folder, "root.pem"), root.Body.Bytes(), 0o644); err != nil {
		return err
	}
	own := net.IPv4(127, 0, 0, 1)
	certificate, vouch, err := selfSigned(own)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, "ca.pem"), vouch, 0o644); err != nil {
		return err
	}
	listener, err := tls.Listen("tcp", net.JoinHostPort(own.String(), "0"), &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		return err
	}
	fmt.Printf("https://%s/dir\n", listener.Addr())
	return http.Serve(listener, front.Handler())
}

// selfSigned makes the directory's own certificate.
func selfSigned(address net.IP) (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pebble"}, IPAddresses: []net.IP{address}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, nil, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

// resolver answers for all names, and gives its address.
func resolver(address net.IP) (string, error) {
	stream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	packets, err := net.ListenPacket("udp", stream.Addr().String())
	if err != nil {
		return "", err
	}
	handler := dns.HandlerFunc(func(w dns.ResponseWriter, question *dns.Msg) {
		answer := new(dns.Msg)
		answer.SetReply(question)
		for _, q := range question.Question {
			switch {
			case strings.HasSuffix(q.Name, "nowhere.example."):
				answer.Rcode = dns.RcodeNameError
			case q.Qtype == dns.TypeA:
				answer.Answer = append(answer.Answer, &dns.A{Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 1}, A: address})
			}
		}
		_ = w.WriteMsg(answer)
	})
	go func() { _ = (&dns.Server{Listener: stream, Handler: handler}).ActivateAndServe() }()
	go func() { _ = (&dns.Server{PacketConn: packets, Handler: handler}).ActivateAndServe() }()
	return stream.Addr().String(), nil
}
