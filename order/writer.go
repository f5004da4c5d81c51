package order

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"penstock/bus"
	"penstock/errs"
	store "penstock/order/driver"
)

// writer puts changes of one database into transactions of at most BatchRows rows. It has a goroutine only while there is
// something to write.
type writer struct {
	db       store.Writer
	number   int
	opt      *Options
	inFlight atomic.Int64

	mu     sync.Mutex
	queue  []*change
	busy   bool
	closed bool
	idle   sync.Cond
	health health

	batch []*change // of the goroutine that writes
}

func newWriter(db store.Writer, number int, opt *Options) *writer {
	w := &writer{db: db, number: number, opt: opt}
	w.idle.L = &w.mu
	return w
}

// waiting is told when the last of some changes is durable or has its err.
type waiting struct {
	left atomic.Int64
	done chan struct{}
}

func (w *waiting) one() {
	if w.left.Add(-1) == 0 {
		close(w.done)
	}
}

// do writes the changes, in order among themselves, and returns when each is durable or has its err. A write that has begun is
// finished whatever becomes of the caller.
func (w *writer) do(changes []*change) {
	if wait, err := w.accept(changes, false); err == nil {
		<-wait.done
	} else {
		for _, c := range changes {
			c.err = err
		}
	}
}

// offer is do for messages, which can wait where they are: it takes nothing while the database is stuck, and when the database
// takes longer than it may, the error is what to say of all of them, and the changes belong to the writer.
func (w *writer) offer(changes []*change) error {
	wait, err := w.accept(changes, true)
	if err != nil {
		return err
	}
	// Real time: it is the database that is slow, not a clock of the business.
	t := time.NewTimer(w.patience())
	defer t.Stop()
	select {
	case <-wait.done:
		return nil
	case <-t.C:
		return unavailable(fmt.Errorf("order database %d takes too long", w.number))
	}
}

func (w *writer) accept(changes []*change, messages bool) (*waiting, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return nil, errs.Wrap(errs.ReducedCapacity, bus.ErrUnavailable, "the server is shutting down")
	case messages && w.health.stuck(w.busy, w.opt.Patience):
		return nil, unavailable(fmt.Errorf("order database %d takes nothing now", w.number))
	}
	wait := &waiting{done: make(chan struct{})}
	wait.left.Store(int64(len(changes)))
	w.inFlight.Add(int64(len(changes)))
	for _, c := range changes {
		c.wait = wait
	}
	w.queue = append(w.queue, changes...)
	if !w.busy {
		w.busy = true
		w.health.begin() // whoever comes before the goroutine runs must not see when the last batch began
		go w.drain()
	}
	return wait, nil
}

func (w *writer) patience() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.health.patience(w.opt.Patience)
}

// close waits for what was accepted.
func (w *writer) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for w.busy {
		w.idle.Wait()
	}
}

func (w *writer) drain() {
	for w.next() {
		w.write(w.batch)
		for i, c := range w.batch {
			w.batch[i] = nil
			w.inFlight.Add(-1)
			c.wait.one()
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
	w.health.begin()
	w.batch = append(w.batch[:0], w.queue[:n]...)
	rest := copy(w.queue, w.queue[n:])
	clear(w.queue[rest:])
	w.queue = w.queue[:rest]
	return true
}

// write runs the batch and tells what came of it.
func (w *writer) write(batch []*change) {
	began := w.opt.Clock.Now()
	whole := w.rows(batch)
	if whole != nil {
		w.opt.Logger.Error("orders could not be written", "database", w.number, "rows", len(batch), "error", whole)
	}
	w.mu.Lock()
	w.health.end(whole != nil, w.opt.Patience)
	w.mu.Unlock()
	w.tell(batch, began)
}

// rows writes changes in one transaction. A row that the database refuses is taken out and the others are written without it;
// where the database does not tell which, the two halves are written apart. What fails as a whole fails for every row that is
// left, and is returned.
func (w *writer) rows(batch []*change) error {
	left := batch
	for len(left) > 0 {
		err := w.try(left)
		if err == nil {
			return nil
		}
		refused, located := errors.AsType[*store.Refused](err)
		if !located {
			whole := unavailable(err)
			for _, c := range left {
				c.err = whole
			}
			return err
		}
		at := refused.Index
		if at < 0 && len(left) > 1 {
			half := len(left) / 2
			return errors.Join(w.rows(left[:half:half]), w.rows(left[half:]))
		}
		left[max(at, 0)].bad, left[max(at, 0)].err = true, err
		left = good(left)
	}
	return nil
}

// good returns the changes that are not taken out.
func good(batch []*change) []*change {
	left := make([]*change, 0, len(batch)-1)
	for _, c := range batch {
		if !c.bad {
			left = append(left, c)
		}
	}
	return left
}

// try runs one transaction.
func (w *writer) try(batch []*change) error {
	b := store.Batch{
		Changes: make([]*store.Change, len(batch)), Fault: w.opt.Fault,
		Next: func(i int, now store.Current) (store.Update, error) { return batch[i].next(now) },
	}
	for i, c := range batch {
		c.moves, c.err, c.told = 0, nil, false
		b.Changes[i] = &c.Change
	}
	if err := w.db.Write(context.Background(), &b); err != nil {
		return err
	}
	for _, c := range batch {
		c.settle()
	}
	return nil
}

func (w *writer) tell(batch []*change, began time.Time) {
	h := &w.opt.Hooks
	failed, told := 0, false
	for _, c := range batch {
		told = told || c.told && c.err == nil
		if c.err != nil {
			failed++
			continue
		}
		if c.Made && h.Created != nil {
			h.Created(c.Seed.Amount, c.Seed.Currency)
		}
		if user := c.owner(); h.Changed != nil && user != "" && (c.Made || c.moves > 0) {
			h.Changed(user, c.ID)
		}
		for _, e := range c.moved[:c.moves] {
			if h.Moved != nil {
				h.Moved(e.From, e.To)
			}
		}
	}
	if told && h.Told != nil {
		h.Told(w.number)
	}
	if h.Batch != nil {
		h.Batch(len(batch), failed, w.opt.Clock.Now().Sub(began))
	}
}

// unavailable is the answer when a whole transaction failed: the change may or may not be there, and trying again settles it.
func unavailable(err error) error {
	return errs.Wrap(errs.Unknown, fmt.Errorf("%w: %w", bus.ErrUnavailable, err), "the order database did not confirm; ask again")
}
