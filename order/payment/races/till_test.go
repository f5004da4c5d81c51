package races

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"

	"penstock/internal/ident"
	"penstock/order/payment"
)

// till is a provider that takes money when it is told to, and remembers every transaction.
type till struct {
	mu       sync.Mutex
	taken    map[ident.ID]int64
	refunded map[ident.ID]payment.RefundCall
}

func newTill() *till {
	return &till{taken: map[ident.ID]int64{}, refunded: map[ident.ID]payment.RefundCall{}}
}

// event is what the till reports.
type event struct{ ID, Payment string }

func (c *till) take(id ident.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken[id] = price
}

// kept is what was taken and not given back.
func (c *till) kept() (sum int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.taken {
		sum += n
	}
	for _, r := range c.refunded {
		sum -= r.Amount
	}
	return sum
}

func (c *till) Check(payment.Begin) error { return nil }

func (c *till) Charge(context.Context, payment.Charge) (payment.Result, error) {
	return payment.Result{Status: payment.Waiting}, nil
}

func (c *till) Query(_ context.Context, id ident.ID) (payment.Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.taken[id] == 0 {
		return payment.Result{Status: payment.Waiting}, nil
	}
	return result(id), nil
}

func result(id ident.ID) payment.Result {
	return payment.Result{Status: payment.Taken, Ref: "t" + id.String(), Amount: price, Currency: "EUR"}
}

func (c *till) Refund(_ context.Context, r payment.RefundCall) (payment.Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refunded[r.Refund] = r
	return payment.Result{Status: payment.Returned, Amount: r.Amount, Currency: r.Currency}, nil
}

func (c *till) Event(_ http.Header, body []byte) (payment.Event, error) {
	var e event
	if err := json.Unmarshal(body, &e); err != nil {
		return payment.Event{}, err
	}
	id, err := ident.Parse(e.Payment)
	return payment.Event{ID: e.ID, Payment: id, Result: result(id)}, errors.Join(err)
}
