package gateway

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/stock"
	"penstock/stock/driver"
)

const wonBody = `{"state":"won","attempt":"123456789012345678","order":"123456789012345678","items":[{"sku":"sku-1","quantity":1,"price":9900}],` +
	`"amount":9900,"currency":"CNY","payBefore":"2026-11-11T00:15:00Z"}` + "\n"

// A won attempt reaches the room with everything that was sent, and is answered as documented.
func TestAttemptWon(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{}, nil)
	for _, bearer := range []string{b.pass, b.token} {
		w := b.attempt(`{"items":[{"sku":"sku-1","quantity":1},{"sku":"sku-2","quantity":3}]}`, header("Authorization", "Bearer "+bearer))
		if w.Code != 201 || w.Body.String() != wonBody || w.Header().Get("Content-Type") != "application/json" || w.Header().Get("Idempotency-Replayed") != "" {
			t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
		}
		got := b.room.asked[len(b.room.asked)-1]
		if len(got.Trace) != 55 || got.Trace[3:35] != w.Header().Get("X-Trace-Id") {
			t.Errorf("trace %q, answered %q", got.Trace, w.Header().Get("X-Trace-Id"))
		}
		got.Trace = ""
		want := stock.Request{Sale: "flash", User: "ann", Key: "k1", Items: []stock.Item{{SKU: "sku-1", Quantity: 1}, {SKU: "sku-2", Quantity: 3}}}
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
}

// A replay is the first answer byte for byte, won or lost, with the mark in the header only, whatever else the answer knows now
// and in whatever zone and precision its times come back.
func TestReplayIsTheSameBytes(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]stock.Answer{
		"won":           won(stock.Request{Sale: "flash", User: "ann", Key: "k1"}),
		"sold-out":      {State: stock.Lost, Reason: errs.SoldOut, Attempt: &driver.Attempt{ID: 7, Reason: errs.SoldOut}, SKU: "sku-1"},
		"limit-reached": {State: stock.Lost, Reason: errs.LimitReached, Attempt: &driver.Attempt{ID: 7, Reason: errs.LimitReached}, SKU: "sku-1", Left: 3},
	} {
		b := setup(t, Options{}, nil)
		b.room.answer = func(stock.Request) stock.Answer { return a }
		first := b.attempt(oneItem)
		again := a
		stored := *a.Attempt
		stored.PayBefore = stored.PayBefore.In(time.FixedZone("x", 8*3600)).Add(123 * time.Microsecond)
		again.Attempt, again.Replayed, again.SKU, again.Left = &stored, true, "", 0
		b.room.answer = func(stock.Request) stock.Answer { return again }
		b.clock.Advance(time.Minute)
		second := b.attempt(oneItem)
		if first.Code != second.Code || first.Body.String() != second.Body.String() {
			t.Errorf("%s: %d %s, then %d %s", name, first.Code, first.Body, second.Code, second.Body)
		}
		if first.Header().Get("Idempotency-Replayed") != "" || second.Header().Get("Idempotency-Replayed") != "true" {
			t.Errorf("%s: the mark is %q, then %q", name, first.Header().Get("Idempotency-Replayed"), second.Header().Get("Idempotency-Replayed"))
		}
	}
}

