package digitalocean_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/digitalocean/godo"

	"github.com/cloudship/cloudship/resource"
)

// selfSigned makes a certificate and its key in PEM.
func selfSigned(t *testing.T, name string) (chain, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

// certificates are the names of the account's certificates.
func (h *harness) certificates() []string {
	h.Helper()
	list, _, err := h.client().Certificates.List(h.Context(), nil)
	if err != nil {
		h.Fatal(err)
	}
	var names []string
	for _, c := range list {
		names = append(names, c.Name)
	}
	return names
}

func TestCertificatesFromFilesComeAndGoWithTheirListeners(t *testing.T) {
	h := start(t)
	www := resource.LoadBalancer("www")
	call := func(name, digest string) (resource.Call, *resource.LoadBalancerSpec) {
		chain, key := selfSigned(t, name)
		spec := h.resolve(www, &resource.LoadBalancerSpec{Listeners: []resource.Listener{
			{Name: "web", Protocol: "http", Port: 80}, {Name: "tls", Protocol: "https", Port: 443, TargetPort: 80,
				Certificate: &resource.Certificate{Chain: chain, PrivateKey: &resource.Secret{Digest: digest}}}}}).(*resource.LoadBalancerSpec)
		c := h.call(www, spec, "listeners")
		c.Secrets = map[string]string{digest: key}
		return c, spec
	}
	first, spec := call("one.example", "d1")
	h.create(first)
	found := h.list()[www]
	if slices.Contains(found.Observed, "listeners") {
		t.Error("listeners with a certificate from files are said to be observed")
	}
	if len(spec.Listeners) != 2 || spec.Listeners[1].TargetProtocol != "http" {
		t.Errorf("resolved: %+v", spec.Listeners)
	}
	old := h.certificates()
	if len(old) != 1 || !strings.HasPrefix(old[0], mark(www).Encode()+".") {
		t.Errorf("certificates: %q", old)
	}
	second, _ := call("two.example", "d2")
	for range 2 {
		if r := h.provider.Update(t.Context(), second)[0]; r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	if now := h.certificates(); len(now) != 1 || now[0] == old[0] {
		t.Errorf("after the change: %q, before %q", now, old)
	}
	remove := h.call(www, nil)
	if r := h.provider.Delete(t.Context(), remove)[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	if err := h.provider.Retire(t.Context(), stack); err != nil {
		t.Fatal(err)
	}
	if left := h.certificates(); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}

func TestCertificateOfTheAccountIsUsedByName(t *testing.T) {
	h := start(t)
	chain, key := selfSigned(t, "shop.example")
	if _, _, err := h.client().Certificates.Create(t.Context(), &godo.CertificateRequest{Type: "custom", Name: "shop-cert", LeafCertificate: chain, PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	www := resource.LoadBalancer("www")
	spec := func(name string) *resource.LoadBalancerSpec {
		return h.resolve(www, &resource.LoadBalancerSpec{Listeners: []resource.Listener{
			{Name: "tls", Protocol: "https", Port: 443, TargetPort: 80, Certificate: &resource.Certificate{Name: name}}}}).(*resource.LoadBalancerSpec)
	}
	if r := h.provider.Create(t.Context(), h.call(www, spec("shop-crt")))[0]; resource.KindOf(r.Err) != resource.Invalid || !strings.Contains(r.Err.Error(), "shop-cert") {
		t.Errorf("a name with a typo: %v", r.Err)
	}
	h.create(h.call(www, spec("shop-cert")))
	found := h.list()[www]
	if !slices.Contains(found.Observed, "listeners") {
		t.Errorf("observed: %v", found.Observed)
	}
	h.same(found, spec("shop-cert"))
	if r := h.provider.Delete(t.Context(), h.call(www, nil))[0]; r.Err != nil {
		t.Fatal(r.Err)
	}
	if err := h.provider.Retire(t.Context(), stack); err != nil {
		t.Fatal(err)
	}
	if left := h.certificates(); len(left) != 1 {
		t.Errorf("the account's own certificate is gone: %q", left)
	}
}
