package sqlitestock

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"penstock/internal/ident"
	"penstock/stock/driver"
)

func (r *row) waiter(saleID string) *driver.Waiter {
	return &driver.Waiter{
		Seq: uint64(r.seq), Key: driver.Key{Sale: saleID, User: r.user.String, Key: r.key.String}, SKU: r.sku.String,
		Quantity: r.quantity.Int64, At: fromMicro(r.at), State: driver.WaitState(r.state.Int64), Order: ident.ID(r.id.Int64), Why: r.why.String,
	}
}

// Waiter reads an entry by its number and counts who waits before it.
func (d *Driver) Waiter(ctx context.Context, seq uint64) (*driver.Waiter, int64, error) {
	d.life.RLock()
	defer d.life.RUnlock()
	db, upto := at(d, func(m *memory) uint64 { return m.seq })
	if seq > upto {
		return nil, 0, nil // memory may not know its sale yet
	}
	w, err := d.waiter(ctx, db, seq)
	if w == nil || err != nil || w.State != driver.Waiting {
		return w, 0, err
	}
	_, ahead := at(d, func(m *memory) (n int) {
		if s := m.sales[w.Key.Sale]; s != nil {
			n, _ = s.lists.place(w.SKU, seq)
		}
		return n
	})
	return w, int64(ahead), nil
}

func (d *Driver) waiter(ctx context.Context, db *sql.DB, seq uint64) (*driver.Waiter, error) {
	var r row
	err := db.QueryRowContext(ctx, "SELECT "+journalColumns+" FROM journal j WHERE j.seq = ? AND j.kind = 7", int64(seq)).Scan(r.fields()...)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, d.readError("read an entry of a waiting list", err)
	}
	return r.waiter(d.saleID(r.sale)), nil
}

// readWaiting answers what a decision asks about waiting lists.
func (d *Driver) readWaiting(ctx context.Context, r *driver.Reads) error {
	st := &d.state
	st.Joins, st.Waiters, st.Next = st.Joins[:0], st.Waiters[:0], d.next
	for i := range r.Joins {
		j, err := d.joinOf(ctx, &r.Joins[i])
		if err != nil {
			return err
		}
		st.Joins = append(st.Joins, j)
	}
	for _, seq := range r.Waiters {
		w, err := d.waiter(ctx, d.own, seq)
		if err != nil {
			return err
		}
		st.Waiters = append(st.Waiters, w)
	}
	return nil
}

func (d *Driver) joinOf(ctx context.Context, r *driver.JoinRef) (j driver.Join, err error) {
	s := d.mem.sales[r.Key.Sale]
	if s == nil {
		return j, nil
	}
	var known, live uint64
	if s.lists != nil {
		known, live = s.lists.keys[[2]string{r.Key.User, r.Key.Key}], s.lists.live[[2]string{r.SKU, r.Key.User}]
	}
	if s.archived {
		err = d.own.QueryRowContext(ctx, "SELECT seq FROM closed_wait WHERE sale = ? AND user = ? AND key = ?", s.num, r.Key.User, r.Key.Key).Scan(&known)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return j, err
		}
	}
	if known != 0 {
		if j.Known, err = d.waiter(ctx, d.own, known); err != nil {
			return j, err
		}
	}
	if live != 0 {
		j.Live, err = d.waiter(ctx, d.own, live)
		return j, err
	}
	return j, nil
}

type joinRow struct {
	w    *driver.Waiter
	sale *sale
}

// quitRow is an entry that is settled; seq is 0 when it was offered, because then the hold is its entry of the journal.
type quitRow struct {
	seq  uint64
	s    driver.Settle
	sale *sale
}

func (p *plan) planJoins(m *memory) error {
	made := map[driver.Key]bool{}
	for _, w := range p.changes.Waiters {
		s := p.find(m, w.Key.Sale)
		if s == nil || s.archived {
			return fmt.Errorf("%w: entry for unknown or archived sale %q", errGuard, w.Key.Sale)
		}
		if made[w.Key] || s.lists != nil && s.lists.keys[[2]string{w.Key.User, w.Key.Key}] != 0 {
			return fmt.Errorf("%w: key %+v has an entry already", errGuard, w.Key)
		}
		made[w.Key], w.Seq = true, p.take(1)
		p.joins = append(p.joins, joinRow{w, s})
	}
	return nil
}

func (p *plan) planQuits(m *memory) error {
	seen := map[uint64]bool{}
	for _, c := range p.changes.Settled {
		s := p.find(m, c.List.Sale)
		there := false
		if s != nil {
			_, there = s.lists.place(c.List.SKU, c.Seq)
		}
		if !there || seen[c.Seq] {
			return fmt.Errorf("%w: entry %d does not wait", errGuard, c.Seq)
		}
		seen[c.Seq] = true
		row := quitRow{s: c, sale: s}
		if c.To != driver.Offered {
			row.seq = p.take(1)
		}
		p.quits = append(p.quits, row)
	}
	return nil
}

const settleWaiter = `UPDATE journal SET state = ?, id = ?, why = ? WHERE seq = ? AND kind = 7 AND state = 1`

func (d *Driver) writeWaiting(ctx context.Context, p *plan, at int64) error {
	for i := range p.quits {
		if err := d.writeQuit(ctx, &p.quits[i], at); err != nil {
			return err
		}
	}
	for _, j := range p.joins {
		w := j.w
		err := d.exec(ctx, insertJournal, 1, int64(w.Seq), int64(driver.Wait), w.At.UnixMicro(), j.sale.num, w.Key.User, w.Key.Key, nil, nil,
			w.SKU, w.Quantity, nil, nil, nil, nil, nil, nil, int64(w.State), nil, nil, nil, nil)
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *Driver) writeQuit(ctx context.Context, q *quitRow, at int64) error {
	var order any
	if q.s.Order != 0 {
		order = int64(q.s.Order)
	}
	err := d.exec(ctx, settleWaiter, 1, int64(q.s.To), order, text(q.s.Why), int64(q.s.Seq))
	if err != nil || q.seq == 0 {
		return err
	}
	return d.exec(ctx, insertJournal, 1, int64(q.seq), int64(driver.Quit), at, q.sale.num, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil,
		nil, nil, nil, int64(q.s.Seq), text(q.s.Why), nil, nil)
}

func (p *plan) applyWaiting() {
	for _, q := range p.quits {
		q.sale.lists.remove(q.s.List.SKU, q.s.Seq)
	}
	for _, j := range p.joins {
		w := j.w
		j.sale.addWaiter(w.Key.User, w.Key.Key, waitNode{w.Seq, w.Quantity, w.Key.User}, w.SKU, true)
	}
}
