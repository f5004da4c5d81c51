package mysqlstock

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"

	"penstock/internal/ident"
	"penstock/stock/driver"
)

// A stock row is the lock of its waiting list, as of its allowances and claims: whoever joins, leaves, or is handed units
// holds it. So lists are read without locks of their own, in the same transaction, as far as the decision walks them.

const waiterColumns = "q.seq, q.user, q.sale, q.akey, q.sku, q.quantity, q.at, q.state, q.claim, q.why"

// waiterRow is a row of waiting as scanned; all is NULL where a join found none.
type waiterRow struct {
	seq, quantity, at, state, claim sql.NullInt64
	user, sale, key, sku, why       sql.NullString
}

func (r *waiterRow) fields() []any {
	return []any{&r.seq, &r.user, &r.sale, &r.key, &r.sku, &r.quantity, &r.at, &r.state, &r.claim, &r.why}
}

func (r *waiterRow) waiter() *driver.Waiter {
	return &driver.Waiter{
		Seq: uint64(r.seq.Int64), Key: driver.Key{Sale: r.sale.String, User: r.user.String, Key: r.key.String}, SKU: r.sku.String,
		Quantity: r.quantity.Int64, At: fromMicro(r.at.Int64), State: driver.WaitState(r.state.Int64), Order: ident.ID(r.claim.Int64),
		Why: r.why.String,
	}
}

// waiters reads the entries of one statement; each has an allowance behind its columns where taken is set.
func waiters(ctx context.Context, q executor, t *text, taken bool) (found []*driver.Waiter, err error) {
	err = query(ctx, q, string(t.b), func(rows *sql.Rows) error {
		var r waiterRow
		var n int64
		f := r.fields()
		if taken {
			f = append(f, &n)
		}
		if err := rows.Scan(f...); err != nil {
			return err
		}
		w := r.waiter()
		w.Taken = n
		found = append(found, w)
		return nil
	})
	return found, err
}

