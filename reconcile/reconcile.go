// Package reconcile compares the records that must say the same thing (the stock rows, the journal, the claims, the gate, the
// allowances, the orders in their shards, the payments, the balances, the dead letters and the waiting lists) and mends what can
// be mended without a decision: an order follows its claim, the gate follows the stock rows, an allowance follows the claims, a dead letter of an order that is
// where it should be is discarded. A Monitor watches the stock rows and the gate all the time.
//
// It reads live records: what is merely on its way to the orders, or moved between two reads, is not a difference; it is counted as
// a [Gap] of the report, which is not complete then. Everything else is listed, with what to do. Safe for concurrent use.
package reconcile

import (
	"context"
	"io"
	"strconv"
	"sync"
	"time"

	bus "penstock/bus/driver"
	"penstock/errs"
	"penstock/internal/clock"
	"penstock/internal/ident"
	"penstock/order"
	"penstock/stock"
	"penstock/stock/driver"
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

// Shared is what several processes share of the gate, such as its keys in Redis.
type Shared interface {
	// Content returns what is there for each SKU of a sale, as "version available free"; nil when there is nothing to believe.
	Content(ctx context.Context, sale string) (map[string]string, error)
	// Rebuild replaces it by what the stock rows say.
	Rebuild(ctx context.Context, sale string) error
}

// Orders is the orders.
type Orders interface {
	// Mend brings an order to where its claim is, by its own events where they agree with the claim. errs.IllegalTransition means that
	// order and claim contradict each other.
	Mend(ctx context.Context, claim *driver.Attempt) (order.Order, error)
}

// Rows is the order rows as they lie in the shards.
type Rows interface {
	// Walk calls f for every row of every table, with its events. place is nil for a row that is where its id routes to.
	Walk(ctx context.Context, f func(o *order.Order, place *order.Misplaced) error) error
	// Stored returns the row of an order in its right place, with its events, or nil.
	Stored(ctx context.Context, id ident.ID) (*order.Order, error)
}

// Letters are the dead letters of the bus. Discard leaves a row in the trail by itself.
type Letters interface {
	List(ctx context.Context, f bus.Filter, after int64, limit int) ([]bus.DeadLetter, error)
	Discard(ctx context.Context, who string, id int64, reason string) error
}

// Export writes records as NDJSON.
type Export func(ctx context.Context, w io.Writer) error

// Deps is what a reconciler compares. Letters, Payments, Balances, Taken and Shared may be nil: what is not there is not compared.
type Deps struct {
	Stock  Stock
	Gate   Gate
	Orders Orders
	Rows   Rows
	Clock  clock.Clock
	// Backlog tells how many messages the orders have not got yet; while there are any, an order may be behind its claim.
	Backlog func(context.Context) (int64, error)

	Letters Letters
	// Group is the consumer group that writes the orders.
	Group    string
	Payments Export
	Balances Export
	// GateLag is how far the gate may be behind the stock rows; 0 means that they stand still while they are compared.
	GateLag time.Duration
	// Taken reads allowances, answer by answer; nil where they are made anew from the claims at each start.
	Taken func(ctx context.Context, refs []driver.TakenRef) ([]int64, error)
	// Recount sets an allowance to what the user's claims add up to, whoever decides meanwhile; nil where Taken is.
	Recount func(ctx context.Context, ref driver.TakenRef) error
	// Shared is what processes share of the gate; nil where they share nothing.
	Shared Shared
}

// Reconciler compares and repairs.
type Reconciler struct {
	Deps
	one sync.Mutex // a repair at a time
}

// New returns a reconciler.
func New(d Deps) *Reconciler { return &Reconciler{Deps: d} }

// Report compares everything now. It keeps a short note of each order and claim in memory.
func (r *Reconciler) Report(ctx context.Context) (Report, error) {
	l := &look{r: r, at: r.Clock.Now().UTC(), counts: map[string]int{}, gaps: map[gap]int64{}}
	for _, part := range []func(context.Context) error{
		l.readBacklog, l.readOrders, l.readJournal, // in this order: what a later one lacks was not there for the earlier one
		l.compareStock, l.compareShared, l.compareClaims, l.compareOrders, l.compareTaken, l.comparePayments, l.compareLetters, l.compareBalances,
	} {
		if err := part(ctx); err != nil {
			return l.report(), err
		}
	}
	return l.report(), nil
}

// Repair mends what is safe to mend, records it in the trail, and returns every difference with whether it was repaired: that is
// only said of what was compared again and agrees.
func (r *Reconciler) Repair(ctx context.Context, who, reason string) (Report, error) {
	if reason == "" {
		return Report{}, errs.New(errs.Invalid, "a repair needs a reason")
	}
	r.one.Lock()
	defer r.one.Unlock()
	report, err := r.Report(ctx)
	for i := range report.Differences {
		d := &report.Differences[i]
		if d.mend == nil {
			continue
		}
		ok, failed := d.mend(ctx, who, reason)
		if failed != nil {
			d.failed = failed.Error()
		}
		if !ok || failed != nil {
			continue // it stays on the list
		}
		if d.Kind != KindLetter {
			act := driver.Audit{Who: who, Act: "reconcile." + d.Kind, Object: d.Object, Why: reason, Before: strconv.Quote(d.Found), After: strconv.Quote(d.Expected)}
			if err := r.Stock.Record(ctx, act); err != nil {
				return report, err
			}
		}
		d.Repaired = true
	}
	return report, err
}
