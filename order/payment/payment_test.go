package payment_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"penstock/errs"
	"penstock/order"
	"penstock/order/payment"
	"penstock/order/payment/sandbox"
	"penstock/stock/driver"
)

// Whatever a provider does with its callbacks, the payment ends where the money is, and the order follows the payment.
func testEveryOutcome(t *testing.T, on engine) {
	t.Parallel()
	for _, c := range []struct {
		outcome string
		pay     payment.State
		order   order.State
		money   int64
		cases   int
	}{
		{"", payment.Captured, order.Paid, price, 0},
		{sandbox.Capture, payment.Captured, order.Paid, price, 0},
		{sandbox.Lose, payment.Captured, order.Paid, price, 0},
		{sandbox.Duplicate, payment.Captured, order.Paid, price, 0},
		{sandbox.Reorder, payment.Captured, order.Paid, price, 0},
		{sandbox.Fail, payment.Failed, order.PendingPayment, 0, 0},
		{sandbox.WrongAmount, payment.Mismatch, order.PendingPayment, price + 1, 1},
	} {
		for _, after := range []time.Duration{0, 300 * time.Millisecond} {
			t.Run(fmt.Sprintf("%s/%v", c.outcome, after), func(t *testing.T) {
				t.Parallel()
				w := setup(t, on, nil)
				id := w.shop.sell("u")
				p, _, err := w.pay.Load().Begin(t.Context(), payment.Begin{Order: id, User: "u", Key: "k", Method: "sandbox", Outcome: c.outcome, After: after})
				if err != nil {
					t.Fatal(err)
				}
				w.settled()
				got := w.payment(p)
				if o := w.order(id); got.State != c.pay || o.State != c.order || w.money() != c.money || w.raisedOf(payment.CaseMismatch) != c.cases {
					t.Errorf("payment %s, order %s, provider keeps %d, %d cases; want %+v", got.State, o.State, w.money(), w.raisedOf(payment.CaseMismatch), c)
				}
				if n := w.shop.sold(id); (c.order == order.Paid) != (n > 0) {
					t.Errorf("the claim was sold %d times", n)
				}
				if c.order == order.Paid {
					w.counted(1, 0)
				} else {
					w.counted(0, 1)
				}
			})
		}
	}
}

