package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"slices"
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
	r       *Reconciler
	at      time.Time
	waiting int64 // messages on their way to the orders
	found   []Difference
	counts  map[string]int
	gaps    map[gap]int64

	orders    map[ident.ID]*seenOrder
	misplaced map[ident.ID]bool

	snap   *driver.Snapshot
	closed map[string]bool // sales whose limits nobody needs any more, and which may be pruned
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
		return
	}
	l.skip(d.Kind, fmt.Sprintf("at most %d of a kind are listed; repair or settle those, and compare again", maxFound))
}

// gap is what a kind of difference was not listed for.
type gap struct{ kind, why string }

// skip counts one that may be, or is, a difference and is not listed.
func (l *look) skip(kind, why string) { l.gaps[gap{kind, why}]++ }

// behind says why an order that may only be behind is not listed.
func (l *look) behind() string {
	if l.waiting == 0 {
		return "its claim moved while it was compared; compare again"
	}
	return fmt.Sprintf("%d message(s) are on their way to the orders, parked ones included, so that an order may only be behind; compare again when they have arrived "+
		"(`inFlight` of /admin/v1/drained), or replay or discard what keeps them", l.waiting)
}

// report is what was found so far.
func (l *look) report() Report {
	out := Report{Differences: l.found, Waiting: l.waiting}
	for g, n := range l.gaps {
		out.Gaps = append(out.Gaps, Gap{Kind: g.kind, Count: n, Why: g.why})
	}
	slices.SortFunc(out.Gaps, func(a, b Gap) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Why, b.Why)) })
	return out
}

func (l *look) readBacklog(ctx context.Context) (err error) {
	l.waiting, err = l.r.Backlog(ctx)
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
	l.taken, l.closed = map[driver.TakenRef]int64{}, map[string]bool{}
	for i := range l.snap.Sales {
		l.closed[l.snap.Sales[i].ID] = !l.snap.Sales[i].ClosedAt.IsZero()
	}
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
	if l.r.Taken == nil || l.closed[a.Key.Sale] {
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
