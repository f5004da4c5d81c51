package stock

import (
	"context"
	"errors"
	"fmt"
	"time"

	"penstock/errs"
	"penstock/stock/driver"
)

// call is one thing to decide, in its phase of the batch. need and decide run in the committer, inside one batch; decide may run
// more than once and must start from the work given to it each time. finish is called exactly once: with nil after the commit is
// durable, else with the reason why nothing was written or why the outcome stays unknown.
type call interface {
	need(w *work)
	phase() phase
	decide(w *work)
	finish(err error)
}

// send hands a call to the committer. False means that it was not taken: the queue is full or the stock is closing.
func (s *Stock) send(c call) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return false
	}
	s.waiting.Add(1)
	select {
	case s.queue <- c:
		return true
	default:
		s.waiting.Add(-1)
		return false
	}
}

func (s *Stock) run() {
	defer close(s.stopped)
	batch := make([]call, 0, s.opt.MaxBatch)
	for c := range s.queue {
		batch = s.gather(append(batch[:0], c))
		s.before = len(batch)
		s.commit(batch, false)
	}
}

// crowd is how many calls in the batch before mean that more are on their way: those who were answered a moment ago come again.
const crowd = 8

// gather adds the calls that wait already, up to MaxBatch. In a crowd it gives others a moment to come, so that they share one
// sync; an idle writer commits at once.
func (s *Stock) gather(batch []call) []call {
	var linger <-chan time.Time
	if s.opt.Linger > 0 && s.before >= crowd {
		t := s.opt.Clock.NewTimer(s.opt.Linger)
		defer t.Stop()
		linger = t.C()
	}
	for len(batch) < s.opt.MaxBatch {
		select {
		case c, ok := <-s.queue:
			if !ok {
				return batch
			}
			batch = append(batch, c)
			continue
		default:
		}
		if linger == nil {
			return batch
		}
		select {
		case c, ok := <-s.queue:
			if !ok {
				return batch
			}
			batch = append(batch, c)
		case <-linger:
			return batch
		}
	}
	return batch
}

// commit decides a batch in one transaction and answers it. A batch that the database refuses as such is bisected, so that
// one bad row costs one call. open says that a transaction with these calls was sent to commit before and may have happened:
// then no error proves that nothing was written.
func (s *Stock) commit(batch []call, open bool) {
	err := s.transact(batch)
	if errors.Is(err, driver.ErrUnknown) || open && errors.Is(err, driver.ErrUnavailable) {
		open = true
		err = s.settle(batch, err)
	}
	if err == nil || errors.Is(err, driver.ErrUnknown) || errors.Is(err, driver.ErrUnavailable) || len(batch) == 1 {
		if err != nil && open {
			err = fmt.Errorf("%w: not settled: %w", driver.ErrUnknown, err)
		}
		if err != nil {
			s.complain(err, len(batch))
		}
		for _, c := range batch {
			c.finish(err)
		}
		s.waiting.Add(-int64(len(batch)))
		return
	}
	s.opt.Logger.Warn("a batch was refused by the database and is bisected", "error", err.Error(), "calls", len(batch))
	half := len(batch) / 2
	s.commit(batch[:half], open)
	s.commit(batch[half:], open)
}

// complain logs calls whose batches were not committed, once a second: a database that is gone fails every batch.
func (s *Stock) complain(err error, calls int) {
	s.complaint.calls += calls
	now := s.opt.Clock.Now()
	if now.Sub(s.complaint.at) < time.Second {
		return
	}
	s.opt.Logger.Error("batches were not committed", "error", err.Error(), "calls", s.complaint.calls)
	s.complaint.calls, s.complaint.at = 0, now
}

func (s *Stock) transact(batch []call) error {
	start := s.opt.Clock.Now()
	w := &s.work
	w.reset(s)
	for _, c := range batch {
		c.need(w)
	}
	err := s.drv.Decide(context.Background(), &w.reads, func(st *driver.State) *driver.Changes {
		w.load(st)
		if s.node != nil {
			s.ids.Use(s.node())
		}
		w.decide(batch)
		return w.collect()
	})
	if err != nil {
		return err
	}
	if s.opt.OnCommit != nil {
		s.opt.OnCommit(Committed{
			Stock: w.changes.Stock, Sales: w.changes.Sales, Won: w.won, Calls: len(batch), Took: s.opt.Clock.Now().Sub(start),
		})
	}
	if !w.empty() {
		select {
		case s.changed <- struct{}{}:
		default:
		}
	}
	return nil
}

// settle runs a batch of unknown outcome again, under the same keys, until the database says what is true: what was committed
// is found, what was not is decided now. It gives up only when the stock is closing.
func (s *Stock) settle(batch []call, err error) error {
	s.opt.Logger.Error("the outcome of a commit is unknown; settling", "error", err.Error(), "calls", len(batch))
	wait := 10 * time.Millisecond
	for try := 1; errors.Is(err, driver.ErrUnknown) || errors.Is(err, driver.ErrUnavailable); try++ {
		if s.closing() {
			return fmt.Errorf("%w: closing before it was settled", driver.ErrUnknown)
		}
		<-s.opt.Clock.NewTimer(wait).C()
		wait = min(2*wait, time.Second)
		if err = s.transact(batch); err == nil {
			s.opt.Logger.Info("an unknown commit is settled", "tries", try, "calls", len(batch))
		}
	}
	s.retell()
	return err
}

// retell tells everything as it is now: what a transaction of unknown outcome did change is no change when it is decided
// again, and nobody else would tell it.
func (s *Stock) retell() {
	snap, err := s.drv.Snapshot(context.Background())
	if err != nil {
		s.opt.Logger.Error("what an unknown commit changed could not be told", "error", err.Error())
		return
	}
	if s.opt.OnCommit != nil {
		s.opt.OnCommit(Committed{Stock: snap.Stock, Sales: snap.Sales})
	}
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *Stock) closing() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.closed
}

// readable gives the error of a read its code: a database that waits to be reopened is reduced capacity, not a defect.
func readable(err error) error {
	if errors.Is(err, driver.ErrUnavailable) {
		return &errs.Error{Code: errs.ReducedCapacity, Detail: "the stock database is being reopened", RetryAfter: time.Second, Err: err}
	}
	return err
}

// codeFor turns a committer's error into what the caller may conclude.
func codeFor(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, driver.ErrUnknown):
		return errs.Wrap(errs.Unknown, err, "the outcome is not known yet; ask again")
	case errors.Is(err, driver.ErrUnavailable):
		return &errs.Error{Code: errs.ReducedCapacity, Detail: "the stock database takes no writes now; nothing was executed",
			RetryAfter: time.Second, Err: err}
	}
	return errs.Wrap(errs.Internal, err, "the decision failed; nothing was written")
}
