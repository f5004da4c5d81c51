package mysqlstock

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"penstock/engine/mysql"
	"penstock/stock/driver"
)

var (
	// errStale says that another process changed what this decision was made by: it is made again.
	errStale = errors.New("another process has changed what the decision was made by")
	// errGuard says that the changes contradict the rows.
	errGuard = errors.New("guard failed")
	// errNothing ends a transaction that has nothing to write.
	errNothing = errors.New("nothing to write")
)

// tries is how often a decision is made again, and refusals how often a row that another process (or nobody) wrote may stand
// in its way: after that it is not a race.
const (
	tries    = 8
	refusals = 3
)

// Decide runs one decision in one transaction, and again from its beginning after a deadlock, a lock that was not got in
// time, a lost connection before COMMIT was sent, or a change by another process.
func (d *DB) Decide(ctx context.Context, reads *driver.Reads, decide func(*driver.State) *driver.Changes) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d.write.Lock()
	defer d.write.Unlock()
	switch {
	case d.closed:
		return errClosed
	case d.importing:
		return fmt.Errorf("%w: an import into it is not finished; run it again to its end", driver.ErrUnavailable)
	}
	err := translate(d.decide(ctx, reads, decide))
	if errors.Is(err, driver.ErrUnavailable) {
		d.failed.Store(&err)
	} else if err == nil {
		d.failed.Store(nil)
	}
	return err
}

func (d *DB) decide(ctx context.Context, reads *driver.Reads, f func(*driver.State) *driver.Changes) error {
	refused, late := 0, d.canBeLate(reads)
	for try := 1; ; try++ {
		err := d.once(ctx, reads, late, f)
		if errors.Is(err, errLock) {
			d.early, late = early, false
			continue
		}
		late = false // whatever happened, under the locks it will not happen again
		if errors.Is(err, errNodeLost) {
			if err = d.takeNode(ctx); err == nil {
				err = errStale
			}
		}
		switch {
		case err == nil:
			return nil
		case errors.Is(err, driver.ErrUnknown), errors.Is(err, mysql.ErrUnknown), errors.Is(err, errGuard), mysql.Unavailable(err), ctx.Err() != nil:
			return err
		case mysql.Duplicate(err):
			if refused++; refused == refusals {
				return fmt.Errorf("the stock database refuses the batch: %w", err)
			}
		case errors.Is(err, errStale), mysql.Retry(err), mysql.Lost(err):
		default:
			return err
		}
		if try == tries {
			return fmt.Errorf("%w: not decided in %d tries: %w", driver.ErrUnavailable, tries, err)
		}
		d.opt.Logger.Debug("a decision is made again", "try", try, "error", err.Error())
		d.rest(ctx, try)
	}
}

// rest waits a little, longer with each try, and not the same time in every process.
func (d *DB) rest(ctx context.Context, try int) {
	most := min(time.Millisecond<<try, 200*time.Millisecond)
	select {
	case <-d.timer.NewTimer(rand.N(most)).C():
	case <-ctx.Done():
	}
}

// once is one transaction. A late one locks its stock rows last; it fails with errLock when the decision does not allow that.
func (d *DB) once(ctx context.Context, reads *driver.Reads, late bool, f func(*driver.State) *driver.Changes) error {
	err := mysql.Tx(ctx, d.db, func(tx *sql.Tx) error {
		r := &reader{d: d, tx: tx, reads: reads, late: late}
		if err := r.read(ctx); err != nil {
			return err
		}
		if !plenty(reads, &r.state) {
			if late {
				return errLock
			}
			d.early = early
		}
		changes := f(&r.state)
		if r.failed != nil {
			return r.failed
		}
		if late && !onlyWins(reads, &r.state, changes) {
			return errLock
		}
		if changes == nil {
			return errNothing
		}
		p, err := newPlan(reads, &r.state, changes)
		if err != nil {
			return err
		}
		if err := r.writer(p).write(ctx); err != nil {
			return err
		}
		if err := d.opt.Fault.Hit(FaultCommit); err != nil {
			return fmt.Errorf("%w: %w", driver.ErrUnknown, err)
		}
		return nil
	})
	if errors.Is(err, errNothing) {
		return nil
	}
	if err == nil {
		if err = d.opt.Fault.Hit(FaultCommitted); err != nil {
			err = fmt.Errorf("%w: %w", driver.ErrUnknown, err)
		}
	}
	return err
}
