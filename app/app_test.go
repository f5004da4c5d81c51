package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"penstock/app"
	"penstock/check"
	"penstock/config"
)

// house is one running Penstock with its tokens.
type house struct {
	*app.App
	t        *testing.T
	operator string
}

func start(t *testing.T, dir string, edit ...func(*config.Config)) *house {
	t.Helper()
	cfg := config.Default()
	cfg.Data = dir
	cfg.Listen = config.Listen{Public: "127.0.0.1:0", Admin: "127.0.0.1:0", Probe: "127.0.0.1:0", Sandbox: "127.0.0.1:0"}
	cfg.Limits.IP = config.Rate{}
	for _, e := range edit {
		e(&cfg)
	}
	a, err := app.New(t.Context(), cfg, app.Options{Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if err = a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := &house{App: a, t: t}
	t.Cleanup(h.stop)
	h.operator = h.token("op", "operator")
	return h
}

func (h *house) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := h.Stop(ctx); err != nil {
		h.t.Errorf("stop: %v", err)
	}
}

func (h *house) token(user, role string) string {
	h.t.Helper()
	token, err := h.Token(user, role, time.Hour)
	if err != nil {
		h.t.Fatal(err)
	}
	return token
}

// call makes one call and returns status and decoded body.
func (h *house) call(listener, token, method, path, key string, body any) (int, map[string]any) {
	h.t.Helper()
	var in io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			h.t.Fatal(err)
		}
		in = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(h.t.Context(), method, "http://"+h.Addrs()[listener]+path, in)
	if err != nil {
		h.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", `"`+key+`"`)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	out := map[string]any{}
	text, err := io.ReadAll(res.Body)
	if err == nil && len(text) > 0 {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		h.t.Fatalf("%s %s: %d %v: %s", method, path, res.StatusCode, err, text)
	}
	return res.StatusCode, out
}

func (h *house) createSale(id string, stock int) {
	h.t.Helper()
	status, out := h.call("admin", h.operator, "POST", "/admin/v1/sales", "", map[string]any{
		"id": id, "title": "First", "startsAt": time.Now().Add(-time.Minute).UTC(), "endsAt": time.Now().Add(time.Hour).UTC(),
		"paymentWindowSeconds": 600, "items": []map[string]any{{"sku": "tea", "title": "Tea", "price": 990, "currency": "CNY", "stock": stock, "limitPerUser": 1}},
	})
	if status != http.StatusCreated {
		h.t.Fatalf("create a sale: %d %v", status, out)
	}
}

func (h *house) buy(sale, user string) (int, map[string]any) {
	h.t.Helper()
	return h.call("public", h.token(user, ""), "POST", "/v1/sales/"+sale+"/attempts", "k-"+user, map[string]any{"sku": "tea", "quantity": 1})
}

// until polls a condition for at most half a minute, because the machine may be busy.
func (h *house) until(what string, ok func() bool) {
	h.t.Helper()
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond) // polling a condition that other goroutines bring about
	}
	h.t.Fatalf("%s did not happen within a minute", what)
}

// check runs every invariant over the drained records.
func (h *house) check() {
	h.t.Helper()
	h.until("draining", func() bool {
		_, out := h.call("admin", h.operator, "GET", "/admin/v1/drained", "", nil)
		return out["drained"] == true
	})
	rep, err := check.Run(h.t.Context(), h.Source(), check.Options{})
	if err != nil {
		h.t.Fatal(err)
	}
	if found, _ := h.drift(false); len(found) > 0 {
		h.t.Errorf("reconcile finds %q", found)
	}
	for _, inv := range rep.Invariants {
		if inv.Verdict == check.Fail {
			h.t.Errorf("%s %s: %+v", inv.ID, inv.Name, inv)
		}
	}
}

