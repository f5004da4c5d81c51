package app_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"penstock/app"
	"penstock/config"
	"penstock/internal/engines"
	"penstock/internal/fault"
)

// openAgain starts a Penstock over a directory and an engine, quick to take up what another one left.
func openAgain(t *testing.T, dir, engine string, faults *fault.Points) *house {
	t.Helper()
	return openWith(t, dir, faults, func(c *config.Config) { c.Stock, c.Transactions.Call = engine, 500*time.Millisecond })
}

func openWith(t *testing.T, dir string, faults *fault.Points, edit func(*config.Config)) *house {
	t.Helper()
	cfg := config.Default()
	cfg.Data, cfg.Limits.IP = dir, config.Rate{}
	edit(&cfg)
	cfg.Listen = config.Listen{Public: "127.0.0.1:0", Admin: "127.0.0.1:0", Probe: "127.0.0.1:0", Sandbox: "127.0.0.1:0"}
	a, err := app.New(t.Context(), cfg, app.Options{Log: io.Discard, Fault: faults})
	if err == nil {
		err = a.Start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	h := &house{App: a, t: t}
	t.Cleanup(h.stop)
	h.operator = h.token("op", "operator")
	return h
}

// purchase begins a transaction of one tea, its order and its price from the user's balance, and returns its answer.
func (h *house) purchase(id, user string, price int) map[string]any {
	h.t.Helper()
	branch := func(name string, payload map[string]any) map[string]any {
		payload["user"] = user
		return map[string]any{"name": name, "participant": name, "payload": payload}
	}
	return h.want(201, "admin", h.operator, "POST", "/admin/v1/transactions", "", map[string]any{"id": id, "branches": []any{
		branch("stock", map[string]any{"sale": "s", "items": []any{map[string]any{"sku": "tea", "quantity": 1}}}),
		branch("order", map[string]any{"sale": "s"}),
		branch("balance", map[string]any{"currency": "CNY", "amount": price}),
	}})
}

func (h *house) ends(id, want string) {
	h.t.Helper()
	var last map[string]any
	h.until("transaction "+id+" being "+want, func() bool {
		last = h.want(200, "admin", h.operator, "GET", "/admin/v1/transactions/"+id, "", nil)
		return last["state"] == want
	})
}

// only returns the user's only order.
func (h *house) only(user string) map[string]any {
	h.t.Helper()
	all := h.want(200, "public", h.token(user, ""), "GET", "/v1/orders", "", nil)["items"].([]any)
	if len(all) != 1 {
		h.t.Fatalf("%s has the orders %v", user, all)
	}
	return all[0].(map[string]any)
}

// payments is the export's lines about an order.
func (h *house) payments(order string) string {
	h.t.Helper()
	var b bytes.Buffer
	if err := h.Write(h.t.Context(), "payments", &b); err != nil {
		h.t.Fatal(err)
	}
	var mine []string
	for line := range strings.Lines(b.String()) {
		if strings.Contains(line, `"order":"`+order+`"`) {
			mine = append(mine, line)
		}
	}
	return strings.Join(mine, "")
}

func (h *house) refund(status int, user, order, key string, body map[string]any) map[string]any {
	h.t.Helper()
	return h.want(status, "public", h.token(user, ""), "POST", "/v1/orders/"+order+"/refunds", key, body)
}

// An order that a transaction pays from a balance is refunded like any other: partly, then the rest with its unit, and no more;
// a transaction that cancels leaves no money captured; records and ledger agree throughout.
func TestMoneyOfATransaction(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) { t.Parallel(); testMoneyOfATransaction(t, "sqlite:") })
	t.Run("MariaDB", func(t *testing.T) { t.Parallel(); testMoneyOfATransaction(t, engines.MariaDB(t).Database(t)) })
}

