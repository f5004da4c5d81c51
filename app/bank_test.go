package app_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"penstock/app"
	"penstock/config"
	"penstock/internal/engines"
	"penstock/internal/fault"
)

// The lines of the bank and the transactions across services move with the rest: what the bank reported is known after the move,
// a transaction between try and confirm goes on and is paid, and its money can go back.
func TestBankAndTransactionsMove(t *testing.T) {
	t.Parallel()
	withTransfer := func(c *config.Config) {
		c.Payment.Providers = append(c.Payment.Providers, "transfer")
		c.Transactions.Call = 500 * time.Millisecond
	}
	faults, dir := &fault.Points{}, t.TempDir()
	h := openWith(t, dir, faults, withTransfer)
	h.createSale("s", 5)
	h.topUp("ann", "k", 990)
	order := h.order("bob")
	status, paid := h.call("public", h.token("bob", ""), "POST", "/v1/orders/"+order+"/payments", "p", map[string]any{"method": "transfer"})
	if status != 201 || paid["state"] != "pending" {
		t.Fatalf("bob pays by transfer: %d %v", status, paid)
	}
	line := func(amount int) map[string]any {
		return map[string]any{"provider": "transfer", "apply": true, "lines": []any{
			map[string]any{"type": "capture", "ref": "B1", "payment": paid["id"], "amount": amount, "currency": "CNY"}}}
	}
	h.want(200, "admin", h.operator, "POST", "/admin/v1/statements", "", line(990))
	h.becomes("bob", order, "paid")
	faults.Set("saga.saved", func(hit int) error {
		if hit == 3 { // tried everywhere, confirmed nowhere
			return errors.New("the process dies here")
		}
		return nil
	})
	h.purchase("move", "ann", 990)
	h.owns("ann", 0, 990)
	h.relayed()
	stop, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	if err := h.Stop(stop); err != nil {
		t.Fatal(err)
	}

	cfg := config.Default()
	cfg.Data, cfg.Stock = t.TempDir(), engines.MariaDB(t).Database(t)
	moved := map[string]uint64{}
	if err := app.Migrate(t.Context(), dir, cfg, app.Options{Log: io.Discard}, func(part string, done, _ uint64) { moved[part] = done }); err != nil {
		t.Fatal(err)
	}
	if moved["bank_lines"] != 1 || moved["transactions"] != 1 || moved["transaction_steps"] == 0 {
		t.Errorf("moved %v", moved)
	}
	h = openWith(t, t.TempDir(), nil, func(c *config.Config) { withTransfer(c); c.Stock = cfg.Stock })
	h.ends("move", "confirmed")
	h.owns("ann", 0, 0)
	anns := h.only("ann")["id"].(string)
	h.becomes("ann", anns, "paid")
	h.refund(200, "ann", anns, "r", map[string]any{"amount": 90})
	h.owns("ann", 90, 0)
	out := h.want(200, "admin", h.operator, "POST", "/admin/v1/statements", "", line(990))
	if found := out["items"]; found != nil && len(found.([]any)) != 0 {
		t.Errorf("the bank's line after the move: %v", out)
	}
	h.check()
}
