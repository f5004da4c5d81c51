package messagetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock/bus"
	"penstock/bus/driver"
	"penstock/bus/kafkabus"
	"penstock/bus/mysqlstore"
	"penstock/bus/outbox"
	"penstock/bus/outboxbus"
	"penstock/bus/sqlstore"
	"penstock/engine/groupcommit"
	"penstock/engine/kafka"
	"penstock/engine/sqldb"
	"penstock/engine/sqlite"
	"penstock/internal/engines"
	"penstock/internal/fault"
)

const (
	group = "readers"
	users = 40
)

// world is a room with its outbox, what the bus keeps, and the effects of its handler.
type world struct {
	t       *testing.T
	rnd     *rand.Rand
	room    sqldb.Store
	src     *outbox.Source
	store   letters
	cursors driver.Cursors
	query   func(ctx context.Context, query string, args ...any) (*sql.Rows, error) // of what the bus keeps
	topic   string
	kafka   string // the URL of the cluster, "" for the outbox bus

	down   func() bool // the store of letters is away
	next   [users]int
	poison map[string]bool
	all    []string

	mu     sync.Mutex
	effect map[string]int // times that the effect was made
	last   map[string]int
	broken []string
	flaked map[string]bool
}

// letters is what every store of the bus offers.
type letters interface {
	driver.Store
	driver.Copies
}

// setup makes a world whose room and bus have a SQLite file each; url is that of a cluster, "" for the outbox bus.
func setup(t *testing.T, url string) *world {
	t.Helper()
	w := newWorld(t, url)
	var err error
	w.room, err = sqldb.OpenFile(t.Context(), filepath.Join(t.TempDir(), "room.db"), schema(), groupcommit.Options{})
	w.ok("open the room", err)
	db, err := sqlstore.Open(t.Context(), filepath.Join(t.TempDir(), "bus.db"), sqlite.Options{})
	w.ok("open bus.db", err)
	t.Cleanup(func() { w.ok("close", errors.Join(w.room.Close(), db.Close())) })
	w.store, w.cursors, w.query = sqlstore.New(db), sqlstore.NewCursors(db, nil), db.R.QueryContext
	w.open()
	return w
}

// setupShared makes a world whose room and bus are in a database of MariaDB.
func setupShared(t *testing.T, server *engines.Server) *world {
	t.Helper()
	w := newWorld(t, "")
	db, err := pool(t.Context(), server.Database(t))
	w.ok("open the database", err)
	w.ok("make the bus's tables", mysqlstore.Migrate(t.Context(), db, nil))
	w.room, err = sqldb.OpenShared(t.Context(), db, schema(), sqldb.Options{})
	w.ok("open the room", err)
	t.Cleanup(func() { w.ok("close", errors.Join(w.room.Close(), db.Close())) })
	w.store, w.cursors, w.query = mysqlstore.New(db), mysqlstore.NewCursors(db, nil), db.QueryContext
	w.open()
	return w
}

// schema is that of a room.
func schema() sqldb.Schema {
	return outbox.Into(sqldb.Schema{Name: "room", SQLite: []string{`CREATE TABLE thing (id TEXT PRIMARY KEY)`},
		MySQL: []string{`CREATE TABLE IF NOT EXISTS thing (id VARBINARY(64) NOT NULL PRIMARY KEY) ENGINE=InnoDB;`}})
}

func (w *world) open() {
	w.t.Helper()
	var err error
	w.src, err = outbox.New(w.t.Context(), w.room, "room", w.topic, outbox.Options{Keep: time.Hour})
	w.ok("open its outbox", err)
}

func newWorld(t *testing.T, url string) *world {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return &world{
		t: t, rnd: rand.New(rand.NewPCG(seed, 1)), topic: "t" + strconv.FormatUint(seed, 36), kafka: url, poison: map[string]bool{}, effect: map[string]int{},
		last: map[string]int{}, flaked: map[string]bool{}, down: func() bool { return false },
	}
}

func (w *world) ok(what string, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("%s: %v", what, err)
	}
}

// publish writes n messages, of which one in a hundred is poison, a hundred in a transaction.
func (w *world) publish(n int) {
	w.t.Helper()
	for n > 0 {
		var msgs []driver.Message
		for ; n > 0 && len(msgs) < 100; n-- {
			u := w.rnd.IntN(users)
			w.next[u]++
			m := message(w.topic, "user"+strconv.Itoa(u), w.next[u])
			if w.rnd.IntN(100) == 0 {
				m.Payload, w.poison[m.ID] = []byte(`{"broken`), true
			}
			msgs, w.all = append(msgs, m), append(w.all, m.ID)
		}
		w.ok("publish", w.room.Do(w.t.Context(), sqldb.NoLock, func(tx sqldb.Tx) error { return bus.PublishTx(tx, msgs...) }))
		w.src.Wake()
	}
}

