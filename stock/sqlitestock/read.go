package sqlitestock

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"penstock/errs"
	"penstock/internal/ident"
	"penstock/stock/driver"
)

const journalColumns = `j.seq, j.kind, j.at, j.sale, j.user, j.key, j.body, j.id, j.sku, j.quantity, j.price, j.lines, j.amount,
	j.currency, j.pay_before, j.release_at, j.state, j.ref, j.why, j.trace, j.pass`

// row is a journal row as scanned.
type row struct {
	seq, kind, at, sale                                                 int64
	user, key, sku, lines, currency, why, trace                         sql.NullString
	body                                                                []byte
	id, quantity, price, amount, payBefore, releaseAt, state, ref, pass sql.NullInt64
}

func (r *row) fields() []any {
	return []any{&r.seq, &r.kind, &r.at, &r.sale, &r.user, &r.key, &r.body, &r.id, &r.sku, &r.quantity, &r.price, &r.lines, &r.amount,
		&r.currency, &r.payBefore, &r.releaseAt, &r.state, &r.ref, &r.why, &r.trace, &r.pass}
}

// attempt turns a hold or refuse row, or an operator's keyed offer, into the bound answer.
func (r *row) attempt(saleID string) (*driver.Attempt, error) {
	a := &driver.Attempt{
		ID: ident.ID(r.id.Int64), Seq: uint64(r.seq), Key: driver.Key{Sale: saleID, User: r.user.String, Key: r.key.String},
		At: fromMicro(r.at), Amount: r.amount.Int64, Currency: r.currency.String, PayBefore: fromMicro(r.payBefore.Int64),
		ReleaseAt: fromMicro(r.releaseAt.Int64), State: driver.ClaimState(r.state.Int64), Trace: r.trace.String, Pass: uint64(r.pass.Int64),
	}
	copy(a.Body[:], r.body)
	if driver.Kind(r.kind) == driver.Refuse {
		a.Reason, a.SKU, a.Left = errs.Code(r.why.String), r.sku.String, r.quantity.Int64
	} else {
		a.Why = r.why.String
	}
	if r.lines.Valid {
		if err := json.Unmarshal([]byte(r.lines.String), &a.Lines); err != nil {
			return nil, fmt.Errorf("journal row %d: lines: %w", r.seq, err)
		}
		return a, nil
	}
	a.Lines = []driver.Line{{SKU: r.sku.String, Quantity: r.quantity.Int64, Price: r.price.Int64}}
	return a, nil
}

// at returns the open database and what look returns from memory, both of one moment.
func at[T any](d *Driver, look func(*memory) T) (*sql.DB, T) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.db.R, look(d.mem)
}

// Attempt finds a key through memory, or through the index of closed sales.
func (d *Driver) Attempt(ctx context.Context, k driver.Key) (*driver.Attempt, error) {
	d.life.RLock()
	defer d.life.RUnlock()
	return d.attempt(ctx, d.db.R, k)
}

func (d *Driver) attempt(ctx context.Context, db *sql.DB, k driver.Key) (*driver.Attempt, error) {
	var s *sale
	_, rows := at(d, func(m *memory) []uint64 {
		if s = m.sales[k.Sale]; s == nil {
			return nil
		}
		return m.candidates(s, k.User, k.Key)
	})
	if s == nil {
		return nil, nil
	}
	if s.archived {
		var seq uint64
		err := db.QueryRowContext(ctx, "SELECT seq FROM closed_key WHERE sale = ? AND user = ? AND key = ?", s.num, k.User, k.Key).Scan(&seq)
		switch {
		case err == nil:
			rows = append(rows, seq)
		case !errors.Is(err, sql.ErrNoRows):
			return nil, d.readError("look up a key", err)
		}
	}
	for _, seq := range rows {
		var r row
		err := db.QueryRowContext(ctx, "SELECT "+journalColumns+" FROM journal j WHERE seq = ?", seq).Scan(r.fields()...)
		if err != nil {
			return nil, d.readError("look up a key", err)
		}
		if r.sale == s.num && r.user.String == k.User && r.key.String == k.Key {
			return r.attempt(k.Sale)
		}
	}
	return nil, nil
}

// Claim finds a win by its id: the span of rows its time falls into, or the index of closed sales.
func (d *Driver) Claim(ctx context.Context, id ident.ID) (*driver.Attempt, error) {
	d.life.RLock()
	defer d.life.RUnlock()
	return d.find(ctx, d.db.R, id)
}

func (d *Driver) find(ctx context.Context, db *sql.DB, id ident.ID) (*driver.Attempt, error) {
	type rng struct {
		from, to uint64
		ok       bool
	}
	_, at := at(d, func(m *memory) (r rng) {
		r.from, r.to, r.ok = m.rowsOf(id)
		return r
	})
	if at.ok {
		a, err := d.claim(ctx, db, "j.seq BETWEEN ? AND ? AND j.id = ? AND j.kind = 1", at.from, at.to, int64(id))
		if a != nil || err != nil {
			return a, err
		}
	}
	return d.claim(ctx, db, "j.seq = (SELECT seq FROM closed_order WHERE id = ?) AND j.kind = 1", int64(id))
}

