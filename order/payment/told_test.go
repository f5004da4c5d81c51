package payment_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"penstock/bus/outbox"
	"penstock/internal/fault"
	"penstock/order/payment"
)

// Every capture, failure and refund is published once, in order for its order, and says what the books say then; repeats of
// callbacks and of refunds under a known key publish nothing. Money that is taken after a failure is told as well.
func testTold(t *testing.T, on engine) {
	t.Parallel()
	var db payment.Store
	kept := on
	kept.open = func(t testing.TB, where string, faults *fault.Points) payment.Store {
		db = on.open(t, where, faults)
		return db
	}
	w, p := paid(t, kept)
	for _, r := range []payment.Refund{
		{Order: p.Order, User: "u", Key: "part", Amount: 500, Reason: "torn"}, {Order: p.Order, User: "u", Key: "part", Amount: 500, Reason: "torn"},
		{Order: p.Order, User: "u", Key: "rest", ReturnStock: true},
	} {
		if _, _, err := w.pay.Load().Refund(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
	twice := w.begin(w.shop.sell("v"), "v", "duplicate")
	failed := w.begin(w.shop.sell("x"), "x", "fail")
	w.settled()
	if err := w.report(failed, "payment.captured", "ref-after-all", "msg-after-all", price); err != nil {
		t.Fatal(err)
	}
	w.settled()

	src, err := outbox.New(t.Context(), db, "payments", payment.Topic, outbox.Options{})
	if err != nil {
		t.Fatal(err)
	}
	msgs, _, err := src.Read(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	type told struct {
		Type, Payment      string
		State              payment.State
		Captured, Refunded int64
		Back               int64
	}
	got := map[string][]told{}
	ids := map[string]bool{}
	for _, m := range msgs {
		var e payment.Told
		if err := json.Unmarshal(m.Payload, &e); err != nil || e.User != m.User || e.Order != m.Key || e.V != 1 || !e.At.Equal(m.At) || ids[m.ID] {
			t.Errorf("message %+v: %v", m, err)
		}
		ids[m.ID] = true
		one := told{m.Type, e.Payment, e.State, e.Captured, e.Refunded, 0}
		if e.Refund != nil {
			one.Back = e.Refund.Amount
		}
		got[m.User] = append(got[m.User], one)
	}
	want := map[string][]told{
		"u": {
			{payment.EventCaptured, p.ID.String(), payment.Captured, price, 0, 0},
			{payment.EventRefunded, p.ID.String(), payment.Captured, price, 500, 500},
			{payment.EventRefunded, p.ID.String(), payment.Refunded, price, price, price - 500},
		},
		"v": {{payment.EventCaptured, twice.ID.String(), payment.Captured, price, 0, 0}},
		"x": {
			{payment.EventFailed, failed.ID.String(), payment.Failed, 0, 0, 0},
			{payment.EventCaptured, failed.ID.String(), payment.Captured, price, 0, 0},
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("messages by buyer (-want +got):\n%s", d)
	}
}
