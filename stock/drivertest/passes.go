package drivertest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/errs"
	"penstock/stock"
	"penstock/stock/driver"
)

// winPass binds one win under a pass.
func (d *db) winPass(k driver.Key, pass uint64, lines ...driver.Line) *driver.Attempt {
	d.Helper()
	a := d.winning(k, lines...)
	a.Pass = pass
	d.bind(a)
	return a
}

// A pass is used by the answer that is bound under it, a win or a no, for its own user and sale only, and stays used.
func passIsUsedOnce(t testing.TB, h Harness) {
	d := newDB(t, h)
	d.sale("s", map[string]int64{"a": 5})
	d.sale("other", map[string]int64{"a": 5})
	check := func(when string, want ...bool) {
		t.Helper()
		of := func(sale, user string, entry uint64) driver.PassRef {
			return driver.PassRef{Sale: sale, User: user, Entry: entry}
		}
		r := &driver.Reads{Passes: []driver.PassRef{
			of("s", "u", 7), of("s", "v", 8), of("other", "u", 7), of("none", "u", 7), of("s", "v", 7), of("s", "u", 7),
		}}
		d.peek(r, func(st *driver.State) { same(t, "passes "+when, st.Used, want) })
	}
	check("before", false, false, false, false, false, false)
	d.winPass(driver.Key{Sale: "s", User: "u", Key: "k"}, 7, line("a", 1))
	d.win(driver.Key{Sale: "s", User: "u", Key: "without"}, line("a", 1))
	d.win(driver.Key{Sale: "s", User: "u", Key: "without, too"}, line("a", 1))
	check("after a win", true, false, false, false, false, true)
	no := d.losing(driver.Key{Sale: "s", User: "v", Key: "k"}, errs.LimitReached, line("a", 1))
	no.Pass = 8
	d.bind(no)
	check("after a no", true, true, false, false, false, true)
	d.reopen()
	check("after reopening", true, true, false, false, false, true)
	d.winPass(driver.Key{Sale: "other", User: "u", Key: "k"}, 7, line("a", 1))
	check("after a win in another sale", true, true, true, false, false, true)
}

// show attempts to buy one unit of "a" under a pass.
func (s *shop) show(user, key string, pass uint64) stock.Answer {
	return s.p.Attempt(s.Context(), stock.Request{Sale: "s", User: user, Key: key, Items: []stock.Item{item("a", 1)}, Pass: pass, PassSKU: "a"})
}

// A pass binds one key, however many come at once: the others are told that it was used, also after a restart. What binds nothing
// leaves it good, and a sale that is over says so, whether or not the pass was used.
func passBindsOneKey(t testing.TB, h Harness) {
	s := newShop(t, h)
	s.open("s", goods{"a", 40, 2, 1})
	expect := func(when string, a stock.Answer, want errs.Code) {
		t.Helper()
		if a.State != stock.Lost || a.Reason != want {
			t.Errorf("%s: %+v, want %s", when, a, want)
		}
	}
	s.update(func(x *driver.Sale) { x.Paused = true })
	expect("paused", s.show("u", "k0", 1), errs.SalePaused)
	s.update(func(x *driver.Sale) { x.Paused = false })
	for pass := uint64(1); pass <= 5; pass++ {
		user := fmt.Sprint("u", pass)
		var winner atomic.Value
		var wins atomic.Int64
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				switch a := s.show(user, fmt.Sprint("k", i), pass); {
				case a.State == stock.Won:
					wins.Add(1)
					winner.Store(fmt.Sprint("k", i))
				case a.Reason != errs.PassUsed:
					t.Errorf("pass %d: %+v", pass, a)
				}
			})
		}
		wg.Wait()
		if wins.Load() != 1 {
			t.Fatalf("pass %d won %d times", pass, wins.Load())
		}
		if a := s.show(user, winner.Load().(string), pass); a.State != stock.Won || !a.Replayed {
			t.Errorf("the key that won, again: %+v", a)
		}
		if a := s.buy(user, winner.Load().(string), item("a", 1)); a.State != stock.Won || !a.Replayed {
			t.Errorf("the key that won, without its pass: %+v", a)
		}
	}
	s.mustWin("w", "all", item("a", 2))
	expect("over the limit", s.show("w", "k", 6), errs.LimitReached)
	expect("another key of a pass that a no used", s.show("w", "other", 6), errs.PassUsed)
	s.restart()
	expect("after a restart", s.show("u1", "later", 1), errs.PassUsed)
	expect("after a restart, a no", s.show("w", "later", 6), errs.PassUsed)
	if a := s.show("x", "k", 7); a.State != stock.Won {
		t.Errorf("a pass of an entry without an answer: %+v", a)
	}
	s.update(func(x *driver.Sale) { x.Paused = true })
	expect("paused, used", s.show("u1", "later", 1), errs.PassUsed)
	s.update(func(x *driver.Sale) { x.ClosedAt = s.clk.Now() })
	expect("over, used", s.show("u1", "later", 1), errs.SaleClosed)
	s.clk.advance(time.Hour)
	s.audit()
}
