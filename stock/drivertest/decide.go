package drivertest

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/stock/driver"
)

// A database that was just made holds nothing, and its first journal entry is the first after 0.
func freshIsEmpty(t testing.TB, h Harness) {
	d := newDB(t, h)
	same(t, "a fresh database", d.dump(), dump{})
	if now := d.snapshot().Now; !now.Equal(start) {
		t.Errorf("the database's time is %v, the clock stands at %v", now, start)
	}
	if a := d.attempt(driver.Key{Sale: "s", User: "u", Key: "k"}); a != nil {
		t.Errorf("an unused key is bound to %+v", a)
	}
	if c := d.claim(1); c != nil {
		t.Errorf("an unused id is claim %+v", c)
	}
}

// State answers every read at its index, also when reads repeat or name what is not there, and tells the database's time.
func stateAlignsWithReads(t testing.TB, h Harness) {
	d := newDB(t, h)
	d.sale("s", map[string]int64{"a": 5, "b": 7})
	k := driver.Key{Sale: "s", User: "u", Key: "k"}
	w := d.win(k, line("a", 2), line("b", 1))
	d.clk.advance(90 * time.Second)
	none := driver.Key{Sale: "s", User: "u", Key: "none"}
	r := &driver.Reads{
		Keys:   []driver.Key{none, k, k, none, k},
		Stock:  []driver.StockRef{{Sale: "s", SKU: "b"}, {Sale: "s", SKU: "zz"}, {Sale: "s", SKU: "a"}, {Sale: "s", SKU: "b"}},
		Taken:  []driver.TakenRef{{Sale: "s", SKU: "b", User: "u"}, {Sale: "s", SKU: "a", User: "u"}, {Sale: "s", SKU: "a", User: "v"}, {Sale: "s", SKU: "a", User: "u"}},
		Claims: []ident.ID{w.ID + 1, w.ID, w.ID},
		Sales:  []string{"s", "none", "s"},
	}
	d.peek(r, func(st *driver.State) {
		if !st.Now.Equal(d.clk.Now()) {
			t.Errorf("Now is %v, the clock stands at %v", st.Now, d.clk.Now())
		}
		same(t, "Known", st.Known, []*driver.Attempt{nil, w, w, nil, w}, noSeq)
		same(t, "Taken", st.Taken, []int64{1, 2, 0, 2})
		same(t, "Claims", st.Claims, []*driver.Attempt{nil, w, w}, noSeq)
		row := func(sku string, offered, held int64) *driver.Stock {
			return &driver.Stock{Sale: "s", SKU: sku, Offered: offered, Available: offered - held, Held: held, Version: 2}
		}
		same(t, "Stock", st.Stock, []*driver.Stock{row("b", 7, 1), nil, row("a", 5, 2), row("b", 7, 1)})
		if len(st.Sales) != 3 || st.Sales[0] == nil || st.Sales[0].ID != "s" || st.Sales[1] != nil || st.Sales[2] == nil {
			t.Errorf("Sales answers %v", st.Sales)
		}
	})
}

// What one decision wrote, the next one sees: keys, stock, allowances, claims and sales.
func decisionSeesTheOneBefore(t testing.TB, h Harness) {
	d := newDB(t, h)
	s := d.sale("s", map[string]int64{"a": 5})
	w := d.win(driver.Key{Sale: "s", User: "u", Key: "1"}, line("a", 1))
	for i := range int64(3) {
		r := readsOf(w)
		r.Claims = []ident.ID{w.ID}
		d.peek(r, func(st *driver.State) {
			if st.Known[0] == nil || st.Claims[0] == nil || st.Sales[0] == nil || st.Stock[0] == nil {
				t.Errorf("round %d: something is missing in %+v", i, st)
				return
			}
			if st.Stock[0].Available != 4-i || st.Taken[0] != 1+i || st.Sales[0].Version != 1+i {
				t.Errorf("round %d: available %d, taken %d, sale version %d", i, st.Stock[0].Available, st.Taken[0], st.Sales[0].Version)
			}
		})
		d.win(driver.Key{Sale: "s", User: "u", Key: string(rune('a' + i))}, line("a", 1))
		s.Version++
		s.Paused = !s.Paused
		d.mustDecide(&driver.Reads{Sales: []string{"s"}}, func(*driver.State) *driver.Changes {
			return &driver.Changes{Sales: []driver.Sale{s}}
		})
	}
}

