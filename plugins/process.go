package plugins

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/cloudship/cloudship/plugins/pluginpb"
)

// Source says where a provider comes from and how its process is started.
type Source struct {
	Name   string // the provider's word in the stack file
	Path   string // its executable; empty: built in, served by this very program
	SHA256 string // of an executable: the pinned checksum in hex; another one is refused

	// LookupEnv reads the environment from which the plugin gets the little that it gets; nil
	// means os.LookupEnv.
	LookupEnv func(string) (string, bool)
	// Stderr takes what the plugin writes to its standard error, a line at a time. It is the
	// caller's to redact; nil throws it away.
	Stderr io.Writer
}

func (s Source) lookupEnv(name string) (string, bool) {
	if s.LookupEnv != nil {
		return s.LookupEnv(name)
	}
	return os.LookupEnv(name)
}

// process is one running plugin.
type process struct {
	client   *plugin.Client
	rpc      pluginpb.ProviderClient
	lifeline *os.File // its closing ends the plugin
	dir      string   // of its socket
}

// startTimeout is how long a plugin may take until it answers. It is long because what starts on a
// machine at its limit is slow and not broken; whoever waits may leave at any time.
const startTimeout = 2 * time.Minute

// launch starts the source's process and connects to it.
func launch(ctx context.Context, s Source) (*process, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	cmd, err := s.command()
	if err != nil {
		return nil, err
	}
	config := &plugin.ClientConfig{
		HandshakeConfig:  handshake,
		VersionedPlugins: map[int]plugin.PluginSet{Protocol: {service: &glue{}}},
		Cmd:              cmd,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     startTimeout,
		Logger:           hclog.NewNullLogger(),
		Stderr:           s.Stderr,
		GRPCDialOptions: []grpc.DialOption{
			// The socket is unlinked as soon as there is a connection, so that no kill leaves it
			// behind; an idle connection must therefore not be given up.
			grpc.WithIdleTimeout(0),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
		},
	}
	if config.Stderr == nil {
		config.Stderr = io.Discard
	}
	if s.Path != "" {
		sum, err := hex.DecodeString(s.SHA256)
		if err != nil || len(sum) != sha256.Size {
			return nil, fmt.Errorf("checksum %q is no SHA-256 in hex", s.SHA256)
		}
		config.SecureConfig = &plugin.SecureConfig{Checksum: sum, Hash: sha256.New()}
	}
	return connect(cmd, config)
}

// connect starts the command with a lifeline and a folder for its socket.
func connect(cmd *exec.Cmd, config *plugin.ClientConfig) (_ *process, err error) {
	dir, err := os.MkdirTemp(socketRoot(os.TempDir()), "cloudship-plugin-")
	if err != nil {
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	defer read.Close()
	cmd.ExtraFiles = []*os.File{read}
	cmd.Env = append(cmd.Env, lifelineVariable+"=3", plugin.EnvUnixSocketDir+"="+dir)

	p := &process{client: plugin.NewClient(config), lifeline: write, dir: dir}
	defer func() {
		if err != nil {
			p.kill()
		}
	}()
	protocol, err := p.client.Client()
	if err != nil {
		if errors.Is(err, plugin.ErrChecksumsDoNotMatch) {
			return nil, fmt.Errorf("%s is not the file that is pinned: its checksum differs", cmd.Path)
		}
		return nil, errors.New(strings.TrimSpace(err.Error()))
	}
	if err = protocol.Ping(); err != nil {
		return nil, err
	}
	raw, err := protocol.Dispense(service)
	if err != nil {
		return nil, err
	}
	p.rpc = raw.(pluginpb.ProviderClient)
	return p, os.RemoveAll(dir)
}

// socketMost is how long the path of a folder for a socket may be: the whole path must fit into the
// 108 bytes that the kernel has for it.
const socketMost = 60

// socketRoot is where the folder for a plugin's socket is made: the temporary folder, unless its
// path is too long for a socket.
func socketRoot(temporary string) string {
	if len(temporary) > socketMost {
		return "/tmp"
	}
	return temporary
}

// command is the plugin's command line with its environment, which holds nothing but what every
// program needs; see environment.go.
func (s Source) command() (*exec.Cmd, error) {
	path, args := s.Path, []string(nil)
	env := s.environment()
	if path == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		path, args = self, []string{"plugin", "serve", s.Name}
		env = append(env, builtInVariable+"="+s.Name)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = env
	return cmd, nil
}

// kill ends the process: it is asked first, and made to after a while.
func (p *process) kill() {
	p.client.Kill()
	_ = p.lifeline.Close()
	_ = os.RemoveAll(p.dir)
}
