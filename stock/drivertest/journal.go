package drivertest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/stock/driver"
)

// fill makes a journal with every kind of entry and with one to three lines, and returns how many entries it has.
func fill(d *db) int {
	d.Helper()
	offers := map[string]int64{"a": 50, "b": 50, "c": 50}
	d.sale("s", offers)
	var all []*driver.Attempt
	for i := range 6 {
		k := driver.Key{Sale: "s", User: fmt.Sprint("u", i%3), Key: fmt.Sprint("k", i)}
		lines := []driver.Line{line("a", 1), line("b", 2), line("c", 3)}[:1+i%3]
		all = append(all, d.winning(k, lines...))
	}
	d.bind(all...)
	d.bind(d.losing(driver.Key{Sale: "s", User: "u0", Key: "no"}, errs.SoldOut, line("a", 1), line("b", 1)))
	d.clk.advance(time.Second)
	d.move(all[1], driver.Sold, "")
	d.move(all[2], driver.Released, "expired")
	d.move(all[1], driver.Released, "refunded")
	d.offer("s", "a", 5, "more")
	d.offer("s", "a", -3, "fewer")
	return len(offers) + len(all) + 1 + 3 + 2
}

// offer changes the allotment of an existing SKU.
func (d *db) offer(sale, sku string, delta int64, key string) {
	d.Helper()
	r := &driver.Reads{Stock: []driver.StockRef{{Sale: sale, SKU: sku}}, Keys: []driver.Key{{Sale: sale, Key: key}}}
	d.mustDecide(r, func(st *driver.State) *driver.Changes {
		row := *st.Stock[0]
		row.Version++
		row.Available += delta
		if delta > 0 {
			row.Offered += delta
		} else {
			row.Withdrawn -= delta
		}
		return &driver.Changes{
			Stock:  []driver.Stock{row},
			Offers: []driver.Offer{{Key: r.Keys[0], SKU: sku, Delta: delta, Why: "because " + key}},
		}
	})
}

// width is how many numbers an entry takes.
func width(e driver.Entry) uint64 {
	if e.Attempt == nil {
		return 1
	}
	return uint64(len(e.Attempt.Lines))
}

// Every entry is later than the one before by at least one number a line, and the snapshot includes the last.
func journalNumbersEveryLine(t testing.TB, h Harness) {
	d := newDB(t, h)
	n := fill(d)
	es := d.journal()
	if len(es) != n {
		t.Fatalf("the journal has %d entries, want %d", len(es), n)
	}
	next := uint64(1)
	for i, e := range es {
		if e.Seq < next {
			t.Errorf("entry %d (%v) has number %d, want at least %d", i, e.Kind, e.Seq, next)
		}
		next = e.Seq + width(e)
		if e.Kind == driver.Hold || e.Kind == driver.Refuse {
			if got := d.attempt(e.Attempt.Key); got == nil || got.Seq != e.Seq || e.Attempt.Seq != e.Seq {
				t.Errorf("entry %d is about %+v, which says otherwise: %+v", e.Seq, e.Attempt.Key, got)
			}
		}
	}
	if s := d.snapshot(); s.Seq < es[len(es)-1].Seq || s.Seq >= next {
		t.Errorf("the snapshot is at %d, the last entry at %d up to %d", s.Seq, es[len(es)-1].Seq, next-1)
	}
}

// An entry tells kind, time, why, trace and the whole attempt or offer, in commit order and, within one decision, attempts in
// their order. The attempt's state is the one at the time of reading.
func journalTellsWhatHappened(t testing.TB, h Harness) {
	d := newDB(t, h)
	d.sale("s", map[string]int64{"a": 10, "b": 10})
	w := d.winning(driver.Key{Sale: "s", User: "u", Key: "z"}, line("b", 1), line("a", 2))
	no := d.losing(driver.Key{Sale: "s", User: "u", Key: "a"}, errs.LimitReached, line("a", 9))
	last := d.winning(driver.Key{Sale: "s", User: "v", Key: "m"}, line("a", 1))
	d.bind(w, no, last)
	d.clk.advance(time.Minute)
	d.move(w, driver.Sold, "")
	d.clk.advance(time.Minute)
	d.move(w, driver.Released, "refunded")
	d.offer("s", "b", -4, "fewer")
	now := *w
	now.State, now.Why = driver.Released, "refunded"
	t0, t1, t2 := start, start.Add(time.Minute), start.Add(2*time.Minute)
	first := func(sku string) driver.Entry {
		return driver.Entry{At: t0, Kind: driver.OfferKind, Why: "first offer", Offer: &driver.Offer{Key: driver.Key{Sale: "s"}, SKU: sku, Delta: 10, Why: "first offer"}}
	}
	fewer := &driver.Offer{Key: driver.Key{Sale: "s", Key: "fewer"}, SKU: "b", Delta: -4, Why: "because fewer"}
	want := []driver.Entry{
		first("a"), first("b"),
		{At: t0, Kind: driver.Hold, Attempt: &now, Trace: w.Trace},
		{At: t0, Kind: driver.Refuse, Attempt: no, Trace: no.Trace},
		{At: t0, Kind: driver.Hold, Attempt: last, Trace: last.Trace},
		{At: t1, Kind: driver.Sell, Attempt: &now, Trace: "moved"},
		{At: t2, Kind: driver.Release, Attempt: &now, Why: "refunded", Trace: "moved"},
		{At: t2, Kind: driver.Withdraw, Offer: fewer, Why: fewer.Why},
	}
	ignore := gocmp.Options{noSeq, cmpopts.IgnoreFields(driver.Entry{}, "Seq")}
	same(t, "journal", d.journal(), want, ignore)
	d.reopen()
	same(t, "journal after reopening", d.journal(), want, ignore)
}

