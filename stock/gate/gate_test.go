package gate_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"penstock/errs"
	"penstock/internal/clock"
	"penstock/stock"
	"penstock/stock/driver"
	"penstock/stock/gate"
	"penstock/stock/sqlitestock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Rows may be told in any order: commits and snapshots race, and the newest version stays.
func TestOlderRowsAreIgnored(t *testing.T) {
	t.Parallel()
	m := gate.New(0)
	row := func(version int64) driver.Stock {
		return driver.Stock{Sale: "s", SKU: "tea", Available: version, Version: version}
	}
	var wg sync.WaitGroup
	for i := range int64(200) {
		wg.Go(func() {
			m.Observe(stock.Committed{
				Stock: []driver.Stock{row(1 + (i*37)%200)}, Sales: []driver.Sale{{ID: "s", Version: 1 + (i*53)%200, Title: fmt.Sprint(1 + (i*53)%200)}},
			})
		})
	}
	wg.Wait()
	if l, s := m.Level("s", "tea"), m.Sale("s"); l.Available != 200 || s.Title != "200" {
		t.Errorf("kept version %d of the row, %q of the sale, want the 200th of both", l.Version, s.Title)
	}
	m.Observe(stock.Committed{Stock: []driver.Stock{{Sale: "s", SKU: "tea", Available: 7, Version: 200}}})
	if l := m.Level("s", "tea"); l.Available != 7 {
		t.Error("a repair of the same version was ignored")
	}
}

// process is one of several on a stock database, with a gate of its own.
type process struct {
	*gate.Memory
	stock *stock.Stock
}

// database makes decisions of several processes one at a time.
type database struct {
	driver.Driver
	mu sync.Mutex
}

func (d *database) Decide(ctx context.Context, r *driver.Reads, f func(*driver.State) *driver.Changes) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.Driver.Decide(ctx, r, f)
}

func two(t *testing.T) (a, b *process) {
	t.Helper()
	drv, err := sqlitestock.Open(t.Context(), filepath.Join(t.TempDir(), "stock.db"), sqlitestock.Options{})
	if err != nil {
		t.Fatal(err)
	}
	db := &database{Driver: drv}
	t.Cleanup(func() { _ = drv.Close() })
	make1 := func(node int) *process {
		m := gate.New(0)
		st, err := stock.New(t.Context(), db, stock.Options{Node: node, OnCommit: m.Observe})
		if err != nil {
			t.Fatal(err)
		}
		x := gate.NewIndex(db, 0)
		m.Use(x)
		r := gate.NewResync(m, db, gate.ResyncOptions{Index: x})
		if err = r.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = r.Stop(context.Background()), st.Close(context.Background()) })
		return &process{m, st}
	}
	return make1(1), make1(2)
}

func (p *process) say(user string) string {
	v := p.Admit(context.Background(), time.Now(), request(user))
	return fmt.Sprint(v.Say, " ", v.Answer.Reason)
}

func request(user string) *stock.Request {
	return &stock.Request{Sale: "s", User: user, Key: "k", Items: []stock.Item{{SKU: "tea", Quantity: 1}}}
}

// What one process does, another sees within a second: a sale, the last unit taken, sold, added, a pause. A refusal needs a look-up
// only for those who have something bound.
func TestProcessesSeeEachOther(t *testing.T) {
	t.Parallel()
	a, b := two(t)
	now := time.Now()
	doc := driver.Sale{ID: "s", StartsAt: now.Add(-time.Hour), EndsAt: now.Add(time.Hour), Window: time.Minute, Items: []driver.SaleItem{{SKU: "tea", Currency: "CNY"}}}
	_, err := a.stock.CreateSale(t.Context(), doc, map[string]int64{"tea": 1}, driver.Audit{})
	if err != nil {
		t.Fatal(err)
	}
	b.sees(t, "bob", "pass ")
	won := a.stock.Attempt(t.Context(), *request("ann"))
	if won.State != stock.Won {
		t.Fatal(won)
	}
	b.sees(t, "bob", "refuse stock-held")
	b.sees(t, "ann", "ask stock-held")
	if _, err = a.stock.Sell(t.Context(), won.Attempt.ID, "paid", ""); err != nil {
		t.Fatal(err)
	}
	b.sees(t, "bob", "refuse sold-out")
	b.sees(t, "ann", "ask sold-out")
	if _, err = a.stock.Offer(t.Context(), stock.OfferRequest{Sale: "s", SKU: "tea", Delta: 1, Why: "more"}, driver.Audit{}); err != nil {
		t.Fatal(err)
	}
	b.sees(t, "bob", "pass ")
	if _, err = a.stock.UpdateSale(t.Context(), "s", 0, func(s *driver.Sale) error { s.Paused = true; return nil }, driver.Audit{}); err != nil {
		t.Fatal(err)
	}
	b.sees(t, "bob", "refuse sale-paused")
}

