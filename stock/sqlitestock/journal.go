package sqlitestock

import (
	"context"
	"database/sql"
	"fmt"

	"penstock/stock/driver"
)

const (
	readJournal = `SELECT ` + journalColumns + ` FROM journal j WHERE j.seq > ? ORDER BY j.seq LIMIT ?`
	// A sale or a release carries the claim it moved, from the row of the hold; so does the end of an entry of a waiting list.
	readHolds = `SELECT ` + journalColumns + ` FROM journal j WHERE j.seq IN (SELECT ref FROM journal WHERE seq > ? AND seq <= ?)`
)

// Journal reads one short page. It holds a read transaction only while it reads.
func (d *Driver) Journal(ctx context.Context, after uint64, limit int) ([]driver.Entry, error) {
	d.life.RLock()
	defer d.life.RUnlock()
	db, upto := at(d, func(m *memory) uint64 { return m.seq })
	if after >= upto {
		return nil, nil
	}
	page, moves, err := d.page(ctx, db, after, upto, limit)
	if err != nil || len(moves) == 0 {
		return page, err
	}
	holds, err := d.holds(ctx, db, after, page[len(page)-1].Seq)
	if err != nil {
		return nil, err
	}
	for _, m := range moves {
		hold := holds[m.ref]
		if err := d.moved(&page[m.at], &hold); err != nil {
			return nil, err
		}
	}
	return page, nil
}

// move is a place in a page whose entry lacks the row that it moved.
type move struct {
	at  int
	ref int64
}

// page reads entries up to a number, as far as their own rows tell them.
func (d *Driver) page(ctx context.Context, db *sql.DB, after, upto uint64, limit int) (page []driver.Entry, moves []move, err error) {
	rows, err := db.QueryContext(ctx, readJournal, int64(after), limit)
	if err != nil {
		return nil, nil, d.readError("read the journal", err)
	}
	defer rows.Close()
	var r row // one for all: a rush is read row by row beside the buyers
	for fields := r.fields(); rows.Next(); {
		if err := rows.Scan(fields...); err != nil {
			return nil, nil, d.readError("read the journal", err)
		}
		if uint64(r.seq) > upto {
			break // committed after this call began; memory may not know its sale yet
		}
		e, err := d.entry(&r)
		if err != nil {
			return nil, nil, err
		}
		switch e.Kind {
		case driver.Sell, driver.Release, driver.Quit:
			moves = append(moves, move{len(page), r.ref.Int64})
		}
		page = append(page, e)
	}
	return page, moves, rows.Err()
}

// holds reads the rows that entries with numbers in (after, upto] have moved.
func (d *Driver) holds(ctx context.Context, db *sql.DB, after, upto uint64) (map[int64]row, error) {
	rows, err := db.QueryContext(ctx, readHolds, int64(after), int64(upto))
	if err != nil {
		return nil, d.readError("read what the journal moved", err)
	}
	defer rows.Close()
	var r row
	holds := map[int64]row{}
	for fields := r.fields(); rows.Next(); {
		if err := rows.Scan(fields...); err != nil {
			return nil, d.readError("read what the journal moved", err)
		}
		holds[r.seq] = r
	}
	return holds, rows.Err()
}

func (d *Driver) entry(r *row) (driver.Entry, error) {
	e := driver.Entry{Seq: uint64(r.seq), At: fromMicro(r.at), Kind: driver.Kind(r.kind), Trace: r.trace.String}
	saleID := d.saleID(r.sale)
	var err error
	switch e.Kind {
	case driver.Hold, driver.Refuse:
		e.Attempt, err = r.attempt(saleID)
	case driver.Sell, driver.Release, driver.Quit:
		e.Why = r.why.String
	case driver.OfferKind, driver.Withdraw:
		e.Why = r.why.String
		e.Offer = &driver.Offer{Key: driver.Key{Sale: saleID, Key: r.key.String}, SKU: r.sku.String, Delta: r.quantity.Int64, Why: e.Why}
	case driver.Wait:
		e.Waiter = r.waiter(saleID)
	default:
		err = fmt.Errorf("journal row %d has the unknown kind %d", r.seq, r.kind)
	}
	return e, err
}

// moved gives an entry what it moved.
func (d *Driver) moved(e *driver.Entry, hold *row) (err error) {
	if e.Kind == driver.Quit {
		e.Waiter = hold.waiter(d.saleID(hold.sale))
		return nil
	}
	e.Attempt, err = hold.attempt(d.saleID(hold.sale))
	return err
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

// SentUpTo returns the highest number that Sent was told.
func (d *Driver) SentUpTo(ctx context.Context) (seq uint64, err error) {
	d.life.RLock()
	defer d.life.RUnlock()
	err = d.db.R.QueryRowContext(ctx, "SELECT sent FROM meta").Scan(&seq)
	return seq, err
}
