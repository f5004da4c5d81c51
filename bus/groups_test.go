package bus

import (
	"context"
	"errors"
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

// Handlers of one group get the parked messages of their own topic only, and a failure in one topic holds the user back in
// the other.
func TestTopicsOfAGroupKeepTheirHandlers(t *testing.T) {
	t.Parallel()
	failures := 2
	stockHandler := &recorder{verdict: func(driver.Message) error {
		if failures > 0 {
			failures--
			return errors.New("not now")
		}
		return nil
	}}
	moneyHandler := &recorder{}
	store, clock := newStore(t), &eager{now: start}
	goods, money := drivertest.NewLog("goods"), drivertest.NewLog("money")
	topics := map[string][]outboxbus.Source{"stock": {goods}, "money": {money}}
	drv, err := outboxbus.New(sqlstore.NewCursors(store.db, clock), topics, outboxbus.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := drv.Close(); err != nil {
			t.Error(err)
		}
	})
	b, err := New(drv, store, Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	for topic, h := range map[string]*recorder{"stock": stockHandler, "money": moneyHandler} {
		if err := b.Consume(testGroup, topic, h.handle); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Consume(testGroup, "money", moneyHandler.handle); err == nil {
		t.Error("a topic was consumed twice by one group")
	}
	turn := func(topic string) {
		t.Helper()
		for _, s := range b.subs {
			if s.topic == topic {
				if err := s.turn(t.Context(), t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	goods.Append(message("ann", 0))
	money.Append(message("ann", 1), message("bob", 1))
	turn("stock")
	turn("money")
	if d := cmp.Diff([]string{"bob-1"}, moneyHandler.seen()); d != "" {
		t.Fatalf("handled in the other topic while ann is held back (-want +got):\n%s", d)
	}
	for range 6 {
		turn("stock")
		turn("money")
	}
	if d := cmp.Diff([]string{"ann-0", "ann-0", "ann-0"}, stockHandler.seen()); d != "" {
		t.Errorf("stock (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"bob-1", "ann-1"}, moneyHandler.seen()); d != "" {
		t.Errorf("money (-want +got):\n%s", d)
	}
}

// A member that stands by does not retry what the holder of the lease has parked, and does so once it holds the lease.
func TestOnlyTheOwnerRetries(t *testing.T) {
	t.Parallel()
	failing := true
	h := &recorder{verdict: func(driver.Message) error {
		if failing {
			return errors.New("not now")
		}
		return nil
	}}
	r := setup(t, Options{}, h.handle)
	r.log.Append(message("ann", 0))
	if err := r.turn(); err != nil {
		t.Fatal(err)
	}
	failing = false
	other := &recorder{}
	standby, err := New(r.drv, r.bus.store, r.opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := standby.Consume(testGroup, testTopic, other.handle); err != nil {
		t.Fatal(err)
	}
	second := standby.subs[0]
	for range 10 {
		if err := second.turn(t.Context(), t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := other.seen(); len(got) != 0 {
		t.Fatalf("the member that stands by handled %v", got)
	}
	if err := r.sub.current().Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := second.turn(t.Context(), t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if d := cmp.Diff([]string{"ann-0"}, other.seen()); d != "" {
		t.Fatalf("after the take-over (-want +got):\n%s", d)
	}
}

// A batch whose commit fails is not counted and is a failed turn, so that the loop backs off; it is handled again later.
func TestFailedCommitIsAFailedTurn(t *testing.T) {
	t.Parallel()
	h := &recorder{}
	r := setup(t, Options{}, h.handle)
	stolen := false
	h.verdict = func(driver.Message) error {
		if stolen {
			return nil
		}
		stolen = true
		_, err := r.db.W.ExecContext(t.Context(), `UPDATE cursor SET epoch = epoch + 1`)
		return err
	}
	r.log.Append(message("ann", 0))
	if err := r.turn(); !errors.Is(err, outboxbus.ErrLeaseLost) {
		t.Fatalf("turn returned %v", err)
	}
	r.drain()
	all, err := r.bus.Numbers(t.Context())
	if err != nil || all[0].Since.Processed != 1 || len(h.seen()) != 2 {
		t.Fatalf("numbers %+v, %v; handled %v", all, err, h.seen())
	}
}

// lags is a reader that answers Lag from a list.
type lags struct {
	driver.Reader
	mu   sync.Mutex
	list []int64
}

func (l *lags) Lag(context.Context) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.list[0]
	l.list = l.list[1:]
	return n, nil
}

// A message that moves, between two readings, from a topic read later to one read earlier is not overlooked.
func TestDrainedLooksTwice(t *testing.T) {
	t.Parallel()
	b, _, _ := live(t, nopHandler, nopHandler)
	b.subs[0].reader, b.subs[1].reader = &lags{list: []int64{0, 1}}, &lags{list: []int64{0, 0}}
	flight, err := b.InFlight(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	for _, n := range flight {
		sum += n
	}
	if sum != 1 {
		t.Fatalf("in flight %v", flight)
	}
}

// Before the engine has let a group subscribe nobody says that it is drained.
func TestDrainedIsUnknownBeforeStart(t *testing.T) {
	t.Parallel()
	b, _, _ := live(t, nopHandler, nopHandler)
	if flight, err := b.InFlight(t.Context()); err == nil {
		t.Fatalf("in flight %v before the start", flight)
	}
}

// refusing lets a group subscribe only at the second attempt.
type refusing struct {
	driver.Driver
	mu       sync.Mutex
	attempts int
}

func (d *refusing) Subscribe(ctx context.Context, group, topic string) (driver.Reader, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.attempts++; d.attempts == 1 {
		return nil, errors.New("engine is starting")
	}
	return d.Driver.Subscribe(ctx, group, topic)
}

// An engine that is away at the start is tried again until it is there.
func TestEngineAwayAtStart(t *testing.T) {
	t.Parallel()
	arrived := make(chan string, 1)
	store := newStore(t)
	log := drivertest.NewLog("in")
	drv, err := outboxbus.New(sqlstore.NewCursors(store.db, nil), map[string][]outboxbus.Source{"in": {log}}, outboxbus.Options{Idle: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	b, err := New(&refusing{Driver: drv}, store, Options{Backoff: Backoff{Base: time.Millisecond}})
	if err != nil {
		t.Fatal(err)
	}
	err = b.Consume("g", "in", func(_ context.Context, batch []driver.Message) []error {
		arrived <- batch[0].ID
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	log.Append(message("ann", 0))
	if err := b.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if id := <-arrived; id != "ann-0" {
		t.Errorf("arrived %s", id)
	}
	if err := errors.Join(b.Stop(t.Context()), drv.Close()); err != nil {
		t.Fatal(err)
	}
}

// The text of an error is kept readable and bounded, whatever a handler puts into it.
func TestErrorTextIsBounded(t *testing.T) {
	t.Parallel()
	long := text(errors.New(strings.Repeat("é", 5000) + "\xff"))
	if len(long) > maxError+len("…") || !strings.HasSuffix(long, "é…") {
		t.Fatalf("kept %d bytes ending in %q", len(long), long[len(long)-8:])
	}
	if got := text(errors.New("bad \xff byte")); got != "bad \uFFFD byte" {
		t.Fatalf("kept %q", got)
	}
}
