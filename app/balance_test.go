package app_test

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"penstock/app"
	"penstock/config"
	"penstock/internal/engines"
	"penstock/internal/fault"
	"penstock/order/payment"
)

// withBalances starts a Penstock over an engine, "sqlite:" or the URL of a MySQL database.
func withBalances(t *testing.T, engine string, faults *fault.Points) *house {
	t.Helper()
	cfg := config.Default()
	cfg.Data, cfg.Stock, cfg.Limits.IP = t.TempDir(), engine, config.Rate{}
	cfg.Listen = config.Listen{Public: "127.0.0.1:0", Admin: "127.0.0.1:0", Probe: "127.0.0.1:0", Sandbox: "127.0.0.1:0"}
	a, err := app.New(t.Context(), cfg, app.Options{Log: io.Discard, Fault: faults})
	if err != nil {
		t.Fatal(err)
	}
	if err = a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := &house{App: a, t: t}
	t.Cleanup(h.stop)
	h.operator = h.token("op", "operator")
	h.createSale("s", 20)
	return h
}

// want makes a call and wants its status.
func (h *house) want(status int, listener, token, method, path, key string, body any) map[string]any {
	h.t.Helper()
	got, out := h.call(listener, token, method, path, key, body)
	if got != status {
		h.t.Fatalf("%s %s: %d %v, want %d", method, path, got, out, status)
	}
	return out
}

func (h *house) topUp(user, key string, amount int) {
	h.t.Helper()
	h.want(201, "admin", h.operator, "POST", "/admin/v1/balances/"+user+"/entries", key, map[string]any{"currency": "CNY", "amount": amount, "reason": "gift"})
}

// order wins a unit for a user, for 990, and returns the order.
func (h *house) order(user string) string {
	h.t.Helper()
	status, won := h.buy("s", user)
	if status != http.StatusCreated {
		h.t.Fatalf("%s buys: %d %v", user, status, won)
	}
	return won["order"].(string)
}

func (h *house) pay(user, order, key string) (int, map[string]any) {
	h.t.Helper()
	return h.call("public", h.token(user, ""), "POST", "/v1/orders/"+order+"/payments", key, map[string]any{"method": "balance"})
}

// owns wants what a user has.
func (h *house) owns(user string, balance, held float64) {
	h.t.Helper()
	out := h.want(200, "public", h.token(user, ""), "GET", "/v1/balance", "", nil)
	items := out["items"].([]any)
	if len(items) != 1 || items[0].(map[string]any)["balance"] != balance || items[0].(map[string]any)["held"] != held {
		h.t.Errorf("%s has %v, want %v and %v held", user, out, balance, held)
	}
}

func (h *house) becomes(user, order, state string) {
	h.t.Helper()
	h.until("order of "+user+" being "+state, func() bool {
		return h.want(200, "public", h.token(user, ""), "GET", "/v1/orders/"+order, "", nil)["state"] == state
	})
}

// A balance is topped up, pays orders, refuses what it does not have, gets refunds back, and takes part in transactions; the
// trail has what operators did once, and every invariant holds.
func TestBalances(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) { t.Parallel(); testBalances(t, "sqlite:") })
	t.Run("MariaDB", func(t *testing.T) { t.Parallel(); testBalances(t, engines.MariaDB(t).Database(t)) })
}

func testBalances(t *testing.T, engine string) {
	faults := &fault.Points{}
	h := withBalances(t, engine, faults)
	h.topUp("ann", "k", 2000)
	h.topUp("ann", "k", 2000)
	h.owns("ann", 2000, 0)
	order := h.order("ann")
	if status, out := h.call("public", h.token("ann", ""), "POST", "/v1/orders/"+order+"/payments", "x", map[string]any{"method": "balance", "outcome": "fail"}); status != 400 {
		t.Errorf("an outcome is for the sandbox: %d %v", status, out)
	}
	if status, out := h.pay("ann", order, "p"); status != 201 || out["state"] != "captured" || out["provider"] != "balance" {
		t.Errorf("ann pays: %d %v", status, out)
	}
	h.becomes("ann", order, "paid")
	h.owns("ann", 1010, 0)
	h.want(200, "public", h.token("ann", ""), "POST", "/v1/orders/"+order+"/refunds", "r", map[string]any{"amount": 300})
	h.want(200, "public", h.token("ann", ""), "POST", "/v1/orders/"+order+"/refunds", "r", map[string]any{"amount": 300})
	h.owns("ann", 1310, 0)

	h.tooPoor()
	h.takesPart()
	h.crashes(faults)

	acts := map[any]int{}
	for _, row := range h.want(200, "admin", h.operator, "GET", "/admin/v1/audit?limit=200", "", nil)["items"].([]any) {
		acts[row.(map[string]any)["object"].(string)+" "+row.(map[string]any)["act"].(string)]++
	}
	if acts["balance/ann balance.top-up"] != 1 || acts["balance/bob balance.limit"] != 1 {
		t.Errorf("the trail has %v", acts)
	}
	out := h.want(200, "public", h.token("ann", ""), "GET", "/v1/balance/entries?limit=2", "", nil)
	if items := out["items"].([]any); len(items) != 2 || out["next"] == "" || items[0].(map[string]any)["balance"] != float64(1310) {
		t.Errorf("ann's statement: %v", out)
	}
	h.check()
}

