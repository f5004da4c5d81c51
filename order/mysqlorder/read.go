package mysqlorder

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"penstock/engine/mysql"
	"penstock/internal/ident"
	"penstock/order/driver"
	"penstock/order/shard"
	"penstock/order/sqlrow"
)

const (
	columns = "o.id, o.user, o.sale, o.`key`, o.items, o.state, o.amount, o.currency, o.refunded, o.created, o.pay_before, o.version, o.delivery, o.trace"
	steps   = ", e.n, e.at, e.from_state, e.to_state, e.why, e.who"
)

// reader reads one database of orders through one server: its primary or a replica.
type reader struct {
	db     *mysql.DB
	number int
	tables [shard.Tables]string
	events string
}

// Get returns an order with its events. One statement sees both as of one moment.
func (r *reader) Get(ctx context.Context, table int, id ident.ID) (*driver.Order, error) {
	found, err := r.orders(ctx, table, "SELECT * FROM "+r.tables[table]+" WHERE id = ?", "", int64(id))
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// Owned returns a page of a user's orders.
func (r *reader) Owned(ctx context.Context, table int, user string, before ident.ID, limit int) ([]driver.Order, error) {
	return r.orders(ctx, table, "SELECT * FROM "+r.tables[table]+" WHERE user = ? AND id < ? ORDER BY id DESC LIMIT ?", " DESC",
		[]byte(user), int64(before), limit)
}

// orders returns what a query of rows finds, each with its events.
func (r *reader) orders(ctx context.Context, table int, query, direction string, args ...any) (out []driver.Order, err error) {
	rows, err := r.db.QueryContext(ctx, "SELECT "+columns+steps+" FROM ("+query+") o LEFT JOIN "+r.events+
		" e ON e.order_id = o.id ORDER BY o.id"+direction+", e.n", args...)
	if err != nil {
		return nil, r.wrap(err)
	}
	err = sqlrow.Each(rows, func() error {
		var n, at sql.NullInt64
		var e driver.Event
		o, err := sqlrow.Order(rows, &n, &at, (*text)(&e.From), (*text)(&e.To), (*text)(&e.Why), (*text)(&e.Who))
		if err != nil {
			return err
		}
		if last := len(out) - 1; last < 0 || out[last].ID != o.ID {
			o.Shard, o.Table = r.number, table
			out = append(out, o)
		}
		if n.Valid {
			e.N, e.At = n.Int64, driver.Nanos(at.Int64)
			last := &out[len(out)-1]
			last.Events = append(last.Events, e)
		}
		return nil
	})
	return out, r.wrap(err)
}

// text is a string that is empty where the column is NULL.
type text string

// Scan implements [sql.Scanner].
func (t *text) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*t = ""
	case []byte:
		*t = text(v)
	case string:
		*t = text(v)
	default:
		return fmt.Errorf("%T is no text", v)
	}
	return nil
}

// Newest finds the newest ids in the events, which are by order in one table.
func (r *reader) Newest(ctx context.Context, before ident.ID, limit int) ([]ident.ID, error) {
	ids, err := sqlrow.IDs(r.db.QueryContext(ctx, "SELECT order_id FROM "+r.events+" WHERE n = 1 AND order_id < ? ORDER BY order_id DESC LIMIT ?",
		int64(before), limit))
	return ids, r.wrap(err)
}

// Last returns the highest ids.
func (r *reader) Last(ctx context.Context) (last driver.Last, err error) {
	if err = r.db.QueryRowContext(ctx, "SELECT COALESCE(MAX(order_id), 0) FROM "+r.events).Scan(&last.Events); err != nil {
		return last, r.wrap(err)
	}
	err = r.perTable(ctx, "COALESCE(MAX(id), 0)", func(table int, v int64) { last.Orders[table] = ident.ID(v) })
	return last, err
}

// Count returns how many orders each table has.
func (r *reader) Count(ctx context.Context) (n [shard.Tables]int64, err error) {
	err = r.perTable(ctx, "COUNT(*)", func(table int, v int64) { n[table] = v })
	return n, err
}

// perTable computes something of each table.
func (r *reader) perTable(ctx context.Context, what string, f func(table int, v int64)) error {
	var parts []string
	for t, name := range r.tables {
		parts = append(parts, fmt.Sprintf("SELECT %d, %s FROM %s", t, what, name))
	}
	rows, err := r.db.QueryContext(ctx, strings.Join(parts, " UNION ALL "))
	if err != nil {
		return r.wrap(err)
	}
	return r.wrap(sqlrow.Each(rows, func() error {
		var t int
		var v int64
		if err := rows.Scan(&t, &v); err != nil {
			return err
		}
		f(t, v)
		return nil
	}))
}

// Page returns orders by id.
func (r *reader) Page(ctx context.Context, p driver.Page) (out []driver.Order, err error) {
	from := r.tables[p.Table] + " o WHERE o.id > ? AND o.id <= ? ORDER BY o.id LIMIT ?"
	args := []any{int64(p.After), int64(p.Last), p.Limit}
	if p.Events {
		return r.orders(ctx, p.Table, "SELECT * FROM "+from, "", args...)
	}
	rows, err := r.db.QueryContext(ctx, "SELECT "+columns+" FROM "+from, args...)
	if err != nil {
		return nil, r.wrap(err)
	}
	err = sqlrow.Each(rows, func() error {
		o, err := sqlrow.Order(rows)
		o.Shard, o.Table = r.number, p.Table
		out = append(out, o)
		return err
	})
	return out, r.wrap(err)
}

// Events returns events by order and number.
func (r *reader) Events(ctx context.Context, after ident.ID, n int64, last ident.ID, limit int) ([]driver.OrderEvent, error) {
	all, err := sqlrow.Events(r.db.QueryContext(ctx, "SELECT order_id, n, at, from_state, to_state, why, who FROM "+r.events+
		" WHERE order_id >= ? AND order_id <= ? AND NOT (order_id = ? AND n <= ?) ORDER BY order_id, n LIMIT ?",
		int64(after), int64(last), int64(after), n, limit))
	return all, r.wrap(err)
}

func (r *reader) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("read order database %d: %w", r.number, err)
}
