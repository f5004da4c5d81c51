package mysqlorder

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	driversql "github.com/go-sql-driver/mysql"

	"penstock/engine/mysql"
	"penstock/order/driver"
	"penstock/order/shard"
)

// reruns is how often a transaction is run that other processes get in the way of.
const reruns = 8

// database is one database of orders. Its tables are named with it, so that all databases of a server share one pool.
type database struct {
	reader
	server *mysql.DB
	copies *replicas
	within time.Duration // bounds a transaction up to its commit
}

func newDatabase(server *mysql.DB, copies *replicas, name string, number int, within time.Duration) *database {
	r := reader{db: server, number: number, events: "`" + name + "`.order_event"}
	for t := range r.tables {
		r.tables[t] = "`" + name + "`." + shard.TableName(number, t)
	}
	return &database{reader: r, server: server, copies: copies, within: within}
}

// Write runs the batch. Whoever calls may go away; what was begun is finished.
func (d *database) Write(ctx context.Context, b *driver.Batch) error {
	return d.run(ctx, func(tx *sql.Tx, look bool) error {
		w := newWork(d, b)
		if err := w.read(ctx, tx, look); err != nil {
			return err
		}
		if err := w.apply(); err != nil {
			return err
		}
		if err := w.write(ctx, tx); err != nil {
			return err
		}
		return b.Fault.Hit("order.commit")
	})
}

// Put writes finished orders, but for those that are there.
func (d *database) Put(ctx context.Context, orders []driver.Order) error {
	return d.run(ctx, func(tx *sql.Tx, look bool) error {
		w, err := finished(d, orders)
		if err != nil {
			return err
		}
		if err := w.read(ctx, tx, look); err != nil {
			return err
		}
		return w.write(ctx, tx)
	})
}

// run runs a transaction until nobody is in its way. look is false the first time: then rows that only have to exist are
// inserted without a look, which costs a duplicate key where they do.
func (d *database) run(ctx context.Context, f func(tx *sql.Tx, look bool) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.within)
	defer cancel()
	var err error
	look := false
	for range reruns {
		err = mysql.Tx(ctx, d.server, func(tx *sql.Tx) error { return f(tx, look) })
		if err == nil {
			return nil
		}
		switch _, refused := errors.AsType[*driver.Refused](err); {
		case refused, errors.Is(err, mysql.ErrUnknown):
			return d.say(err)
		case mysql.Duplicate(err), errors.Is(err, errMoved):
			look = true
		case !mysql.Retry(err):
			return d.say(err)
		}
	}
	return d.say(fmt.Errorf("%w: others were in the way %d times: %w", driver.ErrUnavailable, reruns, err))
}

// errMoved says that a row was not as it was read, although it was locked.
var errMoved = errors.New("a row moved while it was locked")

// say translates an error of a transaction.
func (d *database) say(err error) error {
	switch {
	case errors.Is(err, mysql.ErrUnknown):
		err = fmt.Errorf("%w: %w", driver.ErrUnknown, err)
	case mysql.Unavailable(err), mysql.Lost(err), errors.Is(err, context.DeadlineExceeded):
		err = fmt.Errorf("%w: %w", driver.ErrUnavailable, err)
	case badValue(err):
		err = &driver.Refused{Index: -1, Err: err}
	}
	return fmt.Errorf("order database %d: %w", d.number, err)
}

// badValue reports an answer about a value of a row: SQLSTATE class 22 (data), 23 (constraint) or 45 (raised by a trigger), or a
// row that is larger than a message to the server may be. What is wrong with a table or a right is no fault of a row.
func badValue(err error) bool {
	if errors.Is(err, driversql.ErrPktTooLarge) {
		return true
	}
	e, ok := errors.AsType[*driversql.MySQLError](err)
	if !ok {
		return false
	}
	class := string(e.SQLState[:2])
	return strings.Contains("22 23 45", class)
}
