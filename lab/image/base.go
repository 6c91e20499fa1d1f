package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
)

const (
	// registryTimeout is how long a registry may take to say its first word.
	registryTimeout = 10 * time.Second
	// pullTimeout bounds a pull that has begun.
	pullTimeout = 5 * time.Minute
)

// base returns the ID of the image of a Debian release.
func (m *maker) base(ctx context.Context, codename string) (id string, err error) {
	names := bases[codename]
	found, err := m.docker.ImageInspect(ctx, names[0])
	if errdefs.IsNotFound(err) {
		if err := m.makeBase(ctx, codename, names[0]); err != nil {
			return "", err
		}
		found, err = m.docker.ImageInspect(ctx, names[0])
	}
	if err != nil {
		return "", err
	}
	_, err = m.docker.ImageTag(ctx, client.ImageTagOptions{Source: names[0], Target: names[1]})
	return found.ID, err
}

func (m *maker) makeBase(ctx context.Context, codename, ref string) error {
	m.progress("pulling " + ref)
	pullErr := m.pull(ctx, ref)
	if pullErr == nil || ctx.Err() != nil {
		return pullErr
	}
	m.progress("no registry answers, making " + ref + " from Debian's packages")
	if err := m.bootstrap(ctx, codename, ref); err != nil {
		return errors.Join(fmt.Errorf("pull: %w", pullErr), err)
	}
	return nil
}

// pull gives up soon where no registry can be reached.
func (m *maker) pull(ctx context.Context, ref string) error {
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	silence := time.AfterFunc(registryTimeout, cancel)
	defer silence.Stop()
	answer, err := m.docker.ImagePull(ctx, ref, client.ImagePullOptions{})
	if err != nil {
		return err
	}
	defer answer.Close()
	for message, err := range answer.JSONMessages(ctx) {
		if err != nil {
			return err
		}
		silence.Stop()
		if message.Error != nil {
			return message.Error
		}
	}
	return ctx.Err()
}

// bootstrap makes the image from packages.
func (m *maker) bootstrap(ctx context.Context, codename, ref string) error {
	if err := m.wantMmdebstrap(ctx); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "cloudship-image-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	tar := filepath.Join(dir, "base.tar")
	cmd := exec.CommandContext(ctx, "mmdebstrap", m.bootstrapArgs(codename, tar)...)
	cmd.Stdin = strings.NewReader(m.apt.sources(codename))
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it cleans up after itself
	cmd.WaitDelay = time.Minute
	if os.Geteuid() != 0 {
		// Then it works as another user, whom a private folder for temporary files shuts out.
		cmd.Env = append(os.Environ(), "TMPDIR=/tmp")
	}
	if err := m.addCerts(dir, cmd); err != nil {
		return err
	}
	if err := run(cmd); err != nil {
		return err
	}
	file, err := os.Open(tar)
	if err != nil {
		return err
	}
	defer file.Close()
	m.progress("importing " + ref)
	name, tag, _ := strings.Cut(ref, ":")
	answer, err := m.docker.ImageImport(ctx, client.ImageImportSource{Source: file, SourceName: "-"}, name,
		client.ImageImportOptions{Tag: tag, Changes: []string{
			`CMD ["bash"]`,
			"ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		}})
	if err != nil {
		return fmt.Errorf("import %s: %w", ref, err)
	}
	defer answer.Close()
	return readMessages(answer, nil)
}

func (m *maker) bootstrapArgs(codename, tar string) []string {
	args := []string{
		"--variant=minbase", "--include=ca-certificates",
		"--dpkgopt=force-unsafe-io", "--aptopt=Acquire::Retries \"5\"",
	}
	if _, err := os.Stat(debianKeyring); err == nil {
		args = append(args, "--keyring="+debianKeyring)
	}
	for line := range strings.Lines(m.apt.conf) {
		args = append(args, "--aptopt="+strings.TrimSuffix(strings.TrimSpace(line), ";"))
	}
	for name := range m.apt.certs {
		args = append(args, "--customize-hook=upload cert-"+name+" /usr/local/share/ca-certificates/"+name)
	}
	if len(m.apt.certs) > 0 {
		args = append(args, `--customize-hook=chroot "$1" update-ca-certificates`)
	}
	args = append(args, codename, tar)
	if len(m.apt.entries) > 0 {
		args = append(args, "-") // the archives are on standard input
	}
	return args
}

// addCerts puts this machine's certificates where the hooks find them.
func (m *maker) addCerts(dir string, cmd *exec.Cmd) error {
	cmd.Dir = dir
	for name, pem := range m.apt.certs {
		if err := os.WriteFile(filepath.Join(dir, "cert-"+name), pem, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// wantMmdebstrap installs the tool where it is missing and may be installed.
func (m *maker) wantMmdebstrap(ctx context.Context) error {
	if _, err := exec.LookPath("mmdebstrap"); err == nil {
		return nil
	}
	if _, err := exec.LookPath("apt-get"); err != nil || os.Geteuid() != 0 {
		return errors.New("mmdebstrap is not installed; install it (apt-get install mmdebstrap), or let this machine reach a registry")
	}
	m.progress("installing mmdebstrap")
	for _, args := range [][]string{
		{"update", "-q"},
		{"install", "-y", "-q", "--no-install-recommends", "mmdebstrap"},
	} {
		cmd := exec.CommandContext(ctx, "apt-get", append([]string{"-o", "DPkg::Lock::Timeout=120"}, args...)...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if err := run(cmd); err != nil {
			return err
		}
	}
	return nil
}

// run puts the end of what a command printed into its error.
func run(cmd *exec.Cmd) error {
	output, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	lines := strings.Split(strings.TrimSpace(string(bytes.ToValidUTF8(output, nil))), "\n")
	return fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, strings.Join(lines[max(0, len(lines)-5):], " / "))
}
