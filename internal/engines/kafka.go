package engines

import (
	"context"
	"io"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"penstock/internal/engines/launch"
)

// KafkaOptions say how clients connect; the zero value is plainly.
type KafkaOptions struct {
	SASL bool // SASL/PLAIN with the cluster's User and Password
	TLS  bool // with a certificate signed by the cluster's CAFile
	// Clients, if not nil, must have signed the certificate that a client shows.
	Clients *Authority
	// Front, if not nil, stands a proxy before each broker: it is given the broker's address, once per start, and returns
	// the one that clients are told.
	Front func(addr string) string
}

// KafkaCluster is brokers that are controllers too.
type KafkaCluster struct {
	// URL is "kafka://127.0.0.1:port,127.0.0.1:port,…".
	URL   string
	Nodes []*Server
	// CAFile is the PEM file of the authority; "" without TLS.
	CAFile string
	// User and Password are "" without SASL.
	User, Password string
}

// Kafka starts a cluster of one or three nodes, and returns when all of them are ready. With three, topics get three
// replicas, two of which must be in sync. Topics are not made on first use.
func Kafka(t testing.TB, nodes int, o KafkaOptions) *KafkaCluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*startTimeout) // the jars may have to be fetched
	defer cancel()
	dir := t.TempDir()
	options := launch.KafkaOptions{SASL: o.SASL, TLS: o.TLS, Front: o.Front}
	if o.Clients != nil {
		options.Clients = o.Clients.CAFile
	}
	specs, err := launch.Kafka(ctx, dir, ports(t, nodes*launch.KafkaPorts), options, io.Discard)
	Installed(t, err)
	c := &KafkaCluster{}
	if o.TLS {
		c.CAFile = launch.CAFile(dir)
	}
	if o.SASL {
		c.User, c.Password = launch.KafkaUser, launch.KafkaPassword
	}
	var addrs []string
	for _, spec := range specs {
		addrs = append(addrs, spec.Addr())
		c.Nodes = append(c.Nodes, &Server{spec: spec})
	}
	c.URL = launch.KafkaEngine + "://" + strings.Join(addrs, ",")
	t.Cleanup(func() { c.Kill(t) })
	c.Start(t)
	return c
}

// Kill ends all nodes with SIGKILL.
func (c *KafkaCluster) Kill(t testing.TB) {
	t.Helper()
	for _, n := range c.Nodes {
		if n.process != nil {
			n.Kill(t)
		}
	}
}

// Start starts all nodes, which must not be running, and returns when all are ready. A node of three cannot become ready
// without another one.
func (c *KafkaCluster) Start(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	var g errgroup.Group
	for _, n := range c.Nodes {
		g.Go(func() error {
			p, err := launch.Start(ctx, n.spec, launch.Child)
			n.process = p
			return err
		})
	}
	check(t, g.Wait())
	for _, n := range c.Nodes {
		n.wait(t)
	}
}
