package remote

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func TestKeysAreTheSameEachTime(t *testing.T) {
	a, b := testKeys(t), testKeys(t)
	for name, pair := range map[string][2]Key{
		"login":     {a.Login(), b.Login()},
		"ca":        {a.CA(), b.CA()},
		"bootstrap": {a.Bootstrap("x", "y"), b.Bootstrap("y", "x")},
	} {
		if !bytes.Equal(pair[0].PEM(), pair[1].PEM()) {
			t.Errorf("%s differs", name)
		}
	}
	// A change here locks everybody out of the servers that they have.
	if got, want := a.Login().Fingerprint(), "SHA256:ORPLXhPexIy2rX3lCskZZNgaMcYgilDwIpyY+vhenjU"; got != want {
		t.Errorf("login key %s, want %s", got, want)
	}
}

func TestKeysDifferByEverythingThatNamesThem(t *testing.T) {
	secret := []byte("a sealing key of thirty-two bytes")
	other := []byte("another sealing key of thirty-two")
	derive := func(secret []byte, stack string) Keys {
		k, err := NewKeys(secret, stack)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	k := derive(secret, "shop")
	seen := map[string]string{}
	for name, key := range map[string]Key{
		"login": k.Login(), "ca": k.CA(), "none": k.Bootstrap(), "a": k.Bootstrap("a"), "b": k.Bootstrap("b"),
		"a,b": k.Bootstrap("a", "b"), "ab": k.Bootstrap("ab"), "a1:b": k.Bootstrap("a1:b"),
		"stack": derive(secret, "shop2").Login(), "secret": derive(other, "shop").Login(),
	} {
		if twin := seen[key.Fingerprint()]; twin != "" {
			t.Errorf("%s and %s have one key", name, twin)
		}
		seen[key.Fingerprint()] = name
	}
}

func TestKeysNeedASecretAndAStack(t *testing.T) {
	if _, err := NewKeys(make([]byte, 31), "shop"); err == nil {
		t.Error("31 bytes are enough")
	}
	if _, err := NewKeys(make([]byte, 32), ""); err == nil {
		t.Error("no stack id is needed")
	}
}

func TestKeyPEMIsReadBack(t *testing.T) {
	key := testKeys(t).Bootstrap("a")
	signer, err := ssh.ParsePrivateKey(key.PEM())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(signer.PublicKey().Marshal(), key.Public().Marshal()) {
		t.Error("another key came back")
	}
}

func TestKeysPrintNoSecret(t *testing.T) {
	keys := testKeys(t)
	key := keys.Login()
	for _, text := range []string{
		fmt.Sprint(keys, key), fmt.Sprintf("%v %+v %#v", keys, keys, &keys), fmt.Sprintf("%x %d %#v %s", key, key, key, &key),
	} {
		if strings.Contains(text, "sealing") || strings.Contains(text, fmt.Sprintf("%x", key.private.Seed()[:4])) || strings.Contains(text, "[]byte") {
			t.Errorf("printed %s", text)
		}
	}
	if got := fmt.Sprint(Key{}); got != "no SSH key" {
		t.Errorf("no key prints as %q", got)
	}
}
