package driver

import (
	"time"

	"penstock/internal/ident"
	"penstock/stock/driver"
)

// State is the state of an order.
//
//	accepted ─► pending_payment ─► paid ─► fulfilled
//	   │               │            │          │
//	   └───────┬───────┘            └────┬─────┘
//	           ▼                         ▼
//	  cancelled | expired             refunded
//
// Every edge out of accepted and pending_payment, and every refund that returns stock, is decided by the claim in the stock
// database; the order follows. The other edges are compare-and-sets on the order's version.
type State string

// Order states.
const (
	Accepted       State = "accepted"
	PendingPayment State = "pending_payment"
	Paid           State = "paid"
	Fulfilled      State = "fulfilled"
	Cancelled      State = "cancelled"
	Expired        State = "expired"
	Refunded       State = "refunded"
)

// Order is an order as its shard keeps it. Amounts are minor units of Currency.
type Order struct {
	ID        ident.ID
	User      string
	Sale      string
	Key       string
	Lines     []driver.Line
	State     State
	Amount    int64
	Currency  string
	Refunded  int64
	CreatedAt time.Time
	PayBefore time.Time
	// Version counts the events: the n-th event made version n.
	Version int64
	// Delivery is opaque JSON of the shop, or nil.
	Delivery []byte
	Trace    string
	Events   []Event
	// Shard and Table say where the row is; -1 while the order is still read from its claim.
	Shard, Table int
}

// Event is one step in an order's life. Events of an order are numbered 1..n without gap.
type Event struct {
	N    int64
	At   time.Time
	From State // "" for the first
	To   State
	Why  string
	Who  string // "" for the owner's and the machine's own steps; never shown to a buyer
}

// OrderEvent is an event with the order it belongs to.
type OrderEvent struct {
	Order ident.ID
	Event
}

// Nanos returns the moment n nanoseconds after 1970.
func Nanos(n int64) time.Time { return time.Unix(0, n).UTC() }
