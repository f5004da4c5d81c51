package order

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"time"

	"penstock/internal/ident"
	"penstock/order/shard"
)

// ExportedOrder is a line of the export "orders". Times are UTC, amounts minor units; shard is the number of the database,
// table the number of the table within it.
type ExportedOrder struct {
	ID        string          `json:"id"`
	User      string          `json:"user"`
	Sale      string          `json:"sale"`
	Key       string          `json:"key"`
	Items     json.RawMessage `json:"items"`
	Amount    int64           `json:"amount"`
	Currency  string          `json:"currency"`
	State     State           `json:"state"`
	Version   int64           `json:"version"`
	CreatedAt time.Time       `json:"createdAt"`
	PayBefore time.Time       `json:"payBefore"`
	Refunded  int64           `json:"refundedAmount"`
	Shard     int             `json:"shard"`
	Table     int             `json:"table"`
}

// ExportedEvent is a line of the export "order-events".
type ExportedEvent struct {
	Order string    `json:"order"`
	N     int64     `json:"n"`
	At    time.Time `json:"at"`
	From  State     `json:"from"`
	To    State     `json:"to"`
	Why   string    `json:"why"`
}

// exportPage is how many rows an export reads in one statement, so that it never pins the log.
const exportPage = 500

// ExportOrders writes all orders as NDJSON, by database, table and id, up to the last id that each table had when the call
// began. Each page is a short read of its own; an order shows the state it has when its page is read.
func (o *Orders) ExportOrders(ctx context.Context, w io.Writer) error {
	last, err := o.lastIDs(ctx)
	if err != nil {
		return err
	}
	out := newPage(w)
	for db := range last {
		for table := range last[db] {
			if err := o.exportTable(ctx, out, db, table, last[db][table]); err != nil {
				return err
			}
		}
	}
	return nil
}

// page gathers the lines of one read and writes them after it, so that a slow taker holds no read transaction open.
type page struct {
	*json.Encoder
	lines bytes.Buffer
	out   io.Writer
}

func newPage(w io.Writer) *page {
	p := &page{out: w}
	p.Encoder = json.NewEncoder(&p.lines)
	return p
}

func (p *page) turn() error {
	_, err := p.lines.WriteTo(p.out)
	return err
}

func (o *Orders) lastIDs(ctx context.Context) ([][shard.Tables]int64, error) {
	last := make([][shard.Tables]int64, o.store.Len())
	for db := range last {
		for table := range last[db] {
			var err error
			q := "SELECT coalesce(max(id), 0) FROM " + shard.TableName(db, table)
			if last[db][table], err = highest(ctx, o.store.DB(db).R, q); err != nil {
				return nil, err
			}
		}
	}
	return last, nil
}

func (o *Orders) exportTable(ctx context.Context, out *page, db, table int, last int64) (err error) {
	q := "SELECT id, user, sale, key, items, amount, currency, state, version, created, pay_before, refunded FROM " +
		shard.TableName(db, table) + " WHERE id > ? AND id <= ? ORDER BY id LIMIT ?"
	line := ExportedOrder{Shard: db, Table: table}
	var after, created, payBefore int64
	for n := exportPage; n == exportPage && err == nil; {
		n, err = each(ctx, o.store.DB(db).R, q, []any{after, last, exportPage}, func(rows *sql.Rows) error {
			if err := rows.Scan(&after, &line.User, &line.Sale, &line.Key, (*[]byte)(&line.Items), &line.Amount, &line.Currency,
				&line.State, &line.Version, &created, &payBefore, &line.Refunded); err != nil {
				return err
			}
			line.ID, line.CreatedAt, line.PayBefore = ident.ID(after).String(), nanos(created), nanos(payBefore)
			return out.Encode(&line)
		})
		err = errors.Join(err, out.turn())
	}
	return err
}

// ExportEvents writes the events of all orders as NDJSON, by database, order and number, up to the last order that each
// database had when its turn began.
func (o *Orders) ExportEvents(ctx context.Context, w io.Writer) error {
	out := newPage(w)
	for db := range o.store.Len() {
		r := o.store.DB(db).R
		last, err := highest(ctx, r, "SELECT coalesce(max(order_id), 0) FROM order_event")
		if err != nil {
			return err
		}
		const q = `SELECT order_id, n, at, from_state, to_state, why FROM order_event
WHERE (order_id, n) > (?, ?) AND order_id <= ? ORDER BY order_id, n LIMIT ?`
		var line ExportedEvent
		var after, at int64
		for n := exportPage; n == exportPage; {
			if n, err = each(ctx, r, q, []any{after, line.N, last, exportPage}, func(rows *sql.Rows) error {
				if err := rows.Scan(&after, &line.N, &at, &line.From, &line.To, &line.Why); err != nil {
					return err
				}
				line.Order, line.At = ident.ID(after).String(), nanos(at)
				return out.Encode(&line)
			}); err == nil {
				err = out.turn()
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func highest(ctx context.Context, r *sql.DB, query string) (id int64, err error) {
	err = r.QueryRowContext(ctx, query).Scan(&id)
	return id, err
}

// each calls f for every row and returns how many there were.
func each(ctx context.Context, r *sql.DB, query string, args []any, f func(*sql.Rows) error) (n int, err error) {
	rows, err := r.QueryContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := f(rows); err != nil {
			return n, err
		}
		n++
	}
	return n, rows.Err()
}
