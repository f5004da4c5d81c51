package mysqlstock

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"penstock/internal/ident"
	"penstock/stock/driver"
)

// Attempt looks the key up without a lock: it sees what is committed.
func (d *DB) Attempt(ctx context.Context, k driver.Key) (*driver.Attempt, error) {
	done, err := d.reading(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	found, err := findKeys(ctx, d.db, []driver.Key{k})
	return found[k], readError("look up a key", err)
}

// Claim finds a win by its id.
func (d *DB) Claim(ctx context.Context, id ident.ID) (*driver.Attempt, error) {
	done, err := d.reading(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	found, err := findClaims(ctx, d.db, []ident.ID{id})
	return found[id], readError("read a claim", err)
}

// Unsent finds the user's wins by the beginning of the key index.
func (d *DB) Unsent(ctx context.Context, user string) ([]*driver.Attempt, error) {
	done, err := d.reading(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	var t text
	t.raw(attempts + "a.reason = '' AND j.seq > (SELECT sent FROM outbox WHERE one = 1) AND a.user = ").bytes(user).raw(" ORDER BY j.seq")
	var wins []*driver.Attempt
	err = query(ctx, d.db, string(t.b), func(rows *sql.Rows) error {
		a, err := scanAttempt(rows)
		wins = append(wins, a)
		return err
	})
	return wins, readError("read what was not sent", err)
}

// Due walks the index of held claims by their time. What is due is said by the clock that ends a claim, the database's: now
// counts only where a clock was injected, so that a process whose own clock is wrong releases nothing early.
func (d *DB) Due(ctx context.Context, now time.Time, limit int) ([]ident.ID, error) {
	done, err := d.reading(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	var t text
	t.raw("SELECT id FROM attempt WHERE state = 1 AND release_at <= ")
	if d.opt.Clock == nil {
		t.raw(nowMicros)
	} else {
		t.num(now.UnixMicro())
	}
	t.raw(" ORDER BY release_at, id LIMIT ").num(int64(limit))
	var ids []ident.ID
	err = query(ctx, d.db, string(t.b), func(rows *sql.Rows) error {
		var id int64
		err := rows.Scan(&id)
		ids = append(ids, ident.ID(id))
		return err
	})
	return ids, readError("look for what is due", err)
}

// Snapshot reads in one consistent snapshot.
func (d *DB) Snapshot(ctx context.Context) (*driver.Snapshot, error) {
	done, err := d.reading(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	s, err := d.snapshot(ctx)
	return s, readError("read a snapshot", err)
}

func (d *DB) snapshot(ctx context.Context) (*driver.Snapshot, error) {
	tx, err := d.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer tx.Rollback() //nolint:errcheck // it has only read
	s := &driver.Snapshot{}
	var now, last int64
	err = tx.QueryRowContext(ctx, "SELECT seq, "+nowMicros+", (SELECT COALESCE(MAX(id), 0) FROM attempt) FROM head WHERE one = 1").
		Scan(&s.Seq, &now, &last)
	if err != nil {
		return nil, err
	}
	s.Now, s.LastID = d.now(now), ident.ID(last)
	if err := query(ctx, tx, "SELECT doc FROM sale", func(rows *sql.Rows) error {
		var doc []byte
		if err := rows.Scan(&doc); err != nil {
			return err
		}
		s.Sales = append(s.Sales, driver.Sale{})
		return json.Unmarshal(doc, &s.Sales[len(s.Sales)-1])
	}); err != nil {
		return nil, err
	}
	err = query(ctx, tx, "SELECT "+stockColumns+" FROM stock ORDER BY sale, sku", func(rows *sql.Rows) error {
		s.Stock = append(s.Stock, driver.Stock{})
		return rows.Scan(stockFields(&s.Stock[len(s.Stock)-1])...)
	})
	slices.SortFunc(s.Sales, func(a, b driver.Sale) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	return s, err
}

// A sale or a release carries the claim it moved, whose number is looked for; an offer its row.
const journalColumns = "j.seq, j.kind, j.at, j.why, j.trace, o.sale, o.sku, o.delta, o.akey, o.why, " + waiterColumns

// Journal reads one page in one statement.
func (d *DB) Journal(ctx context.Context, after uint64, limit int) ([]driver.Entry, error) {
	done, err := d.reading(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	var t text
	t.raw("SELECT " + journalColumns + ", COALESCE(h.seq, j.seq), " + attemptColumnsOf + ` FROM journal j LEFT JOIN offer o ON o.seq = j.seq
		LEFT JOIN attempt a ON a.id = j.ref LEFT JOIN journal h ON j.kind NOT IN (1, 2) AND h.ref = j.ref AND h.kind IN (1, 2)
		LEFT JOIN waiting q ON q.seq = CASE j.kind WHEN 7 THEN j.seq WHEN 8 THEN j.ref END
		WHERE j.seq > `).raw(fmt.Sprint(after)).raw(" ORDER BY j.seq LIMIT ").num(int64(limit))
	var page []driver.Entry
	err = query(ctx, d.db, string(t.b), func(rows *sql.Rows) error {
		e, err := scanEntry(rows)
		page = append(page, e)
		return err
	})
	return page, readError("read the journal", err)
}

const attemptColumnsOf = `a.id, a.user, a.sale, a.akey, a.body, a.at, a.reason, a.sku, a.remaining, a.items, a.amount, a.currency,
	a.pay_before, a.release_at, a.state, a.why, a.trace, a.pass`

func scanEntry(rows *sql.Rows) (driver.Entry, error) {
	var e driver.Entry
	var kind, at int64
	var why, trace, sale, sku, key, offerWhy sql.NullString
	var delta sql.NullInt64
	var r attemptRow
	f := r.fields()
	f[0], f[1] = f[1], f[0] // the number stands before the id here
	var q waiterRow
	f = append(q.fields(), f...)
	err := rows.Scan(append([]any{&e.Seq, &kind, &at, &why, &trace, &sale, &sku, &delta, &key, &offerWhy}, f...)...)
	if err != nil {
		return e, err
	}
	e.Kind, e.At = driver.Kind(kind), fromMicro(at)
	switch e.Kind {
	case driver.Hold, driver.Refuse:
		e.Trace = r.trace.String
	case driver.Sell, driver.Release:
		e.Why, e.Trace = why.String, trace.String
	case driver.OfferKind, driver.Withdraw:
		e.Why = offerWhy.String
		e.Offer = &driver.Offer{Key: driver.Key{Sale: sale.String, Key: key.String}, SKU: sku.String, Delta: delta.Int64, Why: e.Why}
		return e, nil
	case driver.Wait, driver.Quit:
		e.Why, e.Waiter = why.String, q.waiter()
		return e, nil
	default:
		return e, fmt.Errorf("entry %d has the unknown kind %d", e.Seq, kind)
	}
	if e.Attempt, err = r.attempt(); err != nil {
		return e, fmt.Errorf("entry %d: %w", e.Seq, err)
	}
	return e, nil
}

// Audit reads one page of the trail.
func (d *DB) Audit(ctx context.Context, after uint64, limit int) ([]driver.Audit, error) {
	done, err := d.reading(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	var t text
	t.raw(`SELECT seq, at, who, act, object, why, before_value, after_value, COALESCE(id, '') FROM audit WHERE seq > `)
	t.raw(fmt.Sprint(after)).raw(" ORDER BY seq LIMIT ").num(int64(limit))
	var page []driver.Audit
	err = query(ctx, d.db, string(t.b), func(rows *sql.Rows) error {
		var a driver.Audit
		var at int64
		err := rows.Scan(&a.Seq, &at, &a.Who, &a.Act, &a.Object, &a.Why, &a.Before, &a.After, &a.ID)
		a.At = fromMicro(at)
		page = append(page, a)
		return err
	})
	return page, readError("read the trail", err)
}

// Sent remembers that every consumer has got all messages up to seq. It has a row of its own, so that it waits for no
// decision.
func (d *DB) Sent(ctx context.Context, seq uint64) error {
	done, err := d.reading(ctx)
	if err != nil {
		return err
	}
	defer done()
	_, err = d.db.ExecContext(ctx, "UPDATE outbox SET sent = ? WHERE one = 1 AND sent < ?", seq, seq)
	return readError("remember what was sent", err)
}

// SentUpTo returns what Sent remembers.
func (d *DB) SentUpTo(ctx context.Context) (seq uint64, err error) {
	err = d.db.QueryRowContext(ctx, "SELECT sent FROM outbox WHERE one = 1").Scan(&seq)
	return seq, readError("read what was sent", err)
}

func readError(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, translate(err))
}
