package saga

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"penstock/saga/barrier"
	"penstock/saga/participant"
)

// drive works on a transaction that this process has claimed until it ends, waits, or is no longer ours. An abandoned one is
// taken up by whoever finds it due.
func (c *Coordinator) drive(t *Transaction) {
	for t.State.moves() && c.quit.Err() == nil {
		now := c.o.Clock.Now()
		if t.State == Trying && t.Recovery == Backward && !now.Before(t.Deadline) {
			t.failed(now, "the time for trying is over")
		} else {
			op, at := t.calls()
			if c.o.Fault.Hit(pointCall) != nil {
				return
			}
			outcome := c.call(t, op, at)
			if c.quit.Err() != nil || c.o.Fault.Hit(pointCalled) != nil {
				return // what was cut off tells nothing
			}
			t.apply(c.o.Clock.Now(), op, at, outcome, limits{c.o.Tries, c.o.pause})
		}
		now = c.o.Clock.Now()
		paused := t.State.moves() && t.next.After(now)
		if !paused {
			t.next = now.Add(c.o.lease())
		}
		if err := save(context.WithoutCancel(c.quit), c.store, t); err != nil {
			if !errors.Is(err, errOvertaken) {
				c.o.Logger.Warn("a transaction waits", "transaction", t.ID, "error", err.Error())
			}
			return
		}
		if !t.State.moves() {
			c.ended(t)
			return
		}
		if c.o.Fault.Hit(pointSaved) != nil || paused {
			return
		}
	}
}

// ended tells how it ended.
func (c *Coordinator) ended(t *Transaction) {
	c.o.Ended(t.State)
	if t.State == NeedsHuman {
		s := t.AtStake()
		c.o.Logger.Error("a transaction needs a human", "transaction", t.ID, "reason", t.Reason, "held", s.Held, "taken", s.Taken, "unsure", s.Unsure)
	}
}

// call makes one call for each of the branches, side by side, and waits for all.
func (c *Coordinator) call(t *Transaction, op barrier.Op, at []int) []error {
	outcome := make([]error, len(at))
	ctx, cancel := context.WithTimeout(c.quit, c.o.CallTimeout)
	defer cancel()
	var all sync.WaitGroup
	for k, i := range at {
		b := &t.Branches[i]
		p := c.parts[b.Participant]
		if p == nil {
			outcome[k] = fmt.Errorf("this process knows no participant %q", b.Participant)
			continue
		}
		all.Go(func() {
			outcome[k] = do(ctx, p, op, participant.Branch{Transaction: t.ID, Name: b.Name, Payload: b.Payload, Trace: t.Trace})
		})
	}
	all.Wait()
	return outcome
}

func do(ctx context.Context, p participant.Participant, op barrier.Op, b participant.Branch) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("participant panicked: %v", r) // the outcome is not known, and others' transactions go on
		}
	}()
	switch op {
	case barrier.Try:
		return p.Try(ctx, b)
	case barrier.Confirm:
		return p.Confirm(ctx, b)
	}
	return p.Cancel(ctx, b)
}
