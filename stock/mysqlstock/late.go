package mysqlstock

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"penstock/stock/driver"
)

// A batch in which every call wins, or is answered by what its key is bound to, does not depend on how many units there are as
// long as there are enough. It is decided from stock rows read without a lock and takes its units last, by a change relative to
// what the row is then: processes that sell one SKU wait for each other only from there to the commit. Whatever says no, or
// changes anything else, depends on the rows as they are, and is decided under their locks.
//
// What a late decision was made by is asserted when it is written: units by the row's guards, allowances by the count of the
// rows that were new and by reading the others again, keys and passes by their indexes, sales by the edition.

// errLock says that a decision needs the stock rows locked first.
var errLock = errors.New("the decision needs its stock rows locked")

const (
	// early is for how many batches the rows are locked first after one needed it.
	early = 16
	// lateRows is how many stock rows a late decision changes at most; each costs a round trip.
	lateRows = 4
)

// canBeLate reports whether a decision may be one of wins only.
func (d *DB) canBeLate(r *driver.Reads) bool {
	if d.early > 0 {
		d.early--
		return false
	}
	return len(r.Keys) > 0 && len(r.Stock) > 0 && len(r.Claims) == 0 && len(r.Acts) == 0 && len(r.Joins)+len(r.Waiters) == 0
}

// plenty reports whether all rows have units for several batches, so that a late decision will hardly find too few.
func plenty(r *driver.Reads, st *driver.State) bool {
	for _, l := range st.Stock {
		if l == nil || l.Waiting > 0 || l.Available < int64(8*len(r.Keys)) {
			return false
		}
	}
	return true
}

// onlyWins reports whether every key is bound, before or by a win of these changes, and nothing else changes.
func onlyWins(r *driver.Reads, st *driver.State, c *driver.Changes) bool {
	won := map[driver.Key]bool{}
	if c != nil {
		if len(c.Sales)+len(c.Moves)+len(c.Offers)+len(c.Audit)+len(c.Waiters)+len(c.Settled) > 0 || len(c.Stock) > lateRows {
			return false
		}
		for _, a := range c.Attempts {
			won[a.Key] = a.Won()
		}
	}
	for i, k := range r.Keys {
		if st.Known[i] == nil && !won[k] {
			return false
		}
	}
	return c == nil || len(c.Attempts) > 0
}

// lateTaken adds to allowances and asserts that each was what the decision read. Their rows are locked from here on.
func (w *writer) lateTaken(ctx context.Context) error {
	var fresh, known []takenRow
	for _, row := range w.plan.taken {
		if _, have := w.taken0[row.ref]; have {
			known = append(known, row)
		} else {
			fresh = append(fresh, row)
		}
	}
	n, err := addTaken(ctx, w.tx, fresh)
	if err != nil {
		return err
	}
	if n != int64(len(fresh)) { // a row that was there counts twice
		return fmt.Errorf("%w: an allowance", errStale)
	}
	if _, err := addTaken(ctx, w.tx, known); err != nil {
		return err
	}
	wanted := list{len(known), selectTaken, ")", func(t *text, i int) { putTakenRef(t, known[i].ref) }}
	return wanted.query(ctx, w.tx, func(rows *sql.Rows) error {
		var ref driver.TakenRef
		var now int64
		if err := rows.Scan(&ref.Sale, &ref.SKU, &ref.User, &now); err != nil {
			return err
		}
		for _, row := range known {
			if row.ref == ref && now != w.taken0[ref]+row.delta {
				return fmt.Errorf("%w: an allowance", errStale)
			}
		}
		return nil
	})

}

// lateStock takes the units from the rows as they are now. Where another process has changed a row since it was read, the
// changes are told what the row has become.
func (w *writer) lateStock(ctx context.Context) error {
	rows := w.plan.changes.Stock
	for i := range rows {
		l := &rows[i]
		was := w.stock0[driver.StockRef{Sale: l.Sale, SKU: l.SKU}]
		take := was.Available - l.Available
		if l.Held-was.Held != take || l.Offered != was.Offered || l.Sold != was.Sold || l.Withdrawn != was.Withdrawn {
			return errLock
		}
		var t text
		t.raw("UPDATE stock SET available = available - ").num(take).raw(", held = held + ").num(take)
		t.raw(", version = LAST_INSERT_ID(version + 1) WHERE sale = ").bytes(l.Sale).raw(" AND sku = ").bytes(l.SKU)
		t.raw(" AND waiting = 0 AND available >= ").num(take) // whoever waits comes first
		res, err := w.tx.ExecContext(ctx, string(t.b))
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return err
		}
		if n != 1 {
			return fmt.Errorf("%w: too few units are left, or somebody waits for them", errStale)
		}
		if version, err := res.LastInsertId(); err != nil || version != l.Version {
			if err = errors.Join(err, w.lookAgain(ctx, l)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *writer) lookAgain(ctx context.Context, l *driver.Stock) error {
	var t text
	t.raw("SELECT " + stockColumns + " FROM stock WHERE sale = ").bytes(l.Sale).raw(" AND sku = ").bytes(l.SKU)
	return query(ctx, w.tx, string(t.b), func(rows *sql.Rows) error { return rows.Scan(stockFields(l)...) })
}
