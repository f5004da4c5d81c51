package sqlitestock

import (
	"context"
	"database/sql"
	"fmt"

	"penstock/stock/driver"
)

// A sale or a release carries the claim it moved, from the row of the hold.
const readJournal = `SELECT ` + journalColumns + `, h.seq, h.kind, h.at, h.sale, h.user, h.key, h.body, h.id, h.sku, h.quantity,
	h.price, h.lines, h.amount, h.currency, h.pay_before, h.release_at, h.state, h.ref, h.why, h.trace, h.pass
	FROM journal j LEFT JOIN journal h ON h.seq = j.ref WHERE j.seq > ? ORDER BY j.seq LIMIT ?`

// Journal reads one short page. It holds a read transaction only while it reads.
func (d *Driver) Journal(ctx context.Context, after uint64, limit int) ([]driver.Entry, error) {
	d.life.RLock()
	defer d.life.RUnlock()
	db, upto := at(d, func(m *memory) uint64 { return m.seq })
	if after >= upto {
		return nil, nil
	}
	rows, err := db.QueryContext(ctx, readJournal, int64(after), limit)
	if err != nil {
		return nil, d.readError("read the journal", err)
	}
	defer rows.Close()
	var page []driver.Entry
	for rows.Next() {
		var r row
		var hold optionalRow
		if err := rows.Scan(append(r.fields(), hold.fields()...)...); err != nil {
			return nil, d.readError("read the journal", err)
		}
		if uint64(r.seq) > upto {
			break // committed after this call began; memory may not know its sale yet
		}
		e, err := d.entry(&r, &hold)
		if err != nil {
			return nil, err
		}
		page = append(page, e)
	}
	return page, rows.Err()
}

func (d *Driver) entry(r *row, hold *optionalRow) (driver.Entry, error) {
	e := driver.Entry{Seq: uint64(r.seq), At: fromMicro(r.at), Kind: driver.Kind(r.kind), Trace: r.trace.String}
	saleID := d.saleID(r.sale)
	var err error
	switch e.Kind {
	case driver.Hold, driver.Refuse:
		e.Attempt, err = r.attempt(saleID)
	case driver.Sell, driver.Release:
		e.Why = r.why.String
		e.Attempt, err = hold.hold().attempt(saleID)
	case driver.OfferKind, driver.Withdraw:
		e.Why = r.why.String
		e.Offer = &driver.Offer{Key: driver.Key{Sale: saleID, Key: r.key.String}, SKU: r.sku.String, Delta: r.quantity.Int64, Why: e.Why}
	case driver.Wait:
		e.Waiter = r.waiter(saleID)
	case driver.Quit:
		e.Why = r.why.String
		e.Waiter = hold.hold().waiter(saleID)
	default:
		err = fmt.Errorf("journal row %d has the unknown kind %d", r.seq, r.kind)
	}
	return e, err
}

// Audit reads one page of the trail.
func (d *Driver) Audit(ctx context.Context, after uint64, limit int) ([]driver.Audit, error) {
	d.life.RLock()
	defer d.life.RUnlock()
	db, _ := at(d, func(*memory) struct{} { return struct{}{} })
	rows, err := db.QueryContext(ctx, `SELECT seq, at, who, act, object, why, before, after, id FROM audit
		WHERE seq > ? ORDER BY seq LIMIT ?`, int64(after), limit)
	if err != nil {
		return nil, d.readError("read the trail", err)
	}
	defer rows.Close()
	var page []driver.Audit
	for rows.Next() {
		var a driver.Audit
		var at int64
		if err := rows.Scan(&a.Seq, &at, &a.Who, &a.Act, &a.Object, &a.Why, &a.Before, &a.After, &a.ID); err != nil {
			return nil, d.readError("read the trail", err)
		}
		a.At = fromMicro(at)
		page = append(page, a)
	}
	return page, rows.Err()
}

// optionalRow is the joined row of a hold, or all NULL.
type optionalRow struct {
	row
	seq, kind, at, sale sql.NullInt64
}

func (o *optionalRow) fields() []any {
	f := o.row.fields()
	f[0], f[1], f[2], f[3] = &o.seq, &o.kind, &o.at, &o.sale
	return f
}

func (o *optionalRow) hold() *row {
	o.row.seq, o.row.kind, o.row.at, o.row.sale = o.seq.Int64, o.kind.Int64, o.at.Int64, o.sale.Int64
	return &o.row
}

// SentUpTo returns the highest number that Sent was told.
func (d *Driver) SentUpTo(ctx context.Context) (seq uint64, err error) {
	d.life.RLock()
	defer d.life.RUnlock()
	err = d.db.R.QueryRowContext(ctx, "SELECT sent FROM meta").Scan(&seq)
	return seq, err
}
