// Package sqlrow reads what both engines of orders have in a row alike. How they write rows, and how they bring the events of an
// order along with it, differs by engine and is theirs. It keeps nothing.
package sqlrow

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"penstock/internal/ident"
	"penstock/order/driver"
)

// Order reads id, user, sale, key, items, state, amount, currency, refunded, created, pay_before, version, delivery and trace of
// the row that rows is at, and what follows them into more. Events, Shard and Table are the caller's to set.
func Order(rows *sql.Rows, more ...any) (o driver.Order, err error) {
	var items sql.RawBytes
	var created, payBefore int64
	if err = rows.Scan(append([]any{&o.ID, &o.User, &o.Sale, &o.Key, &items, &o.State, &o.Amount, &o.Currency, &o.Refunded, &created,
		&payBefore, &o.Version, &o.Delivery, &o.Trace}, more...)...); err != nil {
		return o, err
	}
	o.CreatedAt, o.PayBefore = driver.Nanos(created), driver.Nanos(payBefore)
	if err = json.Unmarshal(items, &o.Lines); err != nil {
		return o, fmt.Errorf("items of order %s: %w", o.ID, err)
	}
	return o, nil
}

// IDs reads rows of one id each and closes them. It takes what a query returns, also its error.
func IDs(rows *sql.Rows, err error) (ids []ident.ID, _ error) {
	if err != nil {
		return nil, err
	}
	err = Each(rows, func() error {
		var id ident.ID
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

// Events reads rows of order_id, n, at, from_state, to_state, why and who, and closes them. It takes what a query returns, also
// its error.
func Events(rows *sql.Rows, err error) (all []driver.OrderEvent, _ error) {
	if err != nil {
		return nil, err
	}
	err = Each(rows, func() error {
		var e driver.OrderEvent
		var at int64
		err := rows.Scan(&e.Order, &e.N, &at, &e.From, &e.To, &e.Why, &e.Who)
		e.At = driver.Nanos(at)
		all = append(all, e)
		return err
	})
	return all, err
}

// Each calls f at every row, until f fails, and closes the rows.
func Each(rows *sql.Rows, f func() error) error {
	for rows.Next() {
		if err := f(); err != nil {
			return errors.Join(err, rows.Close())
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}
