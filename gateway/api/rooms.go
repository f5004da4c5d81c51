package api

import (
	"context"
	"io"
	"net/http"

	messages "penstock/bus"
	bus "penstock/bus/driver"
	"penstock/internal/ident"
	"penstock/order"
	"penstock/order/payment"
	"penstock/reconcile"
	"penstock/sale"
	"penstock/stock"
	"penstock/stock/driver"
)

// Sales is what the calls about sales and attempts need.
type Sales interface {
	List(ctx context.Context) ([]sale.View, error)
	View(ctx context.Context, id string) (sale.View, error)
	// Lookup finds what a key is bound to; false means not executed so far.
	Lookup(ctx context.Context, saleID, user, key string) (stock.Answer, bool, error)
	Why(ctx context.Context, saleID, user, key string) (sale.Why, error)

	Details(ctx context.Context) ([]sale.Detail, error)
	Detail(ctx context.Context, id string) (sale.Detail, error)
	Create(ctx context.Context, who string, d sale.Definition) (sale.Detail, error)
	// Patch and Act record who did it and why. version is the one the operator saw.
	Patch(ctx context.Context, who, id string, version int64, p sale.Patch) (sale.Detail, error)
	Act(ctx context.Context, who, id string, a sale.Action, reason string) (sale.Detail, error)
	// Offer adds (delta > 0) or withdraws units. key makes a repeat harmless; "" means no key.
	Offer(ctx context.Context, who, id, sku string, delta int64, key, reason string) (driver.Stock, error)
	// Levels returns one snapshot of the stock rows of a sale, or of all sales for "".
	Levels(ctx context.Context, id string) ([]driver.Stock, error)
}

// Orders is what the calls about orders need. A user of "" means an operator, who may see and touch every order.
type Orders interface {
	Get(ctx context.Context, user string, id ident.ID) (order.Order, error)
	// List pages through a user's orders, newest first (an operator's "" lists all). cursor "" starts; next "" ends.
	List(ctx context.Context, user, cursor string, limit int) (orders []order.Order, next string, err error)
	Cancel(ctx context.Context, user string, id ident.ID, who, why, trace string) (order.Order, error)
	Fulfil(ctx context.Context, id ident.ID, who, why string) (order.Order, error)
}

// Payments is what the calls about money need.
type Payments interface {
	Begin(ctx context.Context, b payment.Begin) (p payment.Payment, replayed bool, err error)
	// Callback verifies and applies what a provider reports.
	Callback(ctx context.Context, provider string, header http.Header, body []byte) error
	// Refund gives money back; a user of "" is an operator.
	Refund(ctx context.Context, r payment.Refund) (o order.Order, replayed bool, err error)
}

// DeadLetters is what the operator's calls about dead letters need.
type DeadLetters interface {
	List(ctx context.Context, f bus.Filter, after int64, limit int) ([]bus.DeadLetter, error)
	Get(ctx context.Context, id int64) (*bus.DeadLetter, error)
	Replay(ctx context.Context, who string, id int64, reason string) error
	Discard(ctx context.Context, who string, id int64, reason string) error
	// Edit sends a new message in place of a dead one.
	Edit(ctx context.Context, who string, id int64, e messages.Edit) (bus.Message, error)
	// ReplayAll and DiscardAll do a batch; the caller calls again until it is done.
	ReplayAll(ctx context.Context, who string, b messages.Bulk) (messages.Progress, error)
	DiscardAll(ctx context.Context, who string, b messages.Bulk) (messages.Progress, error)
}

// Export writes one NDJSON export ("orders", "order-events", "claims", "stock-ledger", "waiting", "payments", "outbox", "dead-letters",
// "audit") in stable order, up to what was committed when the call began, reading in short pages.
type Export interface {
	Write(ctx context.Context, name string, w io.Writer) error
}

// Drained tells what is in flight, by name; all zero means drained.
type Drained func(ctx context.Context) (map[string]int64, error)

// Reconcile compares the stock database, the journal, the orders and the gate, and says where they differ.
type Reconcile interface {
	Report(ctx context.Context) (reconcile.Report, error)
	// Repair mends what is safe to mend and returns what it found, with what it mended.
	Repair(ctx context.Context, who, reason string) (reconcile.Report, error)
}

// Audit pages through the trail, oldest first.
type Audit interface {
	Audit(ctx context.Context, after uint64, limit int) ([]driver.Audit, error)
}
