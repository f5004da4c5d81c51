package mysqlstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"penstock/bus"
	"penstock/bus/driver"
	"penstock/bus/drivertest"
	"penstock/bus/mysqlstore"
	"penstock/engine/mysql"
	"penstock/internal/engines"
	"penstock/internal/faultproxy"
)

// effects is a consumer that always fails for one user and finds poison in the messages of another.
type effects struct {
	mu     sync.Mutex
	order  map[string][]string // by user: messages in the order of their first handling
	seen   map[string]bool
	failed int
}

func (e *effects) handle(_ context.Context, batch []driver.Message) []error {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]error, len(batch))
	for i, m := range batch {
		if !e.seen[m.ID] {
			e.seen[m.ID] = true
			e.order[m.User] = append(e.order[m.User], m.ID)
		}
		switch m.User {
		case "fails":
			out[i] = errors.New("no")
		case "poison":
			out[i] = bus.ErrPoison
		}
	}
	return out
}

// Write counts the turns that failed; it is where the bus logs to.
func (e *effects) Write(line []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if bytes.Contains(line, []byte("nothing committed")) {
		e.failed++
	}
	return len(line), nil
}

func (e *effects) failures() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.failed
}

func (e *effects) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.seen)
}

// testStoreDown: a store of dead letters that is down, or whose answers are lost, stops the bus from committing. No message is
// lost, skipped or buried twice, with two processes consuming.
func testStoreDown(t *testing.T, server *engines.Server) {
	url := database(t, server)
	proxy := faultproxy.New(t, server.Addr())
	direct := open(t, url)
	logs := drivertest.NewLog("outbox")
	e := &effects{order: map[string][]string{}, seen: map[string]bool{}}
	for range 2 {
		begin(t, url, proxy, logs, e)
	}
	users, each := []string{"fine", "fails", "poison"}, 15
	put := func(from, to int) {
		for i := from; i < to; i++ {
			for _, u := range users {
				logs.Append(message(u, i))
			}
		}
	}
	cursors, truth := mysqlstore.NewCursors(direct, nil), mysqlstore.New(direct)
	var at uint64
	position := func() (p uint64) {
		p, err := cursors.Position(t.Context(), "g", "topic", "outbox")
		ok(t, err)
		return p
	}
	reached := func(want int) {
		t.Helper()
		persist(t, "consuming", func(context.Context) error {
			if at = position(); at < uint64(want) {
				return fmt.Errorf("the group is at %d of %d", at, want)
			}
			return nil
		})
	}
	put(0, 5)
	reached(15)
	for i, spoil := range []func(){proxy.Refuse, proxy.DropReplies} {
		spoil()
		before := e.failures()
		put(5*(i+1), 5*(i+2))
		persist(t, "handling while the store is away", func(context.Context) error {
			if e.failures() < before+2 {
				return errors.New("no turn has failed yet")
			}
			return nil
		})
		if now := position(); now != at {
			t.Fatalf("the group moved from %d to %d without its store", at, now)
		}
		proxy.Pass()
		reached(15 * (i + 2))
	}
	persist(t, "burying", func(ctx context.Context) error {
		parked, dead, err := truth.Count(ctx, "g")
		if err == nil && (parked != 0 || dead != int64(2*each)) {
			err = fmt.Errorf("%d parked, %d dead", parked, dead)
		}
		return err
	})
	if e.count() != len(users)*each {
		t.Fatalf("%d of %d messages were handled", e.count(), len(users)*each)
	}
	for _, u := range users {
		for i, id := range e.order[u] {
			if want := message(u, i).ID; id != want {
				t.Fatalf("%s was handled where %s was due", id, want)
			}
		}
	}
}

// begin starts one process: cursors straight to the server, the store through the proxy.
func begin(t *testing.T, url string, proxy *faultproxy.Proxy, log *drivertest.Log, e *effects) {
	t.Helper()
	o := short()
	o.Lease = 30 * time.Second
	p := start(t, url, o, log)
	c, err := mysql.Parse("mysql://root@" + proxy.Addr() + "/" + p.db.Config().Database())
	ok(t, err)
	db, err := mysql.Open(t.Context(), c, mysql.Options{Pool: 4, LockWait: time.Second, Reply: 1200 * time.Millisecond})
	ok(t, err)
	b, err := bus.New(p.drv, mysqlstore.New(db), bus.Options{
		Logger: slog.New(slog.NewTextHandler(e, nil)), MaxRetries: -1, Backoff: bus.Backoff{Base: 5 * time.Millisecond, Max: 50 * time.Millisecond}, PollLimit: 7,
	})
	ok(t, err)
	ok(t, b.Consume("g", "topic", e.handle))
	ok(t, b.Start(t.Context()))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
		defer cancel()
		ok(t, errors.Join(b.Stop(ctx), db.Close()))
	})
}
