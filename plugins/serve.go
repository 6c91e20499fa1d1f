package plugins

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/cloudship/cloudship/plugins/pluginpb"
	"github.com/cloudship/cloudship/resource"
)

// Serve is the whole main of a provider plugin. It answers the program that started this process,
// and returns when that asks it to end. When the parent is gone, the process ends at once.
//
// Interrupts are left to the parent: a Ctrl-C at the terminal reaches the whole process group, and
// it is the parent that decides what still has to be done.
func Serve(p resource.Provider) {
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	watchLifeline()
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  handshake,
		VersionedPlugins: map[int]plugin.PluginSet{Protocol: {service: &glue{provider: p}}},
		Logger:           hclog.NewNullLogger(),
		GRPCServer: func(options []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(options, grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage))...)
		},
	})
}

// ServeIfAsked serves one of the providers and ends the process, if it was started for that. It is
// the first line of a main or TestMain that uses Start with built-in providers; in a process that
// a person started it does nothing.
func (b BuiltIn) ServeIfAsked() {
	name, asked := os.LookupEnv(builtInVariable)
	if !asked || os.Getenv(handshake.MagicCookieKey) != handshake.MagicCookieValue {
		return
	}
	provider, ok := b[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "cloudship: error: no built-in provider %q\n", name)
		os.Exit(1)
	}
	Serve(provider())
	os.Exit(0)
}

// Names lists the built-in providers, sorted.
func (b BuiltIn) Names() []string {
	names := make([]string, 0, len(b))
	for name := range b {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// watchLifeline ends the process when the pipe from its parent closes. The kernel closes it
// however the parent ends, kill -9 included. The socket's folder goes too: no one is left who
// would remove it.
func watchLifeline() {
	n, err := strconv.Atoi(os.Getenv(lifelineVariable))
	if err != nil || n < 3 {
		return
	}
	syscall.CloseOnExec(n)
	line := os.NewFile(uintptr(n), "lifeline")
	go func() {
		_, _ = io.Copy(io.Discard, line)
		if dir := os.Getenv(plugin.EnvUnixSocketDir); dir != "" {
			_ = os.RemoveAll(dir)
		}
		os.Exit(0)
	}()
}

// glue joins a provider, or a connection to one, to go-plugin.
type glue struct {
	plugin.NetRPCUnsupportedPlugin
	provider resource.Provider // nil in the parent
}

func (g *glue) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	pluginpb.RegisterProviderServer(s, &server{provider: g.provider})
	return nil
}

func (g *glue) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return pluginpb.NewProviderClient(conn), nil
}