func (d *Driver) claim(ctx context.Context, db *sql.DB, where string, args ...any) (*driver.Attempt, error) {
	var r row
	err := db.QueryRowContext(ctx, "SELECT "+journalColumns+" FROM journal j WHERE "+where, args...).Scan(r.fields()...)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, d.readError("read a claim", err)
	}
	return r.attempt(d.saleID(r.sale))
}

func (d *Driver) saleID(num int64) string {
	_, id := at(d, func(m *memory) string {
		if s := m.byNum[num]; s != nil {
			return s.doc.ID
		}
		return ""
	})
	return id
}

// Unsent scans the short list of wins that the bus has not acknowledged.
func (d *Driver) Unsent(ctx context.Context, user string) ([]*driver.Attempt, error) {
	d.life.RLock()
	defer d.life.RUnlock()
	db, rows := at(d, func(m *memory) (rows []uint64) {
		h := m.hash(user, "")
		for _, u := range m.unsent {
			if u.user == h {
				rows = append(rows, u.seq)
			}
		}
		return rows
	})
	var found []*driver.Attempt
	for _, seq := range rows {
		a, err := d.claim(ctx, db, "j.seq = ? AND j.user = ? AND j.kind = 1", seq, user)
		if err != nil {
			return nil, err
		}
		if a != nil {
			found = append(found, a)
		}
	}
	return found, nil
}

// Due looks at the claims whose time has come. Those that have left held are dropped; the others stay for the next call.
func (d *Driver) Due(ctx context.Context, now time.Time, limit int) ([]ident.ID, error) {
	d.life.RLock()
	defer d.life.RUnlock()
	var ids []ident.ID
	var keep []due
	var failed error
	for failed == nil && len(ids) < limit {
		db, m, looked := d.popDue(now, limit)
		for _, c := range looked {
			var id, state int64
			if failed == nil && len(ids) < limit {
				failed = db.QueryRowContext(ctx, "SELECT id, state FROM journal WHERE seq = ?", c.seq).Scan(&id, &state)
				if failed == nil && driver.ClaimState(state) != driver.Held {
					continue
				}
				if failed == nil {
					ids = append(ids, ident.ID(id))
				}
			}
			keep = append(keep, c)
		}
		if len(looked) == 0 || failed != nil || len(ids) == limit {
			d.pushDue(m, keep)
			break
		}
	}
	if failed != nil {
		failed = d.readError("look for what is due", failed)
	}
	return ids, failed
}

// popDue takes what is due out of the heap, a bounded number at a time.
func (d *Driver) popDue(now time.Time, limit int) (*sql.DB, *memory, []due) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := d.mem
	var looked []due
	for len(m.due) > 0 && m.due[0].at <= now.UnixMicro() && len(looked) < limit {
		looked = append(looked, m.popDue())
	}
	return d.db.R, m, looked
}

// pushDue puts back what is still held, unless the memory was rebuilt meanwhile and knows it.
func (d *Driver) pushDue(m *memory, keep []due) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.mem != m {
		return
	}
	for _, c := range keep {
		m.pushDue(c.at, c.seq)
	}
}

// Taken returns how many units of a SKU a user holds or has bought, as of the last commit; 0 for an archived sale.
func (d *Driver) Taken(ref driver.TakenRef) int64 {
	_, n := at(d, func(m *memory) int64 { return m.taken(ref) })
	return n
}

// Refusals returns how many final noes are bound to keys of a user in a sale, as of the last commit; 0 for an archived sale.
func (d *Driver) Refusals(saleID, user string) int {
	_, n := at(d, func(m *memory) int {
		if s := m.sales[saleID]; s != nil {
			return int(s.noes.of(m.holder(user)))
		}
		return 0
	})
	return n
}

// readError says whether a read failed because the file waits to be reopened.
func (d *Driver) readError(what string, err error) error {
	if d.failed.Load() {
		return fmt.Errorf("%w: %s: %w", driver.ErrUnavailable, what, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Snapshot copies the sales and stock rows as of the last commit.
func (d *Driver) Snapshot(context.Context) (*driver.Snapshot, error) {
	_, snap := at(d, func(m *memory) *driver.Snapshot {
		s := &driver.Snapshot{Seq: m.seq, LastID: m.last, Now: d.opt.Clock.Now().UTC()}
		for n := int64(1); n <= m.lastNum; n++ {
			sale := m.byNum[n]
			if sale == nil {
				continue
			}
			s.Sales = append(s.Sales, sale.doc)
			for _, it := range sale.doc.Items {
				if l := m.levels[driver.StockRef{Sale: sale.doc.ID, SKU: it.SKU}]; l != nil {
					s.Stock = append(s.Stock, *l)
				}
			}
		}
		return s
	})
	return snap, nil
}
