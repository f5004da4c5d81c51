package check

import (
	"github.com/cespare/xxhash/v2"

	"penstock/check/ndjson"
	"penstock/internal/ident"
)

// paymentLine is one line of the payments export. captured and refunded are -1 when the line does not say.
type paymentLine struct {
	id, order                  ident.ID
	provider, ref, state       string
	currency                   string
	amount, captured, refunded int64
	late                       bool
	told                       bool  // the line has its refunds
	back, asked                int64 // what of them went back, and was asked for
}

func (l *paymentLine) field(name []byte, v ndjson.Value) (err error) {
	switch string(name) {
	case "id":
		l.id, err = ident.Parse(v.Text())
	case "order":
		l.order, err = ident.Parse(v.Text())
	case "provider":
		l.provider = v.Text()
	case "providerRef":
		l.ref = v.Text()
	case "state":
		l.state = v.Text()
	case "currency":
		l.currency = v.Text()
	case "late":
		l.late = string(v.Bytes()) == "true"
	case "refunds":
		l.told = true
		err = ndjson.Elements(v, l.refund)
	case "amount":
		l.amount, err = v.Int()
	case "captured":
		l.captured, err = v.Int()
	case "refunded":
		l.refunded, err = v.Int()
	}
	return err
}

// refund adds a refund of the payment.
func (l *paymentLine) refund(v ndjson.Value) error {
	var amount int64
	var state string
	var asked, aside bool
	err := ndjson.Fields(v, func(name []byte, v ndjson.Value) (err error) {
		switch string(name) {
		case "amount":
			amount, err = v.Int()
		case "state":
			state = v.Text()
		case "asked":
			asked = v.True()
		case "aside":
			aside = v.True()
		}
		return err
	})
	if state != "paid_back" && state != "refunded" || aside {
		return err
	}
	l.back += amount
	if asked {
		l.asked += amount
	}
	return err
}

func (w *world) payment(line []byte) error {
	l := paymentLine{captured: -1, refunded: -1}
	if err := ndjson.Fields(line, l.field); err != nil {
		return err
	}
	if l.order == 0 {
		return errNoID
	}
	w.counts["payments"]++
	w.tally.ran("I8", 1)
	if l.ref != "" {
		h := mix(xxhash.Sum64String(l.provider), xxhash.Sum64String(l.ref))
		if _, twice := w.refs[h]; twice {
			w.tally.bad("I8", "transaction %s of %s occurs twice, once in payment %v", l.ref, l.provider, l.id)
		}
		w.refs[h] = struct{}{}
	}
	p, _ := w.buys.get(l.order)
	if p.orders > 0 && l.amount != p.amount {
		w.tally.bad("I8", "payment %v asks for %d, order %v costs %d", l.id, l.amount, l.order, p.amount)
	}
	if l.told {
		if l.refunded >= 0 && l.refunded != l.back {
			w.tally.bad("I8", "payment %v says that %d was given back, its refunds add up to %d", l.id, l.refunded, l.back)
		}
		p.refunds, p.asked = true, p.asked+l.asked
	}
	w.paidFromBalance(&l)
	w.settle(&l, p)
	return nil
}

// settle adds the payment's money to its order.
func (w *world) settle(l *paymentLine, p *purchase) {
	switch l.state {
	case "captured", "refunding", "refunded":
		if l.captured < 0 {
			l.captured = l.amount
		}
		if l.refunded < 0 {
			l.refunded = 0
			if l.state == "refunded" {
				l.refunded = l.captured
			}
		}
		if l.late && l.state == "captured" {
			p.waits = true
			w.counts["operatorCases"]++
		}
		p.captured += l.captured
		p.refunded += l.refunded
		p.refund = p.refund || l.state == "refunding"
		if l.refunded > l.captured || l.refunded < 0 {
			w.tally.bad("I8", "payment %v gave back %d of %d", l.id, l.refunded, l.captured)
		}
	case "mismatch":
		p.mismatch = true
		w.counts["operatorCases"]++
	case "pending", "failed":
	default:
		w.tally.bad("I8", "payment %v has state %q", l.id, l.state)
	}
}
