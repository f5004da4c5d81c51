package api

import (
	"encoding/json"
	"time"

	"penstock/order"
	"penstock/order/payment"
	"penstock/sale"
	"penstock/stock/driver"
)

// Page is one page of a list. Next goes into ?cursor= for the page after it; "" means that there is none.
type Page[T any] struct {
	Items []T    `json:"items" nullable:"false"`
	Next  string `json:"next" doc:"cursor of the next page; empty at the end"`
}

// Order is an order as its buyer sees it.
type Order struct {
	ID             string          `json:"id"`
	Sale           string          `json:"sale"`
	Items          []driver.Line   `json:"items" nullable:"false"`
	State          order.State     `json:"state" enum:"accepted,pending_payment,paid,fulfilled,cancelled,expired,refunded"`
	Amount         int64           `json:"amount" doc:"minor units of currency"`
	Currency       string          `json:"currency"`
	RefundedAmount int64           `json:"refundedAmount" doc:"minor units of currency"`
	CreatedAt      time.Time       `json:"createdAt"`
	PayBefore      time.Time       `json:"payBefore"`
	Version        int64           `json:"version"`
	Delivery       json.RawMessage `json:"delivery,omitempty" doc:"opaque object of the shop"`
	Events         []OrderEvent    `json:"events" nullable:"false"`
}

// OrderEvent is one step in an order's life.
type OrderEvent struct {
	N    int64       `json:"n"`
	At   time.Time   `json:"at"`
	From order.State `json:"from"`
	To   order.State `json:"to"`
	Why  string      `json:"why"`
}

// OperatorOrder is an order as operators see it. Shard and Table are -1 while the order is read from its claim.
type OperatorOrder struct {
	Order
	User  string `json:"user"`
	Key   string `json:"key"`
	Shard int    `json:"shard"`
	Table int    `json:"table"`
}

// Payment is one try to pay an order.
type Payment struct {
	ID       string        `json:"id"`
	Order    string        `json:"order"`
	State    payment.State `json:"state" enum:"pending,captured,failed,refunding,refunded,mismatch"`
	Provider string        `json:"provider"`
	Amount   int64         `json:"amount" doc:"minor units of currency"`
	Currency string        `json:"currency"`
	Reason   string        `json:"reason,omitempty" doc:"why it failed, as far as the provider tells"`
}

// StockLevel is one stock row: offered − withdrawn = available + held + sold.
type StockLevel struct {
	Sale      string `json:"sale"`
	SKU       string `json:"sku"`
	Offered   int64  `json:"offered"`
	Available int64  `json:"available"`
	Held      int64  `json:"held"`
	Sold      int64  `json:"sold"`
	Withdrawn int64  `json:"withdrawn"`
	Version   int64  `json:"version"`
}

// SaleDetail is a sale as operators see it, with its stock.
type SaleDetail struct {
	sale.Detail
	Stock []StockLevel `json:"stock" nullable:"false"`
}

// moment writes a time as the attempt path does: UTC, milliseconds.
func moment(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

func wireOrder(o order.Order) Order {
	out := Order{
		ID: o.ID.String(), Sale: o.Sale, Items: o.Lines, State: o.State, Amount: o.Amount, Currency: o.Currency, RefundedAmount: o.Refunded,
		CreatedAt: moment(o.CreatedAt), PayBefore: moment(o.PayBefore), Version: o.Version, Events: make([]OrderEvent, 0, len(o.Events)),
	}
	if out.Items == nil {
		out.Items = []driver.Line{}
	}
	if json.Valid(o.Delivery) {
		out.Delivery = o.Delivery
	}
	for _, e := range o.Events {
		out.Events = append(out.Events, OrderEvent{N: e.N, At: moment(e.At), From: e.From, To: e.To, Why: e.Why})
	}
	return out
}

func operatorOrder(o order.Order) OperatorOrder {
	return OperatorOrder{Order: wireOrder(o), User: o.User, Key: o.Key, Shard: o.Shard, Table: o.Table}
}

func wirePayment(p payment.Payment) Payment {
	return Payment{ID: p.ID.String(), Order: p.Order.String(), State: p.State, Provider: p.Provider, Amount: p.Amount, Currency: p.Currency, Reason: p.Why}
}

func wireLevel(s driver.Stock) StockLevel {
	return StockLevel{
		Sale: s.Sale, SKU: s.SKU, Offered: s.Offered, Available: s.Available, Held: s.Held, Sold: s.Sold, Withdrawn: s.Withdrawn, Version: s.Version,
	}
}

func wireDetail(d sale.Detail) SaleDetail {
	d.View = wireView(d.View)
	return SaleDetail{Detail: d, Stock: each(d.Levels, wireLevel)}
}

func wireView(v sale.View) sale.View {
	v.StartsAt, v.EndsAt, v.ServerTime = moment(v.StartsAt), moment(v.EndsAt), moment(v.ServerTime)
	if v.Items == nil {
		v.Items = []sale.ItemView{}
	}
	return v
}

// each maps a list; the result is never nil.
func each[A, B any](in []A, f func(A) B) []B {
	out := make([]B, 0, len(in))
	for _, a := range in {
		out = append(out, f(a))
	}
	return out
}
