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

const (
	columns = "id, user, sale, key, items, state, amount, currency, refunded, created, pay_before, version, delivery, trace"
	// withEvents adds the events to an order o, so that one statement sees both as of one moment.
	withEvents = `, (SELECT json_group_array(json_object('n', n, 'at', at, 'from', from_state, 'to', to_state, 'why', why) ORDER BY n)
FROM order_event WHERE order_id = o.id)`
)

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
	found, err := o.query(ctx, readKey{byID, db, table}, int64(id))
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// readKey names a prepared query of a table, or of a whole database.
type readKey struct {
	kind      readKind
	db, table int
}

type readKind uint8

const (
	byID readKind = iota
	byOwner
	byAge
)

func (k readKey) query() string {
	if k.kind == byAge {
		return "SELECT order_id FROM order_event WHERE n = 1 AND order_id < ? ORDER BY order_id DESC LIMIT ?"
	}
	q := "SELECT " + columns + withEvents + " FROM " + shard.TableName(k.db, k.table) + " o WHERE "
	if k.kind == byID {
		return q + "id = ?"
	}
	return q + "user = ? AND id < ? ORDER BY id DESC LIMIT ?"
}

// prepared returns the statement of a key. Statements live as long as the database is open.
func (o *Orders) prepared(ctx context.Context, k readKey) (*sql.Stmt, error) {
	if st, ok := o.reads.Load(k); ok {
		return st.(*sql.Stmt), nil
	}
	st, err := o.store.DB(k.db).R.PrepareContext(ctx, k.query())
	if err != nil {
		return nil, err
	}
	if first, loaded := o.reads.LoadOrStore(k, st); loaded {
		return first.(*sql.Stmt), st.Close()
	}
	return st, nil
}

// query returns the orders that a prepared query finds.
func (o *Orders) query(ctx context.Context, k readKey, args ...any) (_ []Order, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("read order database %d: %w", k.db, err)
		}
	}()
	st, err := o.prepared(ctx, k)
	if err != nil {
		return nil, err
	}
	rows, err := st.QueryContext(ctx, args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var out []Order
	for rows.Next() {
		ord, err := scan(rows)
		if err != nil {
			return nil, err
		}
		ord.Shard, ord.Table = o.store.Route(ord.ID)
		out = append(out, ord)
	}
	return out, rows.Err()
}

// scan reads columns and withEvents.
func scan(rows *sql.Rows) (o Order, err error) {
	var items, events sql.RawBytes
	var created, payBefore int64
	if err = rows.Scan(&o.ID, &o.User, &o.Sale, &o.Key, &items, &o.State, &o.Amount, &o.Currency, &o.Refunded, &created,
		&payBefore, &o.Version, &o.Delivery, &o.Trace, &events); err != nil {
		return o, err
	}
	o.CreatedAt, o.PayBefore = nanos(created), nanos(payBefore)
	if err = json.Unmarshal(items, &o.Lines); err != nil {
		return o, fmt.Errorf("items of order %s: %w", o.ID, err)
	}
	var steps []struct {
		N, At    int64
		From, To State
		Why      string
	}
	if err = json.Unmarshal(events, &steps); err != nil {
		return o, fmt.Errorf("events of order %s: %w", o.ID, err)
	}
	for _, e := range steps {
		o.Events = append(o.Events, Event{N: e.N, At: nanos(e.At), From: e.From, To: e.To, Why: e.Why})
	}
	return o, nil
}

func nanos(n int64) time.Time { return time.Unix(0, n).UTC() }
