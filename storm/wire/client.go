// Package wire is a small HTTP/1.1 client for driving load: pooled keep-alive connections, requests written in one piece, answers
// read without garbage. It shares the machine with the server under test, so what it spends is missing there.
//
// It speaks what JSON APIs speak: Content-Length and chunked bodies, keep-alive, http and https. It follows no redirects, keeps no
// cookies, never retries and never pipelines. An error from [Client.Do] says nothing of whether the server has executed the call.
// A [Client] is safe for concurrent use; calls beyond the connections wait in line.
package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options of a client. The zero value works.
type Options struct {
	// Conns is how many connections may be open; 0 means 256.
	Conns int
	// Timeout bounds a call from the moment it has a connection; 0 means 5 s.
	Timeout time.Duration
	// Bind gives each connection a source address of its own, 127.x.y.z. It works for loopback targets only.
	Bind bool
	// TLS is used for https; nil means the defaults.
	TLS *tls.Config
}

// Validate names the field that is wrong.
func (o *Options) Validate() error {
	if o.Conns < 0 || o.Conns > 1<<16 {
		return fmt.Errorf("conns is %d, allowed is 1 to 65536", o.Conns)
	}
	if o.Timeout < 0 {
		return fmt.Errorf("timeout is %v, it must be positive", o.Timeout)
	}
	return nil
}

// Client calls one server.
type Client struct {
	opt    Options
	addr   string
	host   string
	name   string // of the host alone
	prefix string
	secure bool
	slots  chan struct{}
	dialed atomic.Int64

	mu   sync.Mutex
	idle []*conn
	done bool
}

// ErrClosed says that the client was closed.
var ErrClosed = errors.New("client is closed")

// New returns a client for the server at base, such as http://127.0.0.1:8080. It does not connect yet.
func New(base string, o Options) (*Client, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Conns == 0 {
		o.Conns = 256
	}
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%q is not a URL such as http://127.0.0.1:8080", base)
	}
	c := &Client{opt: o, host: u.Host, name: u.Hostname(), addr: u.Host, prefix: strings.TrimRight(u.Path, "/"), secure: u.Scheme == "https", slots: make(chan struct{}, o.Conns)}
	if u.Port() == "" {
		c.addr = net.JoinHostPort(u.Hostname(), map[bool]string{false: "80", true: "443"}[c.secure])
	}
	if ip := net.ParseIP(u.Hostname()); o.Bind && (ip == nil || ip.To4() == nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("source addresses can be bound only for a target in 127.0.0.0/8, not for %s", u.Host)
	}
	return c, nil
}

// Do makes one call. The response's body is valid until the response is used again. An error means that no whole answer came.
func (c *Client) Do(ctx context.Context, req *Request, resp *Response) error {
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-c.slots }()
	k, err := c.take(ctx)
	if err != nil {
		return err
	}
	resp.reset(k.number)
	if err := k.exchange(c, req, resp); err != nil {
		return errors.Join(err, k.close())
	}
	if resp.close {
		_ = k.close() // the answer is whole; what becomes of the connection does not matter
		return nil
	}
	c.give(k)
	return nil
}

// Close closes the idle connections and makes further calls fail. Running calls finish.
func (c *Client) Close() error {
	c.mu.Lock()
	idle := c.idle
	c.idle, c.done = nil, true
	c.mu.Unlock()
	var all error
	for _, k := range idle {
		all = errors.Join(all, k.close())
	}
	return all
}

// Dialed returns how many connections were opened so far.
func (c *Client) Dialed() int64 { return c.dialed.Load() }

func (c *Client) take(ctx context.Context) (*conn, error) {
	c.mu.Lock()
	if c.done {
		c.mu.Unlock()
		return nil, ErrClosed
	}
	if n := len(c.idle); n > 0 {
		k := c.idle[n-1]
		c.idle = c.idle[:n-1]
		c.mu.Unlock()
		return k, nil
	}
	c.mu.Unlock()
	return c.dial(ctx)
}

func (c *Client) give(k *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done {
		_ = k.close()
		return
	}
	c.idle = append(c.idle, k)
}

func (c *Client) dial(ctx context.Context) (*conn, error) {
	n := c.dialed.Add(1)
	d := net.Dialer{Timeout: c.opt.Timeout}
	if c.opt.Bind {
		d.LocalAddr = &net.TCPAddr{IP: Source(n)}
	}
	raw, err := d.DialContext(ctx, "tcp", c.addr)
	if err != nil {
		return nil, err
	}
	if c.secure {
		raw = tls.Client(raw, c.tls())
	}
	return newConn(raw, int(n)), nil
}

func (c *Client) tls() *tls.Config {
	cfg := c.opt.TLS.Clone()
	if cfg == nil {
		cfg = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if cfg.ServerName == "" {
		cfg.ServerName = c.name
	}
	return cfg
}

// Source returns the n-th source address of the loopback network, from 127.1.0.1 on.
func Source(n int64) net.IP {
	n = n % (200 * 254 * 254)
	return net.IPv4(127, byte(1+n/(254*254)), byte(n/254%254), byte(1+n%254))
}
