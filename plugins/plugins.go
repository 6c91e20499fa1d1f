// Package plugins runs providers as processes of their own: the gRPC protocol over go-plugin,
// discovery and pinning, Serve for a plugin's main, Start for whoever wants one, and the limiter
// that keeps a provider within its account's rate.
//
// It is the only package that knows go-plugin and gRPC. A Client is a resource.Provider; nobody
// above it can tell that there is a process between.
package plugins

import (
	"github.com/hashicorp/go-plugin"

	"github.com/cloudship/cloudship/resource"
)

// Protocol is the version of the protocol that this program speaks. Versions are negotiated: a
// program serves every version that it still knows, the highest common one is taken.
const Protocol = 1

// handshake is how plugin and parent know each other. It is no secret; it keeps a user from
// starting a plugin by hand and wondering.
var handshake = plugin.HandshakeConfig{
	ProtocolVersion:  Protocol,
	MagicCookieKey:   "CLOUDSHIP_PLUGIN_COOKIE",
	MagicCookieValue: "4f1d6d0a-cloudship-provider",
}

const (
	// builtInVariable names the built-in provider that this very program is to serve.
	builtInVariable = "CLOUDSHIP_PLUGIN_SERVE"
	// lifelineVariable holds the number of the descriptor whose end of file means that the
	// parent is gone.
	lifelineVariable = "CLOUDSHIP_PLUGIN_LIFELINE"
	// service is the name under which go-plugin dispenses the provider.
	service = "provider"
)

// BuiltIn holds the providers that a program serves itself, by name.
type BuiltIn map[string]func() resource.Provider

// maxMessage bounds one message, in bytes: a listing of ten thousand servers is about 10 MB.
const maxMessage = 256 << 20
