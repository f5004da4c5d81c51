package api

import (
	"strings"
	"testing"
	"time"

	"penstock/errs"
)

// A sale is cached for a second and asked for again by its tag, which the server's clock does not change.
func TestSalesAreCacheable(t *testing.T) {
	t.Parallel()
	h := setup(t)
	for _, path := range []string{"GET /v1/sales", "GET /v1/sales/flash"} {
		w := h.ask(h.public, "", path)
		tag := w.Header().Get("ETag")
		if w.Code != 200 || tag == "" || w.Header().Get("Cache-Control") != "public, max-age=1" || !strings.Contains(w.Body.String(), `"serverTime":"2026-11-11T00:00:00.001Z"`) {
			t.Fatalf("%s: %d %v %s", path, w.Code, w.Header(), w.Body)
		}
		for sent, want := range map[string]int{tag: 304, `"x", ` + strings.TrimPrefix(tag, "W/"): 304, "*": 304, `"x"`: 200, "": 200} {
			if w := h.ask(h.public, "", path, header("If-None-Match", sent)); w.Code != want || want == 304 && w.Body.Len() > 0 {
				t.Errorf("%s with If-None-Match %s: %d, want %d", path, sent, w.Code, want)
			}
		}
	}
	a, _ := theSale("flash")
	b := a
	b.ServerTime = b.ServerTime.Add(time.Hour)
	one, _ := cacheable("", a, timeless(a))
	two, _ := cacheable("", b, timeless(b))
	b.State = "sold_out"
	three, _ := cacheable("", b, timeless(b))
	if one.ETag != two.ETag || two.ETag == three.ETag {
		t.Errorf("tags %s %s %s", one.ETag, two.ETag, three.ETag)
	}
}

// A pass is bound to user and sale, ends when promised, never outlives the token it was exchanged for, and is no token.
func TestPassExchange(t *testing.T) {
	t.Parallel()
	h := setup(t)
	pass := func() string {
		o := object(t, h.ask(h.public, "user", "POST /v1/sales/flash/pass"), 200)
		h.tokens["fresh"] = o["pass"].(string)
		return o["expiresAt"].(string)
	}
	attempt := `POST /v1/sales/flash/attempts {"sku":"sku-1","quantity":1}`
	if at := pass(); at != "2026-11-11T00:15:00Z" {
		t.Errorf("expires at %s", at)
	}
	object(t, h.ask(h.public, "fresh", attempt), 201)
	if got := h.rooms.last(); got != "attempt flash ann key-1" {
		t.Errorf("the room saw %q", got)
	}
	h.clock.Advance(50 * time.Minute)
	problem(t, h.ask(h.public, "fresh", attempt), errs.Unauthenticated)
	if at := pass(); at != "2026-11-11T01:00:00Z" {
		t.Errorf("expires at %s, the token at one o'clock", at)
	}
	problem(t, h.ask(h.public, "fresh", "POST /v1/sales/flash/pass"), errs.Forbidden)
	problem(t, h.ask(h.public, "user", "POST /v1/sales/nope/pass"), errs.NotFound)
}

// Asking by key tells what the key is bound to, in the words of the attempt's own answer.
func TestAskingByKey(t *testing.T) {
	t.Parallel()
	h := setup(t)
	first := object(t, h.ask(h.public, "user", `POST /v1/sales/flash/attempts {"sku":"sku-1","quantity":1}`), 201)
	again := object(t, h.ask(h.public, "user", "GET /v1/sales/flash/attempts/k%2F1"), 200)
	for name, v := range first {
		if name != "items" && again[name] != v {
			t.Errorf("%s was %v and is %v", name, v, again[name])
		}
	}
	lost := object(t, h.ask(h.public, "user", "GET /v1/sales/flash/attempts/late"), 200)
	if lost["state"] != "lost" || lost["reason"] != "sold-out" || lost["final"] != true {
		t.Errorf("lost: %v", lost)
	}
	w := h.ask(h.public, "user", "GET /v1/sales/flash/attempts/open")
	if open := object(t, w, 200); open["state"] != "unknown" || open["final"] != false || w.Header().Get("Retry-After") != "2" {
		t.Errorf("unknown: %v %v", open, w.Header())
	}
	problem(t, h.ask(h.public, "user", "GET /v1/sales/flash/attempts/new"), errs.NotFound)
	if why := object(t, h.ask(h.public, "user", "GET /v1/sales/flash/attempts/k%2F1/why"), 200); why["rule"] != "first come" || why["arrivedAt"] != "2026-11-11T00:00:00Z" {
		t.Errorf("why: %v", why)
	}
}

