//go:build e2e

package machine

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// bench is a lab for one test: a host, a client's key, and the host key that
// user data gives to its servers.
type bench struct {
	host    *Containers
	client  ssh.Signer
	hostKey ssh.Signer
	spec    Spec
}

func newKey(t *testing.T) (ssh.Signer, string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	return signer, string(pem.EncodeToMemory(block))
}

func authorizedKey(s ssh.Signer) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.PublicKey())))
}

func newBench(t *testing.T) *bench {
	t.Helper()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	host, err := OpenContainers(t.Context(), t.TempDir(), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		if err := errors.Join(host.RemoveAll(ctx), host.Close()); err != nil {
			t.Errorf("clean up: %v", err)
		}
		if left := leftovers(t, host.lab); left != "" {
			t.Errorf("left behind:\n%s", left)
		}
	})
	client, _ := newKey(t)
	hostKey, hostPEM := newKey(t)
	userData := "#cloud-config\nssh_keys:\n  ed25519_private: |\n    " +
		strings.ReplaceAll(strings.TrimSpace(hostPEM), "\n", "\n    ") +
		"\n  ed25519_public: " + authorizedKey(hostKey) + "\nruncmd:\n  - echo done > /root/user-data-ran\n"
	return &bench{host: host, client: client, hostKey: hostKey, spec: Spec{
		Name: "web-1", Image: "debian-12-x64", UserData: userData,
		AuthorizedKeys: []string{authorizedKey(client)}, MemoryMB: 512, CPUs: 1,
		Labels: map[string]string{"size": "small"},
	}}
}

func leftovers(t *testing.T, lab string) string {
	t.Helper()
	var left strings.Builder
	for _, args := range [][]string{{"ps", "-aq"}, {"network", "ls", "-q"}, {"volume", "ls", "-q"}} {
		out, err := exec.Command("docker", append(args, "--filter", "label="+labLabel+"="+lab)...).CombinedOutput()
		if err != nil {
			t.Errorf("docker %s: %v", args[0], err)
		}
		left.Write(out)
	}
	return left.String()
}

