//go:build e2e

package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"golang.org/x/crypto/ssh"

	"github.com/cloudship/cloudship/lab/image"
	"github.com/cloudship/cloudship/lab/machine"
)

// lab is a lab of real servers for one test.
type lab struct {
	servers *machine.Containers
	keys    Keys
}

func newLab(t *testing.T) *lab {
	t.Helper()
	servers, err := machine.OpenContainers(t.Context(), t.TempDir(), slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		if err := errors.Join(servers.RemoveAll(ctx), servers.Close()); err != nil {
			t.Errorf("clean up: %v", err)
		}
	})
	return &lab{servers: servers, keys: testKeys(t)}
}

// server makes a server that has just the user data of cloudship, and answers
// how it is reached the first time.
func (l *lab) server(t *testing.T, name, slug string) Target {
	t.Helper()
	bootstrap := l.keys.Bootstrap(name)
	data, err := UserData(bootstrap, l.keys.Login(), nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := l.servers.Create(t.Context(), machine.Spec{ID: name, Name: name, Image: slug, UserData: data, MemoryMB: 1024})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	return Target{
		Address:  m.PublicIP,
		Auth:     []ssh.Signer{l.keys.Login().Signer()},
		Identity: Identity{Mark: "mark of " + name, Pinned: []ssh.PublicKey{bootstrap.Public()}},
		Wait:     2 * time.Minute,
		Progress: func(line string) { t.Logf("%5.1f s %s: %s", time.Since(start).Seconds(), name, line) },
	}
}

// connect dials a server and leaves it enrolled, whichever key it shows, with the host closed at the
// test's end.
func (l *lab) connect(t *testing.T, to Target) *Host {
	t.Helper()
	to.Identity.CA = l.keys.CA().Public()
	h, err := Dial(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	if len(to.Identity.Pinned) > 0 {
		if err := h.Enroll(t.Context(), l.keys.CA(), to.Identity.Mark); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// enrolledOnly is the target of who knows that the server is enrolled.
func (l *lab) enrolledOnly(to Target) Target {
	to.Identity.CA, to.Identity.Pinned = l.keys.CA().Public(), nil
	return to
}

// A bare server becomes one that has Docker and an image, is accepted by its
// certificate alone, and stays so when all is done again and when it reboots.
func TestBareServer(t *testing.T) {
	l := newLab(t)
	for _, slug := range []string{"debian-12-x64", "debian-13-x64"} {
		t.Run(slug, func(t *testing.T) {
			t.Parallel()
			to := l.server(t, strings.TrimSuffix(slug, "-x64"), slug)
			h := l.connect(t, to)
			if !h.Certified() {
				t.Fatal("the server is not enrolled")
			}
			l.refusesTheBootstrapKey(t, to)
			l.bootstraps(t, h)
			l.transfers(t, h)
			l.connect(t, to) // again, as if nothing were known

			_ = h.Close()
			if err := l.servers.Reboot(t.Context(), strings.TrimSuffix(slug, "-x64")); err != nil {
				t.Fatal(err)
			}
			h = l.connect(t, l.enrolledOnly(to))
			l.refusesTheBootstrapKey(t, to)
			l.bootstraps(t, h)
		})
	}
}

// refusesTheBootstrapKey shows that whoever reads the user data cannot play the
// server, nor is the key left on it.
func (l *lab) refusesTheBootstrapKey(t *testing.T, to Target) {
	t.Helper()
	to.Wait, to.Identity.CA = 0, nil
	_, err := Dial(t.Context(), to)
	var refused *HostKeyError
	if !errors.As(err, &refused) {
		t.Fatalf("want the bootstrap key to be out of service, got %v", err)
	}
	h := l.connect(t, l.enrolledOnly(to))
	out, err := h.Run(t.Context(), Script(`ls /etc/ssh | grep '^ssh_host_' || true`))
	if err != nil || len(out.Stdout) > 0 {
		t.Errorf("left in /etc/ssh: %s, %v", out.Stdout, err)
	}
	other := l.enrolledOnly(to)
	other.Wait, other.Identity.Mark = 0, "another mark"
	if _, err := Dial(t.Context(), other); !errors.As(err, &refused) {
		t.Errorf("want another mark to be refused, got %v", err)
	}
}

func (l *lab) bootstraps(t *testing.T, h *Host) {
	t.Helper()
	var installed []bool
	for range 2 {
		report, err := h.Bootstrap(t.Context(), BootstrapOptions{Progress: func(line string) { t.Log(line) }})
		if err != nil {
			t.Fatal(err)
		}
		if report.Facts.Docker == "" || olderThan(report.Facts.DockerAPI, MinDockerAPI) {
			t.Fatalf("facts %+v", report.Facts)
		}
		installed = append(installed, report.Installed)
	}
	if installed[1] {
		t.Error("the second bootstrap installed Docker again")
	}
}

// transfers brings an image to the host and, back from there, finds the same.
func (l *lab) transfers(t *testing.T, h *Host) {
	t.Helper()
	if err := image.EnsureBase(t.Context(), func(line string) { t.Log(line) }); err != nil {
		t.Fatal(err)
	}
	local, err := client.New(client.FromEnv)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = local.Close() })
	one, err := LocalImage(t.Context(), local, image.Base, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for range 2 {
		if err := h.Transfer(t.Context(), []Image{one}, func(line string) { told = append(told, line) }); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(strings.Join(told, "\n"), "there after"); n != 1 {
		t.Errorf("transferred %d times: %q", n, told)
	}
	far, err := h.Docker(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = far.Close() }()
	images, err := far.ImageList(t.Context(), client.ImageListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range images.Items {
		if len(i.RepoTags) != 1 || i.RepoTags[0] != one.Reference() {
			t.Errorf("the host has %q", i.RepoTags)
		}
	}
	back, err := LocalImage(t.Context(), far, one.Reference(), t.TempDir(), nil)
	if err != nil || back.Digest != one.Digest {
		t.Errorf("from the host it is %s, %v; from here %s", back.Digest, err, one.Digest)
	}

	next, err := LocalImage(t.Context(), local, derived(t, local, image.Base), t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	told = nil
	if err := h.Transfer(t.Context(), []Image{next}, func(line string) { told = append(told, line) }); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(told, "\n"); !strings.Contains(got, "sent 0.0 MB of") {
		t.Errorf("a layer that the host has was sent again: %s", got)
	}
}

// derived makes an image in the local engine that adds a layer to base.
func derived(t *testing.T, local *client.Client, base string) string {
	t.Helper()
	c, err := local.ContainerCreate(t.Context(), client.ContainerCreateOptions{
		Config: &container.Config{Image: base, Cmd: []string{"true"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ref := strings.ToLower("cloudship-test/" + strings.ReplaceAll(t.Name(), "/", "-"))
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		_, _ = local.ImageRemove(ctx, ref, client.ImageRemoveOptions{})
		if _, err := local.ContainerRemove(ctx, c.ID, client.ContainerRemoveOptions{}); err != nil {
			t.Error(err)
		}
	})
	if _, err := local.CopyToContainer(t.Context(), c.ID, client.CopyToContainerOptions{
		DestinationPath: "/", Content: bytes.NewReader(archiveOf(t, []file{{name: "added", content: []byte(ref)}})),
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := local.ContainerCommit(t.Context(), c.ID, client.ContainerCommitOptions{Reference: ref}); err != nil {
		t.Fatal(err)
	}
	return ref
}

// An enrolment that is cut anywhere is finished by the next, and the server can
// be reached at any time.
func TestEnrolmentIsCutAnywhere(t *testing.T) {
	l := newLab(t)
	to := l.server(t, "cut", "debian-12-x64")
	h, err := Dial(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.WaitCloudInit(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	ca := l.keys.CA()
	steps := []func(context.Context) error{
		func(ctx context.Context) error { return h.certify(ctx, ca, to.Identity.Mark) },
		func(ctx context.Context) error {
			_, err := h.Run(ctx, Script(reloadScript).AsRoot())
			return err
		},
		func(ctx context.Context) error {
			return h.wear(ctx, Identity{CA: ca.Public(), Mark: to.Identity.Mark})
		},
	}
	to.Identity.CA = ca.Public()
	for n, step := range steps {
		if err := step(t.Context()); err != nil {
			t.Fatal(err)
		}
		_ = h.Close()
		// sshd may just be reading its configuration.
		if h, err = Dial(t.Context(), to); err != nil {
			t.Fatalf("after step %d: %v", n, err)
		}
	}
	_ = h.Close()
	h = l.connect(t, to)
	l.refusesTheBootstrapKey(t, to)

	// In the middle of a call, the context ends.
	for n := range 6 {
		name := fmt.Sprintf("cut-%d", n)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := l.server(t, name, "debian-12-x64")
			h, err := Dial(t.Context(), to)
			if err != nil {
				t.Fatal(err)
			}
			if err := h.WaitCloudInit(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n+1)*120*time.Millisecond)
			defer cancel()
			t.Log(h.Enroll(ctx, ca, to.Identity.Mark))
			_ = h.Close()
			l.connect(t, to)
			l.refusesTheBootstrapKey(t, to)
		})
	}
}

// A user who may sudo does all that root does.
func TestSudoUser(t *testing.T) {
	l := newLab(t)
	to := l.server(t, "sudo", "docker-20-04")
	root := l.connect(t, to)
	if _, err := root.Run(t.Context(), Script(`useradd -m -s /bin/bash ann
echo 'ann ALL=(ALL) NOPASSWD:ALL' >/etc/sudoers.d/ann
install -d -o ann -m 0700 ~ann/.ssh
install -o ann -m 0600 ~/.ssh/authorized_keys ~ann/.ssh/`)); err != nil {
		t.Fatal(err)
	}
	to = l.enrolledOnly(to)
	to.User = "ann"
	h := l.connect(t, to)
	var refused *DockerError
	if _, err := h.Docker(t.Context()); !errors.As(err, &refused) || !strings.Contains(refused.Hint, "group docker") {
		t.Errorf("want a hint at the group docker, got %v", err)
	}
	report, err := h.Bootstrap(t.Context(), BootstrapOptions{})
	if err != nil || report.Installed {
		t.Fatalf("bootstrap: installed %v, %v: %q", report.Installed, err, report.Lines)
	}
	if err := h.WriteFile(t.Context(), "/etc/ann", 0o600, "", []byte("hers")); err != nil {
		t.Fatal(err)
	}
	out, err := root.Run(t.Context(), Argv("stat", "-c", "%U %a", "/etc/ann"))
	if err != nil || string(out.Stdout) != "root 600\n" {
		t.Errorf("the file is %s, %v", out.Stdout, err)
	}
	docker, err := h.Docker(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	_ = docker.Close()
}

// Many servers that boot at once are enrolled while their sshds restart.
func TestManyServersAtOnce(t *testing.T) {
	l := newLab(t)
	var pool Pool
	defer func() { _ = pool.Close() }()
	var running sync.WaitGroup
	for n := range 4 {
		to := l.server(t, fmt.Sprintf("many-%d", n), []string{"debian-12-x64", "debian-13-x64"}[n%2])
		running.Go(func() {
			to.Identity.CA = l.keys.CA().Public()
			h, err := pool.Get(t.Context(), to)
			if err == nil {
				err = h.Enroll(t.Context(), l.keys.CA(), to.Identity.Mark)
			}
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := h.Run(t.Context(), Argv("true")); err != nil || !h.Certified() {
				t.Errorf("%s: certified %v, %v", to.Address, h.Certified(), err)
			}
		})
	}
	running.Wait()
}

// A cancelled command is gone from the host, not only from here.
func TestCancelledCommandIsKilledOnTheHost(t *testing.T) {
	l := newLab(t)
	h := l.connect(t, l.server(t, "cancel", "debian-12-x64"))
	ctx, cancel := context.WithCancel(t.Context())
	err := h.Stream(ctx, Script("echo begun; exec sleep 4242"), func(string) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("want context.Canceled, got %v", err)
	}
	if _, err := h.Run(t.Context(), Script(`tries=0
while pgrep -f '^sleep 4242' >/dev/null; do
	tries=$((tries + 1)); [ "$tries" -lt 50 ]; sleep 0.2
done`)); err != nil {
		t.Errorf("it still runs: %v", err)
	}
}
