package drivertest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/stock"
	"penstock/stock/driver"
)

// A key refused without binding wins once units come back; a bound refusal stays; a winner's allowance comes back with his
// units.
func releasedUnitsReturn(t testing.TB, h Harness) {
	s := newShop(t, h)
	s.open("s", goods{"a", 1, 1, 1})
	w := s.mustWin("u", "k", item("a", 1))
	if a := s.buy("v", "k", item("a", 1)); a.Reason != errs.StockHeld {
		t.Fatalf("while the unit is held: %+v", a)
	}
	s.mustRelease(w.ID, driver.Held, "cancelled")
	s.expectLevel("after release", "a", 1, 0, 0)
	v := s.mustWin("v", "k", item("a", 1))
	s.mustSell(v.ID)
	if a := s.buy("x", "k", item("a", 1)); a.Reason != errs.SoldOut {
		t.Fatalf("after the last unit was sold: %+v", a)
	}
	s.mustRelease(v.ID, driver.Sold, "refunded")
	s.expectLevel("after refund", "a", 1, 0, 0)
	if a := s.buy("x", "k", item("a", 1)); a.Reason != errs.SoldOut || !a.Replayed {
		t.Errorf("a bound refusal after a refund: %+v", a)
	}
	s.mustWin("u", "again", item("a", 1))
	s.audit()
}

// Every move from every state does what the claim's state machine allows, and nothing else changes anything.
func movesFollowStates(t testing.TB, h Harness) {
	s := newShop(t, h)
	s.open("s", goods{"a", 100, 0, 1})
	sell := func(id ident.ID) (stock.MoveResult, error) { return s.p.Sell(t.Context(), id, "", "tr") }
	release := func(from driver.ClaimState, why string) func(ident.ID) (stock.MoveResult, error) {
		return func(id ident.ID) (stock.MoveResult, error) { return s.p.Release(t.Context(), id, from, why, "tr") }
	}
	cancel, refund := release(driver.Held, "cancelled"), release(driver.Sold, "refunded")
	type act = func(ident.ID) (stock.MoveResult, error)
	for _, c := range []struct {
		name  string
		acts  []act
		moved []bool
		ends  driver.ClaimState
		why   string
	}{
		{"sell twice", []act{sell, sell}, []bool{true, true}, driver.Sold, ""},
		{"cancel twice", []act{cancel, cancel}, []bool{true, true}, driver.Released, "cancelled"},
		{"sell, cancel", []act{sell, cancel}, []bool{true, false}, driver.Sold, ""},
		{"cancel, sell", []act{cancel, sell}, []bool{true, false}, driver.Released, "cancelled"},
		{"refund what is held", []act{refund}, []bool{false}, driver.Held, ""},
		{"sell, refund twice", []act{sell, refund, refund}, []bool{true, true, true}, driver.Released, "refunded"},
		{"sell, refund, sell", []act{sell, refund, sell}, []bool{true, true, false}, driver.Released, "refunded"},
		{"cancel, refund", []act{cancel, refund}, []bool{true, false}, driver.Released, "cancelled"},
		{"cancel, expire", []act{cancel, release(driver.Held, "expired")}, []bool{true, false}, driver.Released, "cancelled"},
	} {
		w := s.mustWin("u", c.name, item("a", 2))
		for i, do := range c.acts {
			r, err := do(w.ID)
			if err != nil || r.Moved != c.moved[i] || r.Claim == nil || r.Claim.ID != w.ID {
				t.Fatalf("%s, act %d: %+v, %v, want moved %v", c.name, i, r, err, c.moved[i])
			}
			if now := s.claim(w.ID); now.State != r.Claim.State || now.Why != r.Claim.Why {
				t.Errorf("%s, act %d says %v, the claim is %v", c.name, i, r.Claim, now)
			}
		}
		if now := s.claim(w.ID); now.State != c.ends || c.ends == driver.Released && now.Why != c.why {
			t.Errorf("%s ends as %v %q, want %v %q", c.name, now.State, now.Why, c.ends, c.why)
		}
	}
	if r, err := sell(12345); !errs.Is(err, errs.NotFound) {
		t.Errorf("selling an unknown id: %+v, %v", r, err)
	}
	if r, err := cancel(12345); !errs.Is(err, errs.NotFound) {
		t.Errorf("releasing an unknown id: %+v, %v", r, err)
	}
	s.expectLevel("in the end", "a", 100-2*3, 2, 4)
	s.audit()
}

// A claim sells until just before its release time; from then on it is released as expired instead, and a claim sold in time
// stays sold.
func nothingSoldAfterReleaseTime(t testing.TB, h Harness) {
	s := newShop(t, h)
	s.open("s", goods{"a", 10, 0, 1})
	first, second, third := s.mustWin("u", "1", item("a", 1)), s.mustWin("u", "2", item("a", 1)), s.mustWin("u", "3", item("a", 1))
	s.clk.advance(window + grace - time.Millisecond)
	s.mustSell(first.ID)
	s.clk.advance(time.Millisecond)
	for range 2 {
		r, err := s.p.Sell(t.Context(), second.ID, "", "")
		if err != nil || r.Moved || r.Claim == nil || r.Claim.State != driver.Released || r.Claim.Why != stock.WhyExpired {
			t.Errorf("selling at the release time: %+v, %v, want released as expired", r.Claim, err)
		}
	}
	s.mustSell(first.ID)
	same(t, "still due", s.due(s.clk.Now(), 10), []ident.ID{third.ID})
	s.mustRelease(third.ID, driver.Held, stock.WhyExpired)
	s.expectLevel("in the end", "a", 9, 0, 1)
	s.audit()
}

// When a payment and an expiry (or a cancel) of one claim meet, exactly one of them moves it, and the units follow it.
func payAndExpireHaveOneWinner(t testing.TB, h Harness) {
	s := newShop(t, h)
	const races = 150
	s.open("s", goods{"a", races, 0, 1})
	var wg sync.WaitGroup
	type outcome struct{ sold, expired, cancelled stock.MoveResult }
	outcomes := make([]outcome, races)
	for i := range outcomes {
		id := s.mustWin("u", fmt.Sprint(i), item("a", 1)).ID
		run := func(into *stock.MoveResult, f func() (stock.MoveResult, error)) {
			wg.Go(func() {
				r, err := f()
				if err != nil || r.Claim == nil {
					t.Errorf("race %d: %+v, %v", i, r, err)
					return
				}
				*into = r
			})
		}
		o := &outcomes[i]
		run(&o.sold, func() (stock.MoveResult, error) { return s.p.Sell(t.Context(), id, "", "") })
		run(&o.expired, func() (stock.MoveResult, error) {
			return s.p.Release(t.Context(), id, driver.Held, stock.WhyExpired, "")
		})
		if i%2 == 0 {
			run(&o.cancelled, func() (stock.MoveResult, error) {
				return s.p.Release(t.Context(), id, driver.Held, stock.WhyCancelled, "")
			})
		}
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	sold := int64(0)
	for i, o := range outcomes {
		winners := 0
		for _, r := range []stock.MoveResult{o.sold, o.expired, o.cancelled} {
			if r.Moved {
				winners++
			}
		}
		if winners != 1 {
			t.Errorf("race %d has %d winners: %+v", i, winners, o)
		}
		if o.sold.Moved {
			sold++
		}
	}
	s.expectLevel("after the races", "a", races-sold, 0, sold)
	s.audit()
}
