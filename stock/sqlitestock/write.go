package sqlitestock

import (
	"context"
	sqldriver "database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"penstock/engine/sqlite"
	"penstock/stock/driver"
)

const (
	insertJournal = `INSERT INTO journal (seq, kind, at, sale, user, key, body, id, sku, quantity, price, lines, amount, currency,
		pay_before, release_at, state, ref, why, trace, pass) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`
	// insertHold is the row of most wins, a claim of one line. A value that is bound costs more than the row it goes into, so what is
	// the same in all of them is not.
	insertHold = `INSERT INTO journal (seq, kind, state, at, sale, user, key, body, id, sku, quantity, price, amount, currency, pay_before,
		release_at, trace, pass) VALUES (?,1,1,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)`
	assertEpoch = `UPDATE meta SET sent = sent WHERE one = 1 AND epoch = ?`
	putSale     = `INSERT INTO sale (n, id, doc, version, first_seq, archived) VALUES (?,?,?,?,?,0)
		ON CONFLICT (n) DO UPDATE SET doc = excluded.doc, version = excluded.version`
	putStock = `INSERT INTO stock (sale, sku, offered, available, held, sold, withdrawn, version, waiting) VALUES (?,?,?,?,?,?,?,?,?)
		ON CONFLICT (sale, sku) DO UPDATE SET offered = excluded.offered, available = excluded.available, held = excluded.held,
		sold = excluded.sold, withdrawn = excluded.withdrawn, version = excluded.version, waiting = excluded.waiting WHERE version = excluded.version - 1`
	moveClaim   = `UPDATE journal SET state = ?, why = ? WHERE seq = ? AND state = ?`
	insertAudit = `INSERT INTO audit (seq, at, who, act, object, why, before, after, id) VALUES (?,?,?,?,?,?,?,?,?)`
)

// isGuard reports whether an error is a refusal of the rows themselves, after which the connection is as good as before.
func isGuard(err error) bool { return errors.Is(err, errGuard) || sqlite.Constraint(err) }

// exec runs a statement with values bound in order; want is the number of rows it must touch, -1 for any.
func (d *Driver) exec(ctx context.Context, query string, want int64, values ...any) error {
	d.args = d.args[:0]
	for i, v := range values {
		d.args = append(d.args, sqldriver.NamedValue{Ordinal: i + 1, Value: v})
	}
	res, err := d.conn.Exec(ctx, query, d.args)
	if err != nil || want < 0 {
		return err
	}
	n, err := res.RowsAffected()
	if err == nil && n != want {
		err = fmt.Errorf("%w: %d rows instead of %d by %.40s", errGuard, n, want, query)
	}
	return err
}