// The key of an offer is found as an attempt of one line, the SKU and the change, so that a repeat can be told from a reuse; it
// is no claim and no user's win. An offer without a key binds none.
func offerKeyIsKnown(t testing.TB, h Harness) {
	d := newDB(t, h)
	d.sale("s", map[string]int64{"a": 10})
	d.offer("s", "a", 5, "more")
	d.offer("s", "a", -3, "fewer")
	r := &driver.Reads{Keys: []driver.Key{{Sale: "s", Key: "fewer"}, {Sale: "s"}, {Sale: "s", Key: "more"}, {Sale: "s", User: "u", Key: "more"}}}
	check := func() {
		d.peek(r, func(st *driver.State) {
			for i, delta := range []int64{-3, 0, 5, 0} {
				a := st.Known[i]
				if (a != nil) != (delta != 0) {
					t.Errorf("key %+v is bound to %+v", r.Keys[i], a)
				} else if a != nil && (a.Key != r.Keys[i] || len(a.Lines) != 1 || a.Lines[0].SKU != "a" || a.Lines[0].Quantity != delta) {
					t.Errorf("key %+v is bound to %+v, want one line of %d", r.Keys[i], a, delta)
				}
			}
		})
		if as := d.unsent(""); len(as) != 0 {
			t.Errorf("offers are wins of nobody: %+v", as)
		}
		if ids := d.due(far, 10); len(ids) != 0 {
			t.Errorf("offers are due: %v", ids)
		}
	}
	check()
	d.reopen()
	check()
}

// Reading in pages of any size gives the whole journal, and a page never has more than its limit.
func journalPagesNeverLoseOrRepeat(t testing.TB, h Harness) {
	d := newDB(t, h)
	fill(d)
	want := d.journal()
	for limit := 1; limit <= len(want)+1; limit++ {
		var got []driver.Entry
		after := uint64(0)
		for {
			page, err := d.drv.Journal(t.Context(), after, limit)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) > limit {
				t.Fatalf("a page of at most %d has %d entries", limit, len(page))
			}
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
			if len(got) > 2*len(want) {
				t.Fatalf("pages of %d do not end", limit)
			}
			after = page[len(page)-1].Seq
		}
		same(t, fmt.Sprint("journal in pages of ", limit), got, want)
	}
}

// A reader that follows the journal in small pages while decisions are written sees every entry once, in order, and what it
// read never changes.
func journalReaderMissesNothing(t testing.TB, h Harness) {
	d := newDB(t, h)
	d.sale("s", map[string]int64{"a": 1000, "b": 1000, "c": 1000})
	var done atomic.Bool
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for i := range 30 {
				k := driver.Key{Sale: "s", User: fmt.Sprint("u", w), Key: fmt.Sprint("k", i)}
				d.win(k, []driver.Line{line("a", 1), line("b", 1), line("c", 1)}[:1+i%3]...)
			}
		})
	}
	go func() { wg.Wait(); done.Store(true) }()
	var got []driver.Entry
	after := uint64(0)
	for n := 0; ; n++ {
		finished := done.Load()
		page, err := d.drv.Journal(t.Context(), after, 1+n%4)
		if err != nil {
			t.Errorf("journal after %d: %v", after, err)
			break
		}
		if len(page) == 0 && finished {
			break
		}
		if len(page) > 0 {
			got, after = append(got, page...), page[len(page)-1].Seq
		}
	}
	wg.Wait()
	same(t, "journal as followed", got, d.journal())
}

