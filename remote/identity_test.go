package remote

import (
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// certified is a host key with a certificate, as ca would sign it after edit.
func certified(t *testing.T, ca Key, mark string, edit func(*ssh.Certificate)) ssh.Signer {
	t.Helper()
	key := randomSigner(t)
	cert, err := signHost(ca, key.PublicKey(), mark)
	if err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(cert)
		if err := cert.SignCert(rand.Reader, ca.Signer()); err != nil {
			t.Fatal(err)
		}
	}
	signer, err := ssh.NewCertSigner(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func TestDialAcceptsTheCertificateOfThisServerAlone(t *testing.T) {
	keys := testKeys(t)
	ca := keys.CA()
	other, err := NewKeys([]byte("another sealing key of thirty-two"), "shop-k3v9")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key ssh.Signer
		why string
	}{
		"its own":           {certified(t, ca, testMark, nil), ""},
		"another server's":  {certified(t, ca, "shop-k3v9/group.blue.server[1]#1", nil), "another server"},
		"another authority": {certified(t, other.CA(), testMark, nil), "another authority"},
		"two principals": {certified(t, ca, testMark, func(c *ssh.Certificate) {
			c.ValidPrincipals = append(c.ValidPrincipals, "more")
		}), "another server"},
		"a user's":       {certified(t, ca, testMark, func(c *ssh.Certificate) { c.CertType = ssh.UserCert }), "no host certificate"},
		"expired":        {certified(t, ca, testMark, func(c *ssh.Certificate) { c.ValidBefore = 1 }), "expired"},
		"no certificate": {randomSigner(t), "want a certificate for " + testMark},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, c.key)
			h, err := Dial(t.Context(), target(t, s, Identity{CA: ca.Public(), Mark: testMark}))
			if c.why == "" {
				if err != nil {
					t.Fatal(err)
				}
				if !h.Certified() {
					t.Error("the certificate was not noticed")
				}
				_ = h.Close()
				return
			}
			var refused *HostKeyError
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), c.why) {
				t.Errorf("want a HostKeyError with %q, got %v", c.why, err)
			}
		})
	}
}

// A server between two steps of its enrolment shows both: then the certificate
// is taken. Who knows that it is enrolled accepts nothing else.
func TestDialPrefersTheCertificate(t *testing.T) {
	keys := testKeys(t)
	bootstrap := keys.Bootstrap(testMark)
	s := startServer(t, bootstrap.Signer(), certified(t, keys.CA(), testMark, nil))
	both := Identity{CA: keys.CA().Public(), Mark: testMark, Pinned: []ssh.PublicKey{bootstrap.Public()}}
	if h := dial(t, target(t, s, both)); !h.Certified() {
		t.Error("the bootstrap key was taken")
	}

	s = startServer(t, bootstrap.Signer())
	if h := dial(t, target(t, s, both)); h.Certified() {
		t.Error("a bootstrap key counts as a certificate")
	}
	both.Pinned = nil
	_, err := Dial(t.Context(), target(t, s, both))
	var refused *HostKeyError
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), bootstrap.Fingerprint()) {
		t.Errorf("want a HostKeyError that names the bootstrap key, got %v", err)
	}
}

// A certificate without a name is good for every name in OpenSSH, not here.
func TestIdentityRefusesACertificateWithoutAMark(t *testing.T) {
	ca := testKeys(t).CA()
	cert, err := signHost(ca, randomSigner(t).PublicKey(), testMark)
	if err != nil {
		t.Fatal(err)
	}
	cert.ValidPrincipals = nil
	for _, mark := range []string{testMark, ""} {
		if err := (Identity{CA: ca.Public(), Mark: mark}).verify(cert); err == nil {
			t.Errorf("accepted for %q", mark)
		}
	}
}

func TestSignHostSignsOnlyTheKindOfKeyThatItAskedFor(t *testing.T) {
	if _, err := signHost(testKeys(t).CA(), certified(t, testKeys(t).CA(), "a", nil).PublicKey(), "a"); err == nil {
		t.Error("signed a certificate")
	}
}
