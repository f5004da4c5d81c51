package drivertest

import (
	"testing"
	"time"

	"penstock/errs"
	"penstock/stock"
	"penstock/stock/driver"
)

// Whatever happened to stock, limit, sale and claim since, a key with the same items gets its first answer, and with other
// items key-reused, which changes nothing.
func knownKeyReplays(t testing.TB, h Harness) {
	s := newShop(t, h)
	s.open("s", goods{"a", 2, 2, 1}, goods{"b", 2, 0, 1})
	won := s.buy("u", "won", item("a", 2))
	over := s.buy("u", "over", item("a", 1))
	s.mustSell(s.mustWin("x", "x", item("b", 2)).ID)
	out := s.buy("u", "out", item("b", 1))
	if won.State != stock.Won || over.Reason != errs.LimitReached || out.Reason != errs.SoldOut {
		t.Fatalf("prepared %+v, %+v, %+v", won, over, out)
	}
	check := func(when string) {
		t.Helper()
		for _, c := range []struct {
			key   string
			first stock.Answer
			item  stock.Item
		}{{"won", won, item("a", 2)}, {"over", over, item("a", 1)}, {"out", out, item("b", 1)}} {
			again := s.buy("u", c.key, c.item)
			if !again.Replayed || again.State != c.first.State || again.Reason != c.first.Reason || again.SKU != c.first.SKU || again.Left != c.first.Left {
				t.Errorf("%s: %s answers %+v, first %+v", when, c.key, again, c.first)
			}
			if again.Attempt == nil || again.Attempt.ID != c.first.Attempt.ID || again.Attempt.Amount != c.first.Attempt.Amount {
				t.Errorf("%s: %s is bound to %+v, first %+v", when, c.key, again.Attempt, c.first.Attempt)
			}
			for _, other := range [][]stock.Item{{item(c.item.SKU, c.item.Quantity+1)}, {item("b", 9)}, {c.item, item("c", 1)}} {
				if a := s.buy("u", c.key, other...); a.State != stock.Lost || a.Reason != errs.KeyReused {
					t.Errorf("%s: %s with %v answers %+v, want key-reused", when, c.key, other, a)
				}
			}
		}
	}
	check("at once")
	s.update(func(x *driver.Sale) { x.Paused = true })
	check("paused")
	s.update(func(x *driver.Sale) { x.Paused, x.SoldOut = false, true })
	check("forced sold out")
	s.update(func(x *driver.Sale) { x.SoldOut = false })
	s.mustRelease(won.Attempt.ID, driver.Held, "cancelled")
	s.mustOffer("b", 5)
	check("released and topped up")
	s.clk.advance(-2 * time.Hour)
	check("before the start")
	s.clk.advance(4 * time.Hour)
	check("after the end")
	s.restart()
	check("after a restart")
	s.expectLevel("in the end", "a", 2, 0, 0)
	s.expectLevel("in the end", "b", 5, 0, 2)
	s.audit()
}

// The body of an attempt is its set of items: listing them in another order is the same body.
func itemOrderIsNoOtherBody(t testing.TB, h Harness) {
	s := newShop(t, h)
	s.open("s", goods{"a", 5, 0, 1}, goods{"b", 5, 0, 1})
	first := s.mustWin("u", "k", item("a", 1), item("b", 2))
	if a := s.buy("u", "k", item("b", 2), item("a", 1)); !a.Replayed || a.Attempt == nil || a.Attempt.ID != first.ID {
		t.Errorf("the same items in another order answer %+v", a)
	}
	if a := s.buy("u", "k", item("a", 2), item("b", 1)); a.Reason != errs.KeyReused {
		t.Errorf("the same skus with swapped quantities answer %+v, want key-reused", a)
	}
}