func message(topic, user string, n int) driver.Message {
	return driver.Message{
		ID: user + "-" + strconv.Itoa(n), Topic: topic, User: user, Key: "order", Type: "thing.done", Payload: []byte(`{"v":1}`), At: time.Now().UTC(),
	}
}

// handle has each effect once, by the message's id. One message in fifty fails at first.
func (w *world) handle(_ context.Context, batch []driver.Message) []error {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]error, len(batch))
	for i, m := range batch {
		n, _ := strconv.Atoi(m.ID[strings.LastIndex(m.ID, "-")+1:])
		switch {
		case w.effect[m.ID] > 0:
		case n%50 == 7 && !w.flaked[m.ID]:
			w.flaked[m.ID], out[i] = true, errors.New("not now")
		default:
			if n <= w.last[m.User] {
				w.broken = append(w.broken, fmt.Sprintf("%s after %d", m.ID, w.last[m.User]))
			}
			w.last[m.User] = n
			w.effect[m.ID]++
		}
	}
	return out
}

// failing is a store that is away when the world says so.
type failing struct {
	driver.Store
	down func() bool
}

func (f failing) Settle(ctx context.Context, group string, o []driver.Outcome) error {
	if f.down() {
		return errors.New("the store of dead letters is away")
	}
	return f.Store.Settle(ctx, group, o)
}

func (f failing) Park(ctx context.Context, group string, p []driver.Parked) error {
	if f.down() {
		return errors.New("the store of parked messages is away")
	}
	return f.Store.Park(ctx, group, p)
}

// member starts a relay and a consumer, which fail now and then at every point of a turn. kill cuts them off in the middle.
func (w *world) member(faults bool) (kill func()) {
	w.t.Helper()
	drv, closed := w.carrier()
	o := bus.Options{Backoff: bus.Backoff{Base: 2 * time.Millisecond, Max: 20 * time.Millisecond}, PollLimit: 100, Fault: &fault.Points{}}
	for _, p := range []string{bus.PointHandled, bus.PointParked, bus.PointCommitted, bus.PointRetried} {
		o.Fault.Set(p, func(int) error {
			if faults && rand.IntN(20) == 0 {
				return errors.New("cut off at " + p)
			}
			return nil
		})
	}
	b, err := bus.New(drv, failing{w.store, w.down}, o)
	w.ok("new bus", err)
	w.ok("consume", b.Consume(group, w.topic, bus.Contract{Types: []string{"thing.done"}}.Guard(w.handle)))
	w.ok("start", b.Start(w.t.Context()))
	return sync.OnceFunc(func() {
		cut, cancel := context.WithCancel(context.Background())
		cancel()
		_ = b.Stop(cut)
		<-b.Stopped()
		closed()
	})
}

func (w *world) carrier() (driver.Driver, func()) {
	w.t.Helper()
	if w.kafka == "" {
		d, err := outboxbus.New(w.cursors, map[string][]outboxbus.Source{w.topic: {w.src}}, outboxbus.Options{
			Idle: 20 * time.Millisecond, Lease: time.Second, Heartbeat: 200 * time.Millisecond, Poll: 20 * time.Millisecond,
		})
		w.ok("outbox bus", err)
		return d, func() { _ = d.Close() }
	}
	cfg, err := kafka.Parse(w.kafka)
	w.ok("parse", err)
	c, err := kafka.Open(w.t.Context(), cfg, kafka.Options{})
	w.ok("open the cluster", err)
	d, err := kafkabus.New(w.t.Context(), c, w.cursors, map[string][]kafkabus.Source{w.topic: {w.src}}, kafkabus.Options{
		Session: 2 * time.Second, Heartbeat: 200 * time.Millisecond, Rebalance: 10 * time.Second, Idle: 50 * time.Millisecond,
		Lease: 2 * time.Second, Quiet: 20 * time.Millisecond, Sent: 100 * time.Millisecond, Timeout: 10 * time.Second, Letters: w.store,
	})
	w.ok("kafka bus", err)
	return d, func() { _ = d.Close(); c.Close() }
}

