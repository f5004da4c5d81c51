package order

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"penstock/bus"
	busdriver "penstock/bus/driver"
	"penstock/errs"
	"penstock/internal/clock"
	"penstock/internal/fault"
	"penstock/order/shard"
	"penstock/stock"
	"penstock/stock/driver"
)

// A held claim becomes an order with everything the buyer was promised, once, where its id routes to.
func TestHeldBecomesAnOrder(t *testing.T) {
	t.Parallel()
	heldBecomesAnOrder(t, setup)
}

func heldBecomesAnOrder(t *testing.T, setup setupFunc) {
	b := setup(t, Options{})
	a := b.claims.win("alice")
	b.clk.Advance(3 * time.Millisecond)
	b.handle(b.claims.messages()...)
	b.clk.Advance(time.Hour)
	b.handle(b.claims.messages()...)
	db, table := b.route(a.ID)
	want := Order{
		ID: a.ID, User: "alice", Sale: "s1", Key: a.Key.Key, Lines: a.Lines, State: PendingPayment, Amount: 100000, Currency: "CNY",
		CreatedAt: a.At, PayBefore: a.PayBefore, Version: 2, Trace: a.Trace, Shard: db, Table: table, Events: []Event{
			{N: 1, At: a.At, To: Accepted}, {N: 2, At: a.At.Add(3 * time.Millisecond), From: Accepted, To: PendingPayment},
		},
	}
	if d := cmp.Diff(want, b.get(a.ID)); d != "" {
		t.Error(d)
	}
	if n, err := b.store.Database(db).Count(t.Context()); err != nil || n[table] != 1 {
		t.Errorf("%d rows in its table: %v", n[table], err)
	}
}