// Two Penstocks in one process sell apart from each other, each survives a restart with every acknowledged order, and the
// whole life of a purchase (won, paid, refunded; won, cancelled; replayed; lost) adds up.
func TestTwoPenstocksLiveApart(t *testing.T) {
	t.Parallel()
	for n := range 2 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			h := start(t, dir)
			h.createSale("s", 2)
			status, won := h.buy("s", "ann")
			if status != http.StatusCreated || won["state"] != "won" {
				t.Fatalf("ann's attempt: %d %v", status, won)
			}
			order := won["order"].(string)
			ann := h.token("ann", "")
			if status, out := h.call("public", ann, "GET", "/v1/orders/"+order, "", nil); status != 200 || out["amount"] != float64(990) {
				t.Errorf("ann's order at once: %d %v", status, out)
			}
			if status, out := h.call("public", h.token("eve", ""), "GET", "/v1/orders/"+order, "", nil); status != 404 {
				t.Errorf("eve reads ann's order: %d %v", status, out)
			}
			if status, _ := h.buy("s", "bob"); status != 201 {
				t.Errorf("bob's attempt: %d", status)
			}
			if status, out := h.buy("s", "zoe"); status != 409 || !strings.HasSuffix(out["type"].(string), "stock-held") {
				t.Errorf("zoe's attempt: %d %v", status, out)
			}
			if status, out := h.call("public", ann, "POST", "/v1/orders/"+order+"/payments", "p", map[string]any{"method": "sandbox"}); status != 201 {
				t.Fatalf("ann pays: %d %v", status, out)
			}
			h.until("ann's order being paid", func() bool {
				_, out := h.call("public", ann, "GET", "/v1/orders/"+order, "", nil)
				return out["state"] == "paid"
			})
			h.stop()

			h = start(t, dir)
			if status, again := h.buy("s", "ann"); status != 201 || again["order"] != order {
				t.Errorf("ann's retry after the restart: %d %v, want order %s", status, again, order)
			}
			_, page := h.call("public", h.token("bob", ""), "GET", "/v1/orders", "", nil)
			bobs := page["items"].([]any)
			if len(bobs) != 1 {
				t.Fatalf("bob has %d orders, want 1", len(bobs))
			}
			id := bobs[0].(map[string]any)["id"].(string)
			if status, out := h.call("public", h.token("bob", ""), "POST", "/v1/orders/"+id+"/cancellation", "c", nil); status != 200 || out["state"] != "cancelled" {
				t.Errorf("bob cancels: %d %v", status, out)
			}
			refund := map[string]any{"amount": 990, "returnStock": true, "reason": "too late"}
			if status, out := h.call("public", h.token("ann", ""), "POST", "/v1/orders/"+order+"/refunds", "r", refund); status != 200 || out["state"] != "refunded" || out["refundedAmount"] != float64(990) {
				t.Errorf("ann's refund: %d %v", status, out)
			}
			_, stock := h.call("admin", h.operator, "GET", "/admin/v1/stock?sale=s", "", nil)
			row := stock["items"].([]any)[0].(map[string]any)
			if row["available"] != float64(2) || row["held"] != float64(0) || row["sold"] != float64(0) {
				t.Errorf("stock at the end: %v", row)
			}
			h.check()
		})
	}
}

// A second owner of a data directory is refused and told why, and the first goes on.
func TestOneOwnerOfADirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := start(t, dir)
	cfg := config.Default()
	cfg.Data = dir
	cfg.Listen = config.Listen{Public: "127.0.0.1:0", Admin: "127.0.0.1:0", Probe: "127.0.0.1:0", Sandbox: "127.0.0.1:0"}
	second, err := app.New(t.Context(), cfg, app.Options{Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if err = second.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("the second owner got %v", err)
	}
	h.createSale("s", 1)
	if status, _ := h.buy("s", "ann"); status != 201 {
		t.Errorf("the first owner sells no more: %d", status)
	}
}

// What a provider reports does not count against its address; everything else from there does.
func TestCallbacksAreNotLimitedByAddress(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir(), func(c *config.Config) { c.Limits.IP = config.Rate{N: 2, Per: time.Minute} })
	for range 5 {
		if status, out := h.call("public", "", "POST", "/v1/payment-callbacks/sandbox", "", map[string]any{}); status != http.StatusUnauthorized {
			t.Errorf("a forged callback: %d %v", status, out)
		}
	}
	var got []int
	for range 4 {
		status, _ := h.call("public", "", "GET", "/v1/sales", "", nil)
		got = append(got, status)
	}
	if fmt.Sprint(got) != "[200 200 429 429]" {
		t.Errorf("reads of one address: %v", got)
	}
}

// What an operator does to an order is in the trail with who, why, before and after; what a buyer does is not.
func TestOperatorsActsOnOrdersAreInTheTrail(t *testing.T) {
	t.Parallel()
	h := start(t, t.TempDir())
	h.createSale("s", 3)
	_, won := h.buy("s", "ann")
	order := won["order"].(string)
	act := map[string]any{"reason": "customer called"}
	if status, out := h.call("admin", h.operator, "POST", "/admin/v1/orders/"+order+"/cancellation", "", act); status != 200 || out["state"] != "cancelled" {
		t.Fatalf("the operator cancels: %d %v", status, out)
	}
	_, won = h.buy("s", "bob")
	h.call("public", h.token("bob", ""), "POST", "/v1/orders/"+won["order"].(string)+"/cancellation", "", nil)
	_, page := h.call("admin", h.operator, "GET", "/admin/v1/audit", "", nil)
	var got []string
	for _, row := range page["items"].([]any) {
		r := row.(map[string]any)
		got = append(got, fmt.Sprint(r["who"], " ", r["act"], " ", r["object"], " ", r["why"]))
	}
	want := []string{"op sale.create sale/s created", "op order.cancel order/" + order + " customer called"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the trail says %q, want %q", got, want)
	}
}
