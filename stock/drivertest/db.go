package drivertest

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"penstock/errs"
	"penstock/internal/clock"
	"penstock/internal/fault"
	"penstock/internal/ident"
	"penstock/stock/driver"
)

// start is when every test begins.
var start = time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC)

// stepped is a clock whose time moves only when told, while its timers are the machine's: what waits for a retry goes on,
// and what depends on the time of day is decided by the test.
type stepped struct {
	clock.Real
	mu  sync.Mutex
	now time.Time
}

func (s *stepped) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *stepped) advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

// db is one database under test with a small, correct decision logic of its own, so that driver cases need nothing above.
type db struct {
	testing.TB
	h      Harness
	drv    driver.Driver
	clk    *stepped
	faults *fault.Points
	ids    *ident.Generator
}

func newDB(t testing.TB, h Harness) *db {
	t.Helper()
	d := &db{TB: t, h: h, clk: &stepped{now: start}, faults: &fault.Points{}, ids: ident.NewGenerator(1, 0)}
	d.drv = h.Open(t, d.clk, d.faults)
	return d
}

func (d *db) reopen() {
	d.Helper()
	if err := d.drv.Close(); err != nil {
		d.Fatalf("close before reopening: %v", err)
	}
	d.drv = d.h.Reopen(d, d.drv, d.clk, d.faults)
}

func (d *db) decide(r *driver.Reads, f func(*driver.State) *driver.Changes) error {
	return d.drv.Decide(d.Context(), r, f)
}

func (d *db) mustDecide(r *driver.Reads, f func(*driver.State) *driver.Changes) {
	d.Helper()
	if err := d.decide(r, f); err != nil {
		d.Fatalf("decide: %v", err)
	}
}

// peek reads without writing, calling f with the state.
func (d *db) peek(r *driver.Reads, f func(*driver.State)) {
	d.Helper()
	called := false
	d.mustDecide(r, func(st *driver.State) *driver.Changes {
		called = true
		f(st)
		return nil
	})
	if !called {
		d.Fatal("decide was not called")
	}
}

// sale stores a sale whose SKUs have the given numbers of units.
func (d *db) sale(id string, offers map[string]int64) driver.Sale {
	d.Helper()
	s := driver.Sale{
		ID: id, Title: "sale " + id, StartsAt: start.Add(-time.Hour), EndsAt: start.Add(time.Hour), Window: 10 * time.Minute,
		Grace: time.Minute, Admission: "open", Version: 1, Created: start,
	}
	ch := &driver.Changes{}
	r := &driver.Reads{Sales: []string{id}}
	for _, sku := range slices.Sorted(maps.Keys(offers)) {
		n := offers[sku]
		s.Items = append(s.Items, driver.SaleItem{SKU: sku, Title: "title " + sku, Price: 100, Currency: "CNY", Limit: 2})
		r.Stock = append(r.Stock, driver.StockRef{Sale: id, SKU: sku})
		ch.Stock = append(ch.Stock, driver.Stock{Sale: id, SKU: sku, Offered: n, Available: n, Version: 1})
		ch.Offers = append(ch.Offers, driver.Offer{Key: driver.Key{Sale: id}, SKU: sku, Delta: n, Why: "first offer"})
	}
	ch.Sales = []driver.Sale{s}
	d.mustDecide(r, func(*driver.State) *driver.Changes { return ch })
	return s
}

func line(sku string, n int64) driver.Line { return driver.Line{SKU: sku, Quantity: n, Price: 100} }

// winning makes an attempt that takes its lines.
func (d *db) winning(k driver.Key, lines ...driver.Line) *driver.Attempt {
	now := d.clk.Now()
	a := &driver.Attempt{
		ID: d.ids.Next(now, ident.SlotOf(k.User)), Key: k, Body: [16]byte{1, byte(len(lines))}, At: now, Lines: lines,
		Currency: "CNY", PayBefore: now.Add(10 * time.Minute), ReleaseAt: now.Add(11 * time.Minute), State: driver.Held,
		Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
	}
	for _, l := range lines {
		a.Amount += l.Price * l.Quantity
	}
	return a
}

