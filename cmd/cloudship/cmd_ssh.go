package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cloudship/cloudship/engine"
	"github.com/cloudship/cloudship/remote"
)

type sshOptions struct {
	stackFlags
	print   bool
	hostKey bool
}

func newSSHCommand(t *terminal, g *global) *cobra.Command {
	var o sshOptions
	cmd := &cobra.Command{
		Use:   "ssh SERVER [-- COMMAND [ARG...]]",
		Short: "Open a shell on a server, or run a command there",
		Long: `Open a shell on a server: blue[0], or blue where the group has one server. Only the server that bears this
stack's certificate is accepted. The exit code is that of the shell.

With --print nothing is opened: the command for your own ssh is printed. The key and the certificate
authority that it names are kept in your cache folder, mode 0600.

With --host-key the server's address and own host key are printed, as the provider "hosts" of another stack
names them.`,
		Example: `  cloudship ssh blue[0]
  cloudship ssh green -- docker ps
  cloudship ssh web --host-key`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return runSSH(cmd.Context(), t, g, &o, args[0], args[1:])
		},
	}
	o.addVars(cmd.Flags())
	cmd.SetFlagErrorFunc(beforeDash)
	completes(cmd, t, g, &o.stackFlags, 0, serverNames)
	cmd.Flags().BoolVar(&o.hostKey, "host-key", false, "print the server's address and host key, for a stack that shares it")
	cmd.Flags().BoolVar(&o.print, "print", false, "print the command for your own ssh")
	return cmd
}

func runSSH(ctx context.Context, t *terminal, g *global, o *sshOptions, which string, command []string) error {
	s, err := o.session(ctx, t, g, "ssh")
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	servers, err := s.Servers(ctx, which)
	if err != nil {
		return err
	}
	if len(servers) > 1 {
		return &usageError{fmt.Errorf("%s has %d servers: want one, as in %s[0]", which, len(servers), servers[0].Mark.Address.Name)}
	}
	if o.hostKey {
		return printHostKey(ctx, t, s, servers[0])
	}
	if o.print {
		return printSSH(t, s, servers[0], command)
	}
	host, err := s.Reach(ctx, servers[0])
	if err != nil {
		return err
	}
	screen, back, err := t.handOver(os.Stdout)
	if err != nil {
		return err
	}
	stdout, stderr, done := t.outlets(screen)
	c := remote.Command{Argv: command}
	err = host.Shell(ctx, c, screen, t.in, stdout, stderr)
	done()
	back()
	var exit *remote.ExitError
	if errors.As(err, &exit) && exit.Code >= 0 {
		return &codeError{code: exit.Code}
	}
	return err
}

// printSSH prints the command for the user's own ssh, with what it needs beside it in files.
func printSSH(t *terminal, s *engine.Session, server engine.Server, command []string) error {
	a, err := s.SSHAccess(server)
	if err != nil {
		return err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return fmt.Errorf("find the cache folder: %w", err)
	}
	dir := filepath.Join(cache, "cloudship", "ssh", string(s.ID()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("keep the key: %w", err)
	}
	key, hosts := filepath.Join(dir, "login"), filepath.Join(dir, "known_hosts")
	if err := os.WriteFile(hosts, a.KnownHosts, 0o600); err != nil {
		return fmt.Errorf("keep the host's key: %w", err)
	}
	if len(a.Login) > 0 {
		if err := os.WriteFile(key, a.Login, 0o600); err != nil {
			return fmt.Errorf("keep the key: %w", err)
		}
		a.Identity = key
	}
	argv := append(sshCommand(a, hosts), command...)
	t.result("ssh", quoteAll(argv), map[string]any{"argv": argv})
	return nil
}

// sshCommand is the command line of ssh for an access, with the known hosts in a file.
func sshCommand(a engine.SSHAccess, hosts string) []string {
	argv := []string{"ssh"}
	if a.Identity != "" {
		argv = append(argv, "-i", a.Identity, "-o", "IdentitiesOnly=yes")
	}
	argv = append(argv, "-o", "UserKnownHostsFile="+hosts, "-o", "StrictHostKeyChecking=yes", "-o", "HostKeyAlias="+a.Alias)
	if a.Port != "" {
		argv = append(argv, "-p", a.Port)
	}
	if a.Jump != nil {
		argv = append(argv, "-o", "ProxyCommand="+quoteAll(append(sshCommand(*a.Jump, hosts), "-W", "%h:%p")))
	}
	return append(argv, a.User+"@"+a.Address)
}

func quoteAll(argv []string) string {
	var words []string
	for _, w := range argv {
		words = append(words, remote.Quote(w))
	}
	return strings.Join(words, " ")
}

// printHostKey prints what another stack needs to name the server.
func printHostKey(ctx context.Context, t *terminal, s *engine.Session, server engine.Server) error {
	k, err := s.HostKey(ctx, server)
	if err != nil {
		return err
	}
	t.result("host_key", fmt.Sprintf("{ address = %q, host_key = %q }", k.Address, k.Key), map[string]any{"address": k.Address, "host_key": k.Key})
	return nil
}
