package remote

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// hostKeyPath is the key that an enrolled host made for itself. Its name
	// does not match ssh_host_*key*, which cloud-init deletes.
	hostKeyPath = "/etc/ssh/cloudship_ed25519_key"
	// certPath is the certificate for it.
	certPath = hostKeyPath + "-cert.pub"
	// dropInPath makes sshd wear them. It sorts first, because in sshd's
	// configuration the first value counts.
	dropInPath = "/etc/ssh/sshd_config.d/00-cloudship.conf"
	// dropIn names a host key, which keeps sshd from its default ones.
	dropIn = "# Made by cloudship.\nHostKey " + hostKeyPath + "\nHostCertificate " + certPath + "\n"
	// certServed is how long a reloaded sshd may take to show its certificate.
	certServed = time.Minute
)

// makeKeyScript makes the host's own key $1 once and prints its public part.
const makeKeyScript = `umask 077
if [ ! -s "$1" ]; then
	rm -f "$1.new" "$1.new.pub"
	ssh-keygen -q -t ed25519 -N '' -C cloudship -f "$1.new"
	mv -f "$1.new.pub" "$1.pub"
	mv -f "$1.new" "$1"
fi
ssh-keygen -y -f "$1"`

// includeScript has sshd read the folder of the drop-in $1, where the
// distribution does not already.
const includeScript = `config=/etc/ssh/sshd_config
if ! grep -Eiq '^[[:space:]]*Include[[:space:]]+"?/etc/ssh/sshd_config\.d/' "$config"; then
	{ printf 'Include /etc/ssh/sshd_config.d/*.conf\n'; cat "$config"; } >"$config.new"
	chmod --reference="$config" "$config.new"
	mv -f "$config.new" "$config"
fi
mkdir -p /run/sshd
sshd=$(command -v sshd || echo /usr/sbin/sshd)
"$sshd" -t
"$sshd" -T | grep -Fixq "hostcertificate $1"`

// reloadScript has sshd read its configuration again, whatever its unit is
// called, once it is not just being started by something else.
const reloadScript = `if [ ! -d /run/systemd/system ]; then
	kill -HUP "$(cat /run/sshd.pid)"
	exit
fi
unit=ssh
systemctl cat ssh.service >/dev/null 2>&1 || unit=sshd
tries=0
until systemctl is-active --quiet "$unit" && systemctl reload "$unit"; do
	tries=$((tries + 1))
	[ "$tries" -lt 30 ]
	sleep 1
done`

// retireScript removes the host keys that came with the server, so that the
// bootstrap key is nowhere but in its user data. It asks for another reload
// (prints "reload") where the configuration names them.
const retireScript = `rm -f /etc/ssh/ssh_host_*key*
sshd=$(command -v sshd || echo /usr/sbin/sshd)
if "$sshd" -T 2>/dev/null | grep -iq '^hostkey /etc/ssh/ssh_host_'; then echo reload; fi`

// Enroll gives the host its own key, made there, with a certificate by ca for
// mark, and takes the bootstrap key out of service. Afterwards only that
// certificate is accepted, also by this Host. It may be repeated and be killed
// anywhere: sshd shows the bootstrap key or the certificate at any time, and
// the next Connect goes on from either.
func (h *Host) Enroll(ctx context.Context, ca Key, mark string) error {
	h.enrolling.Lock()
	defer h.enrolling.Unlock()
	if h.retired {
		return nil
	}
	if err := h.enroll(ctx, ca, mark); err != nil {
		return fmt.Errorf("enrol %s: %w", h.target.Address, err)
	}
	h.retired = true
	return nil
}

func (h *Host) enroll(ctx context.Context, ca Key, mark string) error {
	if mark == "" {
		return errors.New("the server has no mark")
	}
	if err := h.WaitCloudInit(ctx, h.target.Progress); err != nil {
		return err
	}
	if !h.Certified() {
		if err := h.certify(ctx, ca, mark); err != nil {
			return err
		}
		if err := h.wear(ctx, Identity{CA: ca.Public(), Mark: mark}); err != nil {
			// The old keys are still there, so sshd can go back to them.
			return errors.Join(err, h.unwear(context.WithoutCancel(ctx)))
		}
	}
	out, err := h.Run(ctx, Script(retireScript).AsRoot())
	if err != nil || len(out.Stdout) == 0 {
		return err
	}
	_, err = h.Run(ctx, Script(reloadScript).AsRoot())
	return err
}

// certify has the host make its key and puts the certificate for it, and the
// configuration that names both, in place.
func (h *Host) certify(ctx context.Context, ca Key, mark string) error {
	out, err := h.Run(ctx, Script(makeKeyScript, hostKeyPath).AsRoot())
	if err != nil {
		return err
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey(out.Stdout)
	if err != nil {
		return fmt.Errorf("the host's own key: %w", err)
	}
	cert, err := signHost(ca, public, mark)
	if err != nil {
		return err
	}
	if err := h.WriteFile(ctx, certPath, 0o644, "", ssh.MarshalAuthorizedKey(cert)); err != nil {
		return err
	}
	if err := h.WriteFile(ctx, dropInPath, 0o644, "", []byte(dropIn)); err != nil {
		return err
	}
	if _, err := h.Run(ctx, Script(includeScript, certPath).AsRoot()); err != nil {
		return fmt.Errorf("sshd would not take the certificate: %w", err)
	}
	return nil
}

// wear reloads sshd and proves with a new connection, which the host then
// keeps, that the certificate is shown.
func (h *Host) wear(ctx context.Context, id Identity) error {
	if _, err := h.Run(ctx, Script(reloadScript).AsRoot()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, certServed)
	defer cancel()
	for {
		err := h.redial(ctx, id, certServed)
		var old *HostKeyError
		if err == nil || !errors.As(err, &old) {
			return err
		}
		// For a moment the sshd of before may still answer.
		if pause(ctx, retryPause/4) != nil {
			return old
		}
	}
}

// unwear takes an enrolment back that sshd does not show.
func (h *Host) unwear(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, certServed)
	defer cancel()
	if err := h.RemoveFile(ctx, dropInPath); err != nil {
		return err
	}
	_, err := h.Run(ctx, Script(reloadScript).AsRoot())
	return err
}

// signHost makes the certificate by which key is the host key of mark alone.
// It does not expire: a server that was off for a year is still the one.
func signHost(ca Key, key ssh.PublicKey, mark string) (*ssh.Certificate, error) {
	if key.Type() != ssh.KeyAlgoED25519 {
		return nil, fmt.Errorf("the host's own key is %s, want %s", key.Type(), ssh.KeyAlgoED25519)
	}
	cert := &ssh.Certificate{
		Key:             key,
		CertType:        ssh.HostCert,
		KeyId:           mark,
		ValidPrincipals: []string{mark},
		ValidBefore:     ssh.CertTimeInfinity,
	}
	if err := cert.SignCert(rand.Reader, ca.Signer()); err != nil {
		return nil, fmt.Errorf("sign the host certificate: %w", err)
	}
	return cert, nil
}
