package order

import (
	"penstock/errs"
	store "penstock/order/driver"
)

// plan tells the database what it needs to know before it reads the row.
func (c *change) plan() {
	c.Written = c.at
	c.Exist = c.Seed != nil && c.to == PendingPayment && c.refund == nil
}

// next is what becomes of the row that a change finds. An error is the answer to this change alone.
func (c *change) next(now store.Current) (store.Update, error) {
	c.moves, c.err = 0, nil
	u, err := c.decide(now)
	if err != nil {
		c.err = err
		return u, err
	}
	from := now.State
	for _, s := range u.Steps {
		c.step(from, s.To)
		from = s.To
	}
	return u, nil
}

func (c *change) decide(now store.Current) (store.Update, error) {
	if c.refund != nil {
		return c.giveBack(now)
	}
	u := store.Update{Refunded: now.Refunded}
	steps, err := path(now.State, c.to)
	if err != nil {
		return u, err
	}
	for _, to := range steps {
		u.Steps = append(u.Steps, c.event(now, to))
	}
	return u, nil
}

// event is the step to a state. Times of events never go back.
func (c *change) event(now store.Current, to State) store.Step {
	return store.Step{To: to, At: max(c.at, now.Changed), Why: c.why, Who: c.who}
}

// giveBack raises the refunded amount of an order that was paid, and moves it on when nothing is left or the stock went back.
func (c *change) giveBack(now store.Current) (store.Update, error) {
	u := store.Update{Refunded: now.Refunded}
	switch now.State {
	case Paid, Fulfilled, Refunded:
	default:
		return u, illegal(now.State, Refunded)
	}
	if left := now.Amount - now.Refunded; c.refund.amount > left {
		return u, errs.New(errs.RefundTooLarge, "%d is more than the %d that are left to refund", c.refund.amount, left)
	}
	u.Refunded += c.refund.amount
	if now.State != Refunded && (u.Refunded == now.Amount || c.refund.returned) {
		u.Steps = []store.Step{c.event(now, Refunded)}
	}
	return u, nil
}

// settle is what a transaction that was committed did for a change.
func (c *change) settle() {
	if c.Missing {
		c.err = notFound(c.ID)
	}
	if c.Made {
		copy(c.moved[1:], c.moved[:c.moves])
		c.moved[0] = Edge{Accepted, PendingPayment}
		c.moves++
	}
}
