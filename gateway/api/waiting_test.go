package api

import (
	"context"
	"fmt"
	"testing"

	"penstock/errs"
	"penstock/sale"
	"penstock/stock"
	"penstock/stock/driver"
)

// waitingRoom stands in for the waiting lists: ann waits as entry 17 of sale "flash".
type waitingRoom struct{ *rooms }

func (r waitingRoom) one(saleID, user string, entry uint64, state sale.WaitState) (sale.Entry, error) {
	if saleID != "flash" || user != "ann" || entry != 17 {
		return sale.Entry{}, errs.New(errs.NotFound, "there is no entry %d", entry)
	}
	e := sale.Entry{State: state, Entry: stock.Entry{Position: 3}}
	e.Waiter = driver.Waiter{Seq: 17, Key: driver.Key{Sale: saleID, User: user}, SKU: "sku-1", Quantity: 1, At: start}
	return e, nil
}

func (r waitingRoom) Join(_ context.Context, q stock.JoinRequest) (sale.Entry, error) {
	if q.Sale != "flash" {
		return sale.Entry{}, noSale()
	}
	if q.Key == "free" {
		return sale.Entry{}, errs.New(errs.StockAvailable, "1 is free")
	}
	r.note(fmt.Sprintf("join %s %s %s %d", q.User, q.Key, q.SKU, q.Quantity))
	e, err := r.one("flash", "ann", 17, sale.Waiting)
	e.Replayed = q.Key == "again"
	return e, err
}

func (r waitingRoom) Waiting(_ context.Context, saleID, user string, entry uint64) (sale.Entry, error) {
	e, err := r.one(saleID, user, entry, sale.Offered)
	e.Order, e.Position = annsOrder, 0
	return e, err
}

func (r waitingRoom) Leave(_ context.Context, saleID, user string, entry uint64) (sale.Entry, error) {
	e, err := r.one(saleID, user, entry, sale.Left)
	e.Position, e.Why = 0, "left"
	return e, err
}

// Who joins gets his entry with its place, by the words of the reference; the room sees the caller, and never another's name.
func TestWaitingEntry(t *testing.T) {
	t.Parallel()
	h := setup(t)
	w := h.ask(h.public, "user", `POST /v1/sales/flash/waiting {"sku":"sku-1","quantity":1}`)
	e := object(t, w, 201)
	if e["entry"] != "17" || e["state"] != "waiting" || e["position"] != 3.0 || w.Header().Get("Idempotency-Replayed") != "" {
		t.Errorf("joined: %v", e)
	}
	if got := h.rooms.last(); got != "join ann key-1 sku-1 1" {
		t.Errorf("the room saw %q", got)
	}
	w = h.ask(h.public, "user", `POST /v1/sales/flash/waiting {"sku":"sku-1","quantity":1}`, header("Idempotency-Key", `"again"`))
	if object(t, w, 201); w.Header().Get("Idempotency-Replayed") != "true" {
		t.Errorf("a replay is not marked: %v", w.Header())
	}
	problem(t, h.ask(h.public, "user", `POST /v1/sales/flash/waiting {"sku":"sku-1","quantity":1}`, header("Idempotency-Key", `"free"`)), errs.StockAvailable)
	problem(t, h.ask(h.public, "user", `POST /v1/sales/flash/waiting {"sku":"sku-1","quantity":1}`, header("Idempotency-Key", "")), errs.KeyMissing)
	problem(t, h.ask(h.public, "user", `POST /v1/sales/flash/waiting {"sku":"sku-1","quantity":0}`), errs.Invalid)
	e = object(t, h.ask(h.public, "user", "GET /v1/sales/flash/waiting/17"), 200)
	if e["state"] != "offered" || e["order"] != annsOrder.String() || e["position"] != nil {
		t.Errorf("offered: %v", e)
	}
	if e = object(t, h.ask(h.public, "user", "DELETE /v1/sales/flash/waiting/17"), 200); e["state"] != "left" {
		t.Errorf("left: %v", e)
	}
	for _, other := range []string{"18", "017", "-1", "x", "99999999999999999999"} {
		problem(t, h.ask(h.public, "user", "GET /v1/sales/flash/waiting/"+other), errs.NotFound)
	}
}
