package launch

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// KafkaOptions say how clients connect. Brokers speak plainly among themselves.
type KafkaOptions struct {
	SASL bool // SASL/PLAIN as KafkaUser with KafkaPassword
	TLS  bool // the certificate is for 127.0.0.1, signed by the authority in CAFile
	// Clients is the PEM file of the authority that must have signed what clients show; "" wants nothing of them.
	Clients string
	// Heap is the size of each Java heap, as in "256m"; "" is that.
	Heap string
	// Front, if not nil, is given a broker's address and returns the one that clients are told instead: that of a proxy
	// which passes on to it.
	Front func(addr string) string
}

// The one user of a broker with SASL.
const (
	KafkaUser     = "penstock"
	KafkaPassword = "kafka-password"
)

// KafkaPorts is the number of ports that a node takes: for clients, for other brokers, for controllers.
const KafkaPorts = 3

// Kafka is a KRaft cluster of brokers that are controllers too. Node i has the ports from ports[i*KafkaPorts] on and the
// directory node<i+1>. With three nodes topics have three replicas, two of which must be in sync. Topics are not made on first
// use. A dead broker is noticed after two seconds. All nodes must be started before any is waited for.
func Kafka(ctx context.Context, dir string, ports []int, o KafkaOptions, out io.Writer) ([]Spec, error) {
	java, err := find(KafkaEngine, "default-jre-headless", "java")
	if err != nil {
		return nil, err
	}
	jars, err := KafkaJars(ctx, out)
	if err != nil {
		return nil, err
	}
	if o.TLS {
		if err := certificates(dir); err != nil {
			return nil, err
		}
	}
	id, err := clusterID(dir)
	if err != nil {
		return nil, err
	}
	c := kafka{dir: dir, ports: ports, options: o, java: java, jars: jars, id: id}
	var specs []Spec
	for i := range len(ports) / KafkaPorts {
		specs = append(specs, c.spec(i))
	}
	return specs, nil
}

// CAFile is the PEM file of the authority that signed the brokers' certificates of a Kafka with TLS.
func CAFile(dir string) string { return filepath.Join(dir, "ca.pem") }

type kafka struct {
	dir        string
	ports      []int
	options    KafkaOptions
	java, jars string
	id         string
}

func (c kafka) node(i int) string { return filepath.Join(c.dir, fmt.Sprintf("node%d", i+1)) }

func (c kafka) spec(i int) Spec {
	dir := c.node(i)
	properties, log := filepath.Join(dir, "server.properties"), filepath.Join(dir, "server.log")
	heap := c.options.Heap
	if heap == "" {
		heap = "256m"
	}
	jvm := []string{"-Xms" + heap, "-Xmx" + heap, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError",
		"-Djava.awt.headless=true", "-Dlog4j2.configurationFile=file:" + filepath.Join(dir, "log4j2.properties"), "-cp", c.jars + "/*"}
	return Spec{
		Engine: KafkaEngine, Version: KafkaVersion, Dir: dir, Port: c.ports[i*KafkaPorts], Path: c.java,
		Args: append(jvm, "kafka.Kafka", properties),
		Prepare: func(context.Context) error {
			err := errors.Join(
				os.WriteFile(properties, []byte(c.properties(i)), 0o600),
				os.WriteFile(filepath.Join(dir, "log4j2.properties"), []byte(fmt.Sprintf(log4j, log)), 0o600),
				os.WriteFile(log, nil, 0o600)) // what an earlier start logged must not look like this one's
			if err != nil {
				return err
			}
			return c.format(i)
		},
		Ready: func(context.Context, int) error {
			b, err := os.ReadFile(log)
			if err == nil && !bytes.Contains(b, []byte("Kafka Server started")) {
				err = errors.New("still starting; see " + log)
			}
			return err
		},
	}
}

// format writes what kafka.tools.StorageTool would, but for the version of the metadata, which is the newest where none is
// named: a Java process less for every node of every test.
func (c kafka) format(i int) error {
	name := filepath.Join(c.node(i), "data", "meta.properties")
	if _, err := os.Stat(name); err == nil {
		return nil
	}
	return errors.Join(os.MkdirAll(filepath.Dir(name), 0o700),
		os.WriteFile(name, fmt.Appendf(nil, "version=1\nnode.id=%d\ndirectory.id=%s\ncluster.id=%s\n", i+1, uuid(), c.id), 0o600))
}

