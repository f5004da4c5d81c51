package reconcile

import (
	"context"
	"fmt"

	"penstock/internal/ident"
	"penstock/stock"
	"penstock/stock/driver"
)

// add takes an entry of the journal into the sums that the stock rows must equal.
func add(sums map[driver.StockRef]*driver.Stock, sold map[ident.ID]bool, e *driver.Entry) {
	at := func(sale, sku string) *driver.Stock {
		ref := driver.StockRef{Sale: sale, SKU: sku}
		if sums[ref] == nil {
			sums[ref] = &driver.Stock{}
		}
		return sums[ref]
	}
	if e.Offer != nil {
		s := at(e.Offer.Key.Sale, e.Offer.SKU)
		s.Available += e.Offer.Delta
		if e.Offer.Delta > 0 {
			s.Offered += e.Offer.Delta
		} else {
			s.Withdrawn -= e.Offer.Delta
		}
		return
	}
	if e.Attempt == nil || e.Kind != driver.Hold && e.Kind != driver.Sell && e.Kind != driver.Release {
		return
	}
	for _, l := range e.Attempt.Lines {
		s, n := at(e.Attempt.Key.Sale, l.SKU), l.Quantity
		switch {
		case e.Kind == driver.Hold:
			s.Available, s.Held = s.Available-n, s.Held+n
		case e.Kind == driver.Sell:
			s.Held, s.Sold = s.Held-n, s.Sold+n
		case sold[e.Attempt.ID]:
			s.Sold, s.Available = s.Sold-n, s.Available+n
		default:
			s.Held, s.Available = s.Held-n, s.Available+n
		}
	}
	if e.Kind == driver.Sell {
		sold[e.Attempt.ID] = true
	}
}

func numbers(s *driver.Stock) string {
	if s == nil {
		return "nothing"
	}
	return fmt.Sprintf("offered %d, withdrawn %d, available %d, held %d, sold %d", s.Offered, s.Withdrawn, s.Available, s.Held, s.Sold)
}

// conserved reports whether a row adds up, with nothing below zero.
func conserved(s *driver.Stock) bool {
	return s.Offered-s.Withdrawn == s.Available+s.Held+s.Sold && min(s.Offered, s.Withdrawn, s.Available, s.Held, s.Sold) >= 0
}

func rowObject(s *driver.Stock) string { return "stock/" + s.Sale + "/" + s.SKU }

// unbalanced is the difference of a row that does not add up.
func unbalanced(s *driver.Stock) Difference {
	return Difference{Kind: KindRow, Object: rowObject(s), Expected: "offered - withdrawn = available + held + sold, none negative", Found: numbers(s)}
}

// compareStock compares the rows with the journal, then the gate with the rows.
func (l *look) compareStock(ctx context.Context) error {
	var stale []Difference
	for i := range l.snap.Stock {
		row := &l.snap.Stock[i]
		if !conserved(row) {
			l.add(unbalanced(row))
		}
		sum := l.sums[driver.StockRef{Sale: row.Sale, SKU: row.SKU}]
		if sum == nil {
			sum = &driver.Stock{}
		}
		if want, have := numbers(sum), numbers(row); want != have {
			l.add(Difference{Kind: KindLedger, Object: rowObject(row), Expected: want, Found: have})
		}
		if d := gateDiffers(l.r.Gate, row); d != nil {
			d.mend = func(ctx context.Context, _, _ string) (bool, error) { return l.r.mendGate(ctx, row) }
			stale = append(stale, *d)
		}
	}
	return l.standing(ctx, stale)
}

// standing adds the differences of the gate that are the same after the time that it may be behind.
func (l *look) standing(ctx context.Context, stale []Difference) error {
	if len(stale) == 0 || l.r.GateLag == 0 {
		for _, d := range stale {
			l.add(d)
		}
		return nil
	}
	t := l.r.Clock.NewTimer(l.r.GateLag)
	defer t.Stop()
	select {
	case <-t.C():
	case <-ctx.Done():
		return ctx.Err()
	}
	snap, err := l.r.Stock.Snapshot(ctx)
	if err != nil {
		return err
	}
	for _, d := range stale {
		for i := range snap.Stock {
			now := gateDiffers(l.r.Gate, &snap.Stock[i])
			if now != nil && now.Object == d.Object && now.Expected == d.Expected && now.Found == d.Found {
				l.add(d)
			}
		}
	}
	return nil
}

// gateDiffers compares the gate with a row; a gate that is newer than the row has nothing to say.
func gateDiffers(g interface {
	Level(sale, sku string) *driver.Stock
}, row *driver.Stock) *Difference {
	have := g.Level(row.Sale, row.SKU)
	if have != nil && (have.Version > row.Version || numbers(have) == numbers(row)) {
		return nil
	}
	return &Difference{Kind: KindGate, Object: rowObject(row), Expected: numbers(row), Found: numbers(have)}
}

// mendGate loads the rows as they are now.
func (r *Reconciler) mendGate(ctx context.Context, row *driver.Stock) (bool, error) {
	snap, err := r.Stock.Snapshot(ctx)
	if err != nil {
		return false, err
	}
	r.Gate.Observe(stock.Committed{Stock: snap.Stock, Sales: snap.Sales})
	for i := range snap.Stock {
		if now := &snap.Stock[i]; now.Sale == row.Sale && now.SKU == row.SKU {
			return gateDiffers(r.Gate, now) == nil, nil
		}
	}
	return false, nil
}