// losing makes an attempt bound to a final no.
func (d *db) losing(k driver.Key, why errs.Code, lines ...driver.Line) *driver.Attempt {
	now := d.clk.Now()
	return &driver.Attempt{
		ID: d.ids.Next(now, ident.SlotOf(k.User)), Key: k, Body: [16]byte{2}, At: now, Reason: why, SKU: lines[0].SKU, Left: 1,
		Lines: lines, Trace: "t",
	}
}

// readsOf names what a decision about the attempts has to see.
func readsOf(as ...*driver.Attempt) *driver.Reads {
	r := &driver.Reads{}
	for _, a := range as {
		r.Keys = append(r.Keys, a.Key)
		r.Sales = append(r.Sales, a.Key.Sale)
		for _, l := range a.Lines {
			r.Stock = append(r.Stock, driver.StockRef{Sale: a.Key.Sale, SKU: l.SKU})
			r.Taken = append(r.Taken, driver.TakenRef{Sale: a.Key.Sale, SKU: l.SKU, User: a.Key.User})
		}
	}
	return r
}

// binding returns the changes that bind all attempts, or an error when the state does not allow it.
func binding(r *driver.Reads, st *driver.State, as ...*driver.Attempt) (*driver.Changes, error) {
	rows := map[driver.StockRef]*driver.Stock{}
	for i, ref := range r.Stock {
		if st.Stock[i] == nil {
			return nil, fmt.Errorf("no stock row %v", ref)
		}
		row := *st.Stock[i]
		row.Version++
		rows[ref] = &row
	}
	ch := &driver.Changes{Attempts: as}
	for i, a := range as {
		if st.Known[i] != nil {
			return nil, fmt.Errorf("key %v is bound already", a.Key)
		}
		for _, l := range a.Lines {
			if row := rows[driver.StockRef{Sale: a.Key.Sale, SKU: l.SKU}]; a.Won() {
				row.Available -= l.Quantity
				row.Held += l.Quantity
			}
		}
	}
	for _, ref := range slices.SortedFunc(maps.Keys(rows), compareRefs) {
		ch.Stock = append(ch.Stock, *rows[ref])
	}
	return ch, nil
}

// bind decides the attempts in one transaction.
func (d *db) bind(as ...*driver.Attempt) {
	d.Helper()
	r := readsOf(as...)
	d.mustDecide(r, func(st *driver.State) *driver.Changes {
		ch, err := binding(r, st, as...)
		if err != nil {
			d.Error(err)
		}
		return ch
	})
	for _, a := range as {
		if a.Seq == 0 {
			d.Errorf("%+q was bound and has no number", a.Key)
		}
	}
}

// win binds one winning attempt and returns it.
func (d *db) win(k driver.Key, lines ...driver.Line) *driver.Attempt {
	d.Helper()
	a := d.winning(k, lines...)
	d.bind(a)
	return a
}

// moving returns the changes of one move of a claim that was read first, with the stock rows in the order of its lines.
func moving(st *driver.State, a *driver.Attempt, to driver.ClaimState, why string) *driver.Changes {
	from := st.Claims[0].State
	ch := &driver.Changes{Moves: []driver.Move{{ID: a.ID, From: from, To: to, Why: why, Trace: "moved"}}}
	for i, l := range a.Lines {
		row := *st.Stock[i]
		row.Version++
		if from == driver.Held {
			row.Held -= l.Quantity
		} else {
			row.Sold -= l.Quantity
		}
		if to == driver.Sold {
			row.Sold += l.Quantity
		} else {
			row.Available += l.Quantity
		}
		ch.Stock = append(ch.Stock, row)
	}
	return ch
}

func (d *db) move(a *driver.Attempt, to driver.ClaimState, why string) {
	d.Helper()
	r := readsOf(a)
	r.Claims = []ident.ID{a.ID}
	d.mustDecide(r, func(st *driver.State) *driver.Changes { return moving(st, a, to, why) })
}
