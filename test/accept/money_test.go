package accept

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// payments returns the exported payments of an order, settled or not.
func payments(t *testing.T, order string) []obj {
	t.Helper()
	return shared.export(t, "payments", having("order", order))
}

// Whatever the provider does (reports twice, in the wrong order, never, a failure, a wrong sum), the order is paid exactly when
// the right sum was taken, once.
func TestEveryOutcomeOfTheProviderEndsRight(t *testing.T) {
	t.Parallel()
	for outcome, want := range map[string]struct{ payment, order string }{
		"capture": {"captured", "paid"}, "duplicate": {"captured", "paid"}, "reorder": {"captured", "paid"},
		"fail": {"failed", "pending_payment"}, "wrong_amount": {"mismatch", "pending_payment"}, "lose": {"pending", "pending_payment"},
	} {
		t.Run(outcome, func(t *testing.T) {
			t.Parallel()
			sale, user := shared.sale(t, definition(item(3, 3))), shared.token(t, unique("out"))
			order := shared.won(t, sale, user, 2)
			body := obj{"method": "sandbox", "outcome": outcome}
			first := shared.pay(order, user, "p", body).is(t, "pay", 201, "")
			eventually(t, "the payment is "+want.payment, func() error {
				if p := payments(t, order); len(p) != 1 || p[0]["state"] != want.payment {
					return fmt.Errorf("%v", p)
				}
				return nil
			})
			shared.reaches(t, order, user, want.order)
			again := shared.pay(order, user, "p", body).is(t, "pay again with the key", 201, "")
			if again.text("id") != first.text("id") || first.number("amount") != "3998" {
				t.Errorf("the replay is %v of %v", again, first)
			}
			shared.pay(order, user, "p", obj{"method": "sandbox", "outcome": outcome, "afterMs": 9}).is(t, "other body", 422, "key-reused")
			switch want.payment {
			case "captured":
				shared.pay(order, user, "q", obj{"method": "sandbox"}).is(t, "pay a paid order", 409, "illegal-transition")
			case "pending":
				shared.pay(order, user, "q", obj{"method": "sandbox"}).is(t, "second live payment", 409, "payment-in-progress")
			default:
				shared.pay(order, user, "q", obj{"method": "sandbox"}).is(t, "pay again", 201, "")
				shared.reaches(t, order, user, "paid")
			}
		})
	}
}

// Paying and cancelling at the same moment ends as one of the two, and the money and the unit are on the same side.
func TestPayAgainstCancel(t *testing.T) {
	t.Parallel()
	const rounds = 8
	sale, u := shared.sale(t, definition(item(rounds, 1))), shared.tokens(t, unique("race"), rounds)
	sold := int64(0)
	for i := range rounds {
		order := shared.won(t, sale, u[i], 1)
		together(2, func(n int) answer {
			if n == 0 {
				return shared.pay(order, u[i], "p", obj{"method": "sandbox"})
			}
			return shared.public("POST", "/v1/orders/"+order+"/cancellation", u[i], obj{})
		})
		eventually(t, "the money is where the order is", func() error {
			o := shared.public("GET", "/v1/orders/"+order, u[i], nil)
			for _, p := range payments(t, order) {
				if s := p["state"]; s == "pending" || s == "refunding" || (s == "captured") != (o.text("state") == "paid") {
					return fmt.Errorf("payment %v of %v", p, o)
				}
			}
			if s := o.text("state"); s != "paid" && s != "cancelled" {
				return fmt.Errorf("%v", o)
			}
			return nil
		})
		if shared.public("GET", "/v1/orders/"+order, u[i], nil).text("state") == "paid" {
			sold++
		}
	}
	if l := shared.stock(t, sale)[0]; l.Sold != sold || l.Available != rounds-sold {
		t.Errorf("%d orders are paid, stock is %+v", sold, l)
	}
}

// Unpaid units come back after the window and its grace and can be bought; money that was on its way inside the grace still
// pays, and money that comes later is given back.
func TestWindowGraceAndLateMoney(t *testing.T) {
	t.Parallel()
	d := definition(item(4, 1))
	d["paymentWindowSeconds"], d["graceSeconds"] = 1, 1
	sale, u := shared.sale(t, d), shared.tokens(t, unique("late"), 8)
	var order [4]string
	for i := range order {
		order[i] = shared.won(t, sale, u[i], 1)
	}
	shared.pay(order[0], u[0], "p", obj{"method": "sandbox", "afterMs": 1200}).is(t, "pay, slowly", 201, "")
	shared.pay(order[1], u[1], "p", obj{"method": "sandbox", "afterMs": 4000}).is(t, "pay, too slowly", 201, "")
	eventually(t, "the window ends", func() error {
		ends, err := time.Parse(time.RFC3339, shared.public("GET", "/v1/orders/"+order[3], u[3], nil).text("payBefore"))
		if err == nil && !time.Now().After(ends.Add(10*time.Millisecond)) { // it is told in whole milliseconds
			err = fmt.Errorf("it ends at %v", ends)
		}
		return err
	})
	shared.pay(order[3], u[3], "p", obj{"method": "sandbox"}).is(t, "pay after the window", 409, "illegal-transition")
	shared.reaches(t, order[0], u[0], "paid")
	for i := 1; i < 4; i++ {
		shared.reaches(t, order[i], u[i], "expired")
	}
	for i := 4; i < 7; i++ {
		shared.won(t, sale, u[i], 1)
	}
	eventually(t, "late money is given back", func() error {
		p := payments(t, order[1])
		if len(p) != 1 || p[0]["state"] != "refunded" || fmt.Sprint(p[0]["refunded"]) != "1999" {
			return fmt.Errorf("%v", p)
		}
		return nil
	})
	shared.reaches(t, order[1], u[1], "expired")
}

