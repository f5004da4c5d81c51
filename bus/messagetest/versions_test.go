package messagetest

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"penstock/bus"
	"penstock/bus/driver"
	"penstock/engine/sqldb"
)

// An old consumer and a new one read one topic side by side while its producer goes over to a new version: the new one handles
// both, the old one has a letter for each that it does not understand, and handles them by replay once it is upgraded.
func TestOldAndNewConsumer(t *testing.T) {
	t.Parallel()
	w := setup(t, "")
	w.ok("publish", w.room.Do(t.Context(), sqldb.NoLock, func(tx sqldb.Tx) error {
		for n := range 20 {
			m := message(w.topic, "ann", n+1)
			m.Payload = []byte(`{"v":` + strconv.Itoa(1+n%2) + `}`)
			if err := bus.PublishTx(tx, m); err != nil {
				return err
			}
		}
		return nil
	}))
	old, next := w.consumer("old", 1), w.consumer("new", 1, 2)
	w.until("both are through", func() bool { return old.count() == 10 && next.count() == 20 })
	w.until("the old one has its letters", func() bool {
		l, err := w.store.List(t.Context(), driver.Filter{Group: "old", Reason: "version 2 is newer than this consumer"}, 0, 100)
		return err == nil && len(l) == 10
	})
	old.stop()
	upgraded := w.consumer("old", 1, 2)
	defer upgraded.stop()
	defer next.stop()
	p, err := upgraded.bus.DeadLetters().ReplayAll(t.Context(), "op", bus.Bulk{Filter: driver.Filter{Group: "old"}, Reason: "upgraded"})
	if err != nil || p.Settled != 10 || !p.Done {
		t.Fatalf("%+v, %v", p, err)
	}
	w.until("the rest is handled", func() bool { return upgraded.count() == 10 })
}

// consumer is one group with its contract.
type consumer struct {
	bus  *bus.Bus
	stop func()
	mu   sync.Mutex
	seen map[string]bool
}

func (w *world) consumer(group string, versions ...int) *consumer {
	w.t.Helper()
	c := &consumer{seen: map[string]bool{}}
	drv, closed := w.carrier()
	b, err := bus.New(drv, w.store, bus.Options{})
	w.ok("new bus", err)
	w.ok("consume", b.Consume(group, w.topic, bus.Contract{Versions: versions}.Guard(func(_ context.Context, batch []driver.Message) []error {
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, m := range batch {
			c.seen[m.ID] = true
		}
		return nil
	})))
	w.ok("start", b.Start(w.t.Context()))
	c.bus, c.stop = b, sync.OnceFunc(func() { w.ok("stop", b.Stop(context.Background())); closed() })
	return c
}

func (c *consumer) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.seen)
}

func (w *world) until(what string, condition func() bool) {
	w.t.Helper()
	limit := time.NewTimer(60 * time.Second)
	defer limit.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-limit.C:
			w.t.Fatalf("not reached: %s", what)
		}
	}
}