// Sales, wins and refusals are read back in every field as they were written, whatever characters they hold.
func rowsComeBackAsWritten(t testing.TB, h Harness) {
	d := newDB(t, h)
	s := driver.Sale{
		ID: "s'1\" ☕ 北京", Title: "title; DROP TABLE sales --\n\t%_", StartsAt: start.Add(time.Millisecond), EndsAt: start.AddDate(0, 1, 0),
		Window: 1500 * time.Millisecond, Grace: time.Nanosecond, Admission: "open", Paused: true, ClosedAt: start.Add(time.Hour),
		SoldOut: true, Version: 1, Created: start.Add(-time.Second),
		Items: []driver.SaleItem{{SKU: "z", Title: "last first", Price: 1<<53 + 1, Currency: "JPY"}, {SKU: "a", Title: "", Price: 0, Currency: "EUR", Limit: 1 << 40}},
	}
	d.mustDecide(&driver.Reads{Sales: []string{s.ID}}, func(*driver.State) *driver.Changes {
		return &driver.Changes{Sales: []driver.Sale{s}, Stock: []driver.Stock{{Sale: s.ID, SKU: "z", Offered: 1 << 50, Available: 1 << 50, Version: 1}}}
	})
	d.peek(&driver.Reads{Sales: []string{s.ID}}, func(st *driver.State) { same(t, "sale in a decision", st.Sales[0], &s) })
	same(t, "sales of the snapshot", d.snapshot().Sales, []driver.Sale{s})

	w := d.winning(driver.Key{Sale: s.ID, User: "u'\" ☕", Key: "键\n"}, driver.Line{SKU: "z", Quantity: 1 << 40, Price: 3})
	w.At, w.PayBefore, w.ReleaseAt = start.Add(time.Millisecond), start.Add(2*time.Millisecond), start.Add(3*time.Millisecond)
	w.Body = [16]byte{0, 255, 1, 254, 15: 7}
	l := d.losing(driver.Key{Sale: s.ID, User: "v", Key: "k"}, errs.LimitReached, line("z", 1<<62), line("a", 1))
	w.Pass, l.Pass = 1<<63-1, 1
	r := readsOf(w)
	d.mustDecide(r, func(st *driver.State) *driver.Changes {
		ch, err := binding(r, st, w)
		if err != nil {
			t.Error(err)
			return nil
		}
		ch.Attempts = append(ch.Attempts, l)
		return ch
	})
	same(t, "win by key", d.attempt(w.Key), w, noSeq)
	same(t, "win by id", d.claim(w.ID), w, noSeq)
	same(t, "refusal by key", d.attempt(l.Key), l, noSeq)
	if c := d.claim(l.ID); c != nil {
		t.Errorf("a refusal is claim %+v", c)
	}
	if n := d.taken(driver.TakenRef{Sale: s.ID, SKU: "a", User: "v"}); n != 0 {
		t.Errorf("a refusal used up %d units of an allowance", n)
	}
}

// A decision that returns nil leaves no trace, whatever it read.
func nilWritesNothing(t testing.TB, h Harness) {
	d := newDB(t, h)
	d.sale("s", map[string]int64{"a": 5})
	w := d.win(driver.Key{Sale: "s", User: "u", Key: "k"}, line("a", 1))
	before := d.dump()
	other := d.winning(driver.Key{Sale: "s", User: "v", Key: "k"}, line("a", 1), line("new", 1))
	r := readsOf(w, other)
	r.Sales = append(r.Sales, "new")
	d.peek(r, func(*driver.State) {})
	same(t, "everything after a decision of nil", d.dump(), before)
	if a := d.attempt(other.Key); a != nil {
		t.Errorf("a key that was only read is bound to %+v", a)
	}
	d.bind(d.losing(other.Key, errs.SoldOut, line("a", 1)))
}

// A call whose context ended before it began writes nothing and says so plainly, and the next call works.
func cancelledWritesNothing(t testing.TB, h Harness) {
	d := newDB(t, h)
	d.sale("s", map[string]int64{"a": 5})
	before := d.dump()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := d.winning(driver.Key{Sale: "s", User: "u", Key: "k"}, line("a", 1))
	r := readsOf(w)
	err := d.drv.Decide(ctx, r, func(st *driver.State) *driver.Changes {
		ch, _ := binding(r, st, w)
		return ch
	})
	if err == nil || errors.Is(err, driver.ErrUnknown) {
		t.Errorf("deciding with an ended context: %v, want an error that is not ErrUnknown", err)
	}
	same(t, "everything after a cancelled call", d.dump(), before)
	d.bind(w)
}

// Changes that would break a guard are refused whole, with an error that is not ErrUnknown, and the driver goes on.
func brokenGuardWritesNothing(t testing.TB, h Harness) {
	for _, b := range guards {
		d := newDB(t, h)
		g := &guarded{sale: d.sale("s", map[string]int64{"a": 5, "b": 5})}
		g.held = d.winPass(driver.Key{Sale: "s", User: "u", Key: "k"}, 7, line("a", 1))
		g.gone = d.win(driver.Key{Sale: "s", User: "u", Key: "gone"}, line("a", 1))
		d.move(g.gone, driver.Released, "cancelled")
		d.act("first")
		before := d.dump()
		w := d.winning(driver.Key{Sale: "s", User: "v", Key: "new"}, line("b", 1))
		r := readsOf(w)
		r.Keys, r.Passes = append(r.Keys, g.held.Key), []driver.PassRef{g.held.PassRef()}
		r.Claims = []ident.ID{g.held.ID, g.gone.ID, 42}
		err := d.decide(r, func(st *driver.State) *driver.Changes {
			ch, err := binding(r, st, w)
			if err != nil {
				t.Error(err)
				return nil
			}
			ch.Offers = []driver.Offer{{Key: driver.Key{Sale: "s"}, SKU: "b", Delta: 1}}
			ch.Stock[0].Offered, ch.Stock[0].Available = ch.Stock[0].Offered+1, ch.Stock[0].Available+1
			ch.Audit = []driver.Audit{{Who: "op", Act: "broken"}}
			b.breaks(g, ch)
			return ch
		})
		if err == nil || errors.Is(err, driver.ErrUnknown) {
			t.Errorf("%s: Decide returned %v, want an error that is not ErrUnknown", b.name, err)
			continue
		}
		same(t, "everything after "+b.name, d.dump(), before)
		d.win(driver.Key{Sale: "s", User: "v", Key: "after"}, line("b", 1))
	}
}

