package sqliteorder

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"sync"

	"penstock/engine/sqlite"
	"penstock/order/driver"
	"penstock/order/shard"
)

// database is one file.
type database struct {
	*sqlite.DB
	number int
	reads  [shard.Tables]struct{ get, owned prepared }
	newest prepared

	mu      sync.Mutex // held while writing
	st      *statements
	suspect bool
}

// Copy returns the database: a file has no replicas.
func (d *database) Copy(context.Context) driver.Reader { return d }

func (d *database) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.st != nil {
		d.st.close()
		d.st = nil
	}
	return d.DB.Close()
}

// Write runs the batch. A write that has begun is finished whatever becomes of the caller.
func (d *database) Write(_ context.Context, b *driver.Batch) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.transaction(b.Fault.Hit, func() error {
		for i, c := range b.Changes {
			err := b.Fault.Hit("order.row")
			if err == nil {
				err = d.st.apply(b, i, c)
			}
			if err != nil {
				return &driver.Refused{Index: i, Err: err}
			}
		}
		return nil
	})
}

// Put writes finished orders.
func (d *database) Put(_ context.Context, orders []driver.Order) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.transaction(func(string) error { return nil }, func() error {
		for i := range orders {
			if err := d.st.put(&orders[i]); err != nil {
				return &driver.Refused{Index: i, Err: err}
			}
		}
		return nil
	})
}

// transaction runs f between begin and commit. d.st is ready in f, whose error rolls back.
func (d *database) transaction(hit func(string) error, f func() error) error {
	ctx := context.Background()
	if err := d.settle(ctx); err != nil {
		return err
	}
	conn, err := d.W.Conn(ctx)
	if err != nil {
		return fmt.Errorf("order database %d: %w", d.number, err)
	}
	var failure error
	err = conn.Raw(func(raw any) error {
		failure = d.transact(ctx, raw, hit, f)
		if d.suspect {
			return sqldriver.ErrBadConn
		}
		return nil
	})
	if others := errors.Join(ignoreBad(err), ignoreBad(conn.Close())); others != nil {
		failure = errors.Join(failure, others)
	}
	if failure != nil {
		failure = fmt.Errorf("order database %d: %w", d.number, failure)
	}
	return failure
}

// settle has everything written again after a commit that failed.
func (d *database) settle(ctx context.Context) error {
	if !d.suspect {
		return nil
	}
	if err := d.Checkpoint(ctx); err != nil {
		return fmt.Errorf("order database %d: write everything again after a failed commit: %w", d.number, err)
	}
	d.suspect = false
	return nil
}

// ignoreBad drops the error that was only there to have the connection thrown away.
func ignoreBad(err error) error {
	if errors.Is(err, sqldriver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) {
		return nil
	}
	return err
}

// transact runs one transaction on the driver's connection: database/sql would box every argument anew, which costs as much
// as SQLite takes to insert the row.
func (d *database) transact(ctx context.Context, raw any, hit func(string) error, f func() error) error {
	if d.st == nil || d.st.conn != raw {
		var err error
		if d.st, err = newStatements(raw, d.number); err != nil {
			return err
		}
	}
	tx, err := d.st.begin.BeginTx(ctx, sqldriver.TxOptions{})
	if err != nil {
		return err
	}
	if err = f(); err != nil {
		if back := tx.Rollback(); back != nil || sqlite.Full(err) {
			d.distrust()
			// It is not the row that is wrong, so that the chain must not say so.
			return fmt.Errorf("%w: %v", errors.Join(driver.ErrUnavailable, back), err)
		}
		return err
	}
	if err = hit("order.commit"); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	if err = tx.Commit(); err != nil {
		d.distrust()
		return fmt.Errorf("%w: commit: %w", driver.ErrUnknown, err)
	}
	return nil
}

// distrust has the connection thrown away, and everything in the log copied and synced again before the next transaction:
// after a sync that failed, the system may hold pages for written that never reached the disk.
func (d *database) distrust() {
	d.suspect = true
	if d.st != nil {
		d.st.close()
		d.st = nil
	}
}
