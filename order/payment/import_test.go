package payment_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"penstock/errs"
	"penstock/order"
	"penstock/order/payment"
	"penstock/order/payment/sandbox"
	"penstock/stock"
	"penstock/stock/driver"
)

// Payments of every kind that move to another engine in the middle of their lives are the same there and go on there; the way
// back is the same. What is not empty is not written to.
func testImport(t *testing.T, on engine) {
	w := setup(t, onSQLite, nil)
	live := w.lives()
	before := w.export()
	if err := w.pay.Load().Stop(); err != nil {
		t.Fatal(err)
	}
	from, there := w.where, on.place(t)
	w.move(onSQLite, from, on, there)
	back := onSQLite.place(t)
	w.move(on, there, onSQLite, back)
	a, b := onSQLite.open(t, from, nil), on.open(t, there, nil)
	if _, err := payment.Import(t.Context(), a, b); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("into a database with payments: %v", err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}

	w.on, w.where = on, there
	w.open(nil)
	if got := w.export(); got != before {
		t.Errorf("the export was\n%sand is\n%s", before, got)
	}
	w.muted.Store(false)
	w.line.set(func(*http.Request) (before, after bool) { return false, false })
	w.settled()
	if got := w.order(live.Order).State; got != order.Paid {
		t.Errorf("the payment that was pending leaves its order %s", got)
	}
	if _, replayed, err := w.pay.Load().Refund(t.Context(), payment.Refund{Order: live.Order, User: "live", Key: "new", Amount: 5}); err != nil || replayed {
		t.Errorf("refund after the move: %v", err)
	}
	w.balanced()
}

// lives makes payments of every kind, some of them unfinished, and returns a pending one.
func (w *world) lives() payment.Payment {
	w.t.Helper()
	w.shop.free = 1
	w.lateMoney("late")
	w.muted.Store(false)
	wrong := w.begin(w.shop.sell("wrong"), "wrong", sandbox.WrongAmount)
	w.settled()
	for _, c := range w.openCases(1) {
		if _, err := w.pay.Load().Resolve(w.t.Context(), payment.Resolution{Seq: c.Seq, Action: payment.ActRefund, Who: "op", Reason: wrong.ID.String()}); err != nil {
			w.t.Fatal(err)
		}
	}
	for i, outcome := range append(sandbox.Outcomes(), strings.Split(strings.Repeat("capture ", 250), " ")[:250]...) {
		user := fmt.Sprintf("ü%d ", i) // ends with a space, which must survive
		w.begin(w.shop.sell(user), user, outcome)
	}
	refunded, late := w.begin(w.shop.sell("r"), "r", sandbox.Capture), w.shop.sell("l")
	w.shop.Release(w.t.Context(), late, driver.Held, stock.WhyExpired, "")
	w.begin(late, "l", sandbox.Capture)
	w.settled()
	for _, key := range []string{"K", "k"} {
		if _, _, err := w.pay.Load().Refund(w.t.Context(), payment.Refund{Order: refunded.Order, User: "r", Key: key, Amount: 3, Reason: "谢谢"}); err != nil {
			w.t.Fatal(err)
		}
	}
	w.muted.Store(true)
	w.line.set(func(r *http.Request) (before, after bool) { return r.URL.Path == "/refunds", false })
	if _, _, err := w.pay.Load().Refund(w.t.Context(), payment.Refund{Order: refunded.Order, User: "r", Key: "cut off", Amount: 4}); !errs.Is(err, errs.Unknown) {
		w.t.Fatal(err)
	}
	return w.begin(w.shop.sell("live"), "live", sandbox.Capture)
}

func (w *world) move(from engine, source string, to engine, target string) {
	w.t.Helper()
	a, b := from.open(w.t, source, nil), to.open(w.t, target, nil)
	got, err := payment.Import(context.Background(), a, b)
	if err != nil {
		w.t.Fatal(err)
	}
	var said bytes.Buffer
	for _, table := range got {
		fmt.Fprintln(&said, table)
		if table.Rows == 0 {
			w.t.Errorf("%s: nothing was there to be copied", table.Table)
		}
	}
	w.t.Logf("imported\n%s", &said)
	for _, s := range []payment.Store{a, b} {
		if err := s.Close(); err != nil {
			w.t.Error(err)
		}
	}
	if err := b.Do(context.Background(), 0, func(payment.Tx) error { return nil }); !errs.Is(err, errs.ReducedCapacity) {
		w.t.Errorf("a closed store answered %v", err)
	}
}
