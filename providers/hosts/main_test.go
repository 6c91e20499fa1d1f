package hosts_test

import (
	"fmt"
	"os"
	"strconv"
	"testing"

	"github.com/cloudship/cloudship/plugins"
	"github.com/cloudship/cloudship/providers/hosts"
	"github.com/cloudship/cloudship/resource"
)

var builtIn = plugins.BuiltIn{"hosts": hosts.New}

func TestMain(m *testing.M) {
	builtIn.ServeIfAsked()
	os.Exit(m.Run())
}

const stack = resource.StackID("shop-k3v9qd")

func itoa(n uint32) string { return strconv.Itoa(int(n)) }

// rack is some machines, and the key that they let in.
type rack struct {
	*testing.T
	machines []*sshd
	login    string // the private key
	values   map[string]any
}

// newRack starts machines m0, m1, ...
func newRack(t *testing.T, n int) *rack {
	t.Helper()
	signer, private := newKey(t)
	r := &rack{T: t, login: private}
	named := map[string]any{}
	for i := range n {
		m := serveSSH(t, signer.PublicKey())
		r.machines = append(r.machines, m)
		named[fmt.Sprintf("m%d", i)] = map[string]any{"address": m.address(), "host_key": m.key()}
	}
	r.values = map[string]any{"hosts": named}
	return r
}

// source starts the provider's process with nothing in its environment but the key.
func (r *rack) source() plugins.Source {
	return plugins.Source{Name: "hosts", Stderr: r.Output(), LookupEnv: func(name string) (string, bool) {
		switch name {
		case "CLOUDSHIP_SSH_KEY":
			return r.login, r.login != ""
		case "PATH", "HOME":
			return os.LookupEnv(name)
		}
		return "", false
	}}
}

// open starts the provider's process and configures it.
func (r *rack) open() *plugins.Client {
	r.Helper()
	c := r.started()
	if err := c.Configure(r.Context(), resource.Config{Alias: "mine", Values: r.values}); err != nil {
		r.Fatal(err)
	}
	return c
}

func (r *rack) started() *plugins.Client {
	r.Helper()
	c, err := plugins.Start(r.Context(), r.source())
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { _ = c.Close() })
	return c
}

// names are the machines' names.
func (r *rack) names() []any {
	var list []any
	for i := range r.machines {
		list = append(list, fmt.Sprintf("m%d", i))
	}
	return list
}
