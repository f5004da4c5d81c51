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
	c.moves, c.err, c.told = 0, nil, false
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
	u = c.tell(now, u)
	c.told = len(u.Messages) > 0
	return u, nil
}

func (c *change) decide(now store.Current) (store.Update, error) {
	if c.refund != nil {
		return c.giveBack(now)
	}
	u := store.Update{Refunded: now.Refunded}
	if c.wrong != "" {
		if now.State == c.wrong {
			u.State = c.to
		}
		return u, nil
	}
	steps, err := c.path(now)
	if err != nil {
		return u, err
	}
	for _, to := range steps {
		u.Steps = append(u.Steps, c.event(now, to))
	}
	return u, nil
}

// path is the way from what the row is to where the claim is. The end of an order's first claim may come again after a later
// one has paid it.
func (c *change) path(now store.Current) ([]State, error) {
	switch {
	case c.late:
		return latePath(now.State, c.to)
	case c.to == Expired && wasExpired(now.State, now.Version):
		return nil, nil
	}
	return path(now.State, c.to)
}

// event is the step to a state. Times of events never go back.
func (c *change) event(now store.Current, to State) store.Step {
	return store.Step{To: to, At: max(c.at, now.Changed), Why: c.why, Who: c.who}
}

// giveBack raises the refunded amount of an order that was paid, and moves it on when nothing is left or the stock went back.
// The sum is compared and set: an order that has heard of this refund is left alone.
func (c *change) giveBack(now store.Current) (store.Update, error) {
	u := store.Update{Refunded: now.Refunded}
	switch now.State {
	case Paid, Fulfilled, Refunded:
	default:
		return u, illegal(now.State, Refunded)
	}
	r := c.refund
	if r.Amount > 0 && now.Refunded == r.Before+r.Amount {
		return u, nil
	}
	if now.Refunded != r.Before {
		return u, &WrongSum{Has: now.Refunded, Expected: r.Before}
	}
	if left := now.Amount - now.Refunded; r.Amount > left {
		return u, errs.New(errs.RefundTooLarge, "%d is more than the %d that are left to refund", r.Amount, left)
	}
	u.Refunded += r.Amount
	if now.State != Refunded && (u.Refunded == now.Amount || r.Returned) {
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