// A callback that is forged, stale, about an unknown payment, unreadable or a repeat changes nothing.
func testBadCallbacksChangeNothing(t *testing.T, on engine) {
	t.Parallel()
	w := setup(t, on, nil)
	w.muted.Store(true)
	p := w.begin(w.shop.sell("u"), "u", sandbox.Lose)
	before := w.export()
	good, body := w.message(p.ID, sandbox.EventCaptured, "sbx_1", "msg_1", price)
	stale, staleBody := w.message(p.ID, sandbox.EventCaptured, "sbx_1", "msg_2", price)
	stale.Set("Webhook-Timestamp", fmt.Sprint(w.clk.Now().Add(-6*time.Minute).Unix()))
	other, otherBody := w.message(p.ID+1, sandbox.EventCaptured, "sbx_1", "msg_3", price)
	kind, kindBody := w.message(p.ID, "payment.strange", "sbx_1", "msg_4", price)
	for name, c := range map[string]struct {
		h        http.Header
		body     []byte
		provider string
		want     errs.Code
	}{
		"no headers":       {http.Header{}, body, "sandbox", errs.BadSignature},
		"changed body":     {good, []byte(strings.Replace(string(body), "1999", "1998", 1)), "sandbox", errs.BadSignature},
		"stale":            {stale, staleBody, "sandbox", errs.BadSignature},
		"unknown payment":  {other, otherBody, "sandbox", errs.NotFound},
		"unknown type":     {kind, kindBody, "sandbox", errs.BadSignature},
		"unknown provider": {good, body, "nobody", errs.NotFound},
	} {
		if err := w.pay.Load().Callback(t.Context(), c.provider, c.h, c.body); !errs.Is(err, c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if got := w.export(); got != before {
		t.Fatalf("refused callbacks changed\n%sto\n%s", before, got)
	}
	if err := w.pay.Load().Callback(t.Context(), "sandbox", good, body); err != nil {
		t.Fatal(err)
	}
	after := w.export()
	for range 3 {
		if err := w.pay.Load().Callback(t.Context(), "sandbox", good, body); err != nil {
			t.Errorf("a repeat is not an error: %v", err)
		}
	}
	w.clk.Advance(6 * time.Minute)
	if err := w.pay.Load().Callback(t.Context(), "sandbox", good, body); !errs.Is(err, errs.BadSignature) {
		t.Errorf("a repeat after the tolerance: %v", err)
	}
	if got := w.export(); got != after || !strings.Contains(after, `"state":"captured"`) {
		t.Errorf("repeats changed\n%sto\n%s", after, got)
	}
}

// However many callbacks of however many ids say so at once, a payment is captured once and its order paid once.
func testDuplicatesCaptureOnce(t *testing.T, on engine) {
	t.Parallel()
	w := setup(t, on, nil)
	w.muted.Store(true)
	id := w.shop.sell("u")
	p := w.begin(id, "u", sandbox.Lose)
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			if err := w.report(p, sandbox.EventCaptured, "sbx_1", fmt.Sprintf("msg_%d", i/3), price); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := w.payment(p); got.State != payment.Captured || got.Captured != price || w.order(id).State != order.Paid {
		t.Errorf("payment %+v, order %s", got, w.order(id).State)
	}
	if w.endedOf(true) != 1 || w.shop.sold(id) != 1 {
		t.Errorf("%d successes, %d sells, want one of each", w.endedOf(true), w.shop.sold(id))
	}
}

// Order of arrival does not matter: a failure after the capture is nothing, a capture after the failure counts.
func testCaptureWinsOverFailure(t *testing.T, on engine) {
	t.Parallel()
	w := setup(t, on, nil)
	w.muted.Store(true)
	first, second := w.shop.sell("u"), w.shop.sell("v")
	a, b := w.begin(first, "u", sandbox.Lose), w.begin(second, "v", sandbox.Lose)
	for _, step := range []struct {
		p    payment.Payment
		kind string
		want payment.State
	}{
		{a, sandbox.EventCaptured, payment.Captured}, {a, sandbox.EventFailed, payment.Captured}, {a, sandbox.EventPending, payment.Captured},
		{b, sandbox.EventPending, payment.Pending}, {b, sandbox.EventFailed, payment.Failed}, {b, sandbox.EventCaptured, payment.Captured},
	} {
		if err := w.report(step.p, step.kind, "sbx_"+step.p.ID.String(), "m"+step.kind[8:]+step.p.ID.String(), price); err != nil {
			t.Fatal(err)
		}
		if got := w.payment(step.p).State; got != step.want {
			t.Fatalf("after %s: %s, want %s", step.kind, got, step.want)
		}
	}
	if w.order(first).State != order.Paid || w.order(second).State != order.Paid {
		t.Errorf("orders are %s and %s", w.order(first).State, w.order(second).State)
	}
}

// A transaction id counts once: a second payment that claims it, and a second transaction of one payment, become cases and
// pay nothing.
func testTransactionIdsCountOnce(t *testing.T, on engine) {
	t.Parallel()
	w := setup(t, on, nil)
	w.muted.Store(true)
	first, second := w.shop.sell("u"), w.shop.sell("v")
	a, b := w.begin(first, "u", sandbox.Lose), w.begin(second, "v", sandbox.Lose)
	for i, c := range []struct {
		p   payment.Payment
		ref string
	}{{a, "sbx_1"}, {b, "sbx_1"}, {a, "sbx_2"}} {
		if err := w.report(c.p, sandbox.EventCaptured, c.ref, fmt.Sprintf("msg_%d", i), price); err != nil {
			t.Fatal(err)
		}
	}
	if w.order(first).State != order.Paid || w.order(second).State != order.PendingPayment || w.payment(b).State != payment.Mismatch {
		t.Errorf("orders %s and %s, second payment %s", w.order(first).State, w.order(second).State, w.payment(b).State)
	}
	cases, err := w.pay.Load().Cases(t.Context(), 0, 10)
	if err != nil || len(cases) != 2 || cases[0].Kind != payment.CaseReference || cases[1].Kind != payment.CaseSecondCapture || cases[1].Ref != "sbx_2" {
		t.Errorf("cases %+v (%v)", cases, err)
	}
}

// Pay against expire at the same moment, many times over: the claim has one winner, money is kept for exactly the paid
// orders, and every other buyer has his money back.
func testPayVersusExpire(t *testing.T, on engine) {
	t.Parallel()
	w, pairs := setup(t, on, nil), on.pairs
	w.muted.Store(true)
	pays := make([]payment.Payment, pairs)
	each(pairs, func(i int) {
		user := fmt.Sprintf("u%d", i)
		pays[i] = w.begin(w.shop.sell(user), user, sandbox.Lose)
	})
	each(pairs, func(i int) {
		var both sync.WaitGroup
		both.Go(func() { w.shop.expireAround(pays[i].Order, i%2 == 0) })
		both.Go(func() {
			if err := w.report(pays[i], sandbox.EventCaptured, "sbx_"+pays[i].ID.String(), "msg_"+pays[i].ID.String(), price); err != nil {
				t.Error(err)
			}
		})
		both.Wait()
	})
	w.settled()
	paid := 0
	for _, p := range pays {
		claim, _ := w.shop.Claim(t.Context(), p.Order)
		got, o := w.payment(p), w.order(p.Order)
		switch {
		case claim.State == driver.Sold && got.State == payment.Captured && o.State == order.Paid && !got.Late:
			paid++
		case claim.State == driver.Released && got.State == payment.Refunded && o.State == order.Expired && got.Late && got.Refunded == price:
		default:
			t.Errorf("claim %s, payment %s (late %v), order %s", claim.State, got.State, got.Late, o.State)
		}
	}
	t.Logf("%d of %d paid", paid, pairs)
	if w.money() != int64(paid)*price || w.raisedOf(payment.CaseLate) != pairs-paid {
		t.Errorf("the provider keeps %d for %d paid orders; %d late", w.money(), paid, w.raisedOf(payment.CaseLate))
	}
}

func each(n int, f func(i int)) {
	var wg sync.WaitGroup
	for k := range 32 {
		wg.Go(func() {
			for i := k; i < n; i += 32 {
				f(i)
			}
		})
	}
	wg.Wait()
}

// A second payment that is captured although another one has paid the order goes back by itself.
func testSecondPaymentGoesBack(t *testing.T, on engine) {
	t.Parallel()
	w := setup(t, on, nil)
	w.muted.Store(true)
	id := w.shop.sell("u")
	a := w.begin(id, "u", sandbox.Lose)
	if err := w.report(a, sandbox.EventFailed, "", "msg_1", price); err != nil {
		t.Fatal(err)
	}
	b := w.begin(id, "u", sandbox.Capture)
	w.muted.Store(false)
	w.settled()
	if err := w.report(a, sandbox.EventCaptured, "sbx_a", "msg_2", price); err != nil {
		t.Fatal(err)
	}
	w.settled()
	if x, y := w.payment(a), w.payment(b); x.State != payment.Refunded || y.State != payment.Captured || w.order(id).State != order.Paid {
		t.Errorf("first %s, second %s, order %s", x.State, y.State, w.order(id).State)
	}
	if w.money() != price || w.order(id).Refunded != 0 || w.raisedOf(payment.CaseSecondPayment) != 1 {
		t.Errorf("the provider keeps %d, the order says %d refunded", w.money(), w.order(id).Refunded)
	}
}

// The export has one line per payment, ordered by id, with the fields that others compute with.
func testExport(t *testing.T, on engine) {
	t.Parallel()
	w := setup(t, on, nil)
	for i := range 30 {
		user := fmt.Sprint("u", i)
		w.begin(w.shop.sell(user), user, []string{sandbox.Capture, sandbox.Fail}[i%2])
	}
	w.settled()
	part := w.begin(w.shop.sell("part"), "part", sandbox.Capture)
	w.settled()
	if _, _, err := w.pay.Load().Refund(t.Context(), payment.Refund{Order: part.Order, User: "part", Key: "r", Amount: 1}); err != nil {
		t.Fatal(err)
	}
	w.settled()
	last, n := "", 0
	for line := range strings.Lines(w.export()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		for _, f := range []string{"id", "order", "provider", "providerRef", "state", "amount", "currency", "at", "captured", "refunded", "late"} {
			if _, ok := m[f]; !ok {
				t.Errorf("no %s in %s", f, line)
			}
		}
		back, rows := 0.0, m["refunds"].([]any)
		for _, r := range rows {
			if r := r.(map[string]any); r["state"] == "refunded" && r["asked"] == true {
				back += r["amount"].(float64)
			}
		}
		if back != m["refunded"].(float64) || (len(rows) == 1) != (m["id"] == part.ID.String()) {
			t.Errorf("the refunds are not what was refunded: %s", line)
		}
		id := fmt.Sprintf("%020s", m["id"])
		if id <= last {
			t.Errorf("%s comes after %s", id, last)
		}
		if captured := m["captured"].(float64); (captured == price) != (m["state"] == "captured") {
			t.Errorf("state and captured amount differ: %s", line)
		}
		last, n = id, n+1
	}
	if n != 31 {
		t.Errorf("%d lines, want 31", n)
	}
}
