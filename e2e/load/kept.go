package load

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// patience is how long an answer may take.
const patience = 10 * time.Second

// Kept is a load over connections that are kept alive, by a client that never sends a request
// twice. Go's own client would: it repeats a request whose kept connection was closed under it, so
// that a server which cuts connections looks better than it is.
type Kept struct {
	counted
	next       Requests
	tls        *tls.Config // nil: plain
	answered   func(n int) // told of each good answer
	cancel     context.CancelFunc
	wg, flying sync.WaitGroup

	lending sync.Mutex // guards what follows
	address string
	idle    []*keptConn
	dialed  int
	cut     int
}

// Requests makes the n-th request, from 0.
type Requests func(n int) (*http.Request, error)

// Get asks for a URL, again and again.
func Get(u string) Requests {
	return func(int) (*http.Request, error) { return http.NewRequest(http.MethodGet, u, nil) }
}

// StartKept sends rate requests a second to an address (host and port) until Stop, over as many
// kept connections as it takes, at most that many idle ones. Which of them is used next is chance,
// so some are idle for long. Of each good answer answered is told; it may be nil.
func StartKept(address string, rate, connections int, next Requests, answered func(n int)) *Kept {
	return StartKeptTLS(address, rate, connections, nil, next, answered)
}

// StartKeptTLS is StartKept over TLS, where it is given how. What an answer does not say of its
// version, the serial number of the certificate says, in hex.
func StartKeptTLS(address string, rate, connections int, how *tls.Config, next Requests, answered func(n int)) *Kept {
	ctx, cancel := context.WithCancel(context.Background())
	k := &Kept{counted: counted{versions: map[string]int{}}, address: address, tls: how, next: next, answered: answered, cancel: cancel}
	k.wg.Add(1)
	go func() {
		defer k.wg.Done()
		tick := time.NewTicker(time.Second / time.Duration(rate))
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if k.isPaused() {
				n--
				continue
			}
			k.flying.Add(1)
			go func() {
				defer k.flying.Done()
				k.one(n, connections)
			}()
		}
	}()
	return k
}

// one sends one request, over a connection that is open as far as the client can know.
func (k *Kept) one(n, connections int) {
	version, err := k.ask(n, connections)
	if err == nil && k.answered != nil {
		k.answered(n)
	}
	k.count(version, err)
}

// Move sends what follows to another address; the load must be paused.
func (k *Kept) Move(address string) {
	k.lending.Lock()
	defer k.lending.Unlock()
	k.address = address
	k.close()
}

// close closes the idle connections.
func (k *Kept) close() {
	for _, c := range k.idle {
		if !c.wakes() {
			k.cut++
		}
		_ = c.conn.Close()
	}
	k.idle = nil
}

func (k *Kept) ask(n, connections int) (version string, err error) {
	request, err := k.next(n)
	if err != nil {
		return "", err
	}
	c, err := k.take()
	if err != nil {
		return "", err
	}
	answer, err := c.send(request)
	if err != nil {
		return "", fmt.Errorf("over %s: %w", c, err)
	}
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode/100 != 2 {
		err = fmt.Errorf("%s: %.200s", answer.Status, body)
	}
	if err != nil || answer.Close {
		_ = c.conn.Close()
	} else {
		k.give(c, connections)
	}
	if version = answer.Header.Get("X-Version"); version == "" {
		version = c.serial()
	}
	return version, err
}

// take gives an idle connection, or a new one where none is left. Those whose end has arrived are
// thrown away, as every client does.
func (k *Kept) take() (*keptConn, error) {
	k.lending.Lock()
	defer k.lending.Unlock()
	for len(k.idle) > 0 {
		i := rand.IntN(len(k.idle))
		c := k.idle[i]
		k.idle = append(k.idle[:i], k.idle[i+1:]...)
		if c.wakes() {
			return c, nil
		}
		k.cut++
	}
	k.dialed++
	conn, err := k.dial()
	if err != nil {
		return nil, err
	}
	return &keptConn{conn: conn, reader: bufio.NewReader(conn)}, nil
}

// dial makes a connection.
func (k *Kept) dial() (net.Conn, error) {
	dialer := &net.Dialer{Timeout: patience}
	if k.tls == nil {
		return dialer.Dial("tcp", k.address)
	}
	return tls.DialWithDialer(dialer, "tcp", k.address, k.tls)
}

// give takes a connection back.
func (k *Kept) give(c *keptConn, connections int) {
	k.lending.Lock()
	defer k.lending.Unlock()
	if len(k.idle) >= connections {
		_ = c.conn.Close()
		return
	}
	c.rest()
	k.idle = append(k.idle, c)
}

// Dialed is how many connections were made.
func (k *Kept) Dialed() int {
	k.lending.Lock()
	defer k.lending.Unlock()
	return k.dialed
}

// Cut is how many connections the other side closed while they were idle, although its last answer on
// them had not said so: a request that was just being sent over one would have been lost.
func (k *Kept) Cut() int {
	k.lending.Lock()
	defer k.lending.Unlock()
	return k.cut
}

// Stop ends the load when all requests under way have been answered.
func (k *Kept) Stop() {
	k.cancel()
	k.wg.Wait()
	k.flying.Wait()
	k.lending.Lock()
	defer k.lending.Unlock()
	k.close()
}

// Pause stops sending, until Resume, and returns when what is under way has been answered.
func (k *Kept) Pause() {
	k.setPaused(true)
	k.flying.Wait()
}

// Resume goes on.
func (k *Kept) Resume() { k.setPaused(false) }
