package payment_test

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"penstock/errs"
	"penstock/order"
	"penstock/order/payment"
	"penstock/order/payment/sandbox"
	"penstock/stock/driver"
)

// paid is a world with one paid order of user u.
func paid(t *testing.T, on engine) (*world, payment.Payment) {
	t.Helper()
	w := setup(t, on, nil)
	p := w.begin(w.shop.sell("u"), "u", sandbox.Capture)
	w.settled()
	return w, p
}

// Refunds that race never give back more than was captured, and what they give back is what provider, payment and order say.
func testConcurrentRefundsNeverExceedTheCapture(t *testing.T, on engine) {
	t.Parallel()
	w, p := paid(t, on)
	var back, refused atomic.Int64
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			_, _, err := w.pay.Load().Refund(t.Context(), payment.Refund{Order: p.Order, Key: fmt.Sprint("r", i), Amount: 150})
			switch {
			case err == nil:
				back.Add(150)
			case errs.Is(err, errs.RefundTooLarge):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	w.settled()
	const most = price / 150 * 150
	got, o := w.payment(p), w.order(p.Order)
	if back.Load() != most || got.Refunded != most || o.Refunded != most || w.money() != price-most || got.State != payment.Captured {
		t.Errorf("answered %d, payment %d (%s), order %d, provider %d; want %d", back.Load(), got.Refunded, got.State, o.Refunded, price-w.money(), most)
	}
	if refused.Load() != 40-most/150 {
		t.Errorf("%d were refused", refused.Load())
	}
	if o, _, err := w.pay.Load().Refund(t.Context(), payment.Refund{Order: p.Order, Key: "rest"}); err != nil || o.Refunded != price || o.State != order.Refunded {
		t.Errorf("the rest: %+v %v", o, err)
	}
	if w.payment(p).State != payment.Refunded || w.money() != 0 {
		t.Errorf("payment %s, provider keeps %d", w.payment(p).State, w.money())
	}
}

// What cannot be refunded is refused with its reason and changes nothing.
func testRefundRefusals(t *testing.T, on engine) {
	t.Parallel()
	w, p := paid(t, on)
	unpaid := w.shop.sell("u")
	if _, _, err := w.pay.Load().Refund(t.Context(), payment.Refund{Order: p.Order, User: "u", Key: "first", Amount: 1}); err != nil {
		t.Fatal(err)
	}
	before := w.export()
	for name, c := range map[string]struct {
		r    payment.Refund
		want errs.Code
	}{
		"too much":    {payment.Refund{Order: p.Order, User: "u", Key: "a", Amount: price}, errs.RefundTooLarge},
		"negative":    {payment.Refund{Order: p.Order, User: "u", Key: "a", Amount: -1}, errs.Invalid},
		"other body":  {payment.Refund{Order: p.Order, User: "u", Key: "first", Amount: 2}, errs.KeyReused},
		"no key":      {payment.Refund{Order: p.Order, User: "u"}, errs.KeyMissing},
		"not paid":    {payment.Refund{Order: unpaid, User: "u", Key: "a"}, errs.IllegalTransition},
		"other user":  {payment.Refund{Order: p.Order, User: "v", Key: "a"}, errs.NotFound},
		"no such one": {payment.Refund{Order: p.Order + 1, Key: "a"}, errs.NotFound},
	} {
		if _, _, err := w.pay.Load().Refund(t.Context(), c.r); !errs.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if got := w.export(); got != before {
		t.Errorf("refusals changed\n%sto\n%s", before, got)
	}
	if _, _, err := w.pay.Load().Refund(t.Context(), payment.Refund{Order: p.Order, Key: "all"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.pay.Load().Refund(t.Context(), payment.Refund{Order: p.Order, Key: "more"}); !errs.Is(err, errs.IllegalTransition) {
		t.Errorf("nothing left: %v", err)
	}
}

// The same key refunds once, however many ask at once, and returns the units if that was asked.
func testRefundIsIdempotent(t *testing.T, on engine) {
	t.Parallel()
	w, p := paid(t, on)
	var fresh atomic.Int64
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, replayed, err := w.pay.Load().Refund(t.Context(), payment.Refund{Order: p.Order, User: "u", Key: "r", Amount: 500, ReturnStock: true, Reason: "torn"})
			if err != nil {
				t.Error(err)
			}
			if !replayed {
				fresh.Add(1)
			}
		})
	}
	wg.Wait()
	claim, _ := w.shop.Claim(t.Context(), p.Order)
	if o := w.order(p.Order); fresh.Load() != 1 || o.Refunded != 500 || o.State != order.Refunded || w.money() != price-500 || claim.State != driver.Released {
		t.Errorf("%d first calls, order %+v, provider keeps %d, claim %s", fresh.Load(), o, w.money(), claim.State)
	}
	// The claim is released now; what is left can still go back, and nothing mistakes the payment for late money.
	if o, _, err := w.pay.Load().Refund(t.Context(), payment.Refund{Order: p.Order, User: "u", Key: "rest"}); err != nil || o.Refunded != price {
		t.Errorf("the rest: %+v %v", o, err)
	}
	w.settled()
	if w.money() != 0 || w.raisedOf(payment.CaseLate) != 0 || w.payment(p).Late {
		t.Errorf("provider keeps %d, %d late", w.money(), w.raisedOf(payment.CaseLate))
	}
}

// A refund whose answer is lost is unknown, never a failure; it goes on by itself and the key tells how it ended.
func testRefundWithoutAnAnswerIsUnknown(t *testing.T, on engine) {
	t.Parallel()
	for _, lost := range []string{"request", "answer"} {
		t.Run(lost, func(t *testing.T) {
			t.Parallel()
			w, p := paid(t, on)
			w.line.set(func(*http.Request) (before, after bool) { return lost == "request", lost == "answer" })
			ask := payment.Refund{Order: p.Order, User: "u", Key: "r"}
			for range 2 {
				if _, _, err := w.pay.Load().Refund(t.Context(), ask); !errs.Is(err, errs.Unknown) {
					t.Fatalf("without an answer: %v", err)
				}
			}
			if got := w.payment(p).State; got != payment.Refunding {
				t.Errorf("payment is %s", got)
			}
			w.line.set(func(*http.Request) (before, after bool) { return false, false })
			w.settled()
			if o, replayed, err := w.pay.Load().Refund(t.Context(), ask); err != nil || !replayed || o.Refunded != price {
				t.Errorf("afterwards: %+v %v %v", o, replayed, err)
			}
			if w.money() != 0 {
				t.Errorf("the provider keeps %d", w.money())
			}
		})
	}
}

// An order whose own sum fits no refund is not told anything: it becomes a case, once, and the money's state stays visible.
func testWrongBooksAreACase(t *testing.T, on engine) {
	t.Parallel()
	w, p := paid(t, on)
	w.shop.mu.Lock()
	w.shop.orders[p.Order].Refunded = 7
	w.shop.mu.Unlock()
	ask := payment.Refund{Order: p.Order, User: "u", Key: "r", Amount: 100}
	for range 2 {
		if _, _, err := w.pay.Load().Refund(t.Context(), ask); !errs.Is(err, errs.Unknown) {
			t.Errorf("refund on wrong books: %v", err)
		}
	}
	cases, err := w.pay.Load().Cases(t.Context(), 0, 10)
	if err != nil || len(cases) != 1 || cases[0].Kind != payment.CaseRefundBooks || w.order(p.Order).Refunded != 7 {
		t.Errorf("cases %+v (%v), the order says %d", cases, err, w.order(p.Order).Refunded)
	}
	if n, err := w.pay.Load().InFlight(t.Context()); err != nil || n != 1 {
		t.Errorf("%d in flight (%v)", n, err)
	}
}