// A snapshot taken while decisions are written conserves units in every row and is exactly what the journal up to its number
// leads to; later snapshots have later numbers.
func snapshotIsOneMoment(t testing.TB, h Harness) {
	d := newDB(t, h)
	d.sale("s", map[string]int64{"a": 500, "b": 500})
	var done atomic.Bool
	var wg sync.WaitGroup
	for w := range 2 {
		wg.Go(func() {
			for i := range 12 {
				k := driver.Key{Sale: "s", User: fmt.Sprint("u", w), Key: fmt.Sprint("k", i)}
				a := d.win(k, line("a", 2), line("b", 1))
				if i%3 == 1 {
					d.move(a, driver.Sold, "")
				}
				if i%3 == 2 {
					d.move(a, driver.Released, "cancelled")
				}
				if i%4 == 0 {
					d.offer("s", "b", int64(1-w*3), fmt.Sprint(w, i))
				}
			}
		})
	}
	go func() { wg.Wait(); done.Store(true) }()
	var shots []*driver.Snapshot
	for finished := false; !finished; {
		finished = done.Load()
		shots = append(shots, d.snapshot())
	}
	wg.Wait()
	es := d.journal()
	checked := uint64(0)
	for i, s := range shots {
		if i > 0 && s.Seq < shots[i-1].Seq {
			t.Errorf("snapshot %d is at %d, the one before at %d", i, s.Seq, shots[i-1].Seq)
		}
		if i == 0 || s.Seq != checked {
			checkSnapshot(t, s, es)
			checked = s.Seq
		}
	}
	if len(shots[len(shots)-1].Stock) != 2 {
		t.Errorf("the last snapshot has rows %v", shots[len(shots)-1].Stock)
	}
}

// Audit rows come back in every field, at the time of their decision, in the order of the acts, in pages of any size, and are
// never lost.
func auditKeepsItsOrder(t testing.TB, h Harness) {
	d := newDB(t, h)
	var want []driver.Audit
	for i := range 7 {
		row := driver.Audit{
			At: d.clk.Now(), Who: fmt.Sprint("op", 9-i), Act: "pause", Object: "sale/☕'", Why: "because",
			Before: `{"paused":false}`, After: `{"paused":true}`, ID: fmt.Sprint("req-", i),
		}
		second := row
		second.ID += "b"
		rows := []driver.Audit{row, second}[:1+i%2]
		d.mustDecide(&driver.Reads{}, func(*driver.State) *driver.Changes { return &driver.Changes{Audit: rows} })
		want = append(want, rows...)
		d.clk.advance(time.Millisecond)
	}
	ignore := cmpopts.IgnoreFields(driver.Audit{}, "Seq")
	check := func(when string) {
		all := d.audits()
		same(t, "audit "+when, all, want, ignore)
		for limit := 1; limit < 4; limit++ {
			var got []driver.Audit
			for after := uint64(0); len(got) <= len(want); after = got[len(got)-1].Seq {
				page, err := d.drv.Audit(t.Context(), after, limit)
				if err != nil || len(page) > limit {
					t.Fatalf("a page of at most %d has %d rows, error %v", limit, len(page), err)
				}
				if len(page) == 0 {
					break
				}
				got = append(got, page...)
			}
			same(t, fmt.Sprint("audit ", when, " in pages of ", limit), got, all)
		}
	}
	check("as written")
	d.reopen()
	check("after reopening")
	before := d.audits()
	again := want[0]
	again.ID += "again"
	d.mustDecide(&driver.Reads{Claims: []ident.ID{1}}, func(*driver.State) *driver.Changes {
		return &driver.Changes{Audit: []driver.Audit{again}}
	})
	same(t, "earlier audit rows", d.audits()[:len(before)], before)
}

// act writes an audit row with an id.
func (d *db) act(id string) {
	d.Helper()
	d.mustDecide(&driver.Reads{Acts: []string{id}}, func(*driver.State) *driver.Changes {
		return &driver.Changes{Audit: []driver.Audit{{Who: "op", Act: "act", ID: id}}}
	})
}

// A decision learns of each id whether an audit row has it, byte by byte, also after reopening; rows without an id are
// found by nobody.
func actIsFoundByID(t testing.TB, h Harness) {
	d := newDB(t, h)
	d.act("req-1")
	d.act("")
	d.act("")
	d.act("\u00e9")
	r := &driver.Reads{Acts: []string{"req-2", "req-1", "REQ-1", "", "req-1 ", "e\u0301", "\u00e9", "req-1"}}
	check := func(when string) {
		d.peek(r, func(st *driver.State) {
			same(t, "acts "+when, st.Acts, []bool{false, true, false, false, false, false, true, true})
		})
	}
	check("as written")
	d.reopen()
	check("after reopening")
	if n := len(d.audits()); n != 4 {
		t.Errorf("the trail has %d rows, want 4", n)
	}
}
