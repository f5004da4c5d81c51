package payment_test

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"

	"penstock/errs"
	"penstock/order/payment"
	"penstock/order/payment/sandbox"
	"penstock/webhook/standard"
)

// A genuine signature over any body at all (PAYMENT stands for the id of a pending payment) never pays for an order with
// anything but the asked amount, never panics, never answers with a defect of ours, and changes nothing if it is refused.
func FuzzCallbackBody(f *testing.F) {
	f.Add([]byte(`{"type":"payment.captured","timestamp":"2026-11-11T00:00:00Z","data":{"paymentId":"PAYMENT","providerRef":"PAYMENT","amount":1999,"currency":"EUR"}}`))
	f.Add([]byte(`{"type":"payment.captured","data":{"paymentId":"PAYMENT","providerRef":"PAYMENT","amount":1999,"currency":"eur"}}`))
	f.Add([]byte(`{"type":"payment.captured","data":{"paymentId":"PAYMENT","amount":1999,"currency":"EUR"}}`))
	f.Add([]byte(`{"type":"payment.captured","data":{"paymentId":"PAYMENT","providerRef":"x","amount":-1,"currency":"EUR"}}`))
	f.Add([]byte(`{"type":"payment.failed","data":{"paymentId":"PAYMENT"}}`))
	f.Add([]byte(`{"type":"payment.captured","data":{"paymentId":"9223372036854775807","amount":1}}`))
	f.Add([]byte(`{"type":"payment.captured","data":{"amount":1e400}}`))
	f.Add([]byte(`[]`))
	f.Add([]byte{})
	w := setup(f, onSQLite, nil)
	w.muted.Store(true)
	n := 0
	f.Fuzz(func(t *testing.T, body []byte) {
		w.t = t
		n++
		user := fmt.Sprint("u", n)
		id := w.shop.sell(user)
		p, _, err := w.pay.Load().Begin(t.Context(), payment.Begin{Order: id, User: user, Key: "k", Method: "sandbox", Outcome: sandbox.Lose})
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.ReplaceAll(body, []byte("PAYMENT"), []byte(p.ID.String()))
		h := http.Header{}
		standard.Sign(h, "msg_"+p.ID.String(), w.clk.Now(), body, w.secret)
		err = w.pay.Load().Callback(t.Context(), "sandbox", h, body)
		if code := errs.CodeOf(err); err != nil && code != errs.BadSignature && code != errs.NotFound {
			t.Errorf("%q: %v", body, err)
		}
		got := w.payment(p)
		if err != nil && got != p {
			t.Errorf("%q was refused and changed %+v to %+v", body, p, got)
		}
		if w.shop.sold(id) > 0 && (got.Captured != price || got.ProviderRef == "" || got.State != payment.Captured) {
			t.Errorf("%q paid the order with %+v", body, got)
		}
	})
}
