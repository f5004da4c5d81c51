package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"penstock/internal/ident"
	"penstock/order"
)

// settled is how long a payment must have stood still before it is compared with its order.
const settled = 5 * time.Second

// transactionKey begins the keys of claims that a transaction across services made: their money may be with a participant that is
// no part of this shop, and then there is no payment.
const transactionKey = "·tx:"

// paymentLine is a line of the export of payments.
type paymentLine struct {
	Order              ident.ID `json:"order,string"`
	State              string
	Late               bool
	Captured, Refunded int64
	At                 time.Time
}

// purse is the money of an order.
type purse struct {
	captured, refunded int64
	moving             bool // something is on its way, or an operator has a case about it
}

// comparePayments compares what was captured and given back with what the orders say.
func (l *look) comparePayments(ctx context.Context) error {
	if l.r.Payments == nil {
		return nil
	}
	purses := map[ident.ID]*purse{}
	err := lines(ctx, l.r.Payments, func(p *paymentLine) {
		s := purses[p.Order]
		if s == nil {
			s = &purse{}
			purses[p.Order] = s
		}
		if p.Late { // it pays no order: it goes back, or is a case that an operator decides or has decided
			return
		}
		switch p.State {
		case "captured", "refunded", "refunding": // a bank can take days for a refund: the sums agree all the while
			s.captured, s.refunded = s.captured+p.Captured, s.refunded+p.Refunded
			s.moving = s.moving || p.State == "refunding" || l.at.Sub(p.At) < settled
		case "failed":
		default: // pending, mismatch
			s.moving = true
		}
	})
	if err != nil {
		return err
	}
	for id, o := range l.orders {
		s := purses[id]
		if s == nil {
			s = &purse{}
		}
		d, moving := l.money(o, s)
		if d != nil {
			now, err := l.r.Rows.Stored(ctx, id) // it may have moved since it was read
			if err != nil {
				return err
			}
			if now == nil || now.State != o.state || now.Refunded != o.refunded {
				d = nil
			}
		}
		switch {
		case d == nil:
		case moving != "":
			l.skip(d.Kind, moving)
		default:
			d.Object = orderObject(id)
			l.add(*d)
		}
		delete(purses, id)
	}
	for id, s := range purses {
		if s.captured > s.refunded && l.claims[id] == nil && !s.moving && !l.misplaced[id] {
			l.add(Difference{Kind: KindMoney, Object: orderObject(id), Expected: "an order for the money", Found: fmt.Sprintf("%d kept, and neither order nor claim", s.captured-s.refunded)})
		}
	}
	return nil
}

// money compares an order with its purse. moving says why a difference is not to be listed yet.
func (l *look) money(o *seenOrder, s *purse) (d *Difference, moving string) {
	kept := s.captured - s.refunded
	if s.moving {
		moving = "a payment of the order is on its way, is being refunded, or waits as a case; compare again when it has come to rest"
	}
	switch o.state {
	case order.Paid, order.Fulfilled, order.Refunded:
		want := o.amount - o.refunded
		switch {
		case s.captured == 0 && strings.HasPrefix(o.key, transactionKey) || kept == want:
			return nil, ""
		case s.captured < o.amount:
			return &Difference{Kind: KindUnpaid, Expected: fmt.Sprintf("%d captured for an order that is %s", o.amount, o.state), Found: fmt.Sprintf("%d captured", s.captured)}, moving
		}
		return &Difference{Kind: KindMoney, Expected: fmt.Sprintf("%d kept of an order that is %s", want, o.state), Found: fmt.Sprintf("%d captured, %d given back", s.captured, s.refunded)}, moving
	}
	if kept == 0 {
		return nil, ""
	}
	if moving == "" && l.waiting > 0 {
		moving = l.behind()
	}
	return &Difference{Kind: KindMoney, Expected: fmt.Sprintf("no money kept of an order that is %s", o.state), Found: fmt.Sprintf("%d captured, %d given back", s.captured, s.refunded)}, moving
}

// lines reads an export line by line.
func lines[T any](ctx context.Context, export Export, f func(*T)) error {
	in, out := io.Pipe()
	go func() { out.CloseWithError(export(ctx, out)) }()
	defer in.Close()
	for d := json.NewDecoder(in); ; {
		var line T
		err := d.Decode(&line)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		f(&line)
	}
}

// balanceLine is a line of the export of balances.
type balanceLine struct {
	Record, ID, Account, Owner, Currency string
	Slot                                 int
	Balance                              int64
	Entries                              []struct {
		Account, Owner string
		Amount         int64
	}
}

// compareBalances adds up the entries of each account; a book is exported as of one moment.
func (l *look) compareBalances(ctx context.Context) error {
	if l.r.Balances == nil {
		return nil
	}
	type account struct {
		slot                     int
		account, owner, currency string
	}
	sums := map[account]int64{}
	return lines(ctx, l.r.Balances, func(b *balanceLine) {
		if b.Record == "account" {
			key := account{b.Slot, b.Account, b.Owner, b.Currency}
			if sums[key] != b.Balance {
				l.add(Difference{Kind: KindBalance, Object: fmt.Sprintf("balance/%d/%s/%s/%s", b.Slot, b.Account, b.Owner, b.Currency), Expected: fmt.Sprint(sums[key]), Found: fmt.Sprint(b.Balance)})
			}
			delete(sums, key)
			return
		}
		var sum int64
		for _, e := range b.Entries {
			sum += e.Amount
			sums[account{b.Slot, e.Account, e.Owner, b.Currency}] += e.Amount
		}
		if sum != 0 {
			l.add(Difference{Kind: KindBalance, Object: "balance-transaction/" + b.ID, Expected: "entries that add up to 0", Found: fmt.Sprint(sum)})
		}
	})
}