// properties are a node's. The short times make a killed broker's partitions move within seconds.
func (c kafka) properties(i int) string {
	nodes := len(c.ports) / KafkaPorts
	replicas, inSync := 1, 1
	if nodes >= 3 {
		replicas, inSync = 3, 2
	}
	port := func(node, n int) string { return Loopback(c.ports[node*KafkaPorts+n]) }
	var voters []string
	for n := range nodes {
		voters = append(voters, fmt.Sprintf("%d@%s", n+1, port(n, 2)))
	}
	advertised := port(i, 0)
	if c.options.Front != nil {
		advertised = c.options.Front(advertised)
	}
	brokers := ",BROKER://" + port(i, 1)
	lines := []string{
		"process.roles=broker,controller",
		fmt.Sprintf("node.id=%d", i+1),
		"controller.quorum.voters=" + strings.Join(voters, ","),
		"controller.listener.names=CONTROLLER",
		"inter.broker.listener.name=BROKER",
		"listeners=CLIENT://" + port(i, 0) + brokers + ",CONTROLLER://" + port(i, 2),
		"advertised.listeners=CLIENT://" + advertised + brokers,
		"listener.security.protocol.map=CLIENT:" + c.protocol() + ",BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"log.dirs=" + filepath.Join(c.node(i), "data"),
		"auto.create.topics.enable=false",
		fmt.Sprintf("default.replication.factor=%d", replicas),
		fmt.Sprintf("min.insync.replicas=%d", inSync),
		fmt.Sprintf("offsets.topic.replication.factor=%d", replicas),
		"offsets.topic.num.partitions=4",
		fmt.Sprintf("transaction.state.log.replication.factor=%d", replicas),
		fmt.Sprintf("transaction.state.log.min.isr=%d", inSync),
		"transaction.state.log.num.partitions=4",
		fmt.Sprintf("share.coordinator.state.topic.replication.factor=%d", replicas),
		fmt.Sprintf("share.coordinator.state.topic.min.isr=%d", inSync),
		"group.initial.rebalance.delay.ms=0",
		"group.min.session.timeout.ms=1000",
		"broker.session.timeout.ms=2000",
		"broker.heartbeat.interval.ms=400",
		"controller.quorum.fetch.timeout.ms=1000",
		"controller.quorum.election.timeout.ms=500",
		"controller.quorum.election.backoff.max.ms=500",
		"replica.lag.time.max.ms=5000",
		"log.cleaner.dedupe.buffer.size=4194304",
		"num.network.threads=2",
		"num.io.threads=4",
	}
	if c.options.SASL {
		lines = append(lines, "listener.name.client.sasl.enabled.mechanisms=PLAIN",
			fmt.Sprintf(`listener.name.client.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_%s="%s";`,
				KafkaUser, KafkaPassword))
	}
	if c.options.TLS {
		lines = append(lines, "listener.name.client.ssl.keystore.type=PEM",
			"listener.name.client.ssl.keystore.location="+filepath.Join(c.dir, serverPEM))
		if c.options.Clients != "" {
			lines = append(lines, "listener.name.client.ssl.client.auth=required", "listener.name.client.ssl.truststore.type=PEM",
				"listener.name.client.ssl.truststore.location="+c.options.Clients)
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

func (c kafka) protocol() string {
	switch {
	case c.options.SASL && c.options.TLS:
		return "SASL_SSL"
	case c.options.SASL:
		return "SASL_PLAINTEXT"
	case c.options.TLS:
		return "SSL"
	}
	return "PLAINTEXT"
}

const log4j = `status=error
appender.f.type=File
appender.f.name=F
appender.f.fileName=%s
appender.f.layout.type=PatternLayout
appender.f.layout.pattern=[%%d] %%p %%m (%%c)%%n
rootLogger.level=info
rootLogger.appenderRef.f.ref=F
`

// clusterID is made once per directory.
func clusterID(dir string) (string, error) {
	name := filepath.Join(dir, "cluster.id")
	b, err := os.ReadFile(name)
	if err == nil {
		return string(b), nil
	}
	id := uuid()
	return id, errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(name, []byte(id), 0o600))
}

// uuid is sixteen random bytes in the alphabet that Kafka reads.
func uuid() string {
	b := make([]byte, 16)
	rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}
