package certificate

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"
)

// made is a certificate of a test, signed by itself.
func made(t testing.TB, from time.Time, life time.Duration, names ...string) []byte {
	t.Helper()
	key, err := NewKey("ecdsa-p256")
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(4711), Subject: pkix.Name{CommonName: "of a test\x1b[2J"}, DNSNames: names, NotBefore: from, NotAfter: from.Add(life)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestRenewalIsDue(t *testing.T) {
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for _, tt := range []struct{ life, before, due time.Duration }{
		{90 * day, 0, 60 * day},
		{90 * day, 30 * day, 60 * day},
		{90 * day, 10 * day, 80 * day},
		{6 * day, 30 * day, 3 * day}, // not at once, and for ever
		{6 * day, 0, 4 * day},
	} {
		chain, err := ParseChain(made(t, from, tt.life, "a.example"))
		if err != nil {
			t.Fatal(err)
		}
		if due := chain.Renewal(tt.before); !due.Equal(from.Add(tt.due)) {
			t.Errorf("%s of life, %s before: due %s", tt.life, tt.before, due)
		}
	}
}

func TestChainsAreRead(t *testing.T) {
	leaf, other := made(t, time.Now(), time.Hour, "b.example", "a.example"), made(t, time.Now(), time.Hour, "ca.example")
	chain, err := ParseChain([]byte("a note\n" + string(leaf) + "\n" + string(other)))
	if err != nil {
		t.Fatal(err)
	}
	if string(chain.PEM) != string(leaf)+string(other) || !chain.For([]string{"a.example", "b.example"}) || chain.For([]string{"a.example"}) {
		t.Errorf("%v, %q", chain.Names(), chain.PEM)
	}
	facts := chain.Facts(0)
	if facts.Serial != "1267" || len(facts.Fingerprint) != 64 || strings.ContainsRune(facts.Issuer, 0x1b) {
		t.Errorf("%+v", facts)
	}
	key, err := NewKey("ecdsa-p256")
	if err != nil {
		t.Fatal(err)
	}
	private, err := EncodeKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"nothing": "", "half": string(leaf[:len(leaf)/2]), "a private key beside it": string(leaf) + string(private),
		"rubbish in PEM": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "too much": strings.Repeat("x", maxChain+1),
	} {
		if _, err := ParseChain([]byte(text)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// TestTheAccountNeverChanges holds the derived key: another one would be another account, without
// what the first has proven.
func TestTheAccountNeverChanges(t *testing.T) {
	key, err := AccountKey([]byte(strings.Repeat("s", SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	const want = "1e427fe40014b5e49c0ffdb2434204c824af84935eeafd489976764ed636c084"
	if got := hex.EncodeToString(raw); got != want {
		t.Errorf("it is %s", got)
	}
	for _, seed := range [][]byte{make([]byte, SeedSize), []byte(strings.Repeat("\xff", SeedSize))} {
		key, err := AccountKey(seed)
		if err != nil {
			t.Fatal(err)
		}
		sum := []byte("thirty-two bytes that are signed")
		signature, err := ecdsa.SignASN1(rand.Reader, key, sum)
		if err != nil || !ecdsa.VerifyASN1(&key.PublicKey, sum, signature) {
			t.Errorf("a key that does not sign: %v", err)
		}
	}
	if _, err := AccountKey([]byte("short")); err == nil {
		t.Error("a short seed is taken")
	}
}

func FuzzParseChain(f *testing.F) {
	f.Add(made(f, time.Now(), time.Hour, "a.example"))
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		chain, err := ParseChain(text)
		if err != nil {
			return
		}
		again, err := ParseChain(chain.PEM)
		if err != nil || string(again.PEM) != string(chain.PEM) || again.Serial() != chain.Serial() {
			t.Errorf("read again it is another: %v", err)
		}
		chain.Facts(0)
	})
}
