package mysqlstock

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"penstock/stock/driver"
)

// writer writes a plan inside its transaction.
type writer struct {
	tx      *sql.Tx
	plan    *plan
	edition uint64
	audit   uint64 // number of the last audit row, after head

	late   bool
	stock0 map[driver.StockRef]*driver.Stock // rows as the decision read them
	taken0 map[driver.TakenRef]int64
}

// write takes the row of head last but for what needs its numbers: from there to the commit no other process can commit, so
// numbers and editions are in the order of commits, and the time spent there is everybody's.
func (w *writer) write(ctx context.Context) error {
	steps := []func(context.Context) error{
		w.stock, w.moves, w.taken, w.attempts, w.settled, // rows that are ours by the locks on stock
		w.head,
		w.sales, w.journal, w.offers, w.joined, w.trail,
	}
	if w.late {
		steps = []func(context.Context) error{w.lateTaken, w.attempts, w.lateStock, w.head, w.journal}
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// stock replaces the rows. Their locks are held and their versions were checked, so the count is an assertion: one for a row
// that is new, two for one that is there.
func (w *writer) stock(ctx context.Context) error {
	rows := w.plan.changes.Stock
	put := list{len(rows), insertStock,
		` ON DUPLICATE KEY UPDATE offered = VALUES(offered), available = VALUES(available), held = VALUES(held), sold = VALUES(sold),
		withdrawn = VALUES(withdrawn), version = VALUES(version), waiting = VALUES(waiting)`,
		func(t *text, i int) { putStock(t, &rows[i]) }}
	n, err := put.exec(ctx, w.tx)

	if err != nil {
		return err
	}
	if want := 2*int64(len(rows)) - w.plan.stockNew; n != want {
		return fmt.Errorf("%w: stock rows: the server counts %d, not %d", errStale, n, want)
	}
	return nil
}

const insertStock = "INSERT INTO stock (" + stockColumns + ") VALUES "

func putStock(t *text, l *driver.Stock) {
	t.raw("(").bytes(l.Sale).raw(",").bytes(l.SKU)
	for _, v := range []int64{l.Offered, l.Available, l.Held, l.Sold, l.Withdrawn, l.Version, l.Waiting} {
		t.raw(",").num(v)
	}
	t.raw(")")
}

// moves is one compare-and-set for all claims that move alike.
func (w *writer) moves(ctx context.Context) error {
	order := slices.SortedFunc(maps.Keys(w.plan.moves), func(a, b edge) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to), cmp.Compare(a.why, b.why))
	})
	for _, e := range order {
		ids := slices.Sorted(slices.Values(w.plan.moves[e]))
		var set text
		set.raw("UPDATE attempt SET state = ").num(int64(e.to)).raw(", why = ").bytes(e.why)
		set.raw(" WHERE state = ").num(int64(e.from)).raw(" AND id IN (")
		put := list{len(ids), string(set.b), ")", func(t *text, i int) { t.num(int64(ids[i])) }}
		n, err := put.exec(ctx, w.tx)
		if err != nil {
			return err
		}
		if n != int64(len(ids)) {
			return fmt.Errorf("%w: %d of %d claims are %s", errStale, n, len(ids), e.from)
		}
	}
	return nil
}

func (w *writer) taken(ctx context.Context) error {
	_, err := addTaken(ctx, w.tx, w.plan.taken)
	return err
}

func addTaken(ctx context.Context, tx *sql.Tx, rows []takenRow) (affected int64, err error) {
	put := list{len(rows), "INSERT INTO allowance (sale, sku, user, taken) VALUES ",
		" ON DUPLICATE KEY UPDATE taken = taken + VALUES(taken)",
		func(t *text, i int) {
			ref := &rows[i].ref
			t.raw("(").bytes(ref.Sale).raw(",").bytes(ref.SKU).raw(",").bytes(ref.User).raw(",").num(rows[i].delta).raw(")")
		}}
	return put.exec(ctx, tx)

}

func (w *writer) attempts(ctx context.Context) error {
	put := list{len(w.plan.attempts), insertAttempt, "", func(t *text, i int) {
		putAttempt(t, w.plan.attempts[i], w.plan.items[w.plan.attempts[i].ID])
	}}
	_, err := put.exec(ctx, w.tx)

	return err
}

const insertAttempt = `INSERT INTO attempt (id, user, sale, akey, body, at, reason, sku, remaining, items, amount, currency, pay_before,
	release_at, state, why, trace, pass, passer) VALUES `

func putAttempt(t *text, a *driver.Attempt, items []byte) {
	t.raw("(").num(int64(a.ID)).raw(",").bytes(a.Key.User).raw(",").bytes(a.Key.Sale).raw(",").bytes(a.Key.Key).raw(",")
	t.bytes(string(a.Body[:])).raw(",").num(toMicro(a.At)).raw(",").bytes(string(a.Reason)).raw(",").bytes(a.SKU).raw(",").num(a.Left)
	t.raw(",").bytes(string(items)).raw(",").num(a.Amount).raw(",").bytes(a.Currency).raw(",").num(toMicro(a.PayBefore)).raw(",")
	t.num(toMicro(a.ReleaseAt)).raw(",").num(int64(a.State)).raw(",").bytes(a.Why).raw(",").bytes(a.Trace)
	if a.Pass == 0 { // also no user, so that the index of passes grows at its end where none is used
		t.raw(",NULL,NULL)")
	} else {
		t.raw(",").num(int64(a.Pass)).raw(",").bytes(a.Key.User).raw(")")
	}
}