// Where several refusals are due, the sale's state comes before the limit and the limit before the stock.
func refusalsFollowPriority(t testing.TB, h Harness) {
	s := newShop(t, h)
	s.open("s", goods{"a", 1, 1, 1})
	s.mustWin("u", "first", item("a", 1))
	expect := func(when, key string, want errs.Code) {
		t.Helper()
		if a := s.buy("u", key, item("a", 1)); a.State != stock.Lost || a.Reason != want {
			t.Errorf("%s: %+v, want %s", when, a, want)
		}
	}
	s.update(func(x *driver.Sale) { x.Paused = true })
	expect("paused, over the limit, all held", "k", errs.SalePaused)
	s.update(func(x *driver.Sale) { x.Paused = false })
	expect("over the limit, all held", "k", errs.LimitReached)
	if a := s.buy("v", "k", item("a", 1)); a.Reason != errs.StockHeld {
		t.Errorf("all held: %+v", a)
	}
	s.update(func(x *driver.Sale) { x.ClosedAt = s.clk.Now() })
	expect("closed, over the limit, all held", "k2", errs.SaleClosed)
	s.clk.advance(time.Hour)
	s.update(func(x *driver.Sale) { x.Paused = true })
	if a := s.buy("v", "later", item("a", 1)); a.Reason != errs.SaleClosed && a.Reason != errs.SalePaused {
		t.Errorf("paused and over: %+v", a)
	}
}

// A cart takes every line or none, whichever line is the one that fails.
func cartIsAllOrNothing(t testing.TB, h Harness) {
	s := newShop(t, h)
	s.open("s", goods{"a", 5, 0, 1}, goods{"b", 2, 0, 1}, goods{"c", 5, 1, 1})
	for i, c := range []struct {
		items []stock.Item
		want  errs.Code
	}{
		{[]stock.Item{item("a", 1), item("b", 3)}, errs.NotEnoughLeft},
		{[]stock.Item{item("b", 3), item("a", 1)}, errs.NotEnoughLeft},
		{[]stock.Item{item("a", 1), item("b", 1), item("c", 2)}, errs.LimitReached},
		{[]stock.Item{item("c", 2), item("b", 3)}, errs.LimitReached},
		{[]stock.Item{item("b", 3), item("c", 2)}, errs.LimitReached},
	} {
		if a := s.buy("u", string(rune('0'+i)), c.items...); a.State != stock.Lost || a.Reason != c.want {
			t.Errorf("cart %v: %+v, want %s", c.items, a, c.want)
		}
	}
	s.expectLevel("after refused carts", "a", 5, 0, 0)
	s.expectLevel("after refused carts", "b", 2, 0, 0)
	w := s.mustWin("u", "k", item("c", 1), item("a", 5), item("b", 2))
	s.expectLevel("after a cart", "a", 0, 5, 0)
	s.mustRelease(w.ID, driver.Held, "cancelled")
	for sku, n := range map[string]int64{"a": 5, "b": 2, "c": 5} {
		s.expectLevel("after release", sku, n, 0, 0)
	}
	s.mustWin("u", "again", item("c", 1))
	s.audit()
}

// A sale takes attempts in [start, end) to the millisecond, by the clock of the stock database.
func saleIsOpenFromStartToEnd(t testing.TB, h Harness) {
	s := newShop(t, h)
	sale := s.open("s", goods{"a", 100, 0, 1})
	for i, c := range []struct {
		at   time.Time
		want errs.Code
	}{
		{sale.StartsAt.Add(-time.Millisecond), errs.SaleNotOpen}, {sale.StartsAt, ""}, {sale.StartsAt.Add(time.Millisecond), ""},
		{sale.EndsAt.Add(-time.Millisecond), ""}, {sale.EndsAt, errs.SaleClosed}, {sale.EndsAt.Add(time.Millisecond), errs.SaleClosed},
	} {
		s.clk.advance(c.at.Sub(s.clk.Now()))
		a := s.buy("u", string(rune('0'+i)), item("a", 1))
		if a.Reason != c.want || (a.State == stock.Won) != (c.want == "") {
			t.Errorf("at start%+v: %+v, want %q", c.at.Sub(sale.StartsAt), a, c.want)
		}
		if c.want == errs.SaleNotOpen && !a.OpensAt.Equal(sale.StartsAt) {
			t.Errorf("opens at %v, want %v", a.OpensAt, sale.StartsAt)
		}
	}
	s.clk.advance(sale.EndsAt.Add(-time.Millisecond).Sub(s.clk.Now()))
	s.mustWin("u", "4", item("a", 1))
	s.expectLevel("in the end", "a", 96, 4, 0)
}
