package order

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"penstock/internal/ident"
	"penstock/order/shard"
	"penstock/stock/driver"
)

const columns = "id, user, sale, key, items, state, amount, currency, refunded, created, pay_before, version, delivery, trace"

// Get returns the order with its events. A user of "" is an operator, who sees every order; another user's order is
// errs.NotFound like one that does not exist. An order whose row is not written yet is read from its claim: accepted, with
// Shard and Table -1. If that claim has moved on already, the order is written first, so that nobody is told accepted of an
// order that was paid or has expired.
func (o *Orders) Get(ctx context.Context, user string, id ident.ID) (Order, error) {
	if id <= 0 {
		return Order{}, notFound(id)
	}
	ord, err := o.stored(ctx, id)
	if err != nil {
		return Order{}, err
	}
	if ord == nil {
		claim, err := o.claims.Claim(ctx, id)
		if err != nil {
			return Order{}, err
		}
		if claim == nil || !claim.Won() || user != "" && claim.Key.User != user {
			return Order{}, notFound(id)
		}
		return o.fromClaim(ctx, claim)
	}
	if user != "" && ord.User != user {
		return Order{}, notFound(id)
	}
	return *ord, nil
}

// fromClaim is the order of a claim that has no row yet.
func (o *Orders) fromClaim(ctx context.Context, a *driver.Attempt) (Order, error) {
	if a.State != driver.Held {
		return o.Follow(ctx, a)
	}
	return Order{
		ID: a.ID, User: a.Key.User, Sale: a.Key.Sale, Key: a.Key.Key, Lines: a.Lines, State: Accepted, Amount: a.Amount,
		Currency: a.Currency, CreatedAt: a.At.UTC(), PayBefore: a.PayBefore.UTC(), Version: 1, Trace: a.Trace,
		Events: []Event{{N: 1, At: a.At.UTC(), To: Accepted}}, Shard: -1, Table: -1,
	}, nil
}

// stored reads a row and its events as of one moment; nil means that there is none.
func (o *Orders) stored(ctx context.Context, id ident.ID) (*Order, error) {
	db, table := o.store.Route(id)
	var found []Order
	err := o.view(ctx, db, func(tx *sql.Tx) error {
		var err error
		q := "SELECT " + columns + " FROM " + shard.TableName(db, table) + " WHERE id = ?"
		if found, err = scanOrders(ctx, tx, q, int64(id)); err != nil || len(found) == 0 {
			return err
		}
		return addEvents(ctx, tx, found)
	})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	found[0].Shard, found[0].Table = db, table
	return &found[0], nil
}

// view runs f on one snapshot of a database.
func (o *Orders) view(ctx context.Context, db int, f func(*sql.Tx) error) error {
	tx, err := o.store.DB(db).R.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err == nil {
		if err = f(tx); err != nil {
			err = errors.Join(err, ignoreDone(tx.Rollback()))
		} else {
			err = tx.Commit()
		}
	}
	if err != nil {
		return fmt.Errorf("read order database %d: %w", db, err)
	}
	return nil
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// scanOrders runs a query for columns. Shard and Table are left to the caller.
func scanOrders(ctx context.Context, tx *sql.Tx, query string, args ...any) (_ []Order, err error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var out []Order
	for rows.Next() {
		var o Order
		var items []byte
		var created, payBefore int64
		if err = rows.Scan(&o.ID, &o.User, &o.Sale, &o.Key, &items, &o.State, &o.Amount, &o.Currency, &o.Refunded, &created,
			&payBefore, &o.Version, &o.Delivery, &o.Trace); err != nil {
			return nil, err
		}
		if err = json.Unmarshal(items, &o.Lines); err != nil {
			return nil, fmt.Errorf("items of order %s: %w", o.ID, err)
		}
		o.CreatedAt, o.PayBefore = nanos(created), nanos(payBefore)
		out = append(out, o)
	}
	return out, rows.Err()
}

func nanos(n int64) time.Time { return time.Unix(0, n).UTC() }

// addEvents reads the events of orders of one database.
func addEvents(ctx context.Context, tx *sql.Tx, orders []Order) (err error) {
	at := make(map[int64]*Order, len(orders))
	ids := make([]int64, len(orders))
	for i := range orders {
		ids[i] = int64(orders[i].ID)
		at[ids[i]] = &orders[i]
	}
	list, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	rows, err := tx.QueryContext(ctx, `SELECT order_id, n, at, from_state, to_state, why FROM order_event
WHERE order_id IN (SELECT value FROM json_each(?)) ORDER BY order_id, n`, string(list))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id, when int64
		var e Event
		if err = rows.Scan(&id, &e.N, &when, &e.From, &e.To, &e.Why); err != nil {
			return err
		}
		e.At = nanos(when)
		at[id].Events = append(at[id].Events, e)
	}
	return rows.Err()
}
