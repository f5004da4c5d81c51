package check

import (
	"fmt"

	"penstock/check/ndjson"
	"penstock/internal/ident"
)

// claimLine is one line of the claims export: one SKU of one purchase. The attempt is another id than the order's where late
// money claimed the units of an expired order again.
type claimLine struct {
	attempt, order               ident.ID
	user, sale, sku, key, state  string
	currency                     string
	quantity, payBefore, release int64
	price                        int64 // -1 when the line does not say
}

func (c *claimLine) field(name []byte, v ndjson.Value) (err error) {
	switch string(name) {
	case "attempt":
		c.attempt, err = ident.Parse(v.Text())
	case "order":
		c.order, err = ident.Parse(v.Text())
	case "user":
		c.user = v.Text()
	case "sale":
		c.sale = v.Text()
	case "sku":
		c.sku = v.Text()
	case "key":
		c.key = v.Text()
	case "state":
		c.state = v.Text()
	case "currency":
		c.currency = v.Text()
	case "price":
		c.price, err = v.Int()
	case "quantity":
		c.quantity, err = v.Int()
	case "payBefore":
		c.payBefore, err = v.Nanos()
	case "releaseAt":
		c.release, err = v.Nanos()
	}
	return err
}

func (w *world) claim(line []byte) error {
	c := claimLine{price: -1}
	if err := ndjson.Fields(line, c.field); err != nil {
		return err
	}
	if c.order == 0 {
		return errNoID
	}
	state, ok := claimStates[c.state]
	if !ok {
		return fmt.Errorf("claim of order %v has state %q", c.order, c.state)
	}
	if c.attempt == 0 {
		c.attempt = c.order
	}
	w.counts["claims"]++
	at := w.shelfAt(c.sale, c.sku)
	p, n := w.buys.get(c.attempt)
	if p.hasClaim && p.state != state {
		w.tally.bad("I2", "order %v has claims both %v and %v", c.order, p.state, state)
	}
	if !p.hasClaim {
		p.hasClaim, p.state, p.sale, p.releaseAt = true, state, at, c.release
		p.user = canonical([]byte(c.user))
		p.key = scoped(c.sale, []byte(c.user), []byte(c.key))
		p.tx = transactionOf(c.key)
		w.bind(p, n)
		if c.order != c.attempt {
			p.again = c.order
			w.late = append(w.late, n)
		}
	}
	p.claimed += lineHash(at, c.quantity)
	sh := w.shelves[at]
	w.priced(&c, p, sh)
	sh.claimed++
	switch state {
	case claimHeld:
		sh.claims.held += c.quantity
	case claimSold:
		sh.claims.sold += c.quantity
	}
	return nil
}

// priced adds up what a claim is to cost. The price was fixed at the hold: it is the sale's.
func (w *world) priced(c *claimLine, p *purchase, sh *shelf) {
	if c.price < 0 {
		return
	}
	p.priced, p.due = true, p.due+c.price*c.quantity
	if sh.sold && (c.price != sh.price || c.currency != sh.currency) {
		w.tally.bad("I8", "the claim of order %v has %s at %d %s, the sale says %d %s", c.order, c.sku, c.price, c.currency, sh.price, sh.currency)
	}
}

// bind records which purchase a key won. A key that won twice breaks I4.
func (w *world) bind(p *purchase, n uint32) {
	if other, ok := w.byKey[p.key]; ok {
		w.tally.bad("I4", "one key won two orders: %v and %v", w.buys.at(other).id, p.id)
		return
	}
	w.byKey[p.key] = n
}