func waiterBySeq(ctx context.Context, q executor, seq uint64) (*driver.Waiter, error) {
	var t text
	t.raw("SELECT " + waiterColumns + " FROM waiting q WHERE q.seq = ").num(int64(seq))
	found, err := waiters(ctx, q, &t, false)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

// Waiter reads an entry by its number, and counts who waits before it in the index of the list.
func (d *DB) Waiter(ctx context.Context, seq uint64) (w *driver.Waiter, ahead int64, err error) {
	done, err := d.reading(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer done()
	w, err = waiterBySeq(ctx, d.db, seq)
	if w == nil || err != nil || w.State != driver.Waiting {
		return w, 0, readError("read an entry of a waiting list", err)
	}
	var t text
	t.raw("SELECT COUNT(*) FROM waiting WHERE sale = ").bytes(w.Key.Sale).raw(" AND sku = ").bytes(w.SKU).raw(" AND state = 1 AND seq < ").num(int64(seq))
	err = d.db.QueryRowContext(ctx, string(t.b)).Scan(&ahead)
	return w, ahead, readError("count who waits before", err)
}

// waiting answers what a decision asks about waiting lists.
func (r *reader) waiting(ctx context.Context) error {
	if err := r.joins(ctx); err != nil {
		return err
	}
	for _, seq := range r.reads.Waiters {
		w, err := waiterBySeq(ctx, r.tx, seq)
		if err != nil {
			return err
		}
		r.state.Waiters = append(r.state.Waiters, w)
	}
	r.state.Next = func(list driver.StockRef, behind uint64, most int64) []*driver.Waiter {
		if r.failed != nil {
			return nil
		}
		var page []*driver.Waiter
		page, r.failed = r.next(ctx, list, behind, most)
		return page
	}
	return nil
}

// joins reads for all joins of the batch at once what their keys made, and what their users wait for.
func (r *reader) joins(ctx context.Context) error {
	refs := r.reads.Joins
	known, live := map[driver.Key]*driver.Waiter{}, map[driver.JoinRef]*driver.Waiter{}
	take := func(rows *sql.Rows) error {
		var row waiterRow
		err := rows.Scan(row.fields()...)
		w := row.waiter()
		known[w.Key] = w
		if w.State == driver.Waiting {
			live[driver.JoinRef{Key: driver.Key{Sale: w.Key.Sale, User: w.Key.User}, SKU: w.SKU}] = w
		}
		return err
	}
	const from = "SELECT " + waiterColumns + " FROM waiting q WHERE "
	byKey := list{len(refs), from + "(q.user, q.sale, q.akey) IN (", ")",
		func(t *text, i int) { t.row(refs[i].Key.User, refs[i].Key.Sale, refs[i].Key.Key) }}
	byUser := list{len(refs), from + "q.state = 1 AND (q.user, q.sale) IN (", ")",
		func(t *text, i int) { t.row(refs[i].Key.User, refs[i].Key.Sale) }}
	for _, l := range []list{byKey, byUser} {
		if err := l.query(ctx, r.tx, take); err != nil {
			return err
		}
	}
	for i := range refs {
		who := driver.JoinRef{Key: driver.Key{Sale: refs[i].Key.Sale, User: refs[i].Key.User}, SKU: refs[i].SKU}
		r.state.Joins = append(r.state.Joins, driver.Join{Known: known[refs[i].Key], Live: live[who]})
	}
	return nil
}

const linePage = 64

func (r *reader) next(ctx context.Context, list driver.StockRef, behind uint64, most int64) ([]*driver.Waiter, error) {
	var t text
	t.raw("SELECT " + waiterColumns + ", COALESCE(a.taken, 0) FROM waiting q FORCE INDEX (waiting_line)")
	t.raw(" LEFT JOIN allowance a ON a.sale = q.sale AND a.sku = q.sku AND a.user = q.user WHERE q.sale = ").bytes(list.Sale)
	t.raw(" AND q.sku = ").bytes(list.SKU).raw(" AND q.state = 1 AND q.seq > ").num(int64(behind)).raw(" AND q.quantity <= ").num(most)
	t.raw(" ORDER BY q.seq LIMIT ").num(linePage)
	return waiters(ctx, r.tx, &t, true)
}

type joinRow struct {
	seq uint64
	w   *driver.Waiter
}

func (p *plan) planJoins() {
	for _, w := range p.changes.Waiters {
		seq := p.take(1)
		p.joins = append(p.joins, joinRow{seq, w})
		p.journal = append(p.journal, journalRow{seq: seq, kind: driver.Wait, at: toMicro(w.At)})
	}
}

func (p *plan) planQuits() {
	for i := range p.changes.Settled {
		if s := &p.changes.Settled[i]; s.To != driver.Offered {
			p.journal = append(p.journal, journalRow{seq: p.take(1), kind: driver.Quit, at: toMicro(p.now), ref: ident.ID(s.Seq), why: s.Why})
		}
	}
}

// settled is one compare-and-set for as many entries as fit into a statement.
func (w *writer) settled(ctx context.Context) error {
	all := slices.SortedFunc(slices.Values(w.plan.changes.Settled), func(a, b driver.Settle) int { return cmp.Compare(a.Seq, b.Seq) })
	for page := range slices.Chunk(all, maxRows) {
		var t text
		t.raw("UPDATE waiting SET state = CASE seq")
		each(&t, page, func(s *driver.Settle) { t.num(int64(s.To)) })
		t.raw(" END, claim = CASE seq")
		each(&t, page, func(s *driver.Settle) { t.num(int64(s.Order)) })
		t.raw(" END, why = CASE seq")
		each(&t, page, func(s *driver.Settle) { t.bytes(s.Why) })
		t.raw(" END WHERE state = 1 AND seq IN (")
		for i := range page {
			if i > 0 {
				t.raw(",")
			}
			t.num(int64(page[i].Seq))
		}
		res, err := w.tx.ExecContext(ctx, string(t.raw(")").b))
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return err
		}
		if n != int64(len(page)) {
			return fmt.Errorf("%w: %d of %d entries wait", errGuard, n, len(page))
		}
	}
	return nil
}

func each(t *text, page []driver.Settle, value func(*driver.Settle)) {
	for i := range page {
		t.raw(" WHEN ").num(int64(page[i].Seq)).raw(" THEN ")
		value(&page[i])
	}
}

// joined writes the entries under their numbers.
func (w *writer) joined(ctx context.Context) error {
	rows := w.plan.joins
	put := list{len(rows), "INSERT INTO waiting (seq, sale, sku, user, akey, quantity, at, state, claim, why) VALUES ", "", func(t *text, i int) {
		e := rows[i].w
		t.raw("(").num(int64(e.Seq)).raw(",").bytes(e.Key.Sale).raw(",").bytes(e.SKU).raw(",").bytes(e.Key.User).raw(",").bytes(e.Key.Key)
		t.raw(",").num(e.Quantity).raw(",").num(toMicro(e.At)).raw(",").num(int64(e.State)).raw(",").num(int64(e.Order)).raw(",").bytes(e.Why).raw(")")
	}}
	_, err := put.exec(ctx, w.tx)
	return err
}
