package drivertest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/errs"
	"penstock/stock"
	"penstock/stock/driver"
)

// Lookup finds wins and final refusals of exactly this key, with the claim as it is now, and says nothing of others.
func lookupTellsBinding(t testing.TB, h Harness) {
	s := newShop(t, h)
	s.open("s", goods{"a", 5, 1, 1})
	w := s.mustWin("u", "k", item("a", 1))
	s.buy("u", "over", item("a", 1))
	find := func(user, key string) (stock.Answer, bool) {
		t.Helper()
		a, ok, err := s.p.Lookup(t.Context(), "s", user, key)
		if err != nil {
			t.Fatalf("lookup: %v", err)
		}
		return a, ok
	}
	if a, ok := find("u", "k"); !ok || a.State != stock.Won || a.Attempt.ID != w.ID {
		t.Errorf("the winner finds %+v, %v", a, ok)
	}
	if a, ok := find("u", "over"); !ok || a.State != stock.Lost || a.Reason != errs.LimitReached {
		t.Errorf("the refused finds %+v, %v", a, ok)
	}
	for _, other := range [][2]string{{"v", "k"}, {"u", "K"}, {"u", ""}, {"", "k"}} {
		if a, ok := find(other[0], other[1]); ok {
			t.Errorf("%q finds %+v", other, a)
		}
	}
	if a, ok, err := s.p.Lookup(t.Context(), "none", "u", "k"); ok || err != nil && !errs.Is(err, errs.NotFound) {
		t.Errorf("in an unknown sale: %+v, %v, %v", a, ok, err)
	}
	s.mustRelease(w.ID, driver.Held, stock.WhyCancelled)
	if a, ok := find("u", "k"); !ok || a.State != stock.Won || a.Attempt.State != driver.Released || a.Attempt.Why != stock.WhyCancelled {
		t.Errorf("after the release the winner finds %+v (%+v), %v", a, a.Attempt, ok)
	}
}

