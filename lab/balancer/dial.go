package balancer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// connectTimeout bounds the opening of a connection to a backend.
const connectTimeout = 5 * time.Second

// errUnreachable is wrapped when no connection to a backend came about.
var errUnreachable = errors.New("backend cannot be reached")

type originKey struct{}

// origin is the two ends of the connection that a request came on.
type origin struct{ remote, local net.Addr }

// dial opens a connection to a backend and tells it, where configured, who the
// client is; without a client the balancer speaks for itself.
func dial(ctx context.Context, c Config, from *origin, host string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreachable, err)
	}
	if !c.ProxyProtocol {
		return conn, nil
	}
	if from == nil {
		from = &origin{remote: conn.LocalAddr(), local: conn.RemoteAddr()}
	}
	if deadline, ok := ctx.Deadline(); ok {
		err = conn.SetWriteDeadline(deadline)
	}
	if err == nil {
		_, err = conn.Write([]byte(proxyLine(from.remote, from.local)))
	}
	if err == nil {
		err = conn.SetWriteDeadline(time.Time{})
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("%w: %w", errUnreachable, err)
	}
	return conn, nil
}

// proxyLine is the header of the PROXY protocol, version 1.
func proxyLine(source, destination net.Addr) string {
	from, fromErr := netip.ParseAddrPort(source.String())
	to, toErr := netip.ParseAddrPort(destination.String())
	if fromErr != nil || toErr != nil {
		return "PROXY UNKNOWN\r\n"
	}
	fromIP, toIP := from.Addr().Unmap(), to.Addr().Unmap()
	if fromIP.Is4() != toIP.Is4() {
		return "PROXY UNKNOWN\r\n"
	}
	family := "TCP4"
	if fromIP.Is6() {
		family = "TCP6"
	}
	return fmt.Sprintf("PROXY %s %s %s %d %d\r\n",
		family, fromIP.WithZone(""), toIP.WithZone(""), from.Port(), to.Port())
}

// newTransport returns what carries requests to one backend. A connection
// that tells its client's address serves one request only.
func newTransport(c Config, keepAlive bool) *http.Transport {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, host string) (net.Conn, error) {
			from, _ := ctx.Value(originKey{}).(*origin)
			return dial(ctx, c, from, host)
		},
		DisableKeepAlives:     !keepAlive || c.ProxyProtocol,
		DisableCompression:    true, // what the backend sends is passed on as it is
		ResponseHeaderTimeout: c.idleTimeout(),
		IdleConnTimeout:       c.idleTimeout(),
		MaxIdleConnsPerHost:   64,
		TLSHandshakeTimeout:   connectTimeout,
		TLSClientConfig:       &tls.Config{RootCAs: c.TargetRoots, MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:     false,
	}
}

func (c Config) idleTimeout() time.Duration {
	if c.IdleTimeout > 0 {
		return c.IdleTimeout
	}
	return time.Minute
}
