package order

import (
	"encoding/json"
	"strconv"

	"penstock/errs"
	store "penstock/order/driver"
	"penstock/stock"
	"penstock/stock/driver"
)

// change is what one order has to become.
type change struct {
	store.Change
	own store.Seed // where Seed of a message points, so that a batch of messages is one allocation
	// to is where the order goes. A claim has gone there already, so that the order catches up with it by as many steps as it
	// takes; path has no more than one step to where only an act leads.
	to State
	// at is the time of the step, in nanoseconds since 1970.
	at       int64
	why, who string
	refund   *Refund
	// wrong is the state that a row must have for its state to become to, without a step.
	wrong State
	// late says that the claim was made for late money of an order that had expired.
	late bool

	moved [4]Edge
	moves int
	err   error
	told  bool // it has messages
	bad   bool // taken out of its batch, for err
	msg   int  // its place among the messages
	wait  *waiting
}

func (c *change) step(from, to State) {
	c.moved[c.moves] = Edge{from, to}
	c.moves++
}

// seedOf makes the row of a claim.
func seedOf(a *driver.Attempt) *store.Seed {
	return &store.Seed{
		User: a.Key.User, Sale: a.Key.Sale, Key: a.Key.Key, Items: lines(a.Lines), Currency: a.Currency, Trace: a.Trace,
		Amount: a.Amount, Created: a.At.UnixNano(), PayBefore: a.PayBefore.UnixNano(),
	}
}

// follow lets the change be about the order that follows the claim with this key. A claim made for late money has no row of its
// own to make.
func (c *change) follow(key string) {
	if of := stock.OrderOfKey(c.ID, key); of != c.ID {
		c.own.User = c.Seed.User
		c.ID, c.Seed, c.late = of, nil, true
	}
}

// owner is the user whose order has moved, or "" where only the row knows.
func (c *change) owner() string {
	if c.Seed == nil {
		return c.own.User
	}
	return c.Seed.User
}

// trace is the W3C traceparent of what caused the change, as far as it is known.
func (c *change) trace() string {
	if c.Seed == nil {
		return ""
	}
	return c.Seed.Trace
}

// own reports whether a claim is an order of its own.
func own(a *driver.Attempt) bool { return a.Won() && stock.OrderOf(a) == a.ID }

// target is the state that an order takes after its claim.
func target(claim driver.ClaimState, why string) (State, error) {
	switch claim {
	case driver.Held:
		return PendingPayment, nil
	case driver.Sold:
		return Paid, nil
	case driver.Released:
		switch why {
		case stock.WhyCancelled:
			return Cancelled, nil
		case stock.WhyExpired:
			return Expired, nil
		case stock.WhyRefunded:
			return Refunded, nil
		}
		return "", errs.New(errs.Internal, "a claim was released for a reason no order knows: %q", why)
	}
	return "", errs.New(errs.Internal, "a claim in state %q has no order", claim)
}

// lines writes items as JSON, byte for byte what encoding/json writes.
func lines(items []driver.Line) string {
	b := make([]byte, 0, 64*len(items)+2)
	b = append(b, '[')
	for i, l := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"sku":`...)
		b = appendString(b, l.SKU)
		b = append(b, `,"quantity":`...)
		b = strconv.AppendInt(b, l.Quantity, 10)
		b = append(b, `,"price":`...)
		b = strconv.AppendInt(b, l.Price, 10)
		b = append(b, '}')
	}
	return string(append(b, ']'))
}

func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(s) // a string always has a JSON form
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
