package reconcile

import (
	"context"
	"fmt"
	"time"

	"penstock/internal/ident"
	"penstock/order"
	"penstock/stock"
	"penstock/stock/driver"
)

const (
	pageRows = 500
	maxFound = 1000 // of each kind
)

// look is one comparison of everything.
type look struct {
	r      *Reconciler
	at     time.Time
	behind bool // messages are on their way to the orders
	found  []Difference
	counts map[string]int

	orders    map[ident.ID]*seenOrder
	misplaced map[ident.ID]bool

	snap   *driver.Snapshot
	sums   map[driver.StockRef]*driver.Stock
	claims map[ident.ID]*seenClaim
	offers []*driver.Waiter
	taken  map[driver.TakenRef]int64
	lies   map[ident.ID]bool // claims that the journal contradicts
}

// seenOrder is what is kept of an order.
type seenOrder struct {
	state            order.State
	late             bool
	amount, refunded int64
	key              string
}

// seenClaim is what is kept of a claim: the state it had when its hold was read, and the last move the journal tells.
type seenClaim struct {
	state, moved driver.ClaimState
	of           ident.ID // the order it is for, when that is another one
	why          string
}

func (l *look) add(d Difference) {
	d.At = l.at
	if l.counts[d.Kind]++; l.counts[d.Kind] <= maxFound {
		l.found = append(l.found, d)
	}
}

func (l *look) readBacklog(ctx context.Context) error {
	n, err := l.r.Backlog(ctx)
	l.behind = n > 0
	return err
}

// readOrders reads every row; what does not lie in its place is a difference by itself.
func (l *look) readOrders(ctx context.Context) error {
	l.orders, l.misplaced = map[ident.ID]*seenOrder{}, map[ident.ID]bool{}
	return l.r.Rows.Walk(ctx, func(o *order.Order, place *order.Misplaced) error {
		if place != nil {
			l.misplaced[o.ID] = true
			l.add(Difference{Kind: KindPlace, Object: orderObject(o.ID), Expected: fmt.Sprintf("database %d, table %d, with an owner of that slot", place.WantDB, place.WantTable),
				Found: fmt.Sprintf("database %d, table %d, owner of slot %d", place.DB, place.Table, ident.SlotOf(o.User))})
			if place.DB != place.WantDB || place.Table != place.WantTable {
				return nil
			}
		}
		l.orders[o.ID] = &seenOrder{state: o.State, late: paidLate(o), amount: o.Amount, refunded: o.Refunded, key: o.Key}
		return nil
	})
}

// readJournal adds the journal up to a snapshot.
func (l *look) readJournal(ctx context.Context) (err error) {
	if l.snap, err = l.r.Stock.Snapshot(ctx); err != nil {
		return err
	}
	l.sums, l.claims = map[driver.StockRef]*driver.Stock{}, map[ident.ID]*seenClaim{}
	l.taken = map[driver.TakenRef]int64{}
	sold := map[ident.ID]bool{}
	return each(ctx, l.r.Stock, 0, l.snap.Seq, func(e *driver.Entry) error {
		add(l.sums, sold, e)
		l.note(e)
		return nil
	})
}

// note keeps what an entry says of its claim.
func (l *look) note(e *driver.Entry) {
	switch {
	case e.Kind == driver.Wait && e.Waiter != nil && e.Waiter.State == driver.Offered:
		l.offers = append(l.offers, e.Waiter)
	case e.Attempt == nil:
	case e.Kind == driver.Hold:
		c := &seenClaim{state: e.Attempt.State, moved: driver.Held, why: e.Attempt.Why}
		if of := stock.OrderOf(e.Attempt); of != e.Attempt.ID {
			c.of = of
		}
		l.claims[e.Attempt.ID] = c
		l.take(e.Attempt, c.state != driver.Released)
	case e.Kind == driver.Refuse:
		l.take(e.Attempt, false)
	case e.Kind == driver.Sell || e.Kind == driver.Release:
		if c := l.claims[e.Attempt.ID]; c != nil {
			c.moved = map[driver.Kind]driver.ClaimState{driver.Sell: driver.Sold, driver.Release: driver.Released}[e.Kind]
		}
	}
}

// take counts what a user has; one who has nothing is looked at as well.
func (l *look) take(a *driver.Attempt, has bool) {
	if l.r.Taken == nil {
		return
	}
	for _, line := range a.Lines {
		ref, n := driver.TakenRef{Sale: a.Key.Sale, SKU: line.SKU, User: a.Key.User}, int64(0)
		if has {
			n = line.Quantity
		}
		l.taken[ref] += n
	}
}

func orderObject(id ident.ID) string { return "order/" + id.String() }

// each calls f with the entries after one number up to another.
func each(ctx context.Context, s interface {
	Journal(ctx context.Context, after uint64, limit int) ([]driver.Entry, error)
}, after, upto uint64, f func(*driver.Entry) error) error {
	for after < upto {
		page, err := s.Journal(ctx, after, pageRows)
		if err != nil || len(page) == 0 {
			return err
		}
		for i := range page {
			if page[i].Seq > upto {
				return nil
			}
			if err := f(&page[i]); err != nil {
				return err
			}
			after = page[i].Seq
		}
	}
	return nil
}