// sees polls until the process says it: a second for the snapshot, another for the index that is read after the first refusal.
func (p *process) sees(t *testing.T, user, want string) {
	t.Helper()
	got := ""
	for deadline := time.Now().Add(2500 * time.Millisecond); got != want; {
		if time.Now().After(deadline) {
			t.Fatalf("%s is told %q, want %q", user, got, want)
		}
		got = p.say(user)
		<-time.After(5 * time.Millisecond)
	}
}

// source counts snapshots and fails when told.
type source struct {
	reads atomic.Int64
	fail  atomic.Bool
}

func (s *source) Snapshot(context.Context) (*driver.Snapshot, error) {
	n := s.reads.Add(1)
	if s.fail.Load() {
		return nil, errors.New("gone")
	}
	return &driver.Snapshot{Stock: []driver.Stock{{Sale: "s", SKU: "tea", Available: n, Version: n}}}, nil
}

// One snapshot a second at most, and at least; a database that is gone for a while ends nothing.
func TestResyncKeepsItsPace(t *testing.T) {
	t.Parallel()
	clk, src, m := clock.NewFake(time.Unix(0, 0)), &source{}, gate.New(0)
	r := gate.NewResync(m, src, gate.ResyncOptions{Clock: clk})
	if err := r.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.Start(t.Context()); err == nil {
		t.Error("started twice")
	}
	for i := range int64(5) {
		src.fail.Store(i == 2)
		was := src.reads.Load()
		clk.Advance(799 * time.Millisecond)
		if n := src.reads.Load(); n != was {
			t.Errorf("read again after less than 0.8 s")
		}
		for deadline := time.Now().Add(60 * time.Second); src.reads.Load() == was; {
			if time.Now().After(deadline) {
				t.Fatal("no snapshot within a second")
			}
			clk.Advance(0)
			if src.reads.Load() == was {
				<-time.After(time.Millisecond)
				clk.Advance(50 * time.Millisecond)
			}
		}
	}
	for range 2 {
		if err := r.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if l := m.Level("s", "tea"); l == nil || l.Available < 5 {
		t.Errorf("the gate has %+v", l)
	}
}

// Before the opening nothing can be bound, so refusals ask nobody; a clock that is behind the database's finds out.
func TestNotOpenYet(t *testing.T) {
	t.Parallel()
	m, now := gate.New(0), time.Unix(1000, 0)
	m.Observe(stock.Committed{
		Sales: []driver.Sale{{ID: "s", StartsAt: now.Add(time.Second), EndsAt: now.Add(time.Hour), Version: 1}},
		Stock: []driver.Stock{{Sale: "s", SKU: "tea", Offered: 2, Available: 2, Version: 1}},
	})
	if v := m.Admit(t.Context(), now, request("ann")); v.Say != gate.Refuse || v.Answer.Reason != errs.SaleNotOpen {
		t.Errorf("before the opening: %v", v)
	}
	m.Observe(stock.Committed{Stock: []driver.Stock{{Sale: "s", SKU: "tea", Offered: 2, Available: 1, Held: 1, Version: 2}}})
	if v := m.Admit(t.Context(), now, request("ann")); v.Say != gate.Ask {
		t.Errorf("somebody has won already, by the clock of the database: %v", v)
	}
}