// head reserves the numbers and asserts that no sale has changed since it was read.
func (w *writer) head(ctx context.Context) error {
	c := w.plan.changes
	edition := 0
	if len(c.Sales) > 0 {
		edition = 1
	}
	res, err := w.tx.ExecContext(ctx, `UPDATE head SET commits = commits + 1, audit = audit + ?, edition = edition + ?,
		seq = LAST_INSERT_ID(seq + ?) WHERE one = 1 AND edition = ?`, len(c.Audit), edition, w.plan.width, w.edition)
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	if err != nil {
		return err
	}
	if n != 1 {
		return fmt.Errorf("%w: a sale", errStale)
	}
	last, err := res.LastInsertId()
	if err != nil {
		return err
	}
	w.plan.number(uint64(last) - w.plan.width + 1)
	if len(c.Audit) == 0 {
		return nil
	}
	return w.tx.QueryRowContext(ctx, "SELECT audit FROM head WHERE one = 1").Scan(&w.audit)
}

// number turns the plan's numbers into the journal's.
func (p *plan) number(first uint64) {
	for i := range p.journal {
		p.journal[i].seq += first
		if a := p.journal[i].bound; a != nil {
			a.Seq = p.journal[i].seq
		}
	}
	for i := range p.offers {
		p.offers[i].seq += first
	}
	for i := range p.joins {
		p.joins[i].w.Seq = p.joins[i].seq + first
	}
}

// sales are written under the edition; a sale made twice is a duplicate key.
func (w *writer) sales(ctx context.Context) error {
	for i := range w.plan.changes.Sales {
		s := &w.plan.changes.Sales[i]
		doc, err := json.Marshal(s)
		if err != nil {
			return fmt.Errorf("%w: sale %q: %w", errGuard, s.ID, err)
		}
		var t text
		if s.Version == 1 {
			t.raw("INSERT INTO sale (id, doc, version) VALUES (").bytes(s.ID).raw(",").bytes(string(doc)).raw(",1)")
		} else {
			t.raw("UPDATE sale SET doc = ").bytes(string(doc)).raw(", version = ").num(s.Version)
			t.raw(" WHERE id = ").bytes(s.ID).raw(" AND version = ").num(s.Version - 1)
		}
		res, err := w.tx.ExecContext(ctx, string(t.b))
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return err
		}
		if n != 1 {
			return fmt.Errorf("%w: sale %q is not at version %d", errStale, s.ID, s.Version-1)
		}
	}
	return nil
}

func (w *writer) journal(ctx context.Context) error {
	rows := w.plan.journal
	put := list{len(rows), "INSERT INTO journal (seq, kind, at, ref, why, trace) VALUES ", "",
		func(t *text, i int) { putJournal(t, &rows[i]) }}
	_, err := put.exec(ctx, w.tx)

	return err
}

func putJournal(t *text, r *journalRow) {
	t.raw("(").num(int64(r.seq)).raw(",").num(int64(r.kind)).raw(",").num(r.at).raw(",")
	if r.ref == 0 {
		t.raw("NULL")
	} else {
		t.num(int64(r.ref))
	}
	t.raw(",").orNull(r.why).raw(",").orNull(r.trace).raw(")")
}

func (w *writer) offers(ctx context.Context) error {
	rows := w.plan.offers
	put := list{len(rows), insertOffer, "", func(t *text, i int) { putOffer(t, &rows[i]) }}
	_, err := put.exec(ctx, w.tx)
	return err
}

const insertOffer = "INSERT INTO offer (seq, sale, sku, delta, akey, why) VALUES "

func putOffer(t *text, r *offerRow) {
	o := r.offer
	t.raw("(").num(int64(r.seq)).raw(",").bytes(o.Key.Sale).raw(",").bytes(o.SKU).raw(",").num(o.Delta).raw(",").orNull(o.Key.Key)
	t.raw(",").bytes(o.Why).raw(")")
}

func (w *writer) trail(ctx context.Context) error {
	rows := w.plan.changes.Audit
	first := w.audit - uint64(len(rows)) + 1
	put := list{len(rows), insertAudit, "", func(t *text, i int) {
		a := rows[i]
		a.Seq, a.At = first+uint64(i), w.plan.now
		putAudit(t, &a)
	}}
	_, err := put.exec(ctx, w.tx)

	return err
}

const insertAudit = "INSERT INTO audit (seq, at, who, act, object, why, before_value, after_value, id) VALUES "

func putAudit(t *text, a *driver.Audit) {
	t.raw("(").num(int64(a.Seq)).raw(",").num(toMicro(a.At))
	for _, s := range []string{a.Who, a.Act, a.Object, a.Why, a.Before, a.After} {
		t.raw(",").bytes(s)
	}
	t.raw(",").orNull(a.ID).raw(")")
}