// tooPoor lets bob try to pay with nothing, then with credit.
func (h *house) tooPoor() {
	h.t.Helper()
	order := h.order("bob")
	for range 2 {
		if status, out := h.pay("bob", order, "p1"); status != 201 || out["state"] != "failed" || out["reason"] != "the balance does not suffice: 0 CNY can be used, 990 are needed" {
			h.t.Errorf("bob pays with nothing: %d %v", status, out)
		}
	}
	h.want(200, "admin", h.operator, "PUT", "/admin/v1/balances/bob/limits/CNY", "", map[string]any{"limit": 1000, "reason": "regular"})
	if status, out := h.pay("bob", order, "p1"); status != 201 || out["state"] != "failed" {
		h.t.Errorf("the payment that failed: %d %v", status, out)
	}
	if status, out := h.pay("bob", order, "p2"); status != 201 || out["state"] != "captured" {
		h.t.Errorf("bob pays with credit: %d %v", status, out)
	}
	h.becomes("bob", order, "paid")
	h.owns("bob", -990, 0)
	h.want(409, "admin", h.operator, "PUT", "/admin/v1/balances/bob/limits/CNY", "", map[string]any{"limit": 0, "reason": "no more"})
}

// takesPart lets stock, order and balance of one buyer be one transaction, once with money and once without.
func (h *house) takesPart() {
	h.t.Helper()
	h.topUp("cem", "k", 1500)
	for id, want := range map[string]string{"t-rich": "confirmed", "t-poor": "cancelled"} {
		user := map[string]string{"t-rich": "cem", "t-poor": "dan"}[id]
		branch := func(name string, payload map[string]any) map[string]any {
			payload["user"] = user
			return map[string]any{"name": name, "participant": name, "payload": payload}
		}
		h.want(201, "admin", h.operator, "POST", "/admin/v1/transactions", "", map[string]any{"id": id, "branches": []any{
			branch("stock", map[string]any{"sale": "s", "items": []any{map[string]any{"sku": "tea", "quantity": 1}}}),
			branch("order", map[string]any{"sale": "s"}),
			branch("balance", map[string]any{"currency": "CNY", "amount": 990}),
		}})
		var last map[string]any
		h.until("transaction "+id+" ending", func() bool {
			last = h.want(200, "admin", h.operator, "GET", "/admin/v1/transactions/"+id, "", nil)
			return last["state"] == "confirmed" || last["state"] == "cancelled"
		})
		if last["state"] != want {
			h.t.Errorf("%s ended as %v", id, last)
		}
	}
	h.owns("cem", 510, 0)
}

// crashes lets the process lose its way at each step between the two databases; the money is taken once and the order paid.
func (h *house) crashes(faults *fault.Points) {
	h.t.Helper()
	h.topUp("eve", "k", 5000)
	h.topUp("fay", "k", 5000)
	for user, point := range map[string]string{"eve": payment.PointBegun, "fay": payment.PointCaptured} {
		order := h.order(user)
		faults.Set(point, func(hit int) error {
			if hit == 1 {
				return errors.New("the process dies here")
			}
			return nil
		})
		start := time.Now()
		h.pay(user, order, "p")
		h.becomes(user, order, "paid")
		h.t.Logf("after %s the order was paid in %v", point, time.Since(start).Round(time.Millisecond))
		h.owns(user, 4010, 0)
	}
}