func (d *Driver) writeRows(ctx context.Context, p *plan) error {
	if err := d.exec(ctx, "BEGIN IMMEDIATE", -1); err != nil {
		return err
	}
	if err := d.exec(ctx, assertEpoch, 1, d.epoch); err != nil {
		return fmt.Errorf("another process owns the stock database: %w", err)
	}
	for _, s := range p.sales {
		if err := d.writeSale(ctx, s); err != nil {
			return err
		}
	}
	for i := range p.changes.Stock {
		l := &p.changes.Stock[i]
		num := p.find(d.mem, l.Sale).num
		err := d.exec(ctx, putStock, 1, num, l.SKU, l.Offered, l.Available, l.Held, l.Sold, l.Withdrawn, l.Version, l.Waiting)
		if err != nil {
			return err
		}
	}
	for i := range p.held {
		if err := d.writeAttempt(ctx, &p.held[i]); err != nil {
			return err
		}
	}
	at := p.now.UnixMicro()
	for i := range p.moves {
		if err := d.writeMove(ctx, &p.moves[i], at); err != nil {
			return err
		}
	}
	for _, o := range p.offers {
		kind, key := driver.OfferKind, text(o.offer.Key.Key)
		if o.offer.Delta < 0 {
			kind = driver.Withdraw
		}
		err := d.exec(ctx, insertJournal, 1, int64(o.seq), int64(kind), at, o.sale.num, "", key, nil, nil, o.offer.SKU, o.offer.Delta,
			nil, nil, nil, nil, nil, nil, nil, nil, text(o.offer.Why), nil, nil)
		if err != nil {
			return err
		}
	}
	if err := d.writeWaiting(ctx, p, at); err != nil {
		return err
	}
	for i, a := range p.changes.Audit {
		err := d.exec(ctx, insertAudit, 1, int64(p.audit)+int64(i)+1, at, a.Who, a.Act, a.Object, a.Why, a.Before, a.After, a.ID)
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *Driver) writeSale(ctx context.Context, s *sale) error {
	doc, err := json.Marshal(s.doc)
	if err != nil {
		return err
	}
	return d.exec(ctx, putSale, 1, s.num, s.doc.ID, string(doc), s.doc.Version, int64(s.first))
}

func (d *Driver) writeAttempt(ctx context.Context, h *heldRow) error {
	a := h.a
	if !a.Won() {
		return d.exec(ctx, insertJournal, 1, int64(a.Seq), int64(driver.Refuse), a.At.UnixMicro(), h.sale.num, a.Key.User, a.Key.Key,
			a.Body[:], int64(a.ID), a.SKU, a.Left, nil, string(h.lines), nil, text(a.Currency), nil, nil, int64(driver.None), nil,
			string(a.Reason), text(a.Trace), pass(a))
	}
	if l := a.Lines[0]; h.lines == nil && a.State == driver.Held {
		return d.exec(ctx, insertHold, 1, int64(a.Seq), a.At.UnixMicro(), h.sale.num, a.Key.User, a.Key.Key, a.Body[:], int64(a.ID), l.SKU,
			l.Quantity, l.Price, a.Amount, a.Currency, a.PayBefore.UnixMicro(), a.ReleaseAt.UnixMicro(), text(a.Trace), pass(a))
	}
	var sku, quantity, price, lines any
	if h.lines != nil {
		lines = string(h.lines)
	} else {
		sku, quantity, price = a.Lines[0].SKU, a.Lines[0].Quantity, a.Lines[0].Price
	}
	return d.exec(ctx, insertJournal, 1, int64(a.Seq), int64(driver.Hold), a.At.UnixMicro(), h.sale.num, a.Key.User, a.Key.Key,
		a.Body[:], int64(a.ID), sku, quantity, price, lines, a.Amount, a.Currency, a.PayBefore.UnixMicro(), a.ReleaseAt.UnixMicro(),
		int64(a.State), nil, nil, text(a.Trace), pass(a))
}

func (d *Driver) writeMove(ctx context.Context, m *moveRow, at int64) error {
	var why any
	kind := driver.Sell
	if m.move.To == driver.Released {
		kind, why = driver.Release, m.move.Why
	}
	if err := d.exec(ctx, moveClaim, 1, int64(m.move.To), why, int64(m.claim.Seq), int64(m.move.From)); err != nil {
		return err
	}
	return d.exec(ctx, insertJournal, 1, int64(m.seq), int64(kind), at, m.sale.num, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil,
		nil, nil, nil, int64(m.claim.Seq), text(m.move.Why), text(m.move.Trace), nil)
}

func pass(a *driver.Attempt) any {
	if a.Pass == 0 {
		return nil
	}
	return int64(a.Pass)
}

// text keeps empty strings out of the rows.
func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// Sent remembers that every consumer has got all messages up to seq.
func (d *Driver) Sent(ctx context.Context, seq uint64) error {
	d.write.Lock()
	defer d.write.Unlock()
	if d.closed || d.broken {
		return driver.ErrUnavailable
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx) // a caller who leaves is no reason to distrust the file
	if err := d.exec(ctx, "UPDATE meta SET sent = max(sent, ?) WHERE one = 1 AND epoch = ?", 1, int64(seq), d.epoch); err != nil {
		d.breakdown(true)
		return fmt.Errorf("remember what was sent: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	n := 0
	for n < len(d.mem.unsent) && d.mem.unsent[n].seq <= seq {
		n++
	}
	d.mem.unsent = d.mem.unsent[n:]
	return nil
}

func fromMicro(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