// Every reason of a loss is its problem; what binds nothing carries the request id and what is known now.
func TestAttemptLost(t *testing.T) {
	t.Parallel()
	for _, a := range []struct {
		answer stock.Answer
		has    map[string]any
	}{
		{stock.Answer{Reason: errs.SoldOut, Attempt: &driver.Attempt{ID: ident.ID(7)}}, map[string]any{"attempt": "7", "final": true, "requestId": nil}},
		{stock.Answer{Reason: errs.SoldOut}, map[string]any{"final": nil, "requestId": "r1"}},
		{stock.Answer{Reason: errs.LimitReached, SKU: "sku-1", Left: 0}, map[string]any{"sku": "sku-1", "left": 0.0}},
		{stock.Answer{Reason: errs.StockHeld, SKU: "sku-1", RetryAfter: 2 * time.Second}, map[string]any{"sku": "sku-1", "requestId": "r1"}},
		{stock.Answer{Reason: errs.NotEnoughLeft, SKU: "sku-1", Left: 2}, map[string]any{"left": 2.0}},
		{stock.Answer{Reason: errs.KeyInProgress}, nil},
		{stock.Answer{Reason: errs.KeyReused, Attempt: &driver.Attempt{ID: 7}}, map[string]any{"final": nil, "requestId": "r1"}},
		{stock.Answer{Reason: errs.SaleNotOpen, OpensAt: start.Add(time.Hour)}, map[string]any{"opensAt": "2026-11-11T01:00:00Z"}},
		{stock.Answer{Reason: errs.SaleClosed}, nil},
		{stock.Answer{Reason: errs.SalePaused}, nil},
		{stock.Answer{Reason: errs.QuotaExceeded, RetryAfter: time.Second}, map[string]any{"executed": false}},
		{stock.Answer{Reason: errs.ReducedCapacity}, map[string]any{"executed": false}},
		{stock.Answer{Reason: errs.NotFound}, nil},
		{stock.Answer{Reason: errs.Invalid, SKU: "sku-9"}, map[string]any{"sku": "sku-9", "left": nil}},
	} {
		a.answer.State = stock.Lost
		b := setup(t, Options{}, nil)
		b.room.answer = func(stock.Request) stock.Answer { return a.answer }
		w := b.attempt(oneItem, header("X-Request-Id", "r1"))
		p := problem(t, w, a.answer.Reason)
		for name, want := range a.has {
			if p[name] != want {
				t.Errorf("%s: %s is %v, want %v: %s", a.answer.Reason, name, p[name], want, w.Body)
			}
		}
		if p["instance"] != "/v1/sales/flash/attempts/k1" || b.seen.last().Code != a.answer.Reason {
			t.Errorf("%s: instance %v, observed %s", a.answer.Reason, p["instance"], b.seen.last().Code)
		}
		if a.answer.RetryAfter > 0 && w.Header().Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", a.answer.Reason)
		}
	}
}

// An answer that makes no sense is internal and tells nothing.
func TestSenselessAnswerIsInternal(t *testing.T) {
	t.Parallel()
	for _, a := range []stock.Answer{{State: stock.Lost}, {State: stock.Won}, {State: stock.Lost, Reason: "made-up"}, {State: stock.Lost, Reason: errs.Internal}} {
		b := setup(t, Options{}, nil)
		b.room.answer = func(stock.Request) stock.Answer { return a }
		problem(t, b.attempt(oneItem), errs.Internal)
		if !b.seen.last().Log {
			t.Error("an error of ours was not logged")
		}
	}
}

// Not yet known is 202 with the place to ask, never a failure, and always logged.
func TestAttemptUnknown(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{}, nil)
	b.room.answer = func(stock.Request) stock.Answer { return stock.Answer{} }
	w := b.attempt(oneItem, header("Idempotency-Key", `"a/b c"`))
	if w.Code != 202 || w.Body.String() != `{"state":"unknown","attempt":"a/b c"}`+"\n" || w.Header().Get("Retry-After") == "" ||
		w.Header().Get("Location") != "/v1/sales/flash/attempts/a%2Fb%20c" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
	if r := b.seen.last(); !r.Log || r.Code != errs.Unknown {
		t.Errorf("observed %+v", r)
	}
}

// A stampede that is shed leaves the log to what it is shed for: one line of many calls.
func TestShedAttemptsAreSampled(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{LogEvery: 10}, nil)
	b.room.answer = func(stock.Request) stock.Answer { return stock.Answer{State: stock.Lost, Reason: errs.ReducedCapacity} }
	lines := 0
	for i := range 50 {
		b.attempt(oneItem, header("Idempotency-Key", fmt.Sprintf("k%d", i)))
		if r := b.seen.last(); r.Code != errs.ReducedCapacity {
			t.Fatalf("observed %+v", r)
		} else if r.Log {
			lines++
		}
	}
	if lines != 5 {
		t.Errorf("%d lines of 50 calls", lines)
	}
}