// dial logs in as soon as sshd answers; a wrong host key ends the wait.
func (b *bench) dial(t *testing.T, address string) *ssh.Client {
	t.Helper()
	conn, err := b.tryDial(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func (b *bench) tryDial(ctx context.Context, address string) (*ssh.Client, error) {
	config := &ssh.ClientConfig{
		User: "root", Auth: []ssh.AuthMethod{ssh.PublicKeys(b.client)}, Timeout: 2 * time.Second,
		HostKeyCallback: b.checkKey,
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		conn, err := ssh.Dial("tcp", net.JoinHostPort(address, "22"), config)
		var wrong *wrongKey
		if err == nil || errors.As(err, &wrong) {
			return conn, err
		}
		if pause(ctx, 50*time.Millisecond) != nil {
			return nil, fmt.Errorf("sshd on %s: %w", address, err)
		}
	}
}

type wrongKey struct{ key ssh.PublicKey }

func (w *wrongKey) Error() string { return "wrong host key " + ssh.FingerprintSHA256(w.key) }

func (b *bench) checkKey(_ string, _ net.Addr, key ssh.PublicKey) error {
	if !bytes.Equal(key.Marshal(), b.hostKey.PublicKey().Marshal()) {
		return &wrongKey{key}
	}
	return nil
}

func command(t *testing.T, conn *ssh.Client, line string) string {
	t.Helper()
	out, err := tryCommand(conn, line, nil)
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return out
}

func tryCommand(conn *ssh.Client, line string, stdin io.Reader) (string, error) {
	session, err := conn.NewSession()
	if err != nil {
		return "", err
	}
	defer session.Close()
	session.Stdin = stdin
	out, err := session.CombinedOutput(line)
	return strings.TrimSpace(string(out)), err
}

func (b *bench) create(t *testing.T, id string) Machine {
	t.Helper()
	s := b.spec
	s.ID = id
	m, err := b.host.Create(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The whole life of a server: boot, user data, Docker, power, deletion.
func TestServer(t *testing.T) {
	b := newBench(t)
	b.spec.MemoryMB = 1024
	start := time.Now()
	lap := func(what string) { t.Logf("%-30s %s", what, time.Since(start).Round(10*time.Millisecond)) }
	m := b.create(t, "1")
	lap("created")
	conn := b.dial(t, m.PublicIP)
	lap("logged in")
	if out, err := tryCommand(conn, "cloud-init status --wait --long", nil); err != nil || !strings.Contains(out, "status: done") {
		t.Errorf("cloud-init: %v\n%s", err, out)
	}
	lap("cloud-init done")
	if got := command(t, conn, "cat /root/user-data-ran; hostname; systemctl is-system-running --wait; ls /etc/ssh/*_key"); got != "done\nweb-1\nrunning\n/etc/ssh/ssh_host_ed25519_key" {
		t.Errorf("user data, host name, units, host keys: %q", got)
	}
	if other := b.dial(t, m.PrivateIP); other == nil {
		t.Error("no login over the private address")
	}
	command(t, conn, "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends docker.io")
	lap("Docker installed")
	b.runNested(t, conn, m)
	lap("nested container served")

	command(t, conn, "echo kept > /root/kept; sync")
	if err := b.host.SetPower(t.Context(), "1", false); err != nil {
		t.Fatal(err)
	}
	lap("power off")
	if list, err := b.host.List(t.Context()); err != nil || len(list) != 1 || list[0].Running || list[0].PublicIP != m.PublicIP {
		t.Errorf("while off: %+v, %v", list, err)
	}
	if err := b.host.SetPower(t.Context(), "1", true); err != nil {
		t.Fatal(err)
	}
	conn = b.dial(t, m.PublicIP)
	lap("power on and logged in")
	if got := command(t, conn, "cat /root/kept"); got != "kept" {
		t.Errorf("the disk has %q", got)
	}
	if err := b.host.Reboot(t.Context(), "1"); err != nil {
		t.Fatal(err)
	}
	conn = b.dial(t, m.PublicIP)
	lap("rebooted and logged in")
	if got := command(t, conn, "systemctl is-system-running --wait; docker ps -aq | wc -l; cloud-init status"); got != "running\n1\nstatus: done" {
		t.Errorf("after the reboot: %q", got)
	}
	for range 2 {
		if err := b.host.Delete(t.Context(), "1"); err != nil {
			t.Fatal(err)
		}
	}
	lap("deleted")
}

// runNested runs a web server in a container on the server.
func (b *bench) runNested(t *testing.T, conn *ssh.Client, m Machine) {
	t.Helper()
	read, write := io.Pipe()
	save := exec.CommandContext(t.Context(), "docker", "save", "debian:bookworm")
	save.Stdout = write
	go func() { write.CloseWithError(save.Run()) }()
	if out, err := tryCommand(conn, "docker load", read); err != nil {
		t.Fatalf("docker load: %v\n%s", err, out)
	}
	command(t, conn, `docker run -d --name web -p 80:80 debian:bookworm perl -MIO::Socket::INET -e '
		my $s = IO::Socket::INET->new(LocalPort => 80, Listen => 5, ReuseAddr => 1) or die;
		while (my $c = $s->accept) { sysread $c, my $q, 4096; print $c "HTTP/1.0 200 OK\r\n\r\nhello\n"; close $c }'`)
	for _, address := range []string{m.PublicIP, m.PrivateIP} {
		if got := fetch(t, address); got != "hello\n" {
			t.Errorf("the nested container on %s answered %q", address, got)
		}
	}
	if got := command(t, conn, "docker run --rm debian:bookworm sh -c 'apt-get update -q >/dev/null && echo reached'"); !strings.Contains(got, "reached") {
		t.Errorf("network out of a nested container: %q", got)
	}
	if got := command(t, conn, "docker info --format '{{.Driver}}'"); got != "overlay2" && got != "overlayfs" {
		t.Errorf("nested storage driver %s", got)
	}
}

func fetch(t *testing.T, address string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		out, err := exec.CommandContext(ctx, "curl", "-sS", "--noproxy", "*", "-m", "5", "http://"+address+"/").Output()
		if err == nil {
			return string(out)
		}
		if pause(ctx, 100*time.Millisecond) != nil {
			t.Fatalf("http://%s: %v", address, err)
		}
	}
}

// From the first connection on sshd shows the key that user data gave, and
// never another one.
func TestOnlyTheHostKeyOfTheUserDataIsEverShown(t *testing.T) {
	for _, slug := range []string{"debian-12-x64", "debian-13-x64", "docker-20-04"} {
		t.Run(slug, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.spec.Image = slug
			m := b.create(t, "1")
			var mu sync.Mutex
			seen := map[string]int{}
			config := &ssh.ClientConfig{
				User: "root", Timeout: time.Second,
				HostKeyAlgorithms: []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoRSASHA256},
				HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
					mu.Lock()
					defer mu.Unlock()
					seen[ssh.FingerprintSHA256(key)]++
					return errors.New("only looked")
				},
			}
			ctx, stop := context.WithCancel(t.Context())
			var looking sync.WaitGroup
			for _, algorithm := range config.HostKeyAlgorithms {
				only := *config
				only.HostKeyAlgorithms = []string{algorithm}
				looking.Go(func() {
					for pause(ctx, 30*time.Millisecond) == nil {
						if conn, err := ssh.Dial("tcp", net.JoinHostPort(m.PublicIP, "22"), &only); err == nil {
							conn.Close()
						}
					}
				})
			}
			conn := b.dial(t, m.PublicIP)
			if out, err := tryCommand(conn, "cloud-init status --wait", nil); err != nil {
				t.Errorf("cloud-init: %v\n%s", err, out)
			}
			stop()
			looking.Wait()
			want := ssh.FingerprintSHA256(b.hostKey.PublicKey())
			if len(seen) != 1 || seen[want] == 0 {
				t.Errorf("host keys seen: %v, want only %s", seen, want)
			}
		})
	}
}

