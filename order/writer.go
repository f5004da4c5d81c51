package order

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"penstock/bus"
	"penstock/engine/sqlite"
	"penstock/errs"
)

// writer puts changes of one database into transactions of at most limit rows. It has a goroutine only while there is
// something to write.
type writer struct {
	db       *sqlite.DB
	number   int
	opt      *Options
	inFlight atomic.Int64

	mu     sync.Mutex
	queue  []*change
	busy   bool
	closed bool
	idle   sync.Cond

	// What follows belongs to the goroutine that writes.
	batch   []*change
	st      *statements
	suspect bool
}

func newWriter(db *sqlite.DB, number int, opt *Options) *writer {
	w := &writer{db: db, number: number, opt: opt}
	w.idle.L = &w.mu
	return w
}

// do writes the changes, in order among themselves, and returns when each is durable or has its err. A write that has begun is
// finished whatever becomes of the caller.
func (w *writer) do(changes []*change) {
	var done sync.WaitGroup
	done.Add(len(changes))
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		for _, c := range changes {
			c.err = errs.Wrap(errs.ReducedCapacity, bus.ErrUnavailable, "the server is shutting down")
		}
		return
	}
	w.inFlight.Add(int64(len(changes)))
	for _, c := range changes {
		c.done = &done
	}
	w.queue = append(w.queue, changes...)
	start := !w.busy
	w.busy = true
	w.mu.Unlock()
	if start {
		go w.drain()
	}
	done.Wait()
}

// close waits for what was accepted, then gives the statements back.
func (w *writer) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for w.busy {
		w.idle.Wait()
	}
	if w.st != nil {
		w.st.close()
		w.st = nil
	}
}

func (w *writer) drain() {
	for w.next() {
		w.write(w.batch)
		for i, c := range w.batch {
			w.batch[i] = nil
			w.inFlight.Add(-1)
			c.done.Done()
		}
	}
}

// next moves up to a batch from the queue; false means that there is none.
func (w *writer) next() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(len(w.queue), w.opt.BatchRows)
	if n == 0 {
		w.busy = false
		w.idle.Broadcast()
		return false
	}
	w.batch = append(w.batch[:0], w.queue[:n]...)
	rest := copy(w.queue, w.queue[n:])
	clear(w.queue[rest:])
	w.queue = w.queue[:rest]
	return true
}

// write runs the batch. A row that fails is taken out and the others are written without it; what fails as a whole fails for
// every row that is left.
func (w *writer) write(batch []*change) {
	began := w.opt.Clock.Now()
	for range batch {
		bad, err := w.try(batch)
		if err == nil {
			break
		}
		if bad != nil {
			bad.bad, bad.err = true, err
			continue
		}
		w.opt.Logger.Error("orders could not be written", "database", w.number, "rows", len(batch), "error", err)
		err = unavailable(err)
		for _, c := range batch {
			if !c.bad {
				c.err = err
			}
		}
		break
	}
	w.tell(batch, began)
}

func (w *writer) tell(batch []*change, began time.Time) {
	h := &w.opt.Hooks
	failed := 0
	for _, c := range batch {
		if c.err != nil {
			failed++
			continue
		}
		if c.created && h.Created != nil {
			h.Created(c.seed.amount, c.seed.currency)
		}
		if h.Changed != nil && c.seed != nil && (c.created || c.moves > 0) {
			h.Changed(c.seed.user, c.id)
		}
		for _, e := range c.moved[:c.moves] {
			if h.Moved != nil {
				h.Moved(e.From, e.To)
			}
		}
	}
	if h.Batch != nil {
		h.Batch(len(batch), failed, w.opt.Clock.Now().Sub(began))
	}
}

// unavailable is the answer when a whole transaction failed: the change may or may not be there, and trying again settles it.
func unavailable(err error) error {
	return errs.Wrap(errs.Unknown, fmt.Errorf("%w: %w", bus.ErrUnavailable, err), "the order database did not confirm; ask again")
}

// try runs the rows that are not bad in one transaction. It returns the row that the transaction failed at, or nil when it failed
// as a whole.
func (w *writer) try(batch []*change) (bad *change, err error) {
	ctx := context.Background()
	if w.suspect {
		if err := w.db.Checkpoint(ctx); err != nil {
			return nil, fmt.Errorf("order database %d: write everything again after a failed commit: %w", w.number, err)
		}
		w.suspect = false
	}
	conn, err := w.db.W.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("order database %d: %w", w.number, err)
	}
	var failure error
	err = conn.Raw(func(raw any) error {
		bad, failure = w.transact(ctx, raw, batch)
		if w.suspect {
			return driver.ErrBadConn
		}
		return nil
	})
	err = errors.Join(failure, ignoreBad(err), ignoreBad(conn.Close()))
	if err != nil {
		err = fmt.Errorf("order database %d: %w", w.number, err)
	}
	return bad, err
}

// ignoreBad drops the error that was only there to have the connection thrown away.
func ignoreBad(err error) error {
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) {
		return nil
	}
	return err
}

// transact runs one transaction on the driver's connection: database/sql would box every argument anew, which costs as much
// as SQLite takes to insert the row.
func (w *writer) transact(ctx context.Context, raw any, batch []*change) (*change, error) {
	if w.st == nil || w.st.conn != raw {
		var err error
		if w.st, err = newStatements(raw, w.number); err != nil {
			return nil, err
		}
	}
	tx, err := w.st.begin.BeginTx(ctx, driver.TxOptions{})
	if err != nil {
		return nil, err
	}
	for _, c := range batch {
		if c.bad {
			continue
		}
		c.reset()
		if err = w.row(c); err == nil {
			continue
		}
		if back := tx.Rollback(); back != nil || sqlite.Full(err) {
			w.distrust()
			return nil, errors.Join(err, back)
		}
		return c, err
	}
	if err = w.opt.Fault.Hit("order.commit"); err != nil {
		return nil, errors.Join(err, tx.Rollback())
	}
	if err = tx.Commit(); err != nil {
		w.distrust()
		return nil, fmt.Errorf("commit: %w", err)
	}
	return nil, nil
}

// row applies one change; an error means that the transaction is spoilt.
func (w *writer) row(c *change) error {
	if err := w.opt.Fault.Hit("order.row"); err != nil {
		return err
	}
	err := w.st.apply(c)
	if err != nil && refused(err) {
		c.err = err
		return nil
	}
	return err
}

// distrust has the connection thrown away, and everything in the log copied and synced again before the next transaction:
// after a sync that failed, the system may hold pages for written that never reached the disk.
func (w *writer) distrust() {
	w.suspect = true
	w.st.close()
	w.st = nil
}
