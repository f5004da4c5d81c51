package reconcile

import (
	"context"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/order"
	"penstock/stock"
	"penstock/stock/driver"
)

// compareOrders looks for claims whose order says something else or is not there, and for orders without a claim. What looks
// different is read again: it may have moved meanwhile.
func (l *look) compareOrders(ctx context.Context) error {
	suspects, err := l.suspects(ctx)
	if err != nil {
		return err
	}
	if len(suspects) > 0 { // the messages of what was read are counted after it was read: none left means that they arrived
		if err := l.readBacklog(ctx); err != nil {
			return err
		}
	}
	for _, s := range suspects {
		if err := l.compareOrder(ctx, s); err != nil {
			return err
		}
	}
	return l.compareOrphans(ctx)
}

// suspect is a claim whose order does not fit it, as they were when they were read.
type suspect struct {
	claim ident.ID
	state driver.ClaimState
}

func (l *look) suspects(ctx context.Context) (out []suspect, err error) {
	for id, c := range l.claims {
		if o := l.orders[id]; o != nil && c.of == 0 && !o.late {
			claim := driver.Attempt{ID: id, State: c.state, Why: c.why}
			if _, ok := agrees(&claim, o.state, false); ok {
				continue
			}
		}
		claim, _, want, err := l.r.pair(ctx, id)
		if err != nil {
			return nil, err
		}
		if want != "" {
			out = append(out, suspect{claim: id, state: claim.State})
		}
	}
	return out, nil
}

// compareOrder reads a suspect again. While messages are on their way, or the claim has moved since, an order that may only be
// behind is counted and not listed.
func (l *look) compareOrder(ctx context.Context, s suspect) error {
	claim, o, want, err := l.r.pair(ctx, s.claim)
	if err != nil || want == "" {
		return err
	}
	d := Difference{Kind: KindMissing, Object: orderObject(stock.OrderOf(claim)), Expected: "an order that is " + want, Found: "no row"}
	if o != nil {
		d.Kind, d.Expected, d.Found = KindOrder, want, string(o.State)
	}
	if _, ok := fits(claim, o, l.waiting > 0 || claim.State != s.state); ok {
		l.skip(d.Kind, l.behind())
		return nil
	}
	if !l.lies[s.claim] && (o != nil || !l.misplaced[stock.OrderOf(claim)]) { // who follows a claim must be able to believe it
		d.mend = func(ctx context.Context, _, _ string) (bool, error) { return l.r.follow(ctx, s.claim) }
	}
	l.add(d)
	return nil
}

func (l *look) compareOrphans(ctx context.Context) error {
	for id := range l.orders {
		if l.claims[id] != nil {
			continue
		}
		claim, err := l.r.Stock.Claim(ctx, id)
		if err != nil {
			return err
		}
		if claim == nil {
			l.add(Difference{Kind: KindOrphan, Object: orderObject(id), Expected: "a claim that the order follows", Found: "none; the order is " + string(l.orders[id].state)})
		}
	}
	return nil
}

// pair reads a claim and its order; want is "" where they agree. A pair that is read while it moves is read again.
func (r *Reconciler) pair(ctx context.Context, id ident.ID) (claim *driver.Attempt, o *order.Order, want string, err error) {
	for range 3 {
		if claim, err = r.Stock.Claim(ctx, id); err != nil || claim == nil {
			return claim, nil, "", err
		}
		if o, err = r.Rows.Stored(ctx, stock.OrderOf(claim)); err != nil {
			return claim, nil, "", err
		}
		var ok bool
		if want, ok = fits(claim, o, false); ok {
			return claim, o, "", nil
		}
	}
	return claim, o, want, nil
}

// fits says whether an order, or its absence, fits a claim.
func fits(claim *driver.Attempt, o *order.Order, behind bool) (want string, ok bool) {
	late := stock.OrderOf(claim) != claim.ID
	if o == nil {
		want, _ = agrees(claim, "", behind)
		return want, behind || late && claim.State != driver.Sold
	}
	if late || paidLate(o) {
		return agreesLate(claim, o, behind)
	}
	return agrees(claim, o.State, behind)
}

// follow lets an order follow its claim and reports whether they agree now.
func (r *Reconciler) follow(ctx context.Context, id ident.ID) (bool, error) {
	claim, err := r.Stock.Claim(ctx, id)
	if err != nil || claim == nil {
		return false, err
	}
	if _, err = r.Orders.Mend(ctx, claim); err != nil {
		if errs.CodeOf(err) == errs.IllegalTransition {
			err = nil // they contradict each other
		}
		return false, err
	}
	_, _, want, err := r.pair(ctx, id)
	return err == nil && want == "", err
}

// agrees says whether an order's state fits its claim; behind allows for orders that have not got the last message.
func agrees(c *driver.Attempt, have order.State, behind bool) (want string, ok bool) {
	switch c.State {
	case driver.Held:
		return "pending_payment", have == order.PendingPayment || (behind && have == order.Accepted)
	case driver.Sold:
		return "paid", have == order.Paid || have == order.Fulfilled || have == order.Refunded ||
			(behind && (have == order.Accepted || have == order.PendingPayment))
	case driver.Released:
		early := have == order.Accepted || have == order.PendingPayment || have == order.Paid || have == order.Fulfilled
		return c.Why, string(have) == c.Why || (behind && early)
	}
	return "a winner's", false
}
