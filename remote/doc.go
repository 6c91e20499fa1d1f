// Package remote reaches a host: one SSH connection with a host key that was
// known before the first contact, and over it commands, files, tunnels, the
// Docker API, the installation of Docker and the transfer of images.
//
// A host is trusted in one of two ways, never on first use: by a pinned key
// (the bootstrap key, which we put into the server's user data) or by a
// certificate that our host CA signed for exactly this server's mark.
//
// The package knows no stack, no plan and no release: it is given addresses,
// keys and commands, and answers with what the host said.
package remote
