package order

import store "penstock/order/driver"

// The words of the port, so that users of this package need not know it.
type (
	// State is the state of an order.
	State = store.State
	// Order is an order as its shard keeps it.
	Order = store.Order
	// Event is one step in an order's life.
	Event = store.Event
)

// Order states.
const (
	Accepted       = store.Accepted
	PendingPayment = store.PendingPayment
	Paid           = store.Paid
	Fulfilled      = store.Fulfilled
	Cancelled      = store.Cancelled
	Expired        = store.Expired
	Refunded       = store.Refunded
)
