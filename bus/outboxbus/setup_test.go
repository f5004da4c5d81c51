package outboxbus_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"penstock/bus/driver"
	"penstock/bus/drivertest"
	"penstock/bus/outboxbus"
	"penstock/bus/sqlstore"
	"penstock/engine/sqlite"
	"penstock/internal/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shifted is the machine's clock plus what a test lets pass.
type shifted struct {
	clock.Real
	mu sync.Mutex
	by time.Duration
}

func (c *shifted) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Real.Now().Add(c.by)
}

func (c *shifted) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by += d
}

// bench is one bus.db with the outboxes of a topic.
type bench struct {
	t     *testing.T
	clock *shifted
	db    *sqlite.DB
	logs  []*drivertest.Log
	path  string
}

func setup(t *testing.T, sources int) *bench {
	b := &bench{t: t, clock: &shifted{}, path: filepath.Join(t.TempDir(), "bus.db")}
	b.db = b.open()
	for i := range sources {
		b.logs = append(b.logs, drivertest.NewLog(fmt.Sprintf("outbox-%d", i)))
	}
	return b
}

func (b *bench) open() *sqlite.DB {
	b.t.Helper()
	db, err := sqlstore.Open(b.t.Context(), b.path, sqlite.Options{})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.t.Error(err)
		}
	})
	return db
}

func (b *bench) cursors() *sqlstore.Cursors { return sqlstore.NewCursors(b.db, b.clock) }

func (b *bench) driver(o outboxbus.Options) *outboxbus.Driver {
	b.t.Helper()
	o.Clock = b.clock
	if o.Idle == 0 {
		o.Idle = 20 * time.Millisecond
	}
	var sources []outboxbus.Source
	for _, l := range b.logs {
		sources = append(sources, l)
	}
	d, err := outboxbus.New(b.cursors(), map[string][]outboxbus.Source{"topic": sources}, o)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if err := d.Close(); err != nil {
			b.t.Error(err)
		}
	})
	return d
}

func (b *bench) reader(d *outboxbus.Driver, group string) driver.Reader {
	b.t.Helper()
	r, err := d.Subscribe(b.t.Context(), group, "topic")
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		if err := r.Close(); err != nil {
			b.t.Error(err)
		}
	})
	return r
}

func (b *bench) poll(r driver.Reader, limit int) []driver.Message {
	b.t.Helper()
	batch, err := r.Poll(b.t.Context(), limit)
	if err != nil {
		b.t.Fatal(err)
	}
	return batch
}

func (b *bench) commit(r driver.Reader) {
	b.t.Helper()
	if err := r.Commit(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
}

func messages(user string, n int) []driver.Message {
	out := make([]driver.Message, n)
	for i := range out {
		out[i] = driver.Message{ID: fmt.Sprintf("%s-%d", user, i), User: user}
	}
	return out
}

func perSource(batch []driver.Message) map[string]int {
	out := map[string]int{}
	for _, m := range batch {
		out[m.Headers[outboxbus.HeaderOutbox]]++
	}
	return out
}
