package sale_test

import (
	"testing"
	"time"

	"penstock/errs"
	"penstock/sale"
	"penstock/stock"
	"penstock/stock/driver"
)

func (r *room) join(user string) sale.Entry {
	r.t.Helper()
	e, err := r.Join(r.t.Context(), stock.JoinRequest{Sale: "s", User: user, Key: "j", SKU: "tea", Quantity: 1})
	if err != nil {
		r.t.Fatalf("%s joins: %v", user, err)
	}
	return e
}

func (r *room) stands(when, user string, entry uint64, state sale.WaitState, why string) sale.Entry {
	r.t.Helper()
	e, err := r.Waiting(r.t.Context(), "s", user, entry)
	if err != nil || e.State != state || e.Why != why {
		r.t.Errorf("%s: %s's entry is %+v, %v, want %s %q", when, user, e, err, state, why)
	}
	return e
}

// While somebody waits, a unit that comes back is never shown as free, and the gate turns others away as before; an offer that
// is not paid expires and goes to the next; who still waits at the end is told that the sale is closed.
func TestWaitingListStaysTruthful(t *testing.T) {
	t.Parallel()
	r := setup(t)
	_, err := r.Create(t.Context(), "op", sale.Definition{
		ID: "s", Title: "t", StartsAt: opening, EndsAt: opening.Add(time.Hour), PaymentWindowSeconds: 60, WaitingList: true,
		Items: []sale.ItemDefinition{{SKU: "tea", Title: "Tea", Price: 990, Currency: "CNY", Stock: 1, LimitPerUser: 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	r.clk.Advance(time.Hour)
	won := r.Attempt(t.Context(), stock.Request{Sale: "s", User: "ann", Key: "k", Items: []stock.Item{{SKU: "tea", Quantity: 1}}})
	u, v, w := r.join("u"), r.join("v"), r.join("w")
	if _, err := r.stock.Release(t.Context(), won.Attempt.ID, driver.Held, stock.WhyCancelled, ""); err != nil {
		t.Fatal(err)
	}
	first := r.stands("after a release", "u", u.Seq, sale.Offered, "")
	r.want("a passer-by", r.buy("eve", "k"), string(errs.StockHeld))
	view, err := r.View(t.Context(), "s")
	if err != nil || view.Items[0].Availability != sale.Held || !view.WaitingList {
		t.Errorf("the sale is shown as %+v, %v", view, err)
	}
	r.clk.Advance(2 * time.Minute)
	if _, err := r.stock.Release(t.Context(), first.Order, driver.Held, stock.WhyExpired, ""); err != nil {
		t.Fatal(err)
	}
	r.stands("after the window", "u", u.Seq, sale.WaitExpired, stock.WhyExpired)
	second := r.stands("after the window", "v", v.Seq, sale.Offered, "")
	if _, err := r.stock.Sell(t.Context(), second.Order, "", ""); err != nil {
		t.Fatal(err)
	}
	if again := r.join("v"); !again.Replayed || again.State != sale.Offered || again.Seq != v.Seq {
		t.Errorf("joining again with the same key: %+v", again)
	}
	r.clk.Advance(time.Hour)
	r.stands("after the end", "w", w.Seq, sale.WaitExpired, string(errs.SaleClosed))
	if _, err := r.Waiting(t.Context(), "s", "u", w.Seq); !errs.Is(err, errs.NotFound) {
		t.Errorf("another's entry: %v", err)
	}
}