func testMoneyOfATransaction(t *testing.T, engine string) {
	h := openAgain(t, t.TempDir(), engine, nil)
	h.createSale("s", 5)
	h.topUp("ann", "k", 2000)
	h.purchase("buy", "ann", 990)
	h.ends("buy", "confirmed")
	h.owns("ann", 1010, 0)
	order := h.only("ann")["id"].(string)
	h.becomes("ann", order, "paid")
	if told := h.payments(order); strings.Count(told, "\n") != 1 || !strings.Contains(told, `"providerRef":"tx/buy/balance","state":"captured"`) {
		t.Errorf("the payments of ann's order: %s", told)
	}
	h.check()
	h.refund(400, "ann", order, "r0", map[string]any{"amount": 0}) // nothing is not everything
	h.refund(200, "ann", order, "r1", map[string]any{"amount": 300})
	h.refund(200, "ann", order, "r1", map[string]any{"amount": 300})
	h.owns("ann", 1310, 0)
	if out := h.refund(409, "ann", order, "r2", map[string]any{"amount": 691}); out["left"] != 690.0 {
		t.Errorf("more than is left: %v", out)
	}
	h.check()
	if out := h.refund(200, "ann", order, "r3", map[string]any{"returnStock": true}); out["state"] != "refunded" || out["refundedAmount"] != 990.0 {
		t.Errorf("the rest: %v", out)
	}
	h.refund(409, "ann", order, "r4", map[string]any{"amount": 1})
	h.owns("ann", 2000, 0)

	h.purchase("poor", "bob", 990)
	h.ends("poor", "cancelled")
	bobs := h.only("bob")
	if told := h.payments(bobs["id"].(string)); bobs["state"] != "cancelled" || strings.Count(told, `"state":"failed"`) != 1 || !strings.Contains(told, `"captured":0`) {
		t.Errorf("bob's order is %v, its payments %s", bobs["state"], told)
	}
	h.topUp("cem", "k", 500)
	h.purchase("part", "cem", 400) // the rest is paid elsewhere: no payment says that all of it is here
	h.ends("part", "confirmed")
	if told := h.payments(h.only("cem")["id"].(string)); strings.Count(told, `"state":"failed"`) != 1 {
		t.Errorf("cem's payments: %s", told)
	}
	h.refund(409, "cem", h.only("cem")["id"].(string), "r", map[string]any{"amount": 1})
	_, stock := h.call("admin", h.operator, "GET", "/admin/v1/stock?sale=s", "", nil)
	if row := stock["items"].([]any)[0].(map[string]any); row["available"] != 4.0 || row["sold"] != 1.0 {
		t.Errorf("the stock is %v", row)
	}
	h.check()
}

// A process that dies at any call of a transaction, between try and confirm too, leaves an order that nobody else can pay; the next process
// ends the transaction with the money taken once, the order paid, and all of it refundable.
func TestMoneyOfATransactionSurvivesRestarts(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) { t.Parallel(); testMoneySurvivesRestarts(t, "sqlite:") })
	t.Run("MariaDB", func(t *testing.T) {
		t.Parallel()
		testMoneySurvivesRestarts(t, engines.MariaDB(t).Database(t))
	})
}

func testMoneySurvivesRestarts(t *testing.T, engine string) {
	faults, dir := &fault.Points{}, t.TempDir()
	h := openAgain(t, dir, engine, faults)
	h.createSale("s", 20)
	died := errors.New("the process dies here")
	var users []string
	for _, point := range []string{"saga.called", "saga.saved"} {
		for call := 1; call <= 6; call++ { // stock, order, balance: tried, then confirmed
			if point == "saga.saved" && call == 6 {
				continue // it has ended
			}
			user := fmt.Sprintf("u-%s-%d", strings.TrimPrefix(point, "saga."), call)
			users = append(users, user)
			h.topUp(user, "k", 990)
			faults.Set(point, func(hit int) error {
				if hit == call {
					return died
				}
				return nil
			})
			h.purchase(user, user, 990)
			faults.Set(point, nil)
			if call >= 2 && call <= 4 { // its payment is reserved
				status, out := h.pay(user, h.only(user)["id"].(string), "mine")
				if status != 409 || !strings.HasSuffix(out["type"].(string), "payment-in-progress") && !strings.HasSuffix(out["type"].(string), "illegal-transition") {
					t.Errorf("%s pays beside the transaction: %d %v", user, status, out)
				}
			}
		}
	}
	stop, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := h.Stop(stop); err != nil {
		t.Error(err)
	}
	h = openAgain(t, dir, engine, nil)
	for i, user := range users {
		h.ends(user, "confirmed")
		order := h.only(user)["id"].(string)
		h.becomes(user, order, "paid")
		h.owns(user, 0, 0)
		if i%2 == 0 {
			h.refund(200, user, order, "r", map[string]any{"returnStock": true})
			h.owns(user, 990, 0)
		}
	}
	h.check()
}
