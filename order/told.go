package order

import (
	"encoding/json"
	"strconv"
	"time"

	bus "penstock/bus/driver"
	store "penstock/order/driver"
)

// Topic carries what became of orders. Each step that others may have to act on is a message, written in the step's own
// transaction and in order per order. That an order was accepted is stock.held. EventRefundCompleted is no step: it is told once for
// each refund, of a part or of all, when its money is back; a step to refunded that it leads to is told before it.
const (
	Topic                = "orders"
	EventPaid            = "order.paid"
	EventFulfilled       = "order.fulfilled"
	EventCancelled       = "order.cancelled"
	EventExpired         = "order.expired"
	EventRefunded        = "order.refunded"
	EventRefundCompleted = "order.refund_completed"
)

// EventTypes returns the types of messages of Topic; the caller may keep the slice.
func EventTypes() []string {
	return []string{EventPaid, EventFulfilled, EventCancelled, EventExpired, EventRefunded, EventRefundCompleted}
}

// eventType is what the step to a state is called, or "" where it is not told.
func eventType(to State) string {
	switch to {
	case Paid:
		return EventPaid
	case Fulfilled:
		return EventFulfilled
	case Cancelled:
		return EventCancelled
	case Expired:
		return EventExpired
	case Refunded:
		return EventRefunded
	}
	return ""
}

// Told is the payload of a message of Topic, version 1: the order as it is after the step. Amounts are minor units of Currency;
// Remaining is Amount - Refunded. Version is the number of the last step among the events of the order. Of a refund From and State are
// the same.
type Told struct {
	V         int         `json:"v"`
	Order     string      `json:"order"`
	User      string      `json:"user"`
	Sale      string      `json:"sale"`
	From      State       `json:"from"`
	State     State       `json:"state"`
	Version   int64       `json:"version"`
	Amount    int64       `json:"amount"`
	Currency  string      `json:"currency"`
	Refunded  int64       `json:"refunded"`
	Remaining int64       `json:"remaining"`
	Refund    *ToldRefund `json:"refund,omitempty"`
	Why       string      `json:"why,omitempty"`
	At        time.Time   `json:"at"`
}

// ToldRefund is the refund that EventRefundCompleted tells of. Returned says that the units went back on sale.
type ToldRefund struct {
	Amount   int64 `json:"amount"`
	Returned bool  `json:"returned"`
}

// tell adds the messages of an update: one for each step that is told, and one for money that went back. A message's id is made of
// the order and the number of the step, or the sum that was refunded then.
func (c *change) tell(now store.Current, u store.Update) store.Update {
	before := now.Refunded
	for i, s := range u.Steps {
		from := now.State
		now = now.After(store.Update{Refunded: u.Refunded, Steps: u.Steps[i : i+1]})
		if kind := eventType(s.To); kind != "" {
			u.Messages = c.publish(u.Messages, kind, now.Version, &Told{From: from, Why: s.Why, At: store.Nanos(s.At)}, now)
		}
	}
	if u.Refunded > before && c.refund != nil {
		now.Refunded = u.Refunded
		told := &Told{From: now.State, Why: c.why, At: store.Nanos(max(c.at, now.Changed)), Refund: &ToldRefund{Amount: u.Refunded - before, Returned: c.refund.Returned}}
		u.Messages = c.publish(u.Messages, EventRefundCompleted, u.Refunded, told, now)
	}
	return u
}

// publish adds a message about the order as it is now; number tells it from others of its kind.
func (c *change) publish(to []bus.Message, kind string, number int64, t *Told, now store.Current) []bus.Message {
	t.V, t.Order, t.User, t.Sale = 1, c.ID.String(), now.User, now.Sale
	t.State, t.Version, t.Amount, t.Currency = now.State, now.Version, now.Amount, now.Currency
	t.Refunded, t.Remaining = now.Refunded, now.Amount-now.Refunded
	payload, err := json.Marshal(t)
	if err != nil {
		return to // a Told has no value that JSON cannot say
	}
	headers := map[string]string{"source": "penstock/" + Topic, "timestamp": strconv.FormatInt(t.At.UnixMilli(), 10)}
	if trace := c.trace(); trace != "" {
		headers[traceHeader] = trace
	}
	id := "order-" + t.Order + "-"
	if kind == EventRefundCompleted {
		id += "refund-"
	}
	return append(to, bus.Message{
		ID: id + strconv.FormatInt(number, 10), Topic: Topic, User: now.User, Key: t.Order, Type: kind, Payload: payload, Headers: headers, At: t.At,
	})
}
