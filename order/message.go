package order

import (
	"fmt"

	"penstock/bus"
	busdriver "penstock/bus/driver"
	"penstock/internal/ident"
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
	e.seed.trace = m.Headers[traceHeader]
	c.id, c.to, c.at, c.own = e.id, to, e.at, e.seed
	c.seed = &c.own
	if claim == driver.Held {
		c.at = now
	} else {
		c.why = e.why
	}
	return nil
}

func eventOf(e stock.Event, id ident.ID) event {
	return event{id: id, at: e.At.UnixNano(), why: e.Why, seed: seed{
		user: e.User, sale: e.Sale, key: e.Key, items: lines(e.Items), currency: e.Currency,
		amount: e.Amount, created: e.HeldAt.UnixNano(), payBefore: e.PayBefore.UnixNano(),
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
