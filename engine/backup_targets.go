package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"

	"github.com/cloudship/cloudship/backup"
	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
	"github.com/cloudship/cloudship/stack"
)

// vault is a target of a backup block that is open.
type vault struct {
	*backup.Store
	name  string
	close func()
}

// vaults opens the targets of a backup block, or the one that is named. At is the moment of what is
// written now, so that it has one name in all of them. Closing them is the caller's.
func (s *Session) vaults(ctx context.Context, b *stack.Backup, only string, at time.Time) ([]vault, error) {
	var names []string
	var open []vault
	for _, t := range b.Targets {
		names = append(names, t.Name)
		if only != "" && only != t.Name {
			continue
		}
		v, err := s.vault(ctx, t, at)
		if err != nil {
			closeVaults(open)
			return nil, fmt.Errorf("backup %s: target %s: %w", b.Name, t.Name, err)
		}
		open = append(open, v)
	}
	if len(open) == 0 {
		return nil, fmt.Errorf("backup %s has no target %q: it has %s", b.Name, only, strings.Join(names, ", "))
	}
	return open, nil
}

func closeVaults(open []vault) {
	for _, v := range open {
		v.close()
	}
}

// vault opens one target.
func (s *Session) vault(ctx context.Context, t stack.BackupTarget, at time.Time) (vault, error) {
	v := vault{name: t.Name, close: func() {}}
	target, err := s.target(ctx, t, &v)
	if err != nil {
		return v, err
	}
	options := backup.Options{Writer: "cloudship"}
	if s.key != nil {
		identity, err := age.ParseX25519Identity(s.key.Secret())
		if err != nil {
			return v, errors.New("the stack's key is no age identity")
		}
		options.Identities, options.Recipients = []age.Identity{identity}, []age.Recipient{identity.Recipient()}
	}
	var named atomic.Bool
	options.Now = func() time.Time {
		if !at.IsZero() && named.CompareAndSwap(false, true) {
			return at
		}
		return time.Now()
	}
	v.Store, err = backup.NewStore(target, s.stack.Name, options)
	return v, err
}

func (s *Session) target(ctx context.Context, t stack.BackupTarget, v *vault) (backup.Target, error) {
	switch {
	case t.Folder != nil:
		path, err := s.path(t.Folder.Path)
		if err != nil {
			return nil, err
		}
		return backup.OpenFolder(path)
	case t.Bucket != nil:
		query := url.Values{}
		if t.Bucket.Region != "" {
			query.Set("region", t.Bucket.Region)
		}
		if t.Bucket.Endpoint != "" {
			query.Set("endpoint", t.Bucket.Endpoint)
		}
		at := url.URL{Scheme: "s3", Host: t.Bucket.Bucket, Path: "/" + t.Bucket.Prefix, RawQuery: query.Encode()}
		return backup.OpenBucket(ctx, backup.Bucket{URL: at.String()})
	}
	shell, err := s.shell(ctx, *t.SSH)
	if err != nil {
		return nil, err
	}
	v.close = func() { _ = shell.host.Close() }
	return backup.OpenShell(shell, t.SSH.Path, "ssh://"+t.SSH.User+"@"+t.SSH.Address+t.SSH.Path)
}

// path is a path as the stack file has it.
func (s *Session) path(written string) (string, error) {
	if rest, ok := strings.CutPrefix(written, "~/"); ok {
		home, ok := s.lookupEnv("HOME")
		if !ok || home == "" {
			return "", fmt.Errorf("%s: HOME is not set", written)
		}
		return filepath.Join(home, rest), nil
	}
	if filepath.IsAbs(written) {
		return written, nil
	}
	return filepath.Join(s.options.Dir, written), nil
}

// shellWait is how long a target that does not answer is tried.
const shellWait = 10 * time.Second

// hostShell runs scripts on another server.
type hostShell struct{ host *remote.Host }

// Run runs a script there.
func (h hostShell) Run(ctx context.Context, script string, args []string, stdin io.Reader, stdout, stderr io.Writer) (status int, err error) {
	err = h.host.Exec(ctx, remote.Script(script, args...), stdin, stdout, stderr)
	var ended *remote.ExitError
	if errors.As(err, &ended) && ended.Code >= 0 {
		return ended.Code, nil
	}
	return 0, err
}

// shell connects to the server of a target, which is known by its host key.
func (s *Session) shell(ctx context.Context, t stack.SSHTarget) (hostShell, error) {
	path, err := s.path(t.Identity)
	if err != nil {
		return hostShell{}, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return hostShell{}, resource.WithHint(fmt.Errorf("the key to log in with: %w", err), "name its file: identity = \"~/.ssh/id_ed25519\"")
	}
	s.options.Redactor.Add(strings.TrimSpace(string(text)))
	signer, err := ssh.ParsePrivateKey(text)
	var sealed *ssh.PassphraseMissingError
	if errors.As(err, &sealed) {
		return hostShell{}, resource.WithHint(fmt.Errorf("the key %s has a passphrase", path), "make a key of its own for backups, without one, that may do nothing else there")
	}
	if err != nil {
		return hostShell{}, fmt.Errorf("the key %s is no private key: %w", path, err)
	}
	known, _, _, _, err := ssh.ParseAuthorizedKey([]byte(t.HostKey))
	if err != nil {
		return hostShell{}, fmt.Errorf("host_key: %w", err)
	}
	host, err := remote.Dial(ctx, remote.Target{
		Address: t.Address, User: t.User, Auth: []ssh.Signer{signer}, Identity: remote.Identity{Pinned: []ssh.PublicKey{known}}, Wait: shellWait,
	})
	if err != nil {
		return hostShell{}, fmt.Errorf("%w: %w", backup.ErrUnreachable, err)
	}
	return hostShell{host}, nil
}
