// Package redis connects to Redis the way every room here needs it: one pipelining client, short dials, no silent retries, no
// client-side caching unless asked for, reads from the primary only, and a look at the server before it is trusted.
//
// It knows no business word. A [Client] is safe for concurrent use. A call that fails with anything but an answer of the
// server may or may not have been executed.
package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"penstock/engine/secure"
	"penstock/internal/clock"
)

// ErrUnreachable says that no connection could be made, or that none is there yet.
var ErrUnreachable = errors.New("redis cannot be reached")

// Options tunes a [Client]. The zero value works.
type Options struct {
	Clock  clock.Clock
	Logger *slog.Logger
	// Name is told to the server as the name of the connections.
	Name string
	// Dial is how long making a connection may take; 0 means 1 s.
	Dial time.Duration
	// Timeout is after how long without an answer a connection is given up; 0 means 1 s. A shorter deadline belongs into the
	// context of the call.
	Timeout time.Duration
	// Late lets Open succeed though the server cannot be reached: it is tried again in the background, about once a second,
	// and checked when it is there.
	Late bool
	// Caching switches on client-side caching (server-assisted invalidation).
	Caching bool
	// Commands are needed by the caller; Check tries each of them. Default: those of a script.
	Commands []string
	// Prefix begins the names of the keys that Check writes and lets expire; "" means "penstock:".
	Prefix string
	// Connections is how many pipelining connections go to each server, as a power of two: 0 means 1, 2 means 4.
	Connections int

	cluster bool
}

// Client is a connection to one Redis, single or cluster. Close it.
type Client struct {
	cfg  Config
	opt  Options
	live atomic.Pointer[rueidis.Client]
	info atomic.Pointer[Info]

	quit context.CancelFunc
	once sync.Once
	done chan struct{} // closed when the background dialler has ended
}