// A row that the database refuses costs only its own message, wherever in the batch it stands.
func TestOneBadRowCostsOnlyItself(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := setup(t, Options{})
	for db := range shard.Databases {
		for table := range shard.Tables {
			if _, err := b.files.DB(db).W.ExecContext(ctx, fmt.Sprintf(
				"CREATE TRIGGER %[1]s_bad BEFORE INSERT ON %[1]s WHEN new.user LIKE 'bad-%%' BEGIN SELECT raise(ABORT, 'no'); END",
				shard.TableName(db, table))); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 100 {
		user := fmt.Sprintf("good-%d", i)
		if i%33 == 0 {
			user = fmt.Sprintf("bad-%d", i)
		}
		b.claims.win(user)
	}
	msgs := b.claims.messages()
	for i, err := range b.Handle(ctx, msgs) {
		if bad := i%33 == 0; (err != nil) != bad || errors.Is(err, bus.ErrUnavailable) {
			t.Errorf("message %d (bad: %v): %v", i, bad, err)
		}
	}
	all, _, err := b.List(ctx, "", "", 500)
	if err != nil || len(all) != 96 {
		t.Errorf("%d of 96 good orders were written: %v", len(all), err)
	}
}

// The same for a failure injected at one row of a batch of 100 in one database.
func TestInjectedRowFailureCostsOneRow(t *testing.T) {
	t.Parallel()
	injectedRowFailureCostsOneRow(t, setup)
}

func injectedRowFailureCostsOneRow(t *testing.T, setup setupFunc) {
	var points fault.Points
	batches := map[int]int{}
	b := setup(t, Options{Fault: &points, Hooks: Hooks{Batch: func(rows, failed int, _ time.Duration) { batches[rows] += failed }}})
	for i := 0; len(b.claims.messages()) < 100; i++ {
		if user := fmt.Sprintf("u%d", i); isIn(b, user, 3) {
			b.claims.win(user)
		}
	}
	boom := errors.New("boom")
	points.Set("order.row", func(hit int) error {
		if hit == 57 {
			return boom
		}
		return nil
	})
	for i, err := range b.Handle(t.Context(), b.claims.messages()) {
		if (i == 56) != errors.Is(err, boom) || i != 56 && err != nil {
			t.Errorf("message %d: %v", i, err)
		}
	}
	if batches[100] != 1 || len(batches) != 1 {
		t.Errorf("failures by size of batch: %v", batches)
	}
	b.handle(b.claims.messages()...)
}

// A step that cannot be told, because what a message brought is longer than any bus carries, costs only its own message: it neither
// holds the orders beside it back nor is it told half.
func TestUntellableStepCostsOnlyItself(t *testing.T) {
	t.Parallel()
	untellableStepCostsOnlyItself(t, setup)
}

func untellableStepCostsOnlyItself(t *testing.T, setup setupFunc) {
	b := setup(t, Options{})
	var users []string
	for i := 0; len(users) < 3; i++ {
		if user := fmt.Sprintf("long %d", i); isIn(b, user, 3) {
			users = append(users, user)
		}
	}
	first := len(b.claims.messages())
	var all []*driver.Attempt
	for _, user := range users {
		all = append(all, b.claims.win(user))
	}
	b.handle(b.claims.messages()[first:]...)
	first = len(b.claims.messages())
	for _, a := range all {
		if _, err := b.claims.sell(a.ID); err != nil {
			t.Fatal(err)
		}
	}
	msgs := b.claims.messages()[first:]
	msgs[1].Headers = map[string]string{"traceparent": strings.Repeat("x", 5000)}
	for i, err := range b.Handle(t.Context(), msgs) {
		if (err != nil) != (i == 1) || errors.Is(err, bus.ErrUnavailable) {
			t.Errorf("message %d: %v", i, err)
		}
	}
	for i, a := range all {
		want := Paid
		if i == 1 {
			want = PendingPayment
		}
		if o := b.get(a.ID); o.State != want {
			t.Errorf("order %d is %s", i, o.State)
		}
	}
}

func isIn(b *bundle, user string, db int) bool {
	at, _ := b.store.Map().Route(slotOf(user))
	return at == db
}

// A transaction that fails as a whole makes its messages wait, not fail, and delivering them again has the effect once.
func TestFailedCommitIsTriedAgain(t *testing.T) {
	t.Parallel()
	failedCommitIsTriedAgain(t, setup)
}

func failedCommitIsTriedAgain(t *testing.T, setup setupFunc) {
	var points fault.Points
	var created atomic.Int64
	b := setup(t, Options{Fault: &points, Hooks: Hooks{Created: func(int64, string) { created.Add(1) }}})
	for i := range 50 {
		b.claims.win(fmt.Sprintf("u%d", i))
	}
	points.Set("order.commit", func(int) error { return errors.New("disk on fire") })
	for i, err := range b.Handle(t.Context(), b.claims.messages()) {
		if !errors.Is(err, bus.ErrUnavailable) || !errs.Is(err, errs.Unknown) {
			t.Errorf("message %d: %v", i, err)
		}
	}
	if all, _, err := b.List(t.Context(), "", "", 0); err != nil || len(all) != 0 || created.Load() != 0 {
		t.Fatalf("%d orders, %d counted, after commits that failed: %v", len(all), created.Load(), err)
	}
	points.Set("order.commit", nil)
	b.handle(b.claims.messages()...)
	b.handle(b.claims.messages()...)
	if created.Load() != 50 {
		t.Errorf("counted %d orders, not 50", created.Load())
	}
}

// What can never be handled is poison, and costs the messages beside it nothing.
func TestPoison(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	a, other := b.claims.win("alice"), b.claims.win("bob")
	a.Why = "because"
	msgs := []busdriver.Message{
		{Type: stock.EventHeld, Payload: []byte("{")},
		{Type: "stock.moved", Payload: b.claims.messages()[0].Payload},
		message(stock.EventReleased, a, a.At),
		message(stock.EventHeld, other, other.At),
	}
	for i, err := range b.Handle(t.Context(), msgs) {
		if poison := i < 3; errors.Is(err, bus.ErrPoison) != poison || !poison && err != nil {
			t.Errorf("message %d: %v", i, err)
		}
	}
}

// At 50 a second, a database takes 50 orders at once and the next 50 a second later; the other databases do not wait for it.
func TestPaceSpreadsRows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var p, other pace
		for i := range 3 {
			began := time.Now()
			err := errors.Join(p.wait(t.Context(), clock.Real{}, 50, 50), other.wait(t.Context(), clock.Real{}, 0, 50))
			if took := time.Since(began); err != nil || i > 0 && took != time.Second || i == 0 && took != 0 {
				t.Errorf("batch %d waited %v: %v", i, took, err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := p.wait(ctx, clock.Real{}, 50, 50); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting without end: %v", err)
		}
	})
}

// A batch has no more rows than its pace lets through in BatchWait.
func TestPaceCutsBatches(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var batches []int
	b := setup(t, Options{Pace: 50, Hooks: Hooks{Batch: func(rows, _ int, _ time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		batches = append(batches, rows)
	}}})
	for i := 0; len(b.claims.messages()) < 100; i++ {
		if user := fmt.Sprintf("u%d", i); isIn(b, user, 0) {
			b.claims.win(user)
		}
	}
	var done atomic.Bool
	var err error
	go func() {
		err = errors.Join(b.Handle(context.Background(), b.claims.messages())...)
		done.Store(true)
	}()
	b.until(done.Load)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]int{50, 50}, batches); d != "" {
		t.Error(d)
	}
}

// After Stop nothing is written, and Stop may be called again.
func TestStopRefusesWrites(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	a := b.claims.win("alice")
	b.Stop()
	b.Stop()
	if err := b.Handle(t.Context(), b.claims.messages())[0]; !errs.Is(err, errs.ReducedCapacity) || !errors.Is(err, bus.ErrUnavailable) {
		t.Errorf("a message after Stop: %v", err)
	}
	if o := b.get(a.ID); o.State != Accepted || b.InFlight() != 0 {
		t.Errorf("reading after Stop: %s, %d in flight", o.State, b.InFlight())
	}
}

// Options out of range are refused by name.
func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{"BatchRows": {BatchRows: -1}, "Pace": {Pace: -1}, "ExpireParallel": {ExpireParallel: 1 << 20}} {
		if _, err := New(nil, nil, o); err == nil || !cmp.Equal(err.Error()[:14+len(name)], "order option "+name+" ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