// The key is a quoted structured-field string or the bare text, one of them, of 1 to 255 printable characters.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]string{
		`"a"`: "a", "a": "a", `"a b"`: "a b", `"a\"b\\"`: `a"b\`, "8e03978e-40d5-43e8-bc93-6894a57f9324": "8e03978e-40d5-43e8-bc93-6894a57f9324",
		`"` + strings.Repeat("k", 255) + `"`: strings.Repeat("k", 255), "a;b": "a;b",
	} {
		if got, err := IdempotencyKey(map[string][]string{"Idempotency-Key": {sent}}); err != nil || got != want {
			t.Errorf("%s: %q, %v", sent, got, err)
		}
	}
	for _, bad := range [][]string{nil, {}, {"a", "b"}, {""}, {`""`}, {`"`}, {`"a`}, {`a"`}, {`"a"b"`}, {`"a";x=1`}, {`"a\`}, {`"\a"`}, {"a b"}, {"a,b"}, {"é"}, {"\"é\""}, {"a\tb"}, {"\"a\x00\""}, {"."}, {`".."`}, {strings.Repeat("k", 256)}} {
		if got, err := IdempotencyKey(map[string][]string{"Idempotency-Key": bad}); !errs.Is(err, errs.KeyMissing) {
			t.Errorf("%q: %q, %v", bad, got, err)
		}
	}
}

// What is wrong with an attempt is told before the room is asked.
func TestAttemptRefusedBeforeTheRoom(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{MaxBody: 1000}, nil)
	large := `{"sku":"` + strings.Repeat("s", 1000) + `","quantity":1}`
	endless := httptest.NewRequest("POST", "/v1/sales/flash/attempts", strings.NewReader(large))
	endless.ContentLength = -1
	endless.Header.Set("Authorization", "Bearer "+b.pass)
	endless.Header.Set("Idempotency-Key", "k")
	problem(t, b.do(endless), errs.TooLarge)
	problem(t, b.attempt(large), errs.TooLarge)
	problem(t, b.attempt(oneItem, header("Idempotency-Key")), errs.KeyMissing)
	problem(t, b.attempt(oneItem, header("Content-Type", "text/plain")), errs.UnsupportedMedia)
	problem(t, b.attempt(oneItem, header("Content-Encoding", "gzip")), errs.UnsupportedMedia)
	problem(t, b.attempt(oneItem, header("Authorization", "Bearer x")), errs.Unauthenticated)
	problem(t, b.attempt(oneItem, header("Authorization", "Basic x")), errs.Unauthenticated)
	problem(t, b.attempt(oneItem, header("Authorization", "Bearer "+b.pass, "Bearer "+b.pass)), errs.Unauthenticated)
	stray, err := b.ring.MintPass("ann", "other", start, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	problem(t, b.attempt(oneItem, header("Authorization", "Bearer "+stray)), errs.Forbidden)
	p := problem(t, b.attempt(`{"sku":"a"}`), errs.Invalid)
	if e, _ := json.Marshal(p["errors"]); string(e) != `[{"detail":"the member is missing","pointer":"/quantity"}]` {
		t.Errorf("errors: %s", e)
	}
	if len(b.room.asked) != 0 {
		t.Errorf("the room was asked: %v", b.room.asked)
	}
	for _, ct := range []string{"application/json; charset=utf-8", "Application/JSON", "application/vnd.x+json"} {
		if w := b.attempt(oneItem, header("Content-Type", ct)); w.Code != 201 {
			t.Errorf("%s: %d", ct, w.Code)
		}
	}
}
