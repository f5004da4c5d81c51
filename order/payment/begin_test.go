package payment_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/errs"
	"penstock/order"
	"penstock/order/payment"
	"penstock/order/payment/sandbox"
	"penstock/stock"
	"penstock/stock/driver"
)

// A key makes one payment, whoever repeats it how often at once; the same key with another body is refused, another key while
// a payment is live too, and another user's order does not exist.
func testBeginIsIdempotent(t *testing.T, on engine) {
	t.Parallel()
	w := setup(t, on, nil)
	w.muted.Store(true)
	id := w.shop.sell("u")
	b := payment.Begin{Order: id, User: "u", Key: "k", Method: "sandbox", Outcome: sandbox.Lose}
	var wg sync.WaitGroup
	var first atomic.Int64
	ids := make([]payment.Payment, 20)
	for i := range ids {
		wg.Go(func() {
			p, replayed, err := w.pay.Load().Begin(t.Context(), b)
			if err != nil {
				t.Error(err)
			}
			if !replayed {
				first.Add(1)
			}
			ids[i] = p
		})
	}
	wg.Wait()
	for _, p := range ids {
		if p.ID != ids[0].ID || p.ID.Slot() != id.Slot() {
			t.Errorf("payment %s (slot %d), want %s (slot %d)", p.ID, p.ID.Slot(), ids[0].ID, id.Slot())
		}
	}
	if first.Load() != 1 {
		t.Errorf("%d calls were the first", first.Load())
	}
	for name, c := range map[string]struct {
		change func(*payment.Begin)
		want   errs.Code
	}{
		"other body":       {func(b *payment.Begin) { b.Outcome = sandbox.Fail }, errs.KeyReused},
		"other key":        {func(b *payment.Begin) { b.Key = "k2" }, errs.PaymentInProgress},
		"other user":       {func(b *payment.Begin) { b.User = "v" }, errs.NotFound},
		"nobody":           {func(b *payment.Begin) { b.User = "" }, errs.NotFound},
		"no key":           {func(b *payment.Begin) { b.Key = "" }, errs.KeyMissing},
		"unknown method":   {func(b *payment.Begin) { b.Method = "gold" }, errs.MethodUnknown},
		"unknown outcome":  {func(b *payment.Begin) { b.Outcome = "magic" }, errs.Invalid},
		"endless delay":    {func(b *payment.Begin) { b.After = time.Hour }, errs.Invalid},
		"order of no one":  {func(b *payment.Begin) { b.Order++ }, errs.NotFound},
		"negative delay":   {func(b *payment.Begin) { b.After = -1 }, errs.Invalid},
		"key of old, live": {func(b *payment.Begin) { b.Key = "K" }, errs.PaymentInProgress},
	} {
		q := b
		c.change(&q)
		if _, _, err := w.pay.Load().Begin(t.Context(), q); !errs.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// Orders that are paid, gone or past their window take no new payment, but a known key still gets its answer.
func testOnlyPayableOrdersArePaid(t *testing.T, on engine) {
	t.Parallel()
	w := setup(t, on, nil)
	paid, gone, past := w.shop.sell("u"), w.shop.sell("u"), w.shop.sell("u")
	first := w.begin(paid, "u", sandbox.Capture)
	w.settled()
	w.shop.expire(gone)
	w.clk.Advance(2 * time.Minute)
	for _, id := range []payment.Begin{{Order: paid}, {Order: gone}, {Order: past}} {
		id.User, id.Key, id.Method = "u", "new", "sandbox"
		if _, _, err := w.pay.Load().Begin(t.Context(), id); !errs.Is(err, errs.IllegalTransition) {
			t.Errorf("%+v: %v", id, err)
		}
	}
	again, replayed, err := w.pay.Load().Begin(t.Context(), payment.Begin{Order: paid, User: "u", Key: first.Key, Method: "sandbox", Outcome: sandbox.Capture})
	if err != nil || !replayed || again.ID != first.ID || again.State != payment.Captured {
		t.Errorf("replay after the end: %+v %v %v", again, replayed, err)
	}
}

// Requests and answers that get lost on the way to the provider never make a failure: the payment stays pending, is asked for,
// charged again if the provider never heard of it, and captured once.
func testLostRequestsAndAnswers(t *testing.T, on engine) {
	t.Parallel()
	for _, lost := range []string{"request", "answer"} {
		t.Run(lost, func(t *testing.T) {
			t.Parallel()
			w := setup(t, on, nil)
			w.muted.Store(true)
			var cuts atomic.Int64
			w.line.set(func(r *http.Request) (before, after bool) {
				if n := cuts.Add(1); n > 3 {
					return false, false
				}
				return lost == "request", lost == "answer"
			})
			id := w.shop.sell("u")
			p := w.begin(id, "u", sandbox.Lose)
			if p.State != payment.Pending {
				t.Errorf("a call without an answer made the payment %s", p.State)
			}
			w.settled()
			if got := w.payment(p); got.State != payment.Captured || w.order(id).State != order.Paid || w.money() != price {
				t.Errorf("payment %s, order %s, provider keeps %d", got.State, w.order(id).State, w.money())
			}
		})
	}
}

// A payment that its provider never hears of stays pending while the claim is held, and fails when it is released; a capture
// that turns up after that goes back.
func testUnheardPaymentFailsOnlyWithTheClaim(t *testing.T, on engine) {
	t.Parallel()
	w := setup(t, on, nil)
	w.step = 200 * time.Millisecond
	var queries atomic.Int64
	w.line.set(func(r *http.Request) (before, after bool) {
		if r.Method == http.MethodGet {
			queries.Add(1)
		}
		return r.Method == http.MethodPost && r.URL.Path == "/charges", false
	})
	id := w.shop.sell("u")
	p := w.begin(id, "u", sandbox.Capture)
	end := w.clk.Now().Add(65 * time.Second)
	w.clk.Advance(58 * time.Second)
	w.until("the payment is asked for after the window", func() bool {
		return w.clk.Now().After(end) && queries.Load() > 2
	})
	if got := w.payment(p).State; got != payment.Pending {
		t.Errorf("with the claim held the payment is %s", got)
	}
	w.shop.expire(id)
	w.settled()
	if got := w.payment(p).State; got != payment.Failed {
		t.Errorf("with the claim released the payment is %s", got)
	}
	w.counted(0, 1)
	w.line.set(func(*http.Request) (before, after bool) { return false, false })
	post(t, w, p)
	w.settled()
	w.until("the late capture went back", func() bool { return w.payment(p).State == payment.Refunded && w.idle() })
	if w.money() != 0 || w.order(id).State != order.Expired {
		t.Errorf("the provider keeps %d, order %s", w.money(), w.order(id).State)
	}
}

// post delivers a charge that was on its way all the time.
func post(t *testing.T, w *world, p payment.Payment) {
	t.Helper()
	body := fmt.Sprintf(`{"paymentId":"%s","amount":%d,"currency":"EUR","callbackUrl":"%s"}`, p.ID, price, w.public.URL)
	resp, err := http.Post(w.base(), "application/json", strings.NewReader(body))
	if err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatalf("late charge: %v %v", resp, err)
	}
	resp.Body.Close()
}

// Two payments with a sandbox each run in one process without knowing of each other: a callback of one is forged to the other.
func testTwoSandboxesInOneProcess(t *testing.T, on engine) {
	t.Parallel()
	a, b := setup(t, on, nil), setup(t, on, nil)
	x, y := a.shop.sell("u"), b.shop.sell("u")
	p, q := a.begin(x, "u", sandbox.Capture), b.begin(y, "u", sandbox.Fail)
	a.settled()
	b.settled()
	if a.payment(p).State != payment.Captured || b.payment(q).State != payment.Failed || a.money() != price || b.money() != 0 {
		t.Errorf("payments %s and %s, kept %d and %d", a.payment(p).State, b.payment(q).State, a.money(), b.money())
	}
	h, body := a.message(q.ID, sandbox.EventCaptured, "sbx_x", "msg_x", price)
	if err := b.pay.Load().Callback(t.Context(), "sandbox", h, body); !errs.Is(err, errs.BadSignature) {
		t.Errorf("a callback signed by another sandbox: %v", err)
	}
}

// Money that comes while the claim is being held by nobody goes back even if the provider refuses at first: the refusal is a
// case, and the refund is tried again.
func testRefusedReturnIsACaseAndTriedAgain(t *testing.T, on engine) {
	t.Parallel()
	w := setup(t, on, nil)
	w.muted.Store(true)
	id := w.shop.sell("u")
	p, _, err := w.pay.Load().Begin(t.Context(), payment.Begin{Order: id, User: "u", Key: "k", Method: "sandbox", After: 5 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	w.shop.Release(t.Context(), id, driver.Held, stock.WhyExpired, "")
	// The sandbox has not captured yet and refuses to refund.
	if err := w.report(p, sandbox.EventCaptured, "sbx_1", "msg_1", price); err != nil {
		t.Fatal(err)
	}
	w.until("the refusal is a case", func() bool { return w.raisedOf(payment.CaseRefundRefused) == 1 })
	if got := w.payment(p).State; got != payment.Refunding {
		t.Errorf("the payment is %s", got)
	}
	w.clk.Advance(5 * time.Minute)
	w.muted.Store(false)
	w.settled()
	if got := w.payment(p); got.State != payment.Refunded || w.money() != 0 || w.raisedOf(payment.CaseRefundRefused) != 1 {
		t.Errorf("payment %s, provider keeps %d, %d cases", got.State, w.money(), w.raisedOf(payment.CaseRefundRefused))
	}
}
