// Package kafkabus carries committed outboxes over Kafka: a relay sends them to topics, consumer groups read them.
//
// What it promises: the contract of penstock/bus/driver over a broker. A message that an outbox has committed reaches its topic
// at least once, acknowledged by all in-sync replicas. All messages of a user are in one partition, and the first copies of
// them are there in the order of the outbox, also after retries, failures of the broker and changes of the relay (DESIGN.md
// says why). One member of a group holds a partition at a time; a member that was silent for longer than its session cannot
// commit. Partitions change hands only while a member polls, so that a batch or a retry in hand is finished before.
//
// What it does not promise. Copies may follow the first, with the same ID. Messages older than the retention of the topic are
// gone for a group that has not read them. Who may write to the topic may forge messages: what no outbox can have written
// becomes a dead letter (see [driver.HeaderMalformed]), what looks right is believed; give the right to write to Penstock alone.
//
// The position of the relay and of every group in each outbox is in a [driver.Cursors], under a lease that makes one process the
// relay of a source. Concurrency: the driver is safe for concurrent use; a reader belongs to one goroutine, except Lag.
package kafkabus

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"

	"penstock/bus/driver"
	"penstock/engine/kafka"
	"penstock/internal/ident"
)

// ErrClosed says that the driver or the reader was closed.
var ErrClosed = errors.New("kafka bus closed")

// RelayGroup is the name under which the relay keeps its own position among the cursors.
const RelayGroup = "kafka-relay"

// Source is one committed outbox: a log of numbered entries in commit order, of which some carry a message. Safe for
// concurrent use. It is the same as that of package outboxbus, which documents it.
type Source interface {
	Name() string
	Read(ctx context.Context, after uint64, limit int) (msgs []driver.Message, scanned uint64, err error)
	Head(ctx context.Context) (uint64, error)
	Changed() <-chan struct{}
	Sent(ctx context.Context, upto uint64) error
}

// Driver implements [driver.Driver] over a cluster, and relays the sources of its topics while it holds their leases.
type Driver struct {
	cluster *kafka.Cluster
	cursors driver.Cursors
	topics  map[string][]Source
	opt     Options
	member  string

	stop context.CancelFunc
	wg   sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	opened  int
	readers map[*reader]struct{}
}

var _ driver.Driver = (*Driver)(nil)

// New makes or checks the topics (see [kafka.Cluster.Ensure]; warnings are logged) and returns a driver that relays the sources
// of each, sharing that work with other processes by leases in cursors. A topic without sources is only read. The cluster and
// the cursors stay the caller's to close, after the driver. ctx bounds only the start.
func New(ctx context.Context, cluster *kafka.Cluster, cursors driver.Cursors, topics map[string][]Source, o Options) (*Driver, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if err := checkSources(topics); err != nil {
		return nil, err
	}
	d := &Driver{
		cluster: cluster, cursors: cursors, topics: topics, opt: o.withDefaults(), member: rand.Text(), readers: map[*reader]struct{}{},
	}
	for topic := range topics {
		warnings, err := cluster.Ensure(ctx, kafka.Topic{Name: topic, Partitions: d.opt.Partitions, Retention: d.opt.Retention})
		if err != nil {
			return nil, err
		}
		for _, w := range warnings {
			d.opt.Logger.Warn(w)
		}
	}
	if d.opt.Letters != nil {
		if err := d.ensureLetters(ctx); err != nil {
			return nil, err
		}
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	d.stop = stop
	for topic, sources := range topics {
		for _, s := range sources {
			r := newRelay(d, topic, s)
			d.wg.Go(func() { r.run(running) })
		}
	}
	if d.opt.Letters != nil {
		l := newLetters(d)
		d.wg.Go(func() { l.run(running) })
	}
	return d, nil
}

// checkSources refuses a source that has no name, or two places: word of its changes reaches one relay only.
func checkSources(topics map[string][]Source) error {
	seen := map[string]string{}
	for topic, sources := range topics {
		for _, s := range sources {
			name := s.Name()
			if name == "" {
				return fmt.Errorf("kafkabus: topic %s has a source without a name", topic)
			}
			if other, twice := seen[name]; twice {
				return fmt.Errorf("kafkabus: source %s is given twice, for topics %s and %s", name, other, topic)
			}
			seen[name] = topic
		}
	}
	return nil
}

// Subscribe opens a member. The group is known from then on: sources are told Sent only for what it has committed too.
func (d *Driver) Subscribe(ctx context.Context, group, topic string) (driver.Reader, error) {
	sources, ok := d.topics[topic]
	if !ok {
		return nil, fmt.Errorf("kafkabus: no such topic %q", topic)
	}
	if err := d.enrol(ctx, group, topic, sources); err != nil {
		return nil, fmt.Errorf("enrol group %s in topic %s: %w", group, topic, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, ErrClosed
	}
	r := newReader(d, group, topic)
	if err := r.connect(); err != nil {
		return nil, err
	}
	d.readers[r] = struct{}{}
	return r, nil
}

// enrol makes the cursors of a group in all sources of a topic.
func (d *Driver) enrol(ctx context.Context, group, topic string, sources []Source) error {
	if len(sources) == 0 {
		return nil
	}
	names := make([]string, len(sources))
	for i, s := range sources {
		names[i] = s.Name()
	}
	return d.cursors.Enrol(ctx, group, topic, names)
}

// owner returns a name that no other member has or had.
func (d *Driver) owner() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opened++
	return d.member + "-" + strconv.Itoa(d.opened)
}

// Partition spreads users by their virtual slot, as every other engine of the bus does.
func (d *Driver) Partition(_, user string) int { return ident.SlotOf(user) % d.opt.Partitions }

// group returns the name of a group at the broker. Each topic of a group is a group of its own there, so that dealing out one
// topic does not stop the readers of another.
func (d *Driver) group(group, topic string) string { return d.cluster.Name(group + "@" + topic) }

// Forget removes a group that will never read again, here and at the broker, so that the sources need not wait for it. It fails
// while the group has readers, in any process.
func (d *Driver) Forget(ctx context.Context, group string) error {
	for topic := range d.topics {
		_, err := d.cluster.Admin().DeleteGroup(ctx, d.group(group, topic))
		if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
			return fmt.Errorf("delete group %s: %w", d.group(group, topic), err)
		}
	}
	return d.cursors.Forget(ctx, group)
}

// Close ends the relays and gives up their leases, and ends every Poll with ErrClosed. Readers leave their groups by their own
// Close. Idempotent.
func (d *Driver) Close() error {
	d.mu.Lock()
	d.closed = true
	for r := range d.readers {
		r.end()
	}
	d.mu.Unlock()
	d.stop()
	d.wg.Wait()
	return nil
}
