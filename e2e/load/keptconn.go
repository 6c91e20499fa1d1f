package load

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"
)

// keptConn is one connection. While it rests it is read from, so that its end is noticed when it
// arrives and not when it is used.
type keptConn struct {
	conn   net.Conn
	reader *bufio.Reader
	used   int
	rested chan error
}

// rest waits for the connection's end until wakes is called.
func (c *keptConn) rest() {
	rested := make(chan error, 1)
	c.rested = rested
	go func() {
		_, err := c.reader.Peek(1)
		rested <- err
	}()
}

// wakes ends the rest, and reports whether the connection is still open.
func (c *keptConn) wakes() bool {
	_ = c.conn.SetReadDeadline(time.Now())
	err := <-c.rested
	if e, ok := err.(net.Error); ok && e.Timeout() {
		// bufio keeps an error only until it is told: it was.
		return c.conn.SetReadDeadline(time.Time{}) == nil
	}
	_ = c.conn.Close()
	return false
}

// send sends a request and reads the head of its answer.
func (c *keptConn) send(request *http.Request) (*http.Response, error) {
	if err := c.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, err
	}
	c.used++
	err := request.Write(c.conn)
	if err == nil {
		var answer *http.Response
		if answer, err = http.ReadResponse(c.reader, request); err == nil {
			return answer, nil
		}
	}
	_ = c.conn.Close()
	return nil, err
}

// serial is that of the certificate that the other side showed, or "".
func (c *keptConn) serial() string {
	if secure, ok := c.conn.(*tls.Conn); ok {
		return secure.ConnectionState().PeerCertificates[0].SerialNumber.Text(16)
	}
	return ""
}

func (c *keptConn) String() string {
	return fmt.Sprintf("the %s connection's request %d", c.conn.LocalAddr(), c.used)
}
