package remote

import (
	"bytes"
	"crypto/ed25519"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// privateKey makes a key: its public part, and its private one in PEM, with a passphrase if there is one.
func privateKey(t *testing.T, passphrase string) (ssh.PublicKey, ed25519.PrivateKey, string) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if passphrase != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(private, "", []byte(passphrase))
	}
	if err != nil {
		t.Fatal(err)
	}
	return signer.PublicKey(), private, string(pem.EncodeToMemory(block))
}

// serveAgent serves an agent that has some keys, and gives its socket.
func serveAgent(t *testing.T, keys ...ed25519.PrivateKey) string {
	t.Helper()
	ring := agent.NewKeyring()
	for _, k := range keys {
		if err := ring.Add(agent.AddedKey{PrivateKey: k}); err != nil {
			t.Fatal(err)
		}
	}
	dir, err := os.MkdirTemp("", "agent-") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close(); _ = os.RemoveAll(dir) })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _ = agent.ServeAgent(ring, conn); _ = conn.Close() }()
		}
	}()
	return socket
}

func TestUserKeysComeFromWhereTheyAreSaid(t *testing.T) {
	home := t.TempDir()
	plain, _, plainPEM := privateKey(t, "")
	locked, lockedKey, lockedPEM := privateKey(t, "a passphrase")
	given, _, givenPEM := privateKey(t, "")
	other, otherKey, _ := privateKey(t, "")
	for name, content := range map[string]string{
		"plain": plainPEM, "locked": lockedPEM, "locked.pub": string(ssh.MarshalAuthorizedKey(locked)), "rubbish": "rubbish",
	} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	both, none := serveAgent(t, lockedKey, otherKey), serveAgent(t)
	for name, test := range map[string]struct {
		identity string
		env      map[string]string
		want     []ssh.PublicKey
		wrong    string
	}{
		"a file":                          {"~/plain", nil, []ssh.PublicKey{plain}, ""},
		"the variable comes first":        {"~/plain", map[string]string{LoginVariable: givenPEM}, []ssh.PublicKey{given}, ""},
		"the variable without a line end": {"", map[string]string{LoginVariable: strings.TrimSpace(givenPEM)}, []ssh.PublicKey{given}, ""},
		"the agent":                       {"", map[string]string{AgentVariable: both}, []ssh.PublicKey{locked, other}, ""},
		"the agent for a locked file":     {"~/locked", map[string]string{AgentVariable: both}, []ssh.PublicKey{locked}, ""},
		"an agent without that key":       {"~/locked", map[string]string{AgentVariable: none}, nil, "does not have the key"},
		"a locked file and no agent":      {"~/locked", nil, nil, "passphrase"},
		"nothing":                         {"", nil, nil, "no key to log in with"},
		"no such file":                    {"~/missing", nil, nil, "missing"},
		"no key in the file":              {"~/rubbish", nil, nil, "rubbish"},
		"a file from here":                {"plain", nil, nil, "want a path"},
		"no key in the variable":          {"", map[string]string{LoginVariable: "SECRET rubbish"}, nil, LoginVariable},
		"no agent at the socket":          {"", map[string]string{AgentVariable: filepath.Join(home, "nothing")}, nil, "SSH agent"},
	} {
		l, err := UserKeys(t.Context(), test.identity, func(name string) (string, bool) {
			if name == "HOME" {
				return home, true
			}
			v, ok := test.env[name]
			return v, ok
		})
		if test.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), test.wrong) || strings.Contains(err.Error(), "SECRET") {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(l.Signers) != len(test.want) {
			t.Errorf("%s: %d keys, want %d", name, len(l.Signers), len(test.want))
		}
		for _, want := range test.want {
			found := false
			for _, s := range l.Signers {
				found = found || bytes.Equal(s.PublicKey().Marshal(), want.Marshal())
			}
			if !found {
				t.Errorf("%s: a key is missing", name)
			}
		}
		if err := l.Close(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNormalAddress(t *testing.T) {
	for in, want := range map[string]string{
		"203.0.113.7": "203.0.113.7", "203.0.113.7:22": "203.0.113.7", "203.0.113.7:2222": "203.0.113.7:2222",
		"Example.COM": "example.com", "example.com:22": "example.com", "2001:DB8::0:1": "2001:db8::1", "[2001:db8::1]": "2001:db8::1",
		"[2001:db8::1]:22": "2001:db8::1", "[2001:db8::1]:2222": "[2001:db8::1]:2222",
		"": "", "host:0": "", "host:70000": "", "a b": "", "root@host": "", "-oProxyCommand=x": "", "a\nb": "",
	} {
		have, err := NormalAddress(in)
		if have != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v; want %q", in, have, err, want)
		}
	}
}

func FuzzNormalAddress(f *testing.F) {
	for _, seed := range []string{"203.0.113.7:2222", "[2001:db8::1]:22", "Example.COM", "::1%lo"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		once, err := NormalAddress(address)
		if err != nil {
			return
		}
		if twice, err := NormalAddress(once); err != nil || twice != once {
			t.Errorf("%q is %q, and then %q, %v", address, once, twice, err)
		}
		if strings.ContainsAny(once, " \n'\"") || strings.HasPrefix(once, "-") {
			t.Errorf("%q is let through as %q", address, once)
		}
	})
}
