package drivertest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"penstock/errs"
	"penstock/stock"
	"penstock/stock/driver"
)

// storm lets all buyers in at once: exactly min(units, buyers) win, nobody wins twice, the others are told that the rest is
// held, and, when the winners paid, that it is sold out.
func storm(units, buyers int) func(testing.TB, Harness) {
	return func(t testing.TB, h Harness) {
		s := newShop(t, h)
		s.open("s", goods{"a", int64(units), 1, 100})
		answers := make([]stock.Answer, buyers)
		begin := make(chan struct{})
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() {
				<-begin
				answers[i] = s.buy(fmt.Sprint("u", i), "k", item("a", 1))
			})
		}
		close(begin)
		wg.Wait()
		ids := map[stock.ID]bool{}
		tally := map[errs.Code]int{}
		var loser string
		for i, a := range answers {
			if a.State == stock.Won {
				ids[a.Attempt.ID] = true
				continue
			}
			tally[a.Reason]++
			loser = fmt.Sprint("u", i)
		}
		want := min(units, buyers)
		if len(ids) != want || tally[errs.StockHeld] != buyers-want {
			t.Fatalf("%d buyers won, refusals %v, want %d and the others stock-held", len(ids), tally, want)
		}
		s.expectLevel("after the storm", "a", int64(units-want), int64(want), 0)
		var sales sync.WaitGroup
		for id := range ids {
			sales.Go(func() {
				if r, err := s.p.Sell(t.Context(), id, "", ""); err != nil || !r.Moved {
					t.Errorf("sell %v: %+v, %v", id, r, err)
				}
			})
		}
		sales.Wait()
		s.expectLevel("after payment", "a", int64(units-want), 0, int64(want))
		if loser != "" {
			if a := s.buy(loser, "k", item("a", 1)); a.Reason != errs.SoldOut {
				t.Errorf("a loser who comes again: %+v, want sold-out", a)
			}
		}
		s.audit()
	}
}

// Carts that name the same SKUs in opposite order neither wait for each other for ever nor tear: every win has both lines.
func cartsInOppositeOrder(t testing.TB, h Harness) {
	s := newShop(t, h)
	const units, carts = 60, 240
	s.open("s", goods{"a", units, 0, 1}, goods{"b", units / 2, 0, 1}, goods{"c", 2 * units, 0, 1})
	var wg sync.WaitGroup
	var won atomic.Int64
	for i := range carts {
		items := []stock.Item{item("a", 1), item("b", 1), item("c", 2)}
		if i%2 == 1 {
			items[0], items[2] = items[2], items[0]
		}
		wg.Go(func() {
			a := s.buy(fmt.Sprint("u", i), "k", items...)
			switch {
			case a.State == stock.Won && len(a.Attempt.Lines) == 3 && a.Attempt.Amount == 4:
				won.Add(1)
			case a.Reason != errs.StockHeld:
				t.Errorf("cart %d: %+v", i, a)
			}
		})
	}
	wg.Wait()
	if won.Load() != units/2 {
		t.Errorf("%d carts won, want %d", won.Load(), units/2)
	}
	s.expectLevel("after the carts", "a", units/2, units/2, 0)
	s.expectLevel("after the carts", "b", 0, units/2, 0)
	s.expectLevel("after the carts", "c", units, units, 0)
	s.audit()
}

// When some winners cancel and the others pay, buyers who keep asking buy every unit: none leaks, none is sold twice.
func everythingIsSold(t testing.TB, h Harness) {
	s := newShop(t, h)
	const units, buyers = 30, 120
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	s.open("s", goods{"a", units, 1, 1})
	var wg sync.WaitGroup
	var cancelled atomic.Int64
	for i := range buyers {
		rnd := rand.New(rand.NewPCG(seed, uint64(i)))
		wg.Go(func() {
			user := fmt.Sprint("u", i)
			a := s.untilDecided(user, "k")
			if a.State != stock.Won {
				return
			}
			if rnd.IntN(3) == 0 && cancelled.Add(1) <= buyers-units {
				s.mustMove(s.p.Release(t.Context(), a.Attempt.ID, driver.Held, stock.WhyCancelled, ""))
				return
			}
			s.mustMove(s.p.Sell(t.Context(), a.Attempt.ID, "", ""))
		})
	}
	wg.Wait()
	s.expectLevel("in the end", "a", 0, 0, units)
	s.audit()
}

func (s *shop) mustMove(r stock.MoveResult, err error) {
	if err != nil || !r.Moved {
		s.Errorf("move: %+v, %v", r, err)
	}
}

// untilDecided asks with one key until it has won or is told that everything is sold.
func (s *shop) untilDecided(user, key string) stock.Answer {
	for {
		a := s.settled(user, key, item("a", 1))
		if a.State == stock.Won || a.Reason == errs.SoldOut {
			return a
		}
		if a.Reason != errs.StockHeld {
			s.Errorf("%s is told %+v", user, a)
			return a
		}
	}
}
