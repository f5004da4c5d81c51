// Package kafka connects to a Kafka cluster the way every room here needs it: TLS and SASL/PLAIN from one URL, each thing that
// can be wrong at start said by name with what to do, topics made or checked before they are trusted.
//
// It knows no business word. Pure Go (franz-go). Everything is safe for concurrent use.
package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
)

// Options tunes a Cluster. The zero value is good.
type Options struct {
	Logger *slog.Logger
	// ClientID is how brokers name this program in their logs; "" means "penstock".
	ClientID string
	// StartTimeout bounds Open and each check of a topic; 0 means 15 s.
	StartTimeout time.Duration
	// Dial connects to an address in place of a TCP dial of at most 5 s; TLS is laid over it. Nil dials.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.ClientID == "" {
		o.ClientID = "penstock"
	}
	if o.StartTimeout == 0 {
		o.StartTimeout = 15 * time.Second
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: 5 * time.Second}).DialContext
	}
	return o
}

// Cluster is a reachable cluster. It makes clients and looks after topics.
type Cluster struct {
	cfg   Config
	opt   Options
	tls   *tls.Config
	admin *kadm.Client
}

// Open connects, proves that the cluster answers and lets us in, and returns it. An error says by name what is wrong and what
// to do: unreachable, TLS missing, refused or not trusted, user or password refused.
func Open(ctx context.Context, cfg Config, o Options) (*Cluster, error) {
	c := &Cluster{cfg: cfg, opt: o.withDefaults()}
	if len(cfg.brokers) == 0 {
		return nil, fmt.Errorf("kafka: no broker is configured; a valid URL is %s", Example)
	}
	if cfg.tls {
		var err error
		if c.tls, err = cfg.files.Config(); err != nil {
			return nil, fmt.Errorf("kafka: %w", err)
		}
	}
	client, err := c.Client()
	if err != nil {
		return nil, err
	}
	c.admin = kadm.NewClient(client)
	within, cancel := context.WithTimeout(ctx, c.opt.StartTimeout)
	defer cancel()
	if err := c.reach(within); err != nil {
		client.Close()
		return nil, err
	}
	c.admin.SetTimeoutMillis(int32(c.opt.StartTimeout.Milliseconds()))
	return c, nil
}

// Client returns a new client of the cluster, with opts over the common ones. The caller closes it.
func (c *Cluster) Client(opts ...kgo.Opt) (*kgo.Client, error) {
	common := []kgo.Opt{
		kgo.SeedBrokers(c.cfg.brokers...), kgo.ClientID(c.opt.ClientID), kgo.Dialer(c.dial),
		kgo.WithLogger(logger{c.opt.Logger}), kgo.RetryBackoffFn(backoff),
		kgo.MetadataMinAge(250 * time.Millisecond), kgo.DisableClientMetrics(),
	}
	if c.cfg.user != "" {
		common = append(common, kgo.SASL(plain.Auth{User: c.cfg.user, Pass: c.cfg.password}.AsMechanism()))
	}
	client, err := kgo.NewClient(append(common, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	return client, nil
}

// backoff spaces a client's own retries: 100 ms doubled up to 2 s.
func backoff(fails int) time.Duration {
	return min(100*time.Millisecond<<min(max(fails-1, 0), 8), 2*time.Second)
}

func (c *Cluster) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := c.opt.Dial(ctx, network, addr)
	if err != nil || c.tls == nil {
		return conn, err
	}
	settings := c.tls.Clone()
	if settings.ServerName, _, err = net.SplitHostPort(addr); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	over := tls.Client(conn, settings)
	if err := over.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return over, nil
}

// Admin returns the client for questions about topics and groups. It is closed by [Cluster.Close].
func (c *Cluster) Admin() *kadm.Client { return c.admin }

// Name puts the configured prefix before a topic or group.
func (c *Cluster) Name(s string) string { return c.cfg.prefix + s }

// Close ends the cluster's own client. Clients from [Cluster.Client] are closed by whoever asked for them.
func (c *Cluster) Close() { c.admin.Close() }

// logger passes on what the client library wants an operator to see.
type logger struct{ to *slog.Logger }

// Level implements [kgo.Logger].
func (logger) Level() kgo.LogLevel { return kgo.LogLevelWarn }

// Log implements [kgo.Logger].
func (l logger) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	to := slog.LevelInfo
	if level == kgo.LogLevelError || level == kgo.LogLevelWarn {
		to = slog.LevelWarn
	}
	l.to.Log(context.Background(), to, "kafka: "+msg, keyvals...)
}
