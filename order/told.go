package order

import (
	"encoding/json"
	"strconv"
	"time"

	bus "penstock/bus/driver"
	"penstock/internal/ident"
	store "penstock/order/driver"
)

// Topic carries what became of orders. Each step that others may have to act on is a message, written in the step's own
// transaction and in order per order. That an order was accepted is stock.held; a refund of a part is no step, and told by the
// payments.
const (
	Topic          = "orders"
	EventPaid      = "order.paid"
	EventFulfilled = "order.fulfilled"
	EventCancelled = "order.cancelled"
	EventExpired   = "order.expired"
	EventRefunded  = "order.refunded"
)

// EventTypes returns the types of messages of Topic; the caller may keep the slice.
func EventTypes() []string {
	return []string{EventPaid, EventFulfilled, EventCancelled, EventExpired, EventRefunded}
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

// Told is the payload of a message of Topic, version 1: the order as it is after the step. Amounts are minor units of Currency.
// Version is the number of the step among the events of the order.
type Told struct {
	V        int       `json:"v"`
	Order    string    `json:"order"`
	User     string    `json:"user"`
	Sale     string    `json:"sale"`
	From     State     `json:"from"`
	State    State     `json:"state"`
	Version  int64     `json:"version"`
	Amount   int64     `json:"amount"`
	Currency string    `json:"currency"`
	Refunded int64     `json:"refunded"`
	Why      string    `json:"why,omitempty"`
	At       time.Time `json:"at"`
}

// tell adds the messages of an update's steps. A message's id is made of the order and the number of the step.
func tell(id ident.ID, now store.Current, trace string, u store.Update) store.Update {
	for i, s := range u.Steps {
		from := now.State
		now = now.After(store.Update{Refunded: u.Refunded, Steps: u.Steps[i : i+1]})
		kind := eventType(s.To)
		if kind == "" {
			continue
		}
		at := store.Nanos(s.At)
		payload, err := json.Marshal(Told{
			V: 1, Order: id.String(), User: now.User, Sale: now.Sale, From: from, State: now.State, Version: now.Version,
			Amount: now.Amount, Currency: now.Currency, Refunded: now.Refunded, Why: s.Why, At: at,
		})
		if err != nil {
			continue // a Told has no value that JSON cannot say
		}
		headers := map[string]string{"source": "penstock/" + Topic, "timestamp": strconv.FormatInt(at.UnixMilli(), 10)}
		if trace != "" {
			headers[traceHeader] = trace
		}
		u.Messages = append(u.Messages, bus.Message{
			ID: "order-" + id.String() + "-" + strconv.FormatInt(now.Version, 10), Topic: Topic, User: now.User, Key: id.String(),
			Type: kind, Payload: payload, Headers: headers, At: at,
		})
	}
	return u
}
