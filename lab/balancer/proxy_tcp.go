package balancer

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// serveTCP passes one connection on, byte for byte. Without a healthy backend
// the connection is closed.
func (b *balancer) serveTCP(conn net.Conn, rule *rule) {
	defer conn.Close()
	c := b.config.Load()
	m, cut := b.pool.choose("")
	if m == nil {
		b.log.Debug("connection refused: no backend is healthy", "balancer", c.ID)
		return
	}
	ctx, cancel := context.WithCancel(cut)
	defer cancel()
	from := &origin{remote: conn.RemoteAddr(), local: conn.LocalAddr()}
	back, err := dial(ctx, *c, from, m.at(rule.TargetPort))
	if err != nil {
		b.log.Debug("connection failed", "balancer", c.ID, "backend", m.id, "error", err)
		return
	}
	defer back.Close()
	defer context.AfterFunc(ctx, func() {
		reset(conn)
		back.Close()
	})()
	join(conn, back, c.idleTimeout())
}

// reset closes a connection so that its other end notices that it broke.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		// The close below matters, its manner is a courtesy.
		_ = tcp.SetLinger(0)
	}
	conn.Close()
}

// join copies both ways until both sides have ended, one has failed, or
// nothing moved for the idle time.
func join(a, b net.Conn, idle time.Duration) {
	var both sync.WaitGroup
	both.Go(func() { pump(a, b, idle) })
	both.Go(func() { pump(b, a, idle) })
	both.Wait()
}

// pump copies from one connection to the other and passes the end on.
func pump(to, from net.Conn, idle time.Duration) {
	buffer := make([]byte, 32<<10)
	for {
		// Deadlines of both sides are pushed: traffic either way counts.
		deadline := time.Now().Add(idle)
		if to.SetDeadline(deadline) != nil || from.SetDeadline(deadline) != nil {
			break
		}
		n, err := from.Read(buffer)
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				break
			}
		}
		if errors.Is(err, io.EOF) {
			closeWrite(to)
			return
		}
		if err != nil {
			break
		}
	}
	to.Close()
	from.Close()
}

func closeWrite(conn net.Conn) {
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		conn.Close()
	}
}
