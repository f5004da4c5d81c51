package sqliteorder

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"sync"

	"penstock/internal/ident"
	"penstock/order/driver"
	"penstock/order/shard"
	"penstock/order/sqlrow"
)

const (
	columns = "id, user, sale, key, items, state, amount, currency, refunded, created, pay_before, version, delivery, trace"
	// withEvents adds the events to an order o, so that one statement sees both as of one moment.
	withEvents = `, (SELECT json_group_array(json_object('n', n, 'at', at, 'from', from_state, 'to', to_state, 'why', why, 'who', who) ORDER BY n)
FROM order_event WHERE order_id = o.id)`
	newestIDs  = "SELECT order_id FROM order_event WHERE n = 1 AND order_id < ? ORDER BY order_id DESC LIMIT ?"
	nextEvents = `SELECT order_id, n, at, from_state, to_state, why, who FROM order_event
WHERE (order_id, n) > (?, ?) AND order_id <= ? ORDER BY order_id, n LIMIT ?`
)

// prepared is a statement that is prepared when it is first needed and lives as long as the database is open.
type prepared struct {
	once sync.Mutex
	st   *sql.Stmt
}

func (p *prepared) on(ctx context.Context, r *sql.DB, query func() string) (*sql.Stmt, error) {
	p.once.Lock()
	defer p.once.Unlock()
	if p.st != nil {
		return p.st, nil
	}
	st, err := r.PrepareContext(ctx, query())
	if err == nil {
		p.st = st
	}
	return st, err
}

// Get returns an order with its events.
func (d *database) Get(ctx context.Context, table int, id ident.ID) (*driver.Order, error) {
	st, err := d.reads[table].get.on(ctx, d.R, func() string { return d.orders(table) + " WHERE id = ?" })
	if err != nil {
		return nil, d.wrap(err)
	}
	found, err := d.scan(ctx, st, table, int64(id))
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// Owned returns a page of a user's orders.
func (d *database) Owned(ctx context.Context, table int, user string, before ident.ID, limit int) ([]driver.Order, error) {
	st, err := d.reads[table].owned.on(ctx, d.R, func() string {
		return d.orders(table) + " WHERE user = ? AND id < ? ORDER BY id DESC LIMIT ?"
	})
	if err != nil {
		return nil, d.wrap(err)
	}
	return d.scan(ctx, st, table, user, int64(before), limit)
}

func (d *database) orders(table int) string {
	return "SELECT " + columns + withEvents + " FROM " + shard.TableName(d.number, table) + " o"
}

// scan returns the orders that a query of columns and withEvents finds.
func (d *database) scan(ctx context.Context, st *sql.Stmt, table int, args ...any) (out []driver.Order, err error) {
	rows, err := st.QueryContext(ctx, args...)
	if err != nil {
		return nil, d.wrap(err)
	}
	err = sqlrow.Each(rows, func() error {
		o, err := order(rows, true)
		o.Shard, o.Table = d.number, table
		out = append(out, o)
		return err
	})
	return out, d.wrap(err)
}

// order reads columns and, when they are there, the events.
func order(rows *sql.Rows, events bool) (driver.Order, error) {
	if !events {
		return sqlrow.Order(rows)
	}
	var steps sql.RawBytes
	o, err := sqlrow.Order(rows, &steps)
	if err != nil {
		return o, err
	}
	var list []struct {
		N, At    int64
		From, To driver.State
		Why, Who string
	}
	if err = json.Unmarshal(steps, &list); err != nil {
		return o, fmt.Errorf("events of order %s: %w", o.ID, err)
	}
	for _, e := range list {
		o.Events = append(o.Events, driver.Event{N: e.N, At: driver.Nanos(e.At), From: e.From, To: e.To, Why: e.Why, Who: e.Who})
	}
	return o, nil
}

// Newest finds the newest ids in the events, which are by order in one table.
func (d *database) Newest(ctx context.Context, before ident.ID, limit int) ([]ident.ID, error) {
	st, err := d.newest.on(ctx, d.R, func() string { return newestIDs })
	if err != nil {
		return nil, d.wrap(err)
	}
	ids, err := sqlrow.IDs(st.QueryContext(ctx, int64(before), limit))
	return ids, d.wrap(err)
}

// Last returns the highest ids.
func (d *database) Last(ctx context.Context) (last driver.Last, err error) {
	err = d.R.QueryRowContext(ctx, "SELECT coalesce(max(order_id), 0) FROM order_event").Scan(&last.Events)
	for t := range last.Orders {
		if err == nil {
			err = d.R.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM "+shard.TableName(d.number, t)).Scan(&last.Orders[t])
		}
	}
	return last, d.wrap(err)
}

// Page returns orders by id.
func (d *database) Page(ctx context.Context, p driver.Page) (out []driver.Order, err error) {
	q := "SELECT " + columns
	if p.Events {
		q += withEvents
	}
	q += " FROM " + shard.TableName(d.number, p.Table) + " o WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"
	rows, err := d.R.QueryContext(ctx, q, int64(p.After), int64(p.Last), p.Limit)
	if err != nil {
		return nil, d.wrap(err)
	}
	err = sqlrow.Each(rows, func() error {
		o, err := order(rows, p.Events)
		o.Shard, o.Table = d.number, p.Table
		out = append(out, o)
		return err
	})
	return out, d.wrap(err)
}

// Events returns events by order and number.
func (d *database) Events(ctx context.Context, after ident.ID, n int64, last ident.ID, limit int) ([]driver.OrderEvent, error) {
	all, err := sqlrow.Events(d.R.QueryContext(ctx, nextEvents, int64(after), n, int64(last), limit))
	return all, d.wrap(err)
}

// Count returns how many orders each table has.
func (d *database) Count(ctx context.Context) (n [shard.Tables]int64, err error) {
	for t := range n {
		if err = d.R.QueryRowContext(ctx, "SELECT count(*) FROM "+shard.TableName(d.number, t)).Scan(&n[t]); err != nil {
			return n, d.wrap(err)
		}
	}
	return n, nil
}

func (d *database) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("read order database %d: %w", d.number, err)
}
