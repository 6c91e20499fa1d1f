package remote

import (
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/crypto/ssh/knownhosts"
)

func TestKeyFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := testKeys(t).Login()
	signer, err := KeyFile(write("plain", key.PEM()))
	if err != nil || ssh.FingerprintSHA256(signer.PublicKey()) != key.Fingerprint() {
		t.Errorf("got %v, %v", signer, err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(key.private, "", []byte("hunter2"))
	if err != nil {
		t.Fatal(err)
	}
	locked := write("locked", pem.EncodeToMemory(block))
	if _, err := KeyFile(locked); err == nil || !strings.Contains(err.Error(), "ssh-add "+locked) {
		t.Errorf("want a hint at ssh-add, got %v", err)
	}
	if _, err := KeyFile(write("junk", []byte("hello"))); err == nil {
		t.Error("junk was taken")
	}
	if _, err := KeyFile(filepath.Join(dir, "none")); err == nil {
		t.Error("a file that is not there was taken")
	}
}

func TestAgentLogsIn(t *testing.T) {
	keyring := agent.NewKeyring()
	login := testKeys(t).Login()
	if err := keyring.Add(agent.AddedKey{PrivateKey: &login.private}); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(t.TempDir(), "agent")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn, err := listener.Accept()
		if err == nil {
			_ = agent.ServeAgent(keyring, conn)
			_ = conn.Close()
		}
	}()
	signers, closer, err := Agent(t.Context(), socket)
	if err != nil {
		t.Fatal(err)
	}
	key := testKeys(t).Bootstrap(testMark)
	to := target(t, startServer(t, key.Signer()), Identity{Pinned: []ssh.PublicKey{key.Public()}})
	to.Auth = signers
	dial(t, to)
	_ = closer.Close()
	_ = listener.Close()
	<-served
	if _, _, err := Agent(t.Context(), socket); err == nil {
		t.Error("an agent that is gone answers")
	}
}

func TestKnownKeys(t *testing.T) {
	key, other := randomSigner(t).PublicKey(), randomSigner(t).PublicKey()
	file := filepath.Join(t.TempDir(), "known_hosts")
	lines := []string{
		knownhosts.Line([]string{"web.example.com"}, key),
		knownhosts.Line([]string{knownhosts.HashHostname("10.0.0.1")}, key),
		knownhosts.Line([]string{"[10.0.0.1]:2222"}, other),
	}
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	none := filepath.Join(t.TempDir(), "none")
	for address, want := range map[string]ssh.PublicKey{
		"web.example.com": key, "web.example.com:22": key, "10.0.0.1": key, "10.0.0.1:2222": other,
	} {
		got, err := KnownKeys(address, none, file)
		if err != nil || len(got) != 1 || string(got[0].Marshal()) != string(want.Marshal()) {
			t.Errorf("%s: %v, %v", address, got, err)
		}
	}
	for _, files := range [][]string{{file}, {none}, nil} {
		if _, err := KnownKeys("other.example.com", files...); err == nil || !strings.Contains(err.Error(), "no host key of other.example.com") {
			t.Errorf("want that no key is known, got %v", err)
		}
	}
}
