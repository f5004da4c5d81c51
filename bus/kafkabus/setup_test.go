package kafkabus

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"penstock/bus/driver"
	"penstock/bus/drivertest"
	"penstock/bus/sqlstore"
	"penstock/engine/kafka"
	"penstock/engine/sqlite"
)

// patience bounds every wait for an outcome.
const patience = 60 * time.Second

// bench is a cluster's clients and one topic of a test, with its outbox and the SQL behind it.
type bench struct {
	t       testing.TB
	url     string
	cluster *kafka.Cluster
	db      *sqlite.DB
	cursors driver.Cursors
	log     *drivertest.Log
	topic   string
	line    *line // the network of the clients of cluster
}

// begin makes a topic name of the test's own, an outbox and a database.
func begin(t testing.TB, url string) *bench {
	t.Helper()
	b := &bench{t: t, url: url, topic: "t-" + rand.Text()[:8], line: &line{}}
	b.log = drivertest.NewLog("outbox-" + b.topic)
	b.cluster = b.open(b.line)
	db, err := sqlstore.Open(t.Context(), filepath.Join(t.TempDir(), "bus.db"), sqlite.Options{})
	b.ok("open bus.db", err)
	t.Cleanup(func() { b.ok("close bus.db", db.Close()) })
	b.db, b.cursors = db, sqlstore.NewCursors(db, nil)
	return b
}

func (b *bench) ok(what string, err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatalf("%s: %v", what, err)
	}
}

// open connects over a line of its own; nil is the machine's network.
func (b *bench) open(l *line) *kafka.Cluster {
	b.t.Helper()
	cfg, err := kafka.Parse(b.url)
	b.ok("parse", err)
	o := kafka.Options{}
	if l != nil {
		o.Dial = l.dial
	}
	c, err := kafka.Open(b.t.Context(), cfg, o)
	b.ok("open the cluster", err)
	b.t.Cleanup(c.Close)
	return c
}

// quick are the options of tests: sessions as short as the broker of a test allows.
func quick() Options {
	return Options{
		Session: 2 * time.Second, Heartbeat: 200 * time.Millisecond, Rebalance: 10 * time.Second, Idle: 100 * time.Millisecond,
		Lease: 2 * time.Second, Quiet: 20 * time.Millisecond, Sent: 50 * time.Millisecond,
	}
}

// driver starts one over the bench's cluster.
func (b *bench) driver(o Options) *Driver { return b.driverOver(b.cluster, o) }

func (b *bench) driverOver(c *kafka.Cluster, o Options) *Driver {
	b.t.Helper()
	d, err := New(b.t.Context(), c, b.cursors, map[string][]Source{b.topic: {b.log}}, o)
	b.ok("new driver", err)
	b.t.Cleanup(func() { b.ok("close the driver", d.Close()) })
	return d
}

func (b *bench) reader(d *Driver, group string) driver.Reader {
	b.t.Helper()
	r, err := d.Subscribe(b.t.Context(), group, b.topic)
	b.ok("subscribe", err)
	b.t.Cleanup(func() { b.ok("close the reader", r.Close()) })
	return r
}

// produce writes raw records to the topic, as anybody who may write could.
func (b *bench) produce(records ...*kgo.Record) {
	b.t.Helper()
	client, err := b.cluster.Client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(16<<20))
	b.ok("client", err)
	defer client.Close()
	for _, r := range records {
		r.Topic = b.cluster.Name(b.topic)
	}
	b.ok("produce", client.ProduceSync(b.t.Context(), records...).FirstErr())
}

// until polls a condition.
func (b *bench) until(what string, condition func() bool) {
	b.t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline.C:
			b.t.Fatalf("after %v still not: %s", patience, what)
		}
	}
}

// members returns how many members a group has, -1 when the broker does not say.
func (b *bench) members(d *Driver, group string) int {
	id := d.group(group, b.topic)
	all, err := b.cluster.Admin().DescribeGroups(context.Background(), id)
	if err != nil || all[id].Err != nil {
		return -1
	}
	return len(all[id].Members)
}

// message makes the n-th message of a user.
func message(user string, n int) driver.Message {
	id := user + "-" + strconv.Itoa(n)
	return driver.Message{
		ID: id, User: user, Key: "order-" + id, Type: "test.happened", Payload: []byte(`{"id":"` + id + `"}`),
		At: time.Date(2026, 11, 11, 20, 0, 0, n, time.UTC),
	}
}

// story makes messages from–to of each user, users by turns.
func story(users, from, to int) []driver.Message {
	var all []driver.Message
	for n := from; n <= to; n++ {
		for u := range users {
			all = append(all, message("user"+strconv.Itoa(u), n))
		}
	}
	return all
}

// effects is what an idempotent handler keeps: each message once, and whether first deliveries kept a user's order.
type effects struct {
	mu     sync.Mutex
	seen   map[string]bool
	copies int
	last   map[string]int
	broken []string
}

func newEffects() *effects { return &effects{seen: map[string]bool{}, last: map[string]int{}} }

func (e *effects) take(msgs []driver.Message) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, m := range msgs {
		if e.seen[m.ID] {
			e.copies++
			continue
		}
		e.seen[m.ID] = true
		n, _ := strconv.Atoi(m.ID[strings.LastIndex(m.ID, "-")+1:])
		if n != e.last[m.User]+1 {
			e.broken = append(e.broken, fmt.Sprintf("%s after %d", m.ID, e.last[m.User]))
		}
		e.last[m.User] = n
	}
}

func (e *effects) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.seen)
}

// check fails the test unless n messages came, each user's first copies in order.
func (e *effects) check(t testing.TB, n int) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.seen) != n || len(e.broken) > 0 {
		t.Errorf("%d messages of %d; out of order: %v", len(e.seen), n, e.broken[:min(5, len(e.broken))])
	}
}

// consume polls and commits until ctx ends. What a handler would do is done before the commit.
func consume(ctx context.Context, r driver.Reader, handle func([]driver.Message)) {
	for ctx.Err() == nil {
		batch, err := r.Poll(ctx, 500)
		if err != nil || len(batch) == 0 {
			continue
		}
		handle(batch)
		for r.Commit(context.WithoutCancel(ctx)) != nil && len(r.(*reader).batch) > 0 && ctx.Err() == nil {
			continue
		}
	}
}

// line is a network that a test can hold up: bytes wait while it is held, connections stay open.
type line struct {
	mu   sync.Mutex
	wait chan struct{} // nil while it is open
}

func (l *line) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wait = make(chan struct{})
}

func (l *line) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.wait)
	l.wait = nil
}

func (l *line) pass() {
	l.mu.Lock()
	wait := l.wait
	l.mu.Unlock()
	if wait != nil {
		<-wait
	}
}

func (l *line) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	l.pass()
	c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	return held{c, l}, nil
}

type held struct {
	net.Conn
	line *line
}

func (c held) Write(b []byte) (int, error) {
	c.line.pass()
	return c.Conn.Write(b)
}