// A sale is created once, changed only under the version that was seen, and not at all when the change refuses; parallel
// changes are not lost.
func salesAreVersioned(t testing.TB, h Harness) {
	s := newShop(t, h)
	sale := s.open("s", goods{"a", 5, 1, 1})
	if sale.Version != 1 || !sale.Created.Equal(start) {
		t.Errorf("a new sale has version %d, created %v", sale.Version, sale.Created)
	}
	if _, err := s.p.CreateSale(t.Context(), sale, map[string]int64{"a": 5}, by("create")); !errs.Is(err, errs.Conflict) {
		t.Errorf("creating it again: %v, want a conflict", err)
	}
	rename := func(id string, version int64, title string) (driver.Sale, error) {
		return s.p.UpdateSale(t.Context(), id, version, func(x *driver.Sale) error { x.Title = title; return nil }, by("rename"))
	}
	got, err := rename("s", 1, "two")
	if err != nil || got.Version != 2 || got.Title != "two" {
		t.Errorf("update of version 1: %+v, %v", got, err)
	}
	if _, err := rename("s", 1, "stale"); !errs.Is(err, errs.VersionMismatch) {
		t.Errorf("update of a stale version: %v", err)
	}
	if _, err := rename("s", 3, "future"); !errs.Is(err, errs.VersionMismatch) {
		t.Errorf("update of a future version: %v", err)
	}
	if _, err := rename("none", 0, "x"); !errs.Is(err, errs.NotFound) {
		t.Errorf("update of an unknown sale: %v", err)
	}
	no := errors.New("no")
	if _, err := s.p.UpdateSale(t.Context(), "s", 0, func(x *driver.Sale) error { x.Title = "refused"; return no }, by("rename")); !errors.Is(err, no) {
		t.Errorf("a change that refuses: %v", err)
	}
	var wg sync.WaitGroup
	var done atomic.Int64
	for range 20 {
		wg.Go(func() {
			for {
				seen := s.snapshot().Sales[0]
				_, err := rename("s", seen.Version, seen.Title+".")
				if err == nil {
					done.Add(1)
					return
				}
				if !errs.Is(err, errs.VersionMismatch) {
					t.Errorf("parallel update: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	now := s.snapshot().Sales[0]
	if now.Version != 22 || len(now.Title) != len("two")+20 || done.Load() != 20 {
		t.Errorf("after 20 parallel changes: %+v", now)
	}
	s.expectLevel("in the end", "a", 5, 0, 0)
	if n := len(s.audits()); n != 22 {
		t.Errorf("the trail has %d rows, want 22: one for each act that happened", n)
	}
}

// Offers add and withdraw exactly once per key, never below what is held and sold, and refuse what they do not know.
func offersCountOnce(t testing.TB, h Harness) {
	s := newShop(t, h)
	s.open("s", goods{"a", 5, 0, 1})
	s.mustSell(s.mustWin("u", "1", item("a", 1)).ID)
	s.mustWin("u", "2", item("a", 1))
	offer := func(sale, sku string, delta int64, key string) (driver.Stock, error) {
		return s.p.Offer(t.Context(), stock.OfferRequest{Sale: sale, SKU: sku, Delta: delta, Key: key, Why: "w"}, by("offer"))
	}
	expect := func(when string, row driver.Stock, err error, offered, available, withdrawn int64) {
		t.Helper()
		if err != nil || row.Offered != offered || row.Available != available || row.Withdrawn != withdrawn {
			t.Errorf("%s: %+v, %v, want offered %d, available %d, withdrawn %d", when, row, err, offered, available, withdrawn)
		}
		s.expectLevel(when, "a", available, 1, 1)
	}
	row, err := offer("s", "a", 4, "k")
	expect("adding 4", row, err, 9, 7, 0)
	row, err = offer("s", "a", 4, "k")
	expect("the same again", row, err, 9, 7, 0)
	if _, err = offer("s", "a", 5, "k"); !errs.Is(err, errs.KeyReused) {
		t.Errorf("the key for another change: %v", err)
	}
	row, err = offer("s", "a", 1, "")
	expect("without a key", row, err, 10, 8, 0)
	row, err = offer("s", "a", 1, "")
	expect("without a key again", row, err, 11, 9, 0)
	if _, err = offer("s", "a", -10, "more than available"); !errs.Is(err, errs.StockInUse) {
		t.Errorf("withdrawing more than is available: %v", err)
	}
	row, err = offer("s", "a", -9, "all")
	expect("withdrawing what is available", row, err, 11, 0, 9)
	s.restart()
	row, err = offer("s", "a", -9, "all")
	expect("the same after a restart", row, err, 11, 0, 9)
	row, err = offer("s", "a", 2, "more than available")
	expect("a refused key used well", row, err, 13, 2, 9)
	for what, f := range map[string]func() (driver.Stock, error){
		"unknown sale": func() (driver.Stock, error) { return offer("none", "a", 1, "") },
		"unknown sku":  func() (driver.Stock, error) { return offer("s", "zz", 1, "") },
	} {
		if row, err := f(); !errs.Is(err, errs.NotFound) && !errs.Is(err, errs.Invalid) {
			t.Errorf("%s: %+v, %v", what, row, err)
		}
	}
	if rows := s.levels("s"); len(rows) != 1 {
		t.Errorf("stock rows appeared: %v", rows)
	}
	s.audit()
}

// Each act of an operator that happened is in the trail with who, act, object and why, in order, and refused acts are not.
func operatorsLeaveATrail(t testing.TB, h Harness) {
	s := newShop(t, h)
	sale := s.open("s", goods{"a", 5, 0, 1})
	s.update(func(x *driver.Sale) { x.Paused = true })
	_, err := s.p.UpdateSale(t.Context(), "s", 99, func(*driver.Sale) error { return nil }, by("refused"))
	if err == nil {
		t.Error("an update of a wrong version succeeded")
	}
	if _, err := s.p.CreateSale(t.Context(), sale, nil, by("refused")); err == nil {
		t.Error("creating a sale twice succeeded")
	}
	s.mustOffer("a", 5)
	if _, err := s.p.Offer(t.Context(), stock.OfferRequest{Sale: "s", SKU: "a", Delta: -100}, by("refused")); err == nil {
		t.Error("withdrawing too much succeeded")
	}
	if err := s.p.Record(t.Context(), by("replayed a dead letter")); err != nil {
		t.Errorf("record: %v", err)
	}
	var acts []string
	for _, a := range s.audits() {
		acts = append(acts, a.Act)
		if a.Who != "op" || a.Object != "test" || a.Why != "test" || !a.At.Equal(start) {
			t.Errorf("the trail says %+v", a)
		}
	}
	same(t, "acts", acts, []string{"create", "update", "offer", "replayed a dead letter"})
}

// A closed sale stays closed, whether it had ended or was closed, was tidied away, or the process was restarted in between; its
// winners and its refused buyers get their answers for ever, and a refund still returns what it should.
func closedSaleStaysClosed(t testing.TB, h Harness) {
	for _, closed := range []bool{false, true} {
		for _, restarted := range []bool{false, true} {
			s := newShop(t, h)
			closedSale(s, closed, restarted)
			if t.Failed() {
				t.Logf("closed before its end: %v, restarted: %v", closed, restarted)
				return
			}
		}
	}
}

func closedSale(s *shop, closed, restarted bool) {
	s.open("s", goods{"a", 5, 1, 1})
	w := s.mustWin("u", "k", item("a", 1))
	s.mustSell(w.ID)
	over := s.buy("u", "over", item("a", 1))
	if closed {
		s.change("s", func(x *driver.Sale) { x.ClosedAt, x.EndsAt = s.clk.Now(), far })
	}
	s.clk.advance(100 * 24 * time.Hour)
	if s.h.Tidy != nil {
		snap, err := s.drv.Snapshot(s.Context())
		if err == nil {
			err = s.drv.Sent(s.Context(), snap.Seq)
		}
		if err != nil {
			s.Fatal(err)
		}
		s.h.Tidy(s, s.drv)
	}
	if restarted {
		s.restart()
	}
	open := func(x *driver.Sale) error { x.ClosedAt, x.EndsAt = time.Time{}, far; return nil }
	if _, err := s.p.UpdateSale(s.Context(), "s", 0, open, by("open again")); !errs.Is(err, errs.SaleClosed) {
		s.Errorf("opening a closed sale again: %v, want sale-closed", err)
	}
	if _, err := s.p.Offer(s.Context(), stock.OfferRequest{Sale: "s", SKU: "a", Delta: 1, Key: "more"}, by("offer")); !errs.Is(err, errs.SaleClosed) {
		s.Errorf("topping up a closed sale: %v, want sale-closed", err)
	}
	if a := s.buy("u", "k", item("a", 1)); !a.Replayed || a.Attempt == nil || a.Attempt.ID != w.ID {
		s.Errorf("long after the end the winner gets %+v", a)
	}
	if a := s.buy("u", "over", item("a", 1)); !a.Replayed || a.Reason != over.Reason {
		s.Errorf("the refused key gets %+v", a)
	}
	if a := s.buy("new", "k", item("a", 1)); a.Reason != errs.SaleClosed {
		s.Errorf("a new buyer gets %+v", a)
	}
	s.mustRelease(w.ID, driver.Sold, stock.WhyRefunded)
	if s.h.Tidy != nil { // what is tidied away stays closed even when the clock goes back
		s.clk.advance(-100 * 24 * time.Hour)
		if a := s.buy("new", "k2", item("a", 1)); a.Reason != errs.SaleClosed {
			s.Errorf("after the clock went back a new buyer gets %+v", a)
		}
	}
	s.audit()
}

// After a restart every key, claim, sale and number is as before, and new ids are later than old ones.
func answersSurviveRestart(t testing.TB, h Harness) {
	s := newShop(t, h)
	s.open("s", goods{"a", 5, 2, 1}, goods{"b", 1, 0, 1})
	w := s.mustWin("u", "w", item("a", 1), item("b", 1))
	s.mustSell(s.mustWin("v", "w", item("a", 1)).ID)
	lost := s.buy("u", "l", item("a", 9))
	before := s.dump()
	again := []func(){s.restart}
	if h.Crash != nil {
		again = append(again, s.crash)
	}
	for i, back := range again {
		back()
		same(t, "everything after a restart", s.dump(), before)
		if a := s.buy("u", "w", item("a", 1), item("b", 1)); !a.Replayed || a.Attempt == nil || a.Attempt.ID != w.ID {
			t.Errorf("restart %d: the winner gets %+v", i, a)
		}
		if a := s.buy("u", "l", item("a", 9)); !a.Replayed || a.Reason != lost.Reason || a.Left != lost.Left {
			t.Errorf("restart %d: the refused gets %+v", i, a)
		}
		if a := s.buy("u", "l2", item("b", 1)); a.Reason != errs.StockHeld {
			t.Errorf("restart %d: for what is held: %+v", i, a)
		}
	}
	if n := s.mustWin("v", "new", item("a", 1)); n.ID <= before.LastID || n.Seq <= before.Seq {
		t.Errorf("the win after restarts has id %v and number %d, before were %v and %d", n.ID, n.Seq, before.LastID, before.Seq)
	}
	s.audit()
}