// guarded is what a broken change can refer to.
type guarded struct {
	sale       driver.Sale
	held, gone *driver.Attempt
}

var guards = []struct {
	name   string
	breaks func(g *guarded, ch *driver.Changes)
}{
	{"a stock version skipped", func(_ *guarded, ch *driver.Changes) { ch.Stock[0].Version++ }},
	{"a stock version repeated", func(_ *guarded, ch *driver.Changes) { ch.Stock[0].Version-- }},
	{"available below zero", func(_ *guarded, ch *driver.Changes) {
		ch.Stock[0].Held += ch.Stock[0].Available + 1
		ch.Stock[0].Available = -1
	}},
	{"units from nowhere", func(_ *guarded, ch *driver.Changes) { ch.Stock[0].Available++ }},
	{"a sale version skipped", func(g *guarded, ch *driver.Changes) {
		s := g.sale
		s.Version += 2
		ch.Sales = append(ch.Sales, s)
	}},
	{"a sale made twice", func(g *guarded, ch *driver.Changes) { ch.Sales = append(ch.Sales, g.sale) }},
	{"a key bound again", func(g *guarded, ch *driver.Changes) {
		again := *g.held
		again.ID, again.Seq, again.Reason = again.ID+1, 0, errs.SoldOut
		ch.Attempts = append(ch.Attempts, &again)
	}},
	{"a key bound twice in one decision", func(_ *guarded, ch *driver.Changes) {
		again := *ch.Attempts[0]
		again.ID, again.Reason = again.ID+1, errs.SoldOut
		ch.Attempts = append(ch.Attempts, &again)
	}},
	{"a pass used again", func(g *guarded, ch *driver.Changes) {
		ch.Attempts[0].Key.User, ch.Attempts[0].Pass = g.held.Key.User, g.held.Pass
	}},
	{"a pass used twice in one decision", func(_ *guarded, ch *driver.Changes) {
		again := *ch.Attempts[0]
		again.ID, again.Key.Key, again.Reason = again.ID+1, "again", errs.SoldOut
		ch.Attempts[0].Pass, again.Pass = 8, 8
		ch.Attempts = append(ch.Attempts, &again)
	}},
	{"a move from another state", func(g *guarded, ch *driver.Changes) {
		ch.Moves = append(ch.Moves, driver.Move{ID: g.gone.ID, From: driver.Held, To: driver.Released})
	}},
	{"an act again", func(_ *guarded, ch *driver.Changes) { ch.Audit[0].ID = "first" }},
	{"a move of no claim", func(_ *guarded, ch *driver.Changes) {
		ch.Moves = append(ch.Moves, driver.Move{ID: 42, From: driver.Held, To: driver.Sold})
	}},
}

// Decisions of one process run one at a time: a unit read as free and then taken is never taken by two.
func decisionsRunOneAtATime(t testing.TB, h Harness) {
	d := newDB(t, h)
	const workers, each = 8, 20
	d.sale("s", map[string]int64{"a": workers * each})
	var wg sync.WaitGroup
	var inside atomic.Int32
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				a := d.winning(driver.Key{Sale: "s", User: string(rune('a' + w)), Key: string(rune('a' + i))}, line("a", 1))
				r := readsOf(a)
				err := d.decide(r, func(st *driver.State) *driver.Changes {
					if inside.Add(1) != 1 {
						t.Error("two decisions are being made at the same time")
					}
					defer inside.Add(-1)
					runtime.Gosched()
					ch, err := binding(r, st, a)
					if err != nil {
						t.Error(err)
					}
					return ch
				})
				if err != nil {
					t.Errorf("decide: %v", err)
				}
			}
		})
	}
	wg.Wait()
	want := []driver.Stock{{Sale: "s", SKU: "a", Offered: workers * each, Held: workers * each, Version: 1 + workers*each}}
	same(t, "stock after parallel decisions", d.snapshot().Stock, want)
	holds := 0
	for _, e := range d.journal() {
		if e.Kind == driver.Hold {
			holds++
		}
	}
	if holds != workers*each {
		t.Errorf("the journal tells of %d holds, want %d", holds, workers*each)
	}
}
