package order

import (
	"encoding/json"
	"strconv"
	"sync"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/stock"
	"penstock/stock/driver"
)

// change is what one order has to become.
type change struct {
	id    ident.ID
	table int
	// seed is what the row is made of if it is missing; nil means that it must be there.
	seed *seed
	own  seed // where seed of a message points, so that a batch of messages is one allocation
	// to is where the order goes. A claim has gone there already, so that the order catches up with it by as many steps as it
	// takes; path has no more than one step to where only an act leads.
	to State
	// at is the time of the step, in nanoseconds since 1970.
	at       int64
	why, who string
	refund   *refund

	created bool
	moved   [3]Edge
	moves   int
	err     error
	bad     bool // taken out of its batch, for err
	done    *sync.WaitGroup
}

// refund raises what was refunded of an order that was paid.
type refund struct {
	amount   int64
	returned bool
}

// seed is a new row.
type seed struct {
	user, sale, key, items, currency, trace string
	amount, created, payBefore              int64
}

func (c *change) reset() { c.created, c.moves, c.err = false, 0, nil }

func (c *change) step(from, to State) {
	c.moved[c.moves] = Edge{from, to}
	c.moves++
}

// seedOf makes the row of a claim.
func seedOf(a *driver.Attempt) *seed {
	return &seed{
		user: a.Key.User, sale: a.Key.Sale, key: a.Key.Key, items: lines(a.Lines), currency: a.Currency, trace: a.Trace,
		amount: a.Amount, created: a.At.UnixNano(), payBefore: a.PayBefore.UnixNano(),
	}
}

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
