package engine

import (
	"context"
	"fmt"
	"net"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/cloudship/cloudship/resource"
)

// SSHAccess is what another SSH client needs to reach a server as we do.
type SSHAccess struct {
	User       string
	Address    string
	Port       string     // empty: 22
	Alias      string     // the host's name as KnownHosts has it
	Login      []byte     // the private key in OpenSSH's format; none where the user logs in with an own one
	Identity   string     // the user's own private key file; empty for an agent's
	KnownHosts []byte     // what proves that it is the host, and those on the way
	Jump       *SSHAccess // the host through which this one is reached
}

// SSHAccess gives what another SSH client needs for a server that Servers gave. It is refused for one
// that does not show its certificate yet.
func (s *Session) SSHAccess(server Server) (SSHAccess, error) {
	if server.Facts.Access != nil {
		identity, _ := s.blocks()[server.Provider].config.Values["identity"].(string)
		return existingAccess(*server.Facts.Access, server.Mark.Encode(), identity), nil
	}
	if !server.Enrolled {
		return SSHAccess{}, notEnrolled(server)
	}
	keys, err := s.keys()
	if err != nil {
		return SSHAccess{}, err
	}
	login := keys.Login()
	s.options.Redactor.Add(string(login.PEM()))
	return SSHAccess{
		User: "root", Address: server.Facts.PublicIP, Alias: server.Mark.Encode(), Login: login.PEM(),
		KnownHosts: []byte("@cert-authority * " + keys.CA().AuthorizedKey() + "\n"),
	}, nil
}

func notEnrolled(server Server) error {
	return resource.WithHint(fmt.Errorf("%s has no certificate yet", server.Mark.Address), "'cloudship apply' enrols it")
}

// existingAccess is the access to a server that existed before.
func existingAccess(a resource.Access, alias, identity string) SSHAccess {
	access := SSHAccess{User: or(a.User, "root"), Address: a.Address, Alias: alias, Identity: identity, KnownHosts: []byte(alias + " " + a.HostKey + "\n")}
	if host, port, err := net.SplitHostPort(a.Address); err == nil {
		access.Address, access.Port = host, port
	}
	if a.Jump != nil {
		jump := existingAccess(*a.Jump, alias+".jump", identity)
		access.Jump = &jump
		access.KnownHosts = append(access.KnownHosts, jump.KnownHosts...)
	}
	return access
}

// HostKey is a server as the provider hosts names a machine: with its address and its own key.
type HostKey struct {
	Address string `json:"address"`
	Key     string `json:"host_key"`
}

// HostKey asks a server for its key, so that another stack can name it. Who is asked is sure: a
// server of a cloud shows the certificate for its mark.
func (s *Session) HostKey(ctx context.Context, server Server) (HostKey, error) {
	if a := server.Facts.Access; a != nil {
		return HostKey{a.Address, a.HostKey}, nil
	}
	if !server.Enrolled {
		return HostKey{}, notEnrolled(server)
	}
	host, err := s.Reach(ctx, server)
	if err != nil {
		return HostKey{}, err
	}
	return HostKey{server.Facts.PublicIP, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(host.HostKey())))}, nil
}