// Orders read as documented, lists page by cursor, and acts reach the room with who, why and trace.
func TestOrders(t *testing.T) {
	t.Parallel()
	h := setup(t)
	o := object(t, h.ask(h.public, "user", "GET "+order1), 200)
	if o["id"] != "123456789012345678" || o["state"] != "accepted" || o["amount"] != 9900.0 || o["refundedAmount"] != 0.0 || o["user"] != nil || o["key"] != nil || len(o["events"].([]any)) != 1 {
		t.Errorf("order: %v", o)
	}
	list := object(t, h.ask(h.public, "user", "GET /v1/orders?limit=1&cursor=abc"), 200)
	if list["next"] != "more" || len(list["items"].([]any)) != 1 || h.rooms.last() != "list ann abc" {
		t.Errorf("list: %v after %q", list, h.rooms.last())
	}
	if empty := object(t, h.ask(h.public, "other", "GET /v1/orders"), 200); empty["items"] == nil {
		t.Errorf("an empty list is %v", empty)
	}
	for what, want := range map[string]string{
		"POST " + order1 + "/cancellation":                                         "cancel ann/ann cancelled by the buyer",
		"POST " + order1 + `/cancellation {"reason":"changed"}`:                    "cancel ann/ann changed",
		"POST " + order1 + `/refunds {"reason":"all of it"}`:                       "refund ann/ann key-1",
		"POST " + order1 + `/refunds {"amount":1,"reason":"x"}`:                    "refund ann/ann key-1",
		"POST " + order1 + `/payments {"method":"sandbox"}`:                        "pay ann key-1  0s",
		"POST " + order1 + `/payments {"method":"s","outcome":"fail","afterMs":5}`: "pay ann key-1 fail 5ms",
	} {
		if w := h.ask(h.public, "user", what); w.Code >= 300 || h.rooms.last() != want {
			t.Errorf("%s: %d, the room saw %q, want %q", what, w.Code, h.rooms.last(), want)
		}
	}
	pay := "POST " + order1 + `/payments {"method":"sandbox"}`
	problem(t, h.ask(h.public, "user", pay, header("Idempotency-Key", "")), errs.KeyMissing)
	if w := h.ask(h.public, "user", pay, header("Idempotency-Key", `"again"`)); w.Code != 201 || w.Header().Get("Idempotency-Replayed") != "true" {
		t.Errorf("replayed payment: %d %v", w.Code, w.Header())
	}
}

// A provider's report reaches the room as it was sent; a bad signature is a problem, a good one 204.
func TestPaymentCallbacks(t *testing.T) {
	t.Parallel()
	h := setup(t)
	w := h.ask(h.public, "", `POST /v1/payment-callbacks/sandbox {"a":1}`, header("Webhook-Signature", "v1,good"))
	if w.Code != 204 || h.rooms.last() != `callback sandbox {"a":1}` {
		t.Errorf("%d, the room saw %q", w.Code, h.rooms.last())
	}
	problem(t, h.ask(h.public, "", `POST /v1/payment-callbacks/sandbox {"a":1}`), errs.BadSignature)
}

// What does not follow the schema is refused with the place and what is wrong there, whoever finds it.
func TestValidationPointsToThePlace(t *testing.T) {
	t.Parallel()
	h := setup(t)
	sale := func(item string) string {
		return `POST /admin/v1/sales {"title":"t","startsAt":"2026-11-11T00:00:00Z","endsAt":"2026-11-12T00:00:00Z","items":[` + item + `]}`
	}
	for what, pointer := range map[string]string{
		sale(`{"sku":"a","title":"A","price":"1","currency":"CNY","stock":1,"limitPerUser":1}`):         "/items/0/price",
		sale(`{"sku":"a","title":"A","price":1,"currency":"CNY","stock":1,"limitPerUser":1,"sold":-1}`): "/items/0/sold",
		`POST /admin/v1/sales/flash/actions {"action":"explode"}`:                                       "/action",
		`POST /admin/v1/sales/flash/stock {"sku":"a","delta":0,"reason":"test"}`:                        "/delta",
		`POST /admin/v1/sales/flash/stock {"sku":"a","delta":1.5}`:                                      "/delta",
		`POST /admin/v1/sales/flash/actions {"action":"pause","Action":"close"}`:                        "",
		`POST /admin/v1/sales/flash/actions {"action":`:                                                 "",
		`POST /admin/v1/sales/flash/actions`:                                                            "",
		`GET /admin/v1/orders?limit=0`:                                                                  "",
		`GET /admin/v1/audit?cursor=x`:                                                                  "",
	} {
		p := problem(t, h.ask(h.admin, "operator", what), errs.Invalid)
		found, _ := p["errors"].([]any)
		if len(found) == 0 {
			t.Fatalf("%s: no errors: %v", what, p)
		}
		one := found[0].(map[string]any)
		if one["pointer"] != pointer || one["detail"] == "" {
			t.Errorf("%s: %v, want the pointer %q", what, found, pointer)
		}
	}
	problem(t, h.ask(h.admin, "operator", "POST /admin/v1/sales <x/>", header("Content-Type", "application/xml")), errs.UnsupportedMedia)
}
