package reconcile

import (
	"context"

	"penstock/internal/ident"
	"penstock/order"
	store "penstock/order/driver"
	"penstock/order/shard"
)

// NewRows reads the rows of a store from its primaries.
func NewRows(s store.Store) Rows { return rows{s} }

type rows struct{ s store.Store }

// Stored returns the row of an order in its right place, or nil.
func (r rows) Stored(ctx context.Context, id ident.ID) (*order.Order, error) {
	db, table := r.s.Map().Route(id.Slot())
	return r.s.Database(db).Get(ctx, table, id)
}

// Walk calls f for every row.
func (r rows) Walk(ctx context.Context, f func(*order.Order, *order.Misplaced) error) error {
	for db := range r.s.Map().Databases() {
		last, err := r.s.Database(db).Last(ctx)
		if err != nil {
			return err
		}
		for table := range shard.Tables {
			if err := r.table(ctx, db, store.Page{Table: table, Last: last.Orders[table], Limit: pageRows, Events: true}, f); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r rows) table(ctx context.Context, db int, p store.Page, f func(*order.Order, *order.Misplaced) error) error {
	for n := p.Limit; n == p.Limit && p.After < p.Last; {
		page, err := r.s.Database(db).Page(ctx, p)
		if err != nil {
			return err
		}
		n = len(page)
		for i := range page {
			o := &page[i]
			p.After = o.ID
			if err := f(o, r.place(o, db, p.Table)); err != nil {
				return err
			}
		}
	}
	return nil
}

// place returns nil for a row that is where its id and its user route to.
func (r rows) place(o *order.Order, db, table int) *order.Misplaced {
	wantDB, wantTable := r.s.Map().Route(o.ID.Slot())
	if wantDB == db && wantTable == table && ident.SlotOf(o.User) == o.ID.Slot() {
		return nil
	}
	return &order.Misplaced{ID: o.ID, DB: db, Table: table, WantDB: wantDB, WantTable: wantTable}
}
