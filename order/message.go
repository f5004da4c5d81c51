package order

import (
	"fmt"

	"penstock/bus"
	busdriver "penstock/bus/driver"
	"penstock/internal/ident"
	store "penstock/order/driver"
	"penstock/stock"
	"penstock/stock/driver"
)

// traceHeader carries the W3C traceparent of what caused a message.
const traceHeader = "traceparent"

// read makes the change that a message asks for. now is the time of writing, in nanoseconds since 1970.
func (c *change) read(m *busdriver.Message, now int64) error {
	claim, known := claimAfter(m.Type)
	if !known {
		return fmt.Errorf("%w: no order follows a message of type %q", bus.ErrPoison, m.Type)
	}
	e, ok := readEvent(m.Payload)
	if !ok {
		slow, id, err := stock.ParseEvent(m.Payload)
		if err != nil {
			return fmt.Errorf("%w: %w", bus.ErrPoison, err)
		}
		e = eventOf(slow, id)
	}
	to, err := target(claim, e.why)
	if err != nil {
		return fmt.Errorf("%w: order %s: %w", bus.ErrPoison, e.id, err)
	}
	e.seed.Trace = m.Headers[traceHeader]
	c.ID, c.to, c.at, c.own = e.id, to, e.at, e.seed
	c.Seed = &c.own
	c.follow(e.seed.Key)
	if claim == driver.Held {
		c.at = now
	} else {
		c.why = e.why
	}
	c.plan()
	return nil
}

func eventOf(e stock.Event, id ident.ID) event {
	return event{id: id, at: e.At.UnixNano(), why: e.Why, seed: store.Seed{
		User: e.User, Sale: e.Sale, Key: e.Key, Items: lines(e.Items), Currency: e.Currency,
		Amount: e.Amount, Created: e.HeldAt.UnixNano(), PayBefore: e.PayBefore.UnixNano(),
	}}
}

func claimAfter(kind string) (driver.ClaimState, bool) {
	switch kind {
	case stock.EventHeld:
		return driver.Held, true
	case stock.EventSold:
		return driver.Sold, true
	case stock.EventReleased:
		return driver.Released, true
	}
	return driver.None, false
}
