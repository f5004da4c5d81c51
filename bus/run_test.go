package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"penstock/bus/driver"
	"penstock/bus/drivertest"
	"penstock/bus/outboxbus"
	"penstock/bus/sqlstore"
)

// live is a running bus on the machine's clock with two groups, of which one feeds the other's topic.
func live(t *testing.T, first, second Handler) (b *Bus, in, out *drivertest.Log) {
	t.Helper()
	store := newStore(t)
	in, out = drivertest.NewLog("in"), drivertest.NewLog("out")
	topics := map[string][]outboxbus.Source{"in": {in}, "out": {out}}
	drv, err := outboxbus.New(sqlstore.NewCursors(store.db, nil), topics, outboxbus.Options{Idle: 10 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := drv.Close(); err != nil {
			t.Error(err)
		}
	})
	if b, err = New(drv, store, Options{Backoff: Backoff{Base: time.Millisecond, Max: 5 * time.Millisecond}}); err != nil {
		t.Fatal(err)
	}
	for topic, h := range map[string]Handler{"in": first, "out": second} {
		if err := b.Consume("group-"+topic, topic, h); err != nil {
			t.Fatal(err)
		}
	}
	return b, in, out
}

// until polls a condition.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	limit := time.NewTimer(60 * time.Second)
	defer limit.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("not reached: %s", what)
		}
	}
}

// A running bus carries messages through two groups; *drained* is said only when all have come through, and a stopped bus
// leaves no goroutine and no lease behind.
func TestRunDrainStop(t *testing.T) {
	t.Parallel()
	const users, each = 20, 10
	var mu sync.Mutex
	flaked, arrived := map[string]bool{}, map[string][]string{}
	var feed *drivertest.Log
	first := func(_ context.Context, batch []driver.Message) []error {
		mu.Lock()
		defer mu.Unlock()
		out := make([]error, len(batch))
		for i, m := range batch {
			if strings.HasSuffix(m.ID, "-3") && !flaked[m.ID] {
				flaked[m.ID], out[i] = true, errors.New("flake")
				continue
			}
			m.ID = "fed-" + m.ID
			feed.Append(m)
		}
		return out
	}
	second := func(_ context.Context, batch []driver.Message) []error {
		mu.Lock()
		defer mu.Unlock()
		for _, m := range batch {
			arrived[m.User] = append(arrived[m.User], m.ID)
		}
		return nil
	}
	b, in, out := live(t, first, second)
	feed = out
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Consume("late", "in", first); err == nil {
		t.Error("a running bus took another consumer")
	}
	for n := range each {
		for u := range users {
			in.Append(message(fmt.Sprint("user-", u), n))
		}
	}
	until(t, "drained", func() bool {
		flight, err := b.InFlight(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range flight {
			if n > 0 {
				return false
			}
		}
		return true
	})
	mu.Lock()
	for u := range users {
		var want []string
		for n := range each {
			want = append(want, fmt.Sprintf("fed-user-%d-%d", u, n))
		}
		if d := cmp.Diff(want, arrived[fmt.Sprint("user-", u)]); d != "" {
			t.Errorf("user %d (-want +got):\n%s", u, d)
		}
	}
	mu.Unlock()
	for range 2 {
		if err := b.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	<-b.Stopped()
	var leases int
	err := b.store.(*testStore).db.R.QueryRow(`SELECT count(*) FROM cursor WHERE owner <> ''`).Scan(&leases)
	if err != nil || leases != 0 {
		t.Fatalf("%d leases left behind, %v", leases, err)
	}
}

// Stop is bounded: a handler that hangs is cut off, its messages count as no failure and are delivered again.
func TestStopCutsOffAHangingHandler(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{}, 1)
	b, in, _ := live(t, func(ctx context.Context, batch []driver.Message) []error {
		entered <- struct{}{}
		<-ctx.Done()
		return repeat(ctx.Err(), len(batch))
	}, func(context.Context, []driver.Message) []error { return nil })
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	in.Append(message("ann", 0))
	<-entered
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.Stop(ended); !errors.Is(err, context.Canceled) {
		t.Fatalf("stop returned %v", err)
	}
	<-b.Stopped()
	if err := b.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	store := b.store.(*testStore)
	if users, err := store.Users(t.Context(), "group-in"); err != nil || len(users) != 0 {
		t.Fatalf("parked by the cut-off: %v, %v", users, err)
	}
	var position int
	if err := store.db.R.QueryRow(`SELECT position FROM cursor WHERE topic = 'in'`).Scan(&position); err != nil || position != 0 {
		t.Fatalf("cursor at %d after a batch that was cut off, %v", position, err)
	}
}

// A bus that was never started stops at once, and cannot be started after.
func TestStopBeforeStart(t *testing.T) {
	t.Parallel()
	b, _, _ := live(t, nopHandler, nopHandler)
	if err := b.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Start(t.Context()); err == nil {
		t.Fatal("a stopped bus started")
	}
}

func nopHandler(context.Context, []driver.Message) []error { return nil }
