package order

import (
	"fmt"

	"penstock/errs"
)

// apply makes one change inside the running transaction. A refusal (see refused) has written nothing; after any other error
// the transaction has to be rolled back.
func (s *statements) apply(c *change) error {
	if c.seed != nil && c.to == PendingPayment {
		return s.insert(c, c.at)
	}
	cur, found, err := s.get(int64(c.id), c.table)
	if err != nil {
		return err
	}
	if !found {
		if c.seed == nil {
			return notFound(c.id)
		}
		if err = s.insert(c, c.at); err != nil {
			return err
		}
		cur = current{state: PendingPayment, version: 2, changed: max(c.seed.created, c.at), amount: c.seed.amount}
	}
	if c.refund != nil {
		return s.refund(c, cur)
	}
	steps, err := path(cur.state, c.to)
	if err != nil {
		return err
	}
	for _, to := range steps {
		if err = s.step(c, &cur, to); err != nil {
			return err
		}
	}
	return nil
}

// refused reports whether an error is the answer to this change alone.
func refused(err error) bool {
	switch errs.CodeOf(err) {
	case errs.IllegalTransition, errs.NotFound, errs.RefundTooLarge:
		return true
	}
	return false
}

// insert makes the row and its first two events, or nothing if the row is there.
func (s *statements) insert(c *change, written int64) error {
	st, err := s.ready(&s.byTable[c.table].insert, insertRow, c.table)
	if err != nil {
		return err
	}
	written = max(written, c.seed.created)
	id, created, at := any(int64(c.id)), any(c.seed.created), any(written)
	a := &s.args
	a[0].Value, a[1].Value, a[2].Value, a[3].Value, a[4].Value = id, c.seed.user, c.seed.sale, c.seed.key, c.seed.items
	a[5].Value, a[6].Value, a[7].Value, a[8].Value = c.seed.amount, c.seed.currency, created, c.seed.payBefore
	a[9].Value, a[10].Value = at, c.seed.trace
	n, err := s.exec(st, 11)
	if err != nil || n == 0 {
		return err
	}
	if st, err = s.ready(&s.first, firstSteps, -1); err != nil {
		return err
	}
	a[0].Value, a[1].Value, a[2].Value, a[3].Value = id, created, id, at
	if _, err = s.exec(st, 4); err != nil {
		return err
	}
	c.created = true
	c.step(Accepted, PendingPayment)
	return nil
}

// step takes the order to the next state: a compare-and-set on the version and the event of the same number. Times of events
// never go back.
func (s *statements) step(c *change, cur *current, to State) error {
	at := max(c.at, cur.changed)
	if err := s.update(c, cur, to, cur.version+1, at); err != nil {
		return err
	}
	st, err := s.ready(&s.next, nextStep, -1)
	if err != nil {
		return err
	}
	a := &s.args
	a[0].Value, a[1].Value, a[2].Value, a[3].Value = int64(c.id), cur.version+1, at, string(cur.state)
	a[4].Value, a[5].Value, a[6].Value = string(to), c.why, c.who
	if _, err = s.exec(st, 7); err != nil {
		return err
	}
	c.step(cur.state, to)
	cur.state, cur.version, cur.changed = to, cur.version+1, at
	return nil
}

func (s *statements) update(c *change, cur *current, to State, version, at int64) error {
	st, err := s.ready(&s.byTable[c.table].update, updateRow, c.table)
	if err != nil {
		return err
	}
	a := &s.args
	a[0].Value, a[1].Value, a[2].Value, a[3].Value = string(to), version, at, cur.refunded
	a[4].Value, a[5].Value = int64(c.id), cur.version
	n, err := s.exec(st, 6)
	if err == nil && n != 1 {
		err = fmt.Errorf("order %s left version %d during the transaction", c.id, cur.version)
	}
	return err
}

// refund raises the refunded amount of an order that was paid, and moves it on when nothing is left or the stock went back.
func (s *statements) refund(c *change, cur current) error {
	switch cur.state {
	case Paid, Fulfilled, Refunded:
	default:
		return illegal(cur.state, Refunded)
	}
	if c.refund.amount > cur.amount-cur.refunded {
		return errs.New(errs.RefundTooLarge, "%d is more than the %d that are left to refund", c.refund.amount, cur.amount-cur.refunded)
	}
	cur.refunded += c.refund.amount
	if cur.state != Refunded && (cur.refunded == cur.amount || c.refund.returned) {
		return s.step(c, &cur, Refunded)
	}
	return s.update(c, &cur, cur.state, cur.version, cur.changed)
}
