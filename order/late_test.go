package order

import (
	"testing"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/stock"
	"penstock/stock/driver"
)

// again makes a held claim for late money of an expired order, and its message.
func (c *claims) again(of *driver.Attempt) *driver.Attempt {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clk.Now()
	a := *of
	a.ID, a.State, a.Why = c.gen.Next(now, ident.SlotOf(of.Key.User)), driver.Held, ""
	a.Key.Key, a.At = stock.LateKey(of.ID, 99), now
	a.PayBefore, a.ReleaseAt = now.Add(window), now.Add(window)
	c.byID[a.ID] = &a
	c.emit(stock.EventHeld, &a)
	return clone(&a)
}

// An order that had expired follows the claim that late money made: to paid, through the one edge that leads back, however
// often and in whatever order what happened is delivered again. The second claim is no order of its own.
func TestLateClaim(t *testing.T) {
	t.Parallel()
	lateClaim(t, setup)
}

func lateClaim(t *testing.T, setup setupFunc) {
	b := setup(t, Options{})
	ctx := t.Context()
	for name, c := range map[string]struct {
		seen bool // the first claim's messages were handled before
		back bool // the units are returned in the end
		lost bool // the second claim is released, not sold
		want []State
	}{
		"all seen":          {true, false, false, []State{Accepted, PendingPayment, Expired, Paid}},
		"returned":          {true, true, false, []State{Accepted, PendingPayment, Expired, Paid, Refunded}},
		"behind":            {false, false, false, []State{Accepted, PendingPayment, Expired, Paid}},
		"lost":              {true, false, true, []State{Accepted, PendingPayment, Expired}},
		"behind and return": {false, true, false, []State{Accepted, PendingPayment, Expired, Paid, Refunded}},
	} {
		first := len(b.claims.messages())
		a := b.claims.win("late " + name)
		if c.seen {
			b.handle(b.claims.messages()[first:]...)
		}
		if res, err := b.claims.Release(ctx, a.ID, driver.Held, stock.WhyExpired, ""); err != nil || !res.Moved {
			t.Fatal(err)
		}
		second := b.claims.again(a)
		switch {
		case c.lost:
			b.claims.Release(ctx, second.ID, driver.Held, stock.WhyExpired, "")
		default:
			b.claims.sell(second.ID)
		}
		if c.back {
			b.claims.Release(ctx, second.ID, driver.Sold, stock.WhyRefunded, "")
		}
		b.handle(b.claims.messages()[first:]...)
		again := b.claims.messages()[first:]
		for i := range again {
			b.handle(again[len(again)-1-i])
		}
		o := b.get(a.ID)
		if got := states(o); len(got) != len(c.want) || got[len(got)-1] != c.want[len(c.want)-1] || wellFormed(o) != nil {
			t.Errorf("%s: %v, not %v", name, got, c.want)
		}
		if _, err := b.Get(ctx, "", second.ID); !errs.Is(err, errs.NotFound) {
			t.Errorf("%s: the second claim is an order of its own: %v", name, err)
		}
		mine, _, err := b.List(ctx, a.Key.User, "", 0)
		if err != nil || len(mine) != 1 || mine[0].ID != a.ID {
			t.Errorf("%s: the buyer sees %+v, %v", name, mine, err)
		}
	}
}

// A claim that was never made anew cannot take an order from expired to paid, nor late money an order that was cancelled.
func TestExpiredIsPaidOnlyByALateClaim(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	ctx := t.Context()
	for why, paid := range map[string]bool{stock.WhyExpired: true, stock.WhyCancelled: false} {
		a := b.claims.win("u " + why)
		res, err := b.claims.Release(ctx, a.ID, driver.Held, why, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Follow(ctx, res.Claim); err != nil {
			t.Fatal(err)
		}
		forged := *a
		forged.State = driver.Sold
		if o, err := b.Follow(ctx, &forged); !errs.Is(err, errs.IllegalTransition) {
			t.Errorf("%s: a sold claim takes it to %s, %v", why, o.State, err)
		}
		late := b.claims.again(a)
		sold, err := b.claims.sell(late.ID)
		if err != nil {
			t.Fatal(err)
		}
		o, err := b.Follow(ctx, sold.Claim)
		if paid && (err != nil || o.State != Paid || o.ID != a.ID) || !paid && !errs.Is(err, errs.IllegalTransition) {
			t.Errorf("%s: late money takes it to %s, %v", why, o.State, err)
		}
	}
}

// What tells a late claim's order is its key alone, and only within the user's slot.
func TestOrderOf(t *testing.T) {
	t.Parallel()
	gen := ident.NewGenerator(1, 0)
	at := newBundle(t).clk.Now()
	order, claim := gen.Next(at, 7), gen.Next(at, 7)
	for key, want := range map[string]ident.ID{
		stock.LateKey(order, 5): order, "k": claim, "late:" + order.String() + ":5": claim, "·late:x:5": claim,
		stock.LateKey(gen.Next(at, 8), 5): claim,
	} {
		if got := stock.OrderOfKey(claim, key); got != want {
			t.Errorf("%q: %s, not %s", key, got, want)
		}
	}
}