// books is where each message is: handled, parked, dead, or waiting.
type books struct{ handled, parked, dead, waiting int }

func (w *world) books() books {
	w.t.Helper()
	parked, dead := map[string]bool{}, map[string]bool{}
	for query, into := range map[string]map[string]bool{`SELECT message_id FROM parked`: parked, `SELECT message_id FROM dead_letter`: dead} {
		rows, err := w.query(w.t.Context(), query)
		w.ok("read", err)
		for rows.Next() {
			var id string
			w.ok("scan", rows.Scan(&id))
			into[id] = true
		}
		w.ok("rows", errors.Join(rows.Err(), rows.Close()))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var b books
	for _, id := range w.all {
		switch {
		case w.effect[id] > 0:
			b.handled++
		case parked[id]:
			b.parked++
		case dead[id]:
			b.dead++
		default:
			b.waiting++
		}
	}
	return b
}

// balance checks, while nobody works, that what is neither handled nor set aside is still ahead of the group.
func (w *world) balance() {
	w.t.Helper()
	b := w.books()
	low, err := w.cursors.Position(w.t.Context(), group, w.topic, w.src.Name())
	w.ok("position", err)
	head, err := w.src.Head(w.t.Context())
	w.ok("head", err)
	if ahead := int(head - low); b.waiting > ahead {
		w.t.Fatalf("%+v of %d, but only %d are ahead of the group: %d are lost", b, len(w.all), ahead, b.waiting-ahead)
	}
	w.t.Logf("%d produced = %+v", len(w.all), b)
}

// drained waits until every message has its effect or its letter, and checks both.
func (w *world) drained() {
	w.t.Helper()
	limit := time.NewTimer(5 * time.Minute)
	defer limit.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for b := w.books(); b.parked+b.waiting > 0; b = w.books() {
		select {
		case <-tick.C:
		case <-limit.C:
			w.t.Fatalf("not drained: %+v", b)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range w.all {
		if n := w.effect[id]; n != 1 && !w.poison[id] || n != 0 && w.poison[id] {
			w.t.Fatalf("message %s has %d effects, poison: %v", id, n, w.poison[id])
		}
	}
	if len(w.broken) > 0 {
		w.t.Fatalf("out of order: %v", w.broken[:min(5, len(w.broken))])
	}
}

// storm publishes while members, and the broker, are cut off again and again.
func storm(t *testing.T, w *world, broker *engines.Server, n int) {
	const rounds = 5
	for round := range rounds {
		kills := []func(){w.member(true), w.member(true)}
		w.publish(n / rounds)
		if broker != nil && round%2 == 1 {
			broker.Kill(t)
			broker.Start(t)
		}
		want := w.books().handled + n/rounds/4
		for limit := time.Now().Add(time.Minute); w.books().handled < want && time.Now().Before(limit); {
			<-time.After(5 * time.Millisecond)
		}
		for _, kill := range kills {
			kill()
		}
		w.balance()
	}
	kill := w.member(false)
	defer kill()
	w.drained()
	letters, err := w.store.List(t.Context(), driver.Filter{Reason: "its payload is no JSON"}, 0, 1<<20)
	w.ok("letters", err)
	if len(letters) != len(w.poison) {
		t.Fatalf("%d letters for %d poison messages", len(letters), len(w.poison))
	}
	t.Logf("%d messages, %d poison: %+v", len(w.all), len(w.poison), w.books())
}

// size is how many messages a storm has, a third of it under -short; MESSAGES sets it for all.
func size(t *testing.T, usual int) int {
	t.Helper()
	text := os.Getenv("MESSAGES")
	if text == "" && testing.Short() {
		return usual / 3
	}
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 100 {
		t.Fatalf("MESSAGES is %q: it is a number of messages, such as 100000", text)
	}
	return n
}

// On the outbox bus: every message has its effect once or a letter, nothing is lost at any moment, no user's order is broken,
// whatever is cut off.
func TestStormOnOutbox(t *testing.T) { t.Parallel(); storm(t, setup(t, ""), nil, size(t, 3000)) }

// The same over Kafka, with the broker killed as well.
func TestStormOnKafka(t *testing.T) {
	c := engines.Kafka(t, 1, engines.KafkaOptions{})
	t.Run("poison", func(t *testing.T) {
		w := setup(t, c.URL)
		everyPoison(t, w)
		lettersTellTheTruth(t, w)
	})
	t.Run("storm", func(t *testing.T) { storm(t, setup(t, c.URL), c.Nodes[0], size(t, 3000)) })
}
