package payment_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"penstock/engine/groupcommit"
	"penstock/errs"
	"penstock/internal/fault"
	"penstock/order"
	"penstock/order/payment"
	"penstock/order/payment/sandbox"
	"penstock/stock"
	"penstock/stock/driver"
)

var errCrash = errors.New("planned crash")

// crashAt makes every passage of the point fail and returns how often it was reached.
func crashAt(point string) (*fault.Points, *atomic.Int64) {
	var p fault.Points
	var hits atomic.Int64
	p.Set(point, func(int) error { hits.Add(1); return errCrash })
	return &p, &hits
}

// A crash between any two steps of a capture delays the order and loses nothing: after a restart it is paid, once.
func testCrashDuringCapture(t *testing.T, on engine) {
	t.Parallel()
	for _, point := range []string{payment.PointBegun, payment.PointCaptured, payment.PointSold, payment.PointFollowed} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			faults, hits := crashAt(point)
			w := setup(t, on, faults)
			id := w.shop.sell("u")
			_, _, err := w.pay.Load().Begin(t.Context(), payment.Begin{Order: id, User: "u", Key: "k", Method: "sandbox"})
			if (err != nil) != (point == payment.PointBegun) || err != nil && !errs.Is(err, errs.Unknown) {
				t.Fatalf("begin: %v", err)
			}
			w.until("the point is reached", func() bool { return hits.Load() > 0 })
			if n, err := w.pay.Load().InFlight(t.Context()); err != nil || n != 1 {
				t.Errorf("%d in flight (%v) in the middle of a payment", n, err)
			}
			w.restart()
			w.settled()
			all, err := w.pay.Load().ByOrder(t.Context(), id)
			if err != nil || len(all) != 1 || all[0].State != payment.Captured || w.order(id).State != order.Paid || w.money() != price {
				t.Errorf("payments %+v (%v), order %s, provider keeps %d", all, err, w.order(id).State, w.money())
			}
			w.counted(1, 0)
		})
	}
}

// A crash between any two steps of the return of late money ends with the money back, once.
func testCrashDuringReturnOfLateMoney(t *testing.T, on engine) {
	t.Parallel()
	for _, point := range []string{payment.PointSold, payment.PointLate, payment.PointRefunding, payment.PointReturned} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			faults, hits := crashAt(point)
			w := setup(t, on, faults)
			id := w.shop.sell("u")
			w.shop.Release(t.Context(), id, driver.Held, stock.WhyExpired, "")
			p := w.begin(id, "u", sandbox.Capture)
			w.until("the point is reached", func() bool { return hits.Load() > 0 })
			w.restart()
			w.settled()
			got := w.payment(p)
			if got.State != payment.Refunded || !got.Late || got.Refunded != price || w.money() != 0 || w.order(id).State == order.Paid {
				t.Errorf("payment %+v, order %s, provider keeps %d", got, w.order(id).State, w.money())
			}
			if w.raisedOf(payment.CaseLate) != 1 {
				t.Errorf("late money was counted %d times", w.raisedOf(payment.CaseLate))
			}
		})
	}
}

// A crash between any two steps of a refund ends with the money back, the units back and the order told, each once.
func testCrashDuringRefund(t *testing.T, on engine) {
	t.Parallel()
	for _, point := range []string{
		payment.PointRefunding, payment.PointReturned, payment.PointPaidBack, payment.PointReleased, payment.PointTold,
	} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			faults, hits := crashAt(point)
			w := setup(t, on, faults)
			id := w.shop.sell("u")
			p := w.begin(id, "u", sandbox.Capture)
			w.settled()
			ask := payment.Refund{Order: id, User: "u", Key: "r", Amount: 700, ReturnStock: true}
			if _, _, err := w.pay.Load().Refund(t.Context(), ask); !errs.Is(err, errs.Unknown) {
				t.Fatalf("an interrupted refund answered %v", err)
			}
			if hits.Load() == 0 {
				t.Fatal("the point was not reached")
			}
			w.restart()
			w.settled()
			o, replayed, err := w.pay.Load().Refund(t.Context(), ask)
			if err != nil || !replayed || o.Refunded != 700 || o.State != order.Refunded {
				t.Errorf("asked again: %+v replayed=%v %v", o, replayed, err)
			}
			claim, _ := w.shop.Claim(t.Context(), id)
			if got := w.payment(p); got.Refunded != 700 || w.money() != price-700 || claim.State != driver.Released {
				t.Errorf("payment %+v, provider keeps %d, claim %s", got, w.money(), claim.State)
			}
		})
	}
}

// A commit nobody knows the outcome of is reported as unknown, and the same key makes one payment in the end.
func testUnknownCommitSettlesByKey(t *testing.T, on engine) {
	t.Parallel()
	var faults fault.Points
	w := setup(t, on, &faults)
	id := w.shop.sell("u")
	faults.Set(groupcommit.PointCommit, func(hit int) error {
		if hit == 1 {
			return errCrash
		}
		return nil
	})
	b := payment.Begin{Order: id, User: "u", Key: "k", Method: "sandbox"}
	if _, _, err := w.pay.Load().Begin(t.Context(), b); !errs.Is(err, errs.Unknown) {
		t.Fatalf("failed commit: %v", err)
	}
	if _, _, err := w.pay.Load().Begin(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	w.settled()
	if all, err := w.pay.Load().ByOrder(t.Context(), id); err != nil || len(all) != 1 || w.money() != price {
		t.Errorf("%d payments (%v), the provider keeps %d", len(all), err, w.money())
	}
}

// A refund with return of stock may come while the payment is not settled yet: the settling that runs again finds the claim
// released and must not take the money for late.
func testRefundBeforeSettledIsNotLate(t *testing.T, on engine) {
	t.Parallel()
	faults, hits := crashAt(payment.PointFollowed)
	w := setup(t, on, faults)
	id := w.shop.sell("u")
	p := w.begin(id, "u", sandbox.Capture)
	w.until("the order is paid and the payment not settled", func() bool { return hits.Load() > 0 })
	gate := make(chan struct{})
	var waiting atomic.Bool
	faults.Set(payment.PointCaptured, func(int) error { waiting.Store(true); <-gate; return nil })
	w.until("the recovery loop has taken the payment up and has not asked for the claim", waiting.Load)
	o, _, err := w.pay.Load().Refund(t.Context(), payment.Refund{Order: id, User: "u", Key: "r", Amount: 100, ReturnStock: true})
	close(gate)
	if err != nil || o.Refunded != 100 || o.State != order.Refunded {
		t.Errorf("refund: %+v %v", o, err)
	}
	w.restart()
	w.settled()
	if got := w.payment(p); got.Late || got.Refunded != 100 || w.money() != price-100 || w.raisedOf(payment.CaseLate) != 0 {
		t.Errorf("payment %+v, provider keeps %d", got, w.money())
	}
	w.counted(1, 0)
}
