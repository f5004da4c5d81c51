package bus

import (
	"context"
	"errors"
	"flag"
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

// TestMain runs the model fewer times than rapid would, because every case syncs files; -rapid.checks=N runs it N times.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "40"); err != nil {
		panic(err)
	}
	goleak.VerifyTestMain(m)
}

const (
	testGroup = "orders"
	testTopic = "stock"
)

var start = time.Date(2026, 11, 11, 12, 0, 0, 0, time.UTC)

// eager is a clock on which every timer has fired by the time it is made: whoever waits finds that the time has passed.
type eager struct {
	mu  sync.Mutex
	now time.Time
}

func (c *eager) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *eager) NewTimer(d time.Duration) clock.Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	fired := make(firedTimer, 1)
	fired <- c.now
	return fired
}

type firedTimer chan time.Time

func (t firedTimer) C() <-chan time.Time { return t }
func (t firedTimer) Stop() bool          { return false }

// fataler is what *testing.T and *rapid.T share here.
type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// rig is one bus over one outbox, whose turns the test takes one by one. It can be killed and started again.
type rig struct {
	t     fataler
	path  string
	clock clock.Clock
	log   *drivertest.Log
	opt   Options
	wrap  func(driver.Store) driver.Store
	h     Handler

	db  *sqlite.DB
	drv *outboxbus.Driver
	bus *Bus
	sub *subscription
}

func newRig(t fataler, dir string, o Options, h Handler) *rig {
	t.Helper()
	if o.Clock == nil {
		o.Clock = &eager{now: start}
	}
	r := &rig{
		t: t, path: filepath.Join(dir, "bus.db"), clock: o.Clock, log: drivertest.NewLog("outbox"), opt: o, h: h,
		wrap: func(s driver.Store) driver.Store { return s },
	}
	r.boot()
	return r
}

func setup(t *testing.T, o Options, h Handler) *rig {
	t.Helper()
	r := newRig(t, t.TempDir(), o, h)
	t.Cleanup(r.kill)
	return r
}

func (r *rig) boot() {
	r.t.Helper()
	ctx := context.Background()
	var err error
	if r.db, err = sqlstore.Open(ctx, r.path, sqlite.Options{}); err != nil {
		r.t.Fatal(err)
	}
	cursors := sqlstore.NewCursors(r.db, r.clock)
	if err = cursors.Void(ctx); err != nil {
		r.t.Fatal(err)
	}
	r.drv, err = outboxbus.New(cursors, map[string][]outboxbus.Source{testTopic: {r.log}}, outboxbus.Options{
		Clock: r.clock, Lease: 24 * time.Hour, // turns of a test may be hours apart
	})
	if err != nil {
		r.t.Fatal(err)
	}
	if r.bus, err = New(r.drv, r.wrap(sqlstore.New(r.db)), r.opt); err != nil {
		r.t.Fatal(err)
	}
	if err = r.bus.Consume(testGroup, testTopic, r.h); err != nil {
		r.t.Fatal(err)
	}
	r.sub = r.bus.subs[0]
}

// kill ends everything without giving up a lease, as the death of the process would.
func (r *rig) kill() {
	r.t.Helper()
	if err := errors.Join(r.drv.Close(), r.db.Close()); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) turn() error { return r.sub.turn(context.Background(), context.Background()) }

// turns takes clean turns until nothing is in flight.
func (r *rig) drain() {
	r.t.Helper()
	for range 5000 {
		if err := r.turn(); err != nil {
			r.t.Fatal(err)
		}
		flight, err := r.bus.InFlight(context.Background())
		if err != nil {
			r.t.Fatal(err)
		}
		left := int64(0)
		for _, n := range flight {
			left += n
		}
		if left == 0 {
			return
		}
	}
	r.t.Fatalf("not drained after 5000 turns")
}

// column reads one text column.
func (r *rig) column(query string) map[string]bool {
	r.t.Helper()
	rows, err := r.db.R.Query(query)
	if err != nil {
		r.t.Fatal(err)
	}
	defer rows.Close()
	out := map[string]bool{}
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			r.t.Fatal(err)
		}
		out[s] = true
	}
	if err := rows.Err(); err != nil {
		r.t.Fatal(err)
	}
	return out
}

func (r *rig) parked() map[string]bool { return r.column(`SELECT message_id FROM parked`) }
func (r *rig) dead() map[string]bool   { return r.column(`SELECT message_id FROM dead_letter`) }

func (r *rig) committed() uint64 {
	r.t.Helper()
	var n uint64
	if err := r.db.R.QueryRow(`SELECT position FROM cursor`).Scan(&n); err != nil {
		r.t.Fatal(err)
	}
	return n
}

func (r *rig) letters() []driver.DeadLetter {
	r.t.Helper()
	all, err := r.bus.DeadLetters().List(context.Background(), driver.Filter{All: true}, 0, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

func message(user string, n int) driver.Message {
	id := fmt.Sprintf("%s-%d", user, n)
	return driver.Message{ID: id, User: user, Key: "order-" + id, Type: "stock.held", Payload: []byte(id), At: start}
}

// recorder is a handler that notes what it was given and answers by verdict.
type recorder struct {
	mu      sync.Mutex
	calls   [][]string
	verdict func(m driver.Message) error
}

func (h *recorder) handle(_ context.Context, batch []driver.Message) []error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var seen []string
	out := make([]error, len(batch))
	for i, m := range batch {
		seen = append(seen, m.ID)
		if h.verdict != nil {
			out[i] = h.verdict(m)
		}
	}
	h.calls = append(h.calls, seen)
	return out
}

// seen flattens the calls.
func (h *recorder) seen() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []string
	for _, c := range h.calls {
		all = append(all, c...)
	}
	return all
}