// Memory holds for all that runs on a server.
func TestMemoryIsBounded(t *testing.T) {
	b := newBench(t)
	b.spec.MemoryMB = 256
	conn := b.dial(t, b.create(t, "1").PublicIP)
	out, err := tryCommand(conn, "cloud-init status --wait >/dev/null; perl -e '$x = \"a\" x (400 << 20); print length $x'", nil)
	if err == nil {
		t.Errorf("400 MB were had on a server of 256 MB: %s", out)
	}
	if got := command(t, conn, "echo alive"); got != "alive" {
		t.Errorf("the server itself: %q", got)
	}
}

// Servers outlive the process that made them, and their addresses are not
// given to others.
func TestAnotherProcessFindsTheServers(t *testing.T) {
	b := newBench(t)
	first := b.create(t, "1")
	second := b.create(t, "2")
	if first.PublicIP == second.PublicIP || first.PrivateIP == second.PrivateIP {
		t.Errorf("two servers share an address: %+v, %+v", first, second)
	}
	again := &Containers{docker: b.host.docker, log: b.host.log, lab: b.host.lab, held: map[byte]bool{}}
	list, err := again.List(t.Context())
	if err != nil || len(list) != 2 || fmt.Sprint(list[0]) != fmt.Sprint(first) {
		t.Errorf("found %+v, %v, want %+v first", list, err, first)
	}
	s := b.spec
	s.ID = "3"
	third, err := again.Create(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if third.PublicIP == first.PublicIP || third.PublicIP == second.PublicIP {
		t.Errorf("the address %s is given out twice", third.PublicIP)
	}
	if _, err := again.Create(t.Context(), s); err == nil {
		t.Error("a server of the same ID was made again")
	}
	if err := again.SetPower(t.Context(), "9", true); !errors.Is(err, ErrGone) {
		t.Errorf("power of a server that is not there: %v", err)
	}
}

// A create that is broken off leaves nothing.
func TestCancelledCreateLeavesNothing(t *testing.T) {
	b := newBench(t)
	b.create(t, "1")
	for _, after := range []time.Duration{10, 50, 100, 200, 400} {
		ctx, cancel := context.WithTimeout(t.Context(), after*time.Millisecond)
		s := b.spec
		s.ID = fmt.Sprintf("cut-%d", after)
		m, err := b.host.Create(ctx, s)
		cancel()
		list, listErr := b.host.List(t.Context())
		if listErr != nil {
			t.Fatal(listErr)
		}
		found := false
		for _, one := range list {
			found = found || one.ID == s.ID
		}
		if found != (err == nil) {
			t.Errorf("after %d ms: created %+v, error %v, and found is %v", after, m, err, found)
		}
	}
}
