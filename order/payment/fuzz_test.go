package payment_test

import (
	"net/http"
	"testing"

	"penstock/errs"
	"penstock/order/payment/sandbox"
	"penstock/order/payment/webhook"
)

// A genuine signature over any body at all never pays for an order with anything but the asked amount, never panics and never
// answers with a defect of ours.
func FuzzCallbackBody(f *testing.F) {
	f.Add([]byte(`{"type":"payment.captured","timestamp":"2026-11-11T00:00:00Z","data":{"paymentId":"1","providerRef":"x","amount":1999,"currency":"EUR"}}`))
	f.Add([]byte(`{"type":"payment.captured","data":{"paymentId":"9223372036854775807","amount":-1}}`))
	f.Add([]byte(`{"type":"payment.captured","data":{"amount":1e400}}`))
	f.Add([]byte(`[]`))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		w := setup(t, nil)
		w.muted.Store(true)
		id := w.shop.sell("u")
		p := w.begin(id, "u", sandbox.Lose)
		before := w.export()
		h := http.Header{}
		webhook.Sign(h, "msg_1", w.clk.Now(), body, w.secret)
		err := w.pay.Load().Callback(t.Context(), "sandbox", h, body)
		if code := errs.CodeOf(err); err != nil && code != errs.BadSignature && code != errs.NotFound {
			t.Errorf("%q: %v", body, err)
		}
		if got := w.export(); err != nil && got != before {
			t.Errorf("%q was refused and changed\n%sto\n%s", body, before, got)
		}
		if got := w.payment(p); w.shop.sold(id) > 0 && (got.Captured != price || got.ProviderRef == "") {
			t.Errorf("%q paid the order with %+v", body, got)
		}
	})
}
