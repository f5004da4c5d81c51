package mysqlorder

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"

	bus "penstock/bus/driver"
	"penstock/bus/outbox"
	"penstock/engine/mysql"
	"penstock/internal/ident"
	"penstock/order/driver"
	"penstock/order/sqlrow"
)

// row is one order in a transaction: as it was found, and as it will be.
type row struct {
	id       ident.ID
	table    int
	exists   bool // found in the table
	ask      bool // what becomes of it depends on what it is
	was, now driver.Current
	seed     *driver.Seed // what a new row is made of
	delivery []byte
	events   []event
	messages []bus.Message
}

type event struct {
	n, at    int64
	from, to driver.State
	why, who string
}

// present reports whether there is a row, found or made.
func (r *row) present() bool { return r.exists || r.seed != nil }

// work is one run of a transaction.
type work struct {
	db     *database
	b      *driver.Batch
	byID   map[ident.ID]*row
	sorted []*row // by table and id: the order of locks
	past   bool   // it writes finished orders, of which events may be there
}

func newWork(db *database, b *driver.Batch) *work {
	w := &work{db: db, b: b, byID: make(map[ident.ID]*row, len(b.Changes))}
	rows := make([]row, len(b.Changes))
	for i, c := range b.Changes {
		c.Made, c.Missing = false, false
		r := w.byID[c.ID]
		if r == nil {
			r = &rows[i]
			r.id, r.table = c.ID, c.Table
			w.add(r)
		}
		r.ask = r.ask || !c.Exist || c.Seed == nil
	}
	w.sort()
	return w
}

// finished is the work of writing whole orders.
func finished(db *database, orders []driver.Order) (*work, error) {
	w := &work{db: db, byID: make(map[ident.ID]*row, len(orders)), past: true}
	for i := range orders {
		o := &orders[i]
		items, err := json.Marshal(o.Lines)
		if err != nil {
			return nil, err
		}
		r := &row{id: o.ID, table: o.Table, delivery: o.Delivery, seed: &driver.Seed{
			User: o.User, Sale: o.Sale, Key: o.Key, Items: string(items), Currency: o.Currency, Trace: o.Trace,
			Amount: o.Amount, Created: o.CreatedAt.UnixNano(), PayBefore: o.PayBefore.UnixNano(),
		}}
		r.now = driver.Current{State: o.State, Version: o.Version, Changed: r.seed.Created, Amount: o.Amount, Refunded: o.Refunded, User: o.User, Sale: o.Sale, Currency: o.Currency}
		for _, e := range o.Events {
			r.now.Changed = e.At.UnixNano()
			r.events = append(r.events, event{e.N, r.now.Changed, e.From, e.To, e.Why, e.Who})
		}
		w.add(r)
	}
	w.sort()
	return w, nil
}

func (w *work) add(r *row) {
	w.byID[r.id] = r
	w.sorted = append(w.sorted, r)
}

func (w *work) sort() {
	slices.SortFunc(w.sorted, func(a, b *row) int { return cmp.Or(cmp.Compare(a.table, b.table), cmp.Compare(a.id, b.id)) })
}

// tables calls f with the rows of each table that match, in the order of locks.
func (w *work) tables(match func(*row) bool, f func(table string, rows []*row) error) error {
	var some []*row
	for i, r := range w.sorted {
		if match(r) {
			some = append(some, r)
		}
		if last := i == len(w.sorted)-1 || w.sorted[i+1].table != r.table; last && len(some) > 0 {
			if err := f(w.db.tables[r.table], some); err != nil {
				return err
			}
			some = some[:0]
		}
	}
	return nil
}

// read locks and reads the rows that are asked about, or all of them.
func (w *work) read(ctx context.Context, tx *sql.Tx, all bool) error {
	return w.tables(func(r *row) bool { return all || r.ask }, func(table string, some []*row) error {
		ids := make([]any, len(some))
		for i, r := range some {
			ids[i] = int64(r.id)
		}
		rows, err := tx.QueryContext(ctx, "SELECT id, state, version, changed, amount, refunded, user, sale, currency FROM "+table+
			" WHERE id IN "+mysql.Placeholders(1, len(ids))+" ORDER BY id FOR UPDATE", ids...)
		if err != nil {
			return err
		}
		return sqlrow.Each(rows, func() error {
			var id ident.ID
			var c driver.Current
			err := rows.Scan(&id, &c.State, &c.Version, &c.Changed, &c.Amount, &c.Refunded, &c.User, &c.Sale, &c.Currency)
			if r := w.byID[id]; r != nil {
				r.exists, r.was, r.now = true, c, c
				r.seed, r.events = nil, nil // a finished order that is there stays as it is
			}
			return err
		})
	})
}

// apply makes the changes in memory, one after the other.
func (w *work) apply() error {
	for i, c := range w.b.Changes {
		if err := w.b.Fault.Hit("order.row"); err != nil {
			return &driver.Refused{Index: i, Err: err}
		}
		r := w.byID[c.ID]
		if !r.present() {
			if c.Seed == nil {
				c.Missing = true
				continue
			}
			r.make(c)
		}
		if c.Exist {
			continue
		}
		u, err := w.b.Next(i, r.now)
		if err != nil {
			continue // the answer to this change alone
		}
		for m := range u.Messages {
			if err := outbox.Check(&u.Messages[m]); err != nil {
				return &driver.Refused{Index: i, Err: fmt.Errorf("message %q: %w", u.Messages[m].ID, err)}
			}
		}
		r.move(u)
	}
	return nil
}

// make is the row of a seed with its first two events.
func (r *row) make(c *driver.Change) {
	c.Made, r.seed, r.now = true, c.Seed, c.Fresh()
	r.events = append(r.events,
		event{n: 1, at: c.Seed.Created, to: driver.Accepted},
		event{n: 2, at: c.At(), from: driver.Accepted, to: driver.PendingPayment})
}

func (r *row) move(u driver.Update) {
	from, n := r.now.State, r.now.Version
	for _, s := range u.Steps {
		n++
		r.events = append(r.events, event{n: n, at: s.At, from: from, to: s.To, why: s.Why, who: s.Who})
		from = s.To
	}
	r.now = r.now.After(u)
	r.messages = append(r.messages, u.Messages...)
}
