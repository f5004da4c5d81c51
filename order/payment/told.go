package payment

import (
	"encoding/json"
	"strconv"
	"time"

	"penstock/bus"
	"penstock/bus/driver"
	"penstock/internal/ident"
)

// Topic carries what became of money. Each message is written in the transaction that makes it true, in order per order.
const (
	Topic = "payments"
	// EventCaptured: the provider took the money of a payment, once per payment. State says whether it pays the order ("captured"),
	// goes back because another payment did ("refunding"), or waits for an operator because it is not what was asked ("mismatch").
	EventCaptured = "payment.captured"
	// EventFailed: the provider took nothing. Should it take it after all, EventCaptured follows.
	EventFailed = "payment.failed"
	// EventRefunded: money of a captured payment is back with the buyer, wholly or in part, once per refund.
	EventRefunded = "payment.refunded"
)

// EventTypes returns the types of messages of Topic; the caller may keep the slice.
func EventTypes() []string { return []string{EventCaptured, EventFailed, EventRefunded} }

// Told is the payload of a message of Topic, version 1: the payment as it is then. Amounts are minor units of Currency.
type Told struct {
	V        int    `json:"v"`
	Payment  string `json:"payment"`
	Order    string `json:"order"`
	User     string `json:"user"`
	Provider string `json:"provider"`
	State    State  `json:"state"`
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
	Captured int64  `json:"captured"`
	Refunded int64  `json:"refunded"`
	// Why is the provider's reason of a failure, if it told one.
	Why    string      `json:"why,omitempty"`
	Refund *ToldRefund `json:"refund,omitempty"`
	At     time.Time   `json:"at"`
}

// ToldRefund is the refund that a message tells of. Returned says that the units go back on sale.
type ToldRefund struct {
	ID       string `json:"id"`
	Amount   int64  `json:"amount"`
	Returned bool   `json:"returned"`
	Why      string `json:"why,omitempty"`
}

// say publishes what became of a payment, or of a refund of it, in the transaction of the order's slot. The id of the message is
// made of the payment or refund and of what is told, which happens once.
func (p *Payments) say(tx Tx, kind string, r row, refund *refundRow) error {
	now := p.o.Clock.Now().UTC()
	told := Told{
		V: 1, Payment: r.ID.String(), Order: r.Order.String(), User: r.User, Provider: r.Provider, State: r.State, Amount: r.Amount,
		Currency: r.Currency, Captured: r.Captured, Refunded: r.Refunded, At: now,
	}
	about, trace := r.ID, r.trace
	switch {
	case refund != nil:
		told.Refund = &ToldRefund{ID: refund.id.String(), Amount: refund.amount, Returned: refund.returned, Why: refund.why}
		about, trace = refund.id, refund.trace
	case kind == EventFailed:
		told.Why = r.Why
	}
	payload, err := json.Marshal(told)
	if err != nil {
		return err
	}
	headers := map[string]string{"source": "penstock/" + Topic, "timestamp": strconv.FormatInt(now.UnixMilli(), 10)}
	if trace != "" {
		headers["traceparent"] = trace
	}
	return bus.PublishTx(tx, driver.Message{
		ID: kind + "-" + about.String(), Topic: Topic, User: r.User, Key: r.Order.String(), Type: kind, Payload: payload, Headers: headers, At: now,
	})
}

// sayRefunded publishes a refund whose money is back.
func (p *Payments) sayRefunded(tx Tx, payment ident.ID, rf refundRow) error {
	r, err := load(tx, payment)
	if err != nil {
		return err
	}
	return p.say(tx, EventRefunded, r, &rf)
}