// Refunds give back each minor unit at most once, however many ask at once, and return the units once and only when asked to.
func TestRefundsNeverExceedWhatWasPaid(t *testing.T) {
	t.Parallel()
	sale, user := shared.sale(t, definition(item(5, 5))), shared.token(t, unique("refund"))
	order := shared.won(t, sale, user, 3)
	refund := func(key string, body obj) answer {
		return shared.public("POST", "/v1/orders/"+order+"/refunds", user, body, "Idempotency-Key", key)
	}
	refund("early", obj{"amount": 1}).is(t, "refund what is not paid", 409, "illegal-transition")
	shared.pay(order, user, "p", obj{"method": "sandbox"}).is(t, "pay", 201, "")
	shared.reaches(t, order, user, "paid")
	got := count(together(6, func(i int) answer { return refund(fmt.Sprint("r", i), obj{"amount": 2000}) }))
	if diff := cmp.Diff(map[string]int{"200": 2, "409 refund-too-large": 4}, got); diff != "" {
		t.Error(diff)
	}
	if l := shared.stock(t, sale)[0]; l.Sold != 3 {
		t.Errorf("units came back unasked: %+v", l)
	}
	refund("rest", obj{"returnStock": true}).is(t, "the rest", 200, "")
	again := refund("rest", obj{"returnStock": true}).is(t, "the rest, again", 200, "")
	if again.number("refundedAmount") != "5997" || again.text("state") != "refunded" {
		t.Errorf("after all: %v", again)
	}
	refund("rest", obj{"returnStock": false}).is(t, "other body", 422, "key-reused")
	refund("more", obj{"amount": 1}).is(t, "one more", 409, "refund-too-large")
	if l := shared.stock(t, sale)[0]; l.Sold != 0 || l.Available != 5 {
		t.Errorf("the units are not back once: %+v", l)
	}
}

// report is one callback of the provider; what is left empty is as the provider would send it.
type report struct {
	id, key, when, signature string
	event                    obj
}

func (r report) send(t *testing.T, secret []byte) answer {
	t.Helper()
	body, err := json.Marshal(r.event)
	if err != nil {
		t.Fatal(err)
	}
	if r.when == "" {
		r.when = fmt.Sprint(time.Now().Unix())
	}
	if r.key != "" {
		secret = []byte(r.key)
	}
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s.%s.%s", r.id, r.when, body)
	if r.signature == "" {
		r.signature = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return shared.public("POST", "/v1/payment-callbacks/sandbox", "", body,
		"webhook-id", r.id, "webhook-timestamp", r.when, "webhook-signature", r.signature)
}

func captured(payment, ref string, amount int) obj {
	return obj{"type": "payment.captured", "timestamp": time.Now().UTC(),
		"data": obj{"paymentId": payment, "providerRef": ref, "amount": amount, "currency": "CNY"}}
}

// Only a fresh report with the provider's signature moves money: forged, stale and post-dated ones are refused, a repeated one
// changes nothing, and one transaction of the provider never pays two orders.
func TestOnlyGenuineReportsMoveMoney(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(filepath.Join(shared.dir, "webhook.secret"))
	if err != nil {
		t.Fatal(err)
	}
	secret, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(strings.TrimSpace(string(raw)), "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	sale, user := shared.sale(t, definition(item(3, 3))), shared.token(t, unique("hook"))
	lost := func() (order, payment string) {
		order = shared.won(t, sale, user, 1)
		return order, shared.pay(order, user, unique("p"), obj{"method": "sandbox", "outcome": "lose", "afterMs": 600000}).is(t, "pay", 201, "").text("id")
	}
	order, payment := lost()
	ref := unique("ref-" + payment + "-")
	event := captured(payment, ref, 1999)
	old, ahead := fmt.Sprint(time.Now().Add(-time.Hour).Unix()), fmt.Sprint(time.Now().Add(time.Hour).Unix())
	for name, forged := range map[string]report{
		"unsigned": {id: "f1", signature: " ", event: event}, "other signature": {id: "f2", signature: "v1,AAAA", event: event},
		"other key": {id: "f3", key: "0123456789abcdef01234567", event: event}, "stale": {id: "f4", when: old, event: event},
		"post-dated": {id: "f5", when: ahead, event: event}, "no time": {id: "f6", when: "now", event: event},
	} {
		forged.send(t, secret).is(t, name, 401, "bad-signature")
	}
	if got := shared.public("GET", "/v1/orders/"+order, user, nil).text("state"); got == "paid" {
		t.Fatal("a forged report paid the order")
	}
	genuine := report{id: unique("msg-" + payment), event: event}
	genuine.send(t, secret).is(t, "genuine", 204, "")
	paid := shared.reaches(t, order, user, "paid")
	genuine.send(t, secret).is(t, "repeated", 204, "")
	other, second := lost()
	report{id: unique("msg-" + second), event: captured(second, ref, 1999)}.send(t, secret).is(t, "another payment with the same transaction", 204, "")
	if p := payments(t, other); len(p) != 1 || p[0]["state"] != "mismatch" {
		t.Errorf("the second payment is not a case for an operator: %v", p)
	}
	if got := shared.public("GET", "/v1/orders/"+other, user, nil).text("state"); got == "paid" {
		t.Error("one transaction of the provider paid two orders")
	}
	if diff := cmp.Diff(paid.number("version"), shared.public("GET", "/v1/orders/"+order, user, nil).number("version")); diff != "" {
		t.Errorf("a repeated report changed the order: %s", diff)
	}
}
