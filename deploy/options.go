package deploy

import (
	"context"

	"github.com/moby/moby/client"
	"golang.org/x/crypto/ssh"

	"github.com/cloudship/cloudship/remote"
	"github.com/cloudship/cloudship/resource"
)

// Options are what the drivers need to know of the stack.
type Options struct {
	Stack     resource.StackID
	Keys      remote.Keys // all SSH keys of the stack
	Logins    Logins      // for servers that existed before
	User      string      // who logs in on servers; empty is root
	Dir       string      // the stack's folder: where test commands run
	Cache     string      // folder for image layers that are handed over
	Auths     Auths
	Account   func(directory string) []byte                     // what the key of the account at a CA is made of: certificate.SeedSize bytes
	Externals map[string]string                                 // existing services by name: host and port, tried from every server before a release
	Local     func(ctx context.Context) (*client.Client, error) // the Docker engine on this machine
	Keep      int                                               // releases that a server keeps; 0: five
	Environ   []string                                          // of test commands
	Probe     bool                                              // false: --no-probe
}

// Auths gives the credentials for a registry, by its host name.
type Auths func(ctx context.Context, registry string) (user, password string, err error)

// Logins gives the user's own keys for the servers of a provider whose servers existed before.
type Logins func(ctx context.Context, provider string) ([]ssh.Signer, error)

func (o Options) keep() int {
	if o.Keep > 0 {
		return o.Keep
	}
	return 5
}
