package reconcile

import (
	"context"
	"fmt"
	"testing"
	"time"

	"penstock/errs"
	"penstock/internal/clock"
	"penstock/internal/ident"
	"penstock/order"
	"penstock/stock"
	"penstock/stock/driver"
	"penstock/stock/gate"
)

// books is a stock database and its orders, held in memory, with one claim of two units.
type books struct {
	row    driver.Stock
	claim  driver.Attempt
	orders map[ident.ID]order.State
	trail  []driver.Audit
}

func newBooks() *books {
	claim := driver.Attempt{ID: 7, Seq: 2, Key: driver.Key{Sale: "s", User: "ann", Key: "k"}, State: driver.Held, Lines: []driver.Line{{SKU: "a", Quantity: 2}}}
	return &books{
		row:    driver.Stock{Sale: "s", SKU: "a", Offered: 5, Available: 3, Held: 2, Version: 2},
		claim:  claim,
		orders: map[ident.ID]order.State{7: order.PendingPayment},
	}
}

func (b *books) Snapshot(context.Context) (*driver.Snapshot, error) {
	return &driver.Snapshot{Seq: 2, Stock: []driver.Stock{b.row}}, nil
}

// reconciler compares the books with a gate; backlog is what the orders have not got yet.
func (b *books) reconciler(g Gate, backlog int64) *Reconciler {
	return New(Deps{
		Stock: b, Gate: g, Orders: b, Rows: b, Clock: clock.NewFake(time.Unix(0, 0)),
		Backlog: func(context.Context) (int64, error) { return backlog, nil },
	})
}

func (b *books) Claim(context.Context, ident.ID) (*driver.Attempt, error) { return &b.claim, nil }

func (b *books) Journal(_ context.Context, after uint64, _ int) ([]driver.Entry, error) {
	if after >= 2 {
		return nil, nil
	}
	return []driver.Entry{
		{Seq: 1, Kind: driver.OfferKind, Offer: &driver.Offer{Key: driver.Key{Sale: "s"}, SKU: "a", Delta: 5}},
		{Seq: 2, Kind: driver.Hold, Attempt: &b.claim},
	}, nil
}

func (b *books) Record(_ context.Context, a driver.Audit) error {
	b.trail = append(b.trail, a)
	return nil
}

func (b *books) Stored(_ context.Context, id ident.ID) (*order.Order, error) {
	state, ok := b.orders[id]
	if !ok {
		return nil, nil
	}
	return &order.Order{ID: id, State: state}, nil
}

func (b *books) Walk(_ context.Context, f func(*order.Order, *order.Misplaced) error) error {
	for id, state := range b.orders {
		if err := f(&order.Order{ID: id, State: state}, nil); err != nil {
			return err
		}
	}
	return nil
}

func (b *books) Follow(_ context.Context, c *driver.Attempt) (order.Order, error) {
	b.orders[c.ID] = order.PendingPayment
	return order.Order{ID: c.ID, State: order.PendingPayment}, nil
}

// Each planted drift is found as what it is; the gate and the orders are mended with a row in the trail, the ledger is only
// told; a second repair finds nothing more to mend; and books that agree, or are on their way, show no difference.
func TestDriftIsFoundAndMended(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		plant   func(*books, *gate.Memory)
		backlog int64
		kind    string
		mended  bool
	}{
		{"books that agree", func(*books, *gate.Memory) {}, 0, "", false},
		{"a stale gate", func(b *books, g *gate.Memory) {
			stale := b.row
			stale.Available, stale.Held = 5, 0
			g.Observe(stock.Committed{Stock: []driver.Stock{stale}})
		}, 0, KindGate, true},
		{"a missing order", func(b *books, _ *gate.Memory) { delete(b.orders, 7) }, 0, KindMissing, true},
		{"an order gone elsewhere", func(b *books, _ *gate.Memory) { b.orders[7] = order.Cancelled }, 0, KindOrder, true},
		{"an order on its way", func(b *books, _ *gate.Memory) { b.orders[7] = order.Accepted }, 1, "", false},
		{"a stock row that lies", func(b *books, g *gate.Memory) {
			b.row.Available, b.row.Sold = 2, 1
			g.Observe(stock.Committed{Stock: []driver.Stock{b.row}})
		}, 0, KindLedger, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b, g := newBooks(), gate.New(0)
			g.Observe(stock.Committed{Stock: []driver.Stock{b.row}})
			c.plant(b, g)
			r := b.reconciler(g, c.backlog)
			found, err := r.Repair(t.Context(), "op", "drill")
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, d := range found {
				got += fmt.Sprint(d.Kind, " ", d.Repaired)
			}
			want := ""
			if c.kind != "" {
				want = fmt.Sprint(c.kind, " ", c.mended)
			}
			if got != want {
				t.Errorf("found %q, want %q", got, want)
			}
			if rows := len(b.trail); rows != 0 != c.mended {
				t.Errorf("%d rows in the trail, mended is %v", rows, c.mended)
			}
			again, err := r.Report(t.Context())
			if err != nil || (len(again) > 0) != (c.kind == KindLedger) {
				t.Errorf("the second look finds %v (%v)", again, err)
			}
		})
	}
	if _, err := newBooks().reconciler(gate.New(0), 0).Repair(t.Context(), "op", ""); !errs.Is(err, errs.Invalid) {
		t.Errorf("a repair without a reason: %v", err)
	}
}
