package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Where a user's own key comes from, beside a file.
const (
	LoginVariable = "CLOUDSHIP_SSH_KEY" // the private key itself
	AgentVariable = "SSH_AUTH_SOCK"     // an agent's socket
)

// UserKeysHint says how a user's key is given.
const UserKeysHint = `say identity = "~/.ssh/id_ed25519" in the provider block, run an SSH agent, or put the private key itself into ` + LoginVariable

// UserLogin is a user's own keys for machines that are not ours. They are kept nowhere.
type UserLogin struct {
	Signers []ssh.Signer
	agent   io.Closer
}

// Close ends the connection to the agent, if there is one; after the last login.
func (l *UserLogin) Close() error {
	if l == nil || l.agent == nil {
		return nil
	}
	return l.agent.Close()
}

// UserKeys answers a user's own keys: the one that LoginVariable holds, else that of the file
// identity, else those of the agent. For a file with a passphrase the agent signs. lookup reads
// the environment.
func UserKeys(ctx context.Context, identity string, lookup func(string) (string, bool)) (*UserLogin, error) {
	if text, ok := lookup(LoginVariable); ok && text != "" {
		signer, err := ssh.ParsePrivateKey([]byte(strings.TrimSpace(text) + "\n"))
		if err != nil {
			return nil, fmt.Errorf("%s holds no private key without a passphrase", LoginVariable) // nothing of its content
		}
		return &UserLogin{Signers: []ssh.Signer{signer}}, nil
	}
	socket, _ := lookup(AgentVariable)
	if identity == "" {
		if socket == "" {
			return nil, errors.New("there is no key to log in with")
		}
		return agentKeys(ctx, socket, nil)
	}
	path, err := homePath(identity, lookup)
	if err != nil {
		return nil, err
	}
	signer, err := KeyFile(path)
	if err == nil {
		return &UserLogin{Signers: []ssh.Signer{signer}}, nil
	}
	public, unread := publicPart(path)
	if socket == "" || unread != nil {
		return nil, err
	}
	return agentKeys(ctx, socket, public)
}

// homePath is a path with ~/ for the home folder. Others must be whole: who reads it may stand
// elsewhere.
func homePath(path string, lookup func(string) (string, bool)) (string, error) {
	rest, home := strings.CutPrefix(path, "~/")
	if !home {
		if !filepath.IsAbs(path) {
			return "", fmt.Errorf("identity %q: want a path from / or ~/ on", path)
		}
		return path, nil
	}
	dir, ok := lookup("HOME")
	if !ok || dir == "" {
		return "", fmt.Errorf("identity %q: the home folder is not known (HOME)", path)
	}
	return filepath.Join(dir, rest), nil
}

func publicPart(path string) (ssh.PublicKey, error) {
	text, err := os.ReadFile(path + ".pub")
	if err != nil {
		return nil, err
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(text)
	return key, err
}

// agentKeys are the keys of an agent: the one that is wanted, or all.
func agentKeys(ctx context.Context, socket string, only ssh.PublicKey) (*UserLogin, error) {
	signers, agent, err := Agent(ctx, socket)
	if err != nil {
		return nil, err
	}
	if only != nil {
		signers = slices.DeleteFunc(signers, func(s ssh.Signer) bool { return !bytes.Equal(s.PublicKey().Marshal(), only.Marshal()) })
	}
	if len(signers) == 0 {
		_ = agent.Close()
		return nil, errors.New("the SSH agent does not have the key to log in with")
	}
	return &UserLogin{Signers: signers, agent: agent}, nil
}

// hostname is what a DNS name looks like.
var hostname = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)

// NormalAddress is an address of a host in its one form: without port 22, IPs as they are written
// shortest, names in small letters.
func NormalAddress(address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = strings.Trim(address, "[]"), "22"
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "", fmt.Errorf("address %q: %q is no port", address, port)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		host = ip.String()
	} else if !hostname.MatchString(host) {
		return "", fmt.Errorf("address %q: want a name or an IP", address)
	}
	host = strings.ToLower(host)
	if port == "22" {
		return host, nil
	}
	return net.JoinHostPort(host, port), nil
}
