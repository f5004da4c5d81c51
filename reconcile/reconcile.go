// Package reconcile compares the records that must say the same thing (the stock rows, the journal, the gate and the orders)
// and mends what can be mended without a decision: an order follows its claim, the gate follows the stock rows.
//
// It reads live records: what is merely on its way to the orders, or newer in the gate than in the snapshot, is not a
// difference. A difference between the stock rows and the journal is never repaired by itself. Safe for concurrent use.
package reconcile

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"penstock/errs"
	"penstock/internal/clock"
	"penstock/internal/ident"
	"penstock/order"
	"penstock/stock"
	"penstock/stock/driver"
)

// Kinds of difference.
const (
	KindLedger = "stock-row-and-journal"
	KindGate   = "gate-and-stock-row"
	KindOrder  = "order-and-claim"
)

// Stock is the stock database.
type Stock interface {
	Snapshot(ctx context.Context) (*driver.Snapshot, error)
	Claim(ctx context.Context, id ident.ID) (*driver.Attempt, error)
	Journal(ctx context.Context, after uint64, limit int) ([]driver.Entry, error)
	Record(ctx context.Context, a driver.Audit) error
}

// Gate is the filter in memory.
type Gate interface {
	Level(sale, sku string) *driver.Stock
	Observe(c stock.Committed)
}

// Orders is the orders.
type Orders interface {
	Get(ctx context.Context, user string, id ident.ID) (order.Order, error)
	Follow(ctx context.Context, claim *driver.Attempt) (order.Order, error)
}

// Difference is one disagreement between two records of the same thing.
type Difference struct {
	Kind     string    `json:"kind"`
	Object   string    `json:"object"`
	Expected string    `json:"expected"`
	Found    string    `json:"found"`
	Repaired bool      `json:"repaired"`
	At       time.Time `json:"at"`

	claim *driver.Attempt
}

// Reconciler compares and repairs.
type Reconciler struct {
	stock  Stock
	gate   Gate
	orders Orders
	clock  clock.Clock
	// backlog tells how many messages the orders have not got yet; while there are any, a missing order is not a difference.
	backlog func(context.Context) (int64, error)
}

// New returns a reconciler. backlog counts the messages on their way to the orders.
func New(st Stock, g Gate, o Orders, clk clock.Clock, backlog func(context.Context) (int64, error)) *Reconciler {
	return &Reconciler{stock: st, gate: g, orders: o, clock: clk, backlog: backlog}
}

// Report returns every difference found now, at most 1,000.
func (r *Reconciler) Report(ctx context.Context) ([]Difference, error) {
	found, err := r.compareStock(ctx)
	if err != nil {
		return nil, err
	}
	orders, err := r.compareOrders(ctx)
	return append(found, orders...), err
}

// Repair mends what is safe to mend, records it in the trail, and returns every difference with whether it was repaired.
func (r *Reconciler) Repair(ctx context.Context, who, reason string) ([]Difference, error) {
	if reason == "" {
		return nil, errs.New(errs.Invalid, "a repair needs a reason")
	}
	found, err := r.Report(ctx)
	for i := range found {
		d := &found[i]
		switch {
		case d.Kind == KindGate:
			snap, err := r.stock.Snapshot(ctx)
			if err != nil {
				return found, err
			}
			r.gate.Observe(stock.Committed{Stock: snap.Stock, Sales: snap.Sales})
		case d.Kind == KindOrder && d.claim != nil:
			if _, err := r.orders.Follow(ctx, d.claim); err != nil {
				continue // it stays on the list
			}
		default:
			continue
		}
		act := driver.Audit{Who: who, Act: "reconcile." + d.Kind, Object: d.Object, Why: reason, Before: strconv.Quote(d.Found), After: strconv.Quote(d.Expected)}
		if err := r.stock.Record(ctx, act); err != nil {
			return found, err
		}
		d.Repaired = true
	}
	return found, err
}

const (
	pageRows = 500
	maxFound = 1000
)

// compareStock adds the journal up to the snapshot and compares the rows, then looks at the gate.
func (r *Reconciler) compareStock(ctx context.Context) ([]Difference, error) {
	snap, err := r.stock.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	sums := map[driver.StockRef]*driver.Stock{}
	sold := map[ident.ID]bool{} // claims that were sold, so that a release knows where from
	err = r.each(ctx, snap.Seq, func(e *driver.Entry) error {
		add(sums, sold, e)
		return nil
	})
	if err != nil {
		return nil, err
	}
	var found []Difference
	for _, row := range snap.Stock {
		object := row.Sale + "/" + row.SKU
		sum := sums[driver.StockRef{Sale: row.Sale, SKU: row.SKU}]
		if sum == nil {
			sum = &driver.Stock{}
		}
		if want, have := numbers(sum), numbers(&row); want != have {
			found = append(found, Difference{Kind: KindLedger, Object: object, Expected: want, Found: have, At: r.clock.Now().UTC()})
		}
		if l := r.gate.Level(row.Sale, row.SKU); (l == nil || l.Version <= row.Version) && (l == nil || numbers(l) != numbers(&row)) {
			have := "nothing"
			if l != nil {
				have = numbers(l)
			}
			found = append(found, Difference{Kind: KindGate, Object: object, Expected: numbers(&row), Found: have, At: r.clock.Now().UTC()})
		}
	}
	return found, nil
}

func (r *Reconciler) each(ctx context.Context, upto uint64, f func(*driver.Entry) error) error {
	for after := uint64(0); ; {
		page, err := r.stock.Journal(ctx, after, pageRows)
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
}

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
	if e.Kind == driver.Refuse || e.Attempt == nil {
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
	return fmt.Sprintf("offered %d, withdrawn %d, available %d, held %d, sold %d", s.Offered, s.Withdrawn, s.Available, s.Held, s.Sold)
}

// compareOrders looks for claims whose order says something else.
func (r *Reconciler) compareOrders(ctx context.Context) ([]Difference, error) {
	snap, err := r.stock.Snapshot(ctx)
	if err != nil {
		return nil, err
	}
	behind, err := r.backlog(ctx)
	if err != nil {
		return nil, err
	}
	var found []Difference
	err = r.each(ctx, snap.Seq, func(e *driver.Entry) error {
		if e.Kind != driver.Hold || len(found) >= maxFound {
			return nil
		}
		d, err := r.compareOrder(ctx, e.Attempt, behind > 0)
		if d != nil { // a second look: the claim may have moved between the two reads
			claim, again := r.stock.Claim(ctx, e.Attempt.ID)
			if again != nil {
				return again
			}
			d, err = r.compareOrder(ctx, claim, behind > 0)
		}
		if d != nil {
			found = append(found, *d)
		}
		return err
	})
	return found, err
}

func (r *Reconciler) compareOrder(ctx context.Context, claim *driver.Attempt, behind bool) (*Difference, error) {
	of := stock.OrderOf(claim)
	o, err := r.orders.Get(ctx, "", of)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return nil, err
	}
	want, ok := agrees(claim, o.State, behind)
	if of != claim.ID || paidLate(&o) {
		want, ok = agreesLate(claim, &o, behind)
	}
	if ok {
		return nil, nil
	}
	return &Difference{
		Kind: KindOrder, Object: of.String(), Expected: want, Found: string(o.State), At: r.clock.Now().UTC(), claim: claim,
	}, nil
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
	return "", false
}
