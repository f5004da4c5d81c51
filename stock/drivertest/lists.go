package drivertest

import (
	"fmt"
	"slices"

	"penstock/stock"
	"penstock/stock/driver"
)

// listReplay follows units and waiting lists line by line, as a stranger would who has only the journal.
type listReplay struct {
	limits map[driver.StockRef]int64
	free   map[driver.StockRef]int64
	taken  map[driver.TakenRef]int64
	line   map[driver.StockRef][]driver.Waiter
}

// CheckLists replays the whole journal of a database, beginning at its first entry: each offer went to the first whom the free units served, nothing was sold past somebody
// who could have had it, whoever was skipped was over his limit, and nobody was offered twice.
func CheckLists(sales []driver.Sale, entries []driver.Entry) error {
	r := &listReplay{map[driver.StockRef]int64{}, map[driver.StockRef]int64{}, map[driver.TakenRef]int64{}, map[driver.StockRef][]driver.Waiter{}}
	for _, s := range sales {
		for _, it := range s.Items {
			r.limits[driver.StockRef{Sale: s.ID, SKU: it.SKU}] = it.Limit
		}
	}
	for i := range entries {
		if err := r.step(&entries[i]); err != nil {
			return fmt.Errorf("entry %d (%s): %w", entries[i].Seq, entries[i].Kind, err)
		}
	}
	return nil
}

func (r *listReplay) step(e *driver.Entry) error {
	switch e.Kind {
	case driver.OfferKind, driver.Withdraw:
		r.free[driver.StockRef{Sale: e.Offer.Key.Sale, SKU: e.Offer.SKU}] += e.Offer.Delta
	case driver.Release:
		for _, l := range e.Attempt.Lines {
			r.free[driver.StockRef{Sale: e.Attempt.Key.Sale, SKU: l.SKU}] += l.Quantity
			r.taken[driver.TakenRef{Sale: e.Attempt.Key.Sale, SKU: l.SKU, User: e.Attempt.Key.User}] -= l.Quantity
		}
	case driver.Wait:
		r.line[e.Waiter.List()] = append(r.line[e.Waiter.List()], *e.Waiter)
	case driver.Quit:
		return r.quit(e)
	case driver.Hold:
		return r.hold(e)
	}
	return nil
}

func (r *listReplay) quit(e *driver.Entry) error {
	ref := e.Waiter.List()
	i := slices.IndexFunc(r.line[ref], func(w driver.Waiter) bool { return w.Seq == e.Waiter.Seq })
	if i < 0 {
		return fmt.Errorf("entry %d does not wait", e.Waiter.Seq)
	}
	left := r.limits[ref] - r.taken[driver.TakenRef{Sale: ref.Sale, SKU: ref.SKU, User: e.Waiter.Key.User}]
	if e.Why == stock.WhySkipped && (r.limits[ref] == 0 || e.Waiter.Quantity <= left) {
		return fmt.Errorf("entry %d was skipped with %d left to its user", e.Waiter.Seq, left)
	}
	r.line[ref] = slices.Delete(r.line[ref], i, i+1)
	return nil
}

func (r *listReplay) hold(e *driver.Entry) error {
	name, listed := stock.EntryOf(e.Attempt.Key.Key)
	for _, l := range e.Attempt.Lines {
		ref := driver.StockRef{Sale: e.Attempt.Key.Sale, SKU: l.SKU}
		i := slices.IndexFunc(r.line[ref], func(w driver.Waiter) bool { return w.Quantity <= r.free[ref] })
		switch {
		case i < 0 && listed:
			return fmt.Errorf("entry %s is offered what nobody waits for", name)
		case i >= 0 && !listed:
			return fmt.Errorf("%d of %s are sold past entry %d, which could have had them", l.Quantity, l.SKU, r.line[ref][i].Seq)
		case listed:
			w := r.line[ref][i]
			if fmt.Sprint(w.Seq) != name || w.Quantity != l.Quantity || w.Key.User != e.Attempt.Key.User {
				return fmt.Errorf("entry %s is offered %d, the turn is entry %d's, which wants %d", name, l.Quantity, w.Seq, w.Quantity)
			}
			r.line[ref] = slices.Delete(r.line[ref], i, i+1)
		}
		r.free[ref] -= l.Quantity
		r.taken[driver.TakenRef{Sale: ref.Sale, SKU: ref.SKU, User: e.Attempt.Key.User}] += l.Quantity
	}
	return nil
}
