package cloud

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
)

// Loopback gives out loopback addresses, each once, so that every balancer can
// listen on the real ports. Labs that run at the same time, also in other
// processes, get different ones: a lab holds its block of addresses by
// listening on one of them.
type Loopback struct {
	mu    sync.Mutex
	guard net.Listener
	block netip.Prefix
	used  map[netip.Addr]bool
}

// Blocks are 127.20.0.0/24 and the 8,191 above it; guardPort is where the last
// address of a block listens while the block is held.
const (
	firstBlock = 127<<16 | 20<<8
	blocks     = 1 << 13
	guardPort  = "27027"
)

// NewLoopback takes a free block of addresses, trying the wanted one first.
// wanted is any number; the same one leads to the same block if it is free.
func NewLoopback(ctx context.Context, wanted uint32) (*Loopback, error) {
	var lc net.ListenConfig
	var last error
	for i := range uint32(256) {
		n := firstBlock + (wanted+i)%blocks
		base := netip.AddrFrom4([4]byte{byte(n >> 16), byte(n >> 8), byte(n), 0})
		guard := netip.AddrFrom4([4]byte{byte(n >> 16), byte(n >> 8), byte(n), 254})
		l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(guard.String(), guardPort))
		if err == nil {
			return &Loopback{guard: l, block: netip.PrefixFrom(base, 24), used: map[netip.Addr]bool{}}, nil
		}
		last = err
	}
	return nil, fmt.Errorf("no free block of loopback addresses: %w", last)
}

// Take gives out an address.
func (l *Loopback) Take() (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.block.Addr().Next()
	for range 253 {
		if !l.used[a] {
			l.used[a] = true
			return a.String(), nil
		}
		a = a.Next()
	}
	return "", fmt.Errorf("all addresses of %s are taken", l.block)
}

// Keep marks an address as taken that an earlier process gave out.
func (l *Loopback) Keep(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a, err := netip.ParseAddr(address); err == nil {
		l.used[a] = true
	}
}

// Give takes an address back.
func (l *Loopback) Give(address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a, err := netip.ParseAddr(address); err == nil {
		delete(l.used, a)
	}
}

// Close lets the block go.
func (l *Loopback) Close() error { return l.guard.Close() }