// Open connects and checks the server (see [Client.Check]). Errors wrap ErrUnreachable when nobody answered; every other error
// says by name what the server lacks or refuses.
func Open(ctx context.Context, cfg Config, o Options) (*Client, error) {
	if o.Clock == nil {
		o.Clock = clock.Real{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	if o.Dial == 0 {
		o.Dial = time.Second
	}
	if o.Timeout == 0 {
		o.Timeout = time.Second
	}
	if o.Prefix == "" {
		o.Prefix = "penstock:"
	}
	if o.Commands == nil {
		o.Commands = []string{"EVALSHA", "EVAL"}
	}
	o.cluster = cfg.Cluster
	c := &Client{cfg: cfg, opt: o, done: make(chan struct{}), quit: func() {}}
	err := c.connect(ctx)
	if err != nil && (!o.Late || !errors.Is(err, ErrUnreachable)) {
		return nil, err // connect has closed what it opened
	}
	if err == nil {
		close(c.done)
		return c, nil
	}
	o.Logger.Warn("redis is not there yet; trying again in the background", "redis", cfg.String(), "error", err.Error())
	ctx, c.quit = context.WithCancel(context.WithoutCancel(ctx))
	go c.connectLate(ctx)
	return c, nil
}

// Config returns what the client was opened with.
func (c *Client) Config() Config { return c.cfg }

// Redis returns the client of the protocol, or ErrUnreachable while there has not been a connection yet.
func (c *Client) Redis() (rueidis.Client, error) {
	if r := c.live.Load(); r != nil {
		return *r, nil
	}
	return nil, fmt.Errorf("%w: %s", ErrUnreachable, c.cfg)
}

// Info returns what the last successful check saw, or nil before it.
func (c *Client) Info() *Info { return c.info.Load() }

// Close ends the connections. Idempotent.
func (c *Client) Close() {
	c.once.Do(func() {
		c.quit()
		if c.live.Load() == nil {
			select {
			case <-c.done:
			case <-c.opt.Clock.NewTimer(2 * c.opt.Dial).C():
			}
		}
		if r := c.live.Load(); r != nil {
			(*r).Close()
		}
	})
}

func (c *Client) connect(ctx context.Context) error {
	settings, err := c.cfg.tls()
	if err != nil {
		return c.explain(err)
	}
	o := rueidis.ClientOption{
		TLSConfig: settings, InitAddress: c.cfg.Addrs, SelectDB: c.cfg.DB, Username: c.cfg.user, Password: c.cfg.password,
		ClientName: c.opt.Name, Dialer: net.Dialer{Timeout: c.opt.Dial, KeepAlive: c.opt.Timeout}, ConnWriteTimeout: c.opt.Timeout,
		DisableRetry: true, DisableCache: !c.opt.Caching, ForceSingleClient: !c.cfg.Cluster,
		PipelineMultiplex: c.opt.Connections, ClientSetInfo: rueidis.DisableClientSetInfo,
		ReadBufferEachConn: 64 << 10, WriteBufferEachConn: 64 << 10,
	}
	if o.PipelineMultiplex == 0 && !c.cfg.Cluster {
		o.PipelineMultiplex = -1 // one connection; 0 would mean four
	}
	if c.cfg.Replicas != nil {
		o.DialCtxFn = c.dialPrimary
	}
	r, err := rueidis.NewClient(o)
	if err != nil {
		if r != nil {
			r.Close()
		}
		return c.explain(c.hear(ctx, settings, err))
	}
	info, err := check(ctx, r, c.opt)
	if err == nil && c.cfg.Cluster && !info.Cluster {
		err = fmt.Errorf("%w: the URL says cluster=true, but the server is no cluster; take it out", errServer)
	}
	if err != nil {
		r.Close()
		return c.explain(c.hear(ctx, settings, err))
	}
	for _, w := range info.Warnings {
		c.opt.Logger.Warn("redis: "+w, "redis", c.cfg.String())
	}
	c.info.Store(info)
	c.live.Store(&r)
	return nil
}

func (c *Client) connectLate(ctx context.Context) {
	defer close(c.done)
	for {
		wait := c.opt.Clock.NewTimer(500*time.Millisecond + rand.N(time.Second))
		select {
		case <-wait.C():
		case <-ctx.Done():
			wait.Stop()
			return
		}
		err := c.connect(ctx)
		if err == nil {
			c.opt.Logger.Info("redis is there", "redis", c.cfg.String())
			return
		}
		c.opt.Logger.Warn("redis is still not usable", "redis", c.cfg.String(), "error", err.Error())
	}
}

// hear adds to a failed connection what a server has against this side's certificate, or that it has none.
func (c *Client) hear(ctx context.Context, settings *tls.Config, err error) error {
	_, answered := rueidis.IsRedisErr(err)
	if _, said := c.cfg.Files.Explain(err); said || answered || errors.Is(err, errServer) || settings == nil {
		return err
	}
	for _, addr := range c.cfg.servers() {
		one := settings.Clone()
		one.ServerName, _, _ = net.SplitHostPort(addr)
		heard := secure.Ask(ctx, addr, one, c.opt.Dial)
		if _, said := c.cfg.Files.Explain(heard); said {
			return fmt.Errorf("%w, after %w", heard, err)
		}
	}
	return err
}

// explain says by name why a connection or a check failed, and what to do.
func (c *Client) explain(err error) error {
	say := func(what string) error { return fmt.Errorf("redis %s: %s (%w)", c.cfg, what, err) }
	if what, ok := c.cfg.Files.Explain(err); ok {
		return say(what)
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "WRONGPASS"), strings.Contains(text, "invalid password"):
		return say("the user or the password is wrong; correct them in the URL")
	case strings.Contains(text, "NOAUTH"):
		return say("the server wants a password; write it into the URL as redis://user:password@…")
	case strings.Contains(text, "without any password configured"):
		return say("the URL has a password, but the server has none; take it out of the URL or set requirepass")
	case strings.Contains(text, "DB index is out of range"):
		return say(fmt.Sprintf("the server has no database %d; use /0", c.cfg.DB))
	case strings.Contains(text, "LOADING"):
		return fmt.Errorf("%w: %s is still loading its data", ErrUnreachable, c.cfg)
	}
	if _, answered := rueidis.IsRedisErr(err); answered || errors.Is(err, errServer) {
		return fmt.Errorf("redis %s: %w", c.cfg, err)
	}
	return fmt.Errorf("%w: %s: %w; is it running, and are host, port and tls right?", ErrUnreachable, c.cfg, err)
}
