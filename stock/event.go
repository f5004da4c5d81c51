package stock

import (
	"encoding/json"
	"fmt"
	"time"

	"penstock/internal/ident"
	"penstock/stock/driver"
)

// Topic carries what happened to claims, and the types say what. They are the only messages that create or move orders.
const (
	Topic         = "stock"
	EventHeld     = "stock.held"
	EventSold     = "stock.sold"
	EventReleased = "stock.released"
)

// Event is the payload of a message about a claim, version 1. Amounts are minor units.
type Event struct {
	Order     string        `json:"order"`
	User      string        `json:"user"`
	Sale      string        `json:"sale"`
	Key       string        `json:"key"`
	Items     []driver.Line `json:"items"`
	Amount    int64         `json:"amount"`
	Currency  string        `json:"currency"`
	HeldAt    time.Time     `json:"heldAt"`
	PayBefore time.Time     `json:"payBefore"`
	ReleaseAt time.Time     `json:"releaseAt"`
	// At is when this event happened; Why explains a release: "expired", "cancelled", "refunded".
	At  time.Time `json:"at"`
	Why string    `json:"why,omitempty"`
	// Entry is the entry of the waiting list that the claim was made for; "" for an attempt of a buyer.
	Entry string `json:"entry,omitempty"`
}

// EventOf describes a claim at the moment of an event.
func EventOf(a *driver.Attempt, at time.Time, why string) Event {
	entry, _ := EntryOf(a.Key.Key)
	return Event{
		Entry: entry,
		Order: a.ID.String(), User: a.Key.User, Sale: a.Key.Sale, Key: a.Key.Key, Items: a.Lines, Amount: a.Amount,
		Currency: a.Currency, HeldAt: a.At, PayBefore: a.PayBefore, ReleaseAt: a.ReleaseAt, At: at, Why: why,
	}
}

// ParseEvent reads a payload. An error means that the message can never be handled (a poison message).
func ParseEvent(payload []byte) (Event, ident.ID, error) {
	var e Event
	if err := json.Unmarshal(payload, &e); err != nil {
		return e, 0, fmt.Errorf("payload is not a stock event: %w", err)
	}
	id, err := ident.Parse(e.Order)
	if err != nil {
		return e, 0, fmt.Errorf("stock event names no order: %w", err)
	}
	if e.User == "" || len(e.Items) == 0 {
		return e, 0, fmt.Errorf("stock event of order %s has no user or no items", e.Order)
	}
	return e, id, nil
}
