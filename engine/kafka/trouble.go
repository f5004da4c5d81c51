package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"penstock/engine/secure"
)

// reach asks the brokers for their list. One that answers is enough.
func (c *Cluster) reach(ctx context.Context) error {
	var problems []string
	for _, addr := range c.cfg.brokers {
		err := c.ping(ctx, addr)
		if err == nil {
			return nil
		}
		problems = append(problems, addr+": "+c.explain(err))
		if ctx.Err() != nil && len(problems) > 0 {
			break
		}
	}
	return fmt.Errorf("kafka: no broker of %s lets us in: %s", c.cfg, strings.Join(problems, "; "))
}

// ping asks one broker, without the retries that would hide what is wrong.
func (c *Cluster) ping(ctx context.Context, addr string) error {
	one := *c
	one.cfg.brokers = []string{addr}
	client, err := one.Client(kgo.RequestRetries(0), kgo.RequestTimeoutOverhead(min(c.opt.StartTimeout, 10*time.Second)))
	if err != nil {
		return err
	}
	defer client.Close()
	if err = client.Ping(ctx); err != nil && c.tls != nil {
		err = c.hear(ctx, addr, err)
	}
	return err
}

// hear adds what a broker has against our certificate, or that we show none.
func (c *Cluster) hear(ctx context.Context, addr string, err error) error {
	settings := c.tls.Clone()
	settings.ServerName, _, _ = net.SplitHostPort(addr)
	heard := secure.Ask(ctx, addr, settings, time.Second)
	if _, said := c.cfg.files.Explain(heard); said {
		return fmt.Errorf("%w, after %w", heard, err)
	}
	return err
}

// explain says what a failure to connect means and what to do.
func (c *Cluster) explain(err error) string {
	var early *kgo.ErrFirstReadEOF
	var record tls.RecordHeaderError
	if what, ok := c.cfg.files.Explain(err); ok {
		return what
	}
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return fmt.Sprintf("user %s or the password was refused (SASL/PLAIN); correct the part before the @", c.cfg.user)
	case errors.Is(err, kerr.UnsupportedSaslMechanism), errors.Is(err, kerr.IllegalSaslState):
		return "the broker does not do SASL/PLAIN on this port; leave out user:password@ or name the port that does"
	case errors.As(err, &record):
		return "the broker does not speak TLS on this port; set tls=false or name its TLS port"
	case errors.As(err, &early), strings.Contains(err.Error(), "invalid large response size"):
		return c.hangup()
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("no answer within %v; see that the broker runs and that a firewall lets us through", c.opt.StartTimeout)
	}
	return fmt.Sprintf("it cannot be reached (%v); start it or name another broker", err)
}

// hangup explains a broker that closes the connection at our first words.
func (c *Cluster) hangup() string {
	var try []string
	if !c.cfg.tls {
		try = append(try, "tls=true if it wants TLS")
	} else {
		try = append(try, "tls=false if it does not speak TLS")
	}
	if c.cfg.user == "" {
		try = append(try, "user:password@ if it wants SASL/PLAIN")
	}
	return "the broker hung up at our first words; set " + strings.Join(try, ", or ")
}
