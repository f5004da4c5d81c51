package saga

import (
	"context"
	"fmt"
	"time"

	"penstock/engine/sqldb"
)

// pruneBatch is how many transactions one round of Prune looks at and one commit removes.
const pruneBatch = 100

// Forgetter is a participant that keeps something for each transaction, such as a barrier. Forget removes it; a repeat does
// nothing. It is called when the transactions have ended for good, before they are removed.
type Forgetter interface {
	Forget(ctx context.Context, transactions []string) error
}

// Prune removes up to a hundred transactions that ended before a time, with their timelines and what participants keep for them,
// oldest first. more says that there may be others. Those that have not ended, or wait for a person, stay: somebody may still be
// called about them. An id that was removed begins a new transaction when it is used again.
//
// What participants keep goes first: should the process die between the two, the next call repeats it. Any number of processes
// may prune at a time.
func (c *Coordinator) Prune(ctx context.Context, before time.Time) (removed int, more bool, err error) {
	for _, s := range []State{Confirmed, Cancelled} {
		c.pruning.Lock()
		after := c.pruned[s]
		c.pruning.Unlock()
		// None has ended before it began, so that what began later is not looked at.
		page, err := query(ctx, c.store, `state=? AND seq>? AND began<? ORDER BY seq LIMIT ?`, s, after, before.UnixMilli(), pruneBatch-removed)
		if err != nil {
			return removed, false, err
		}
		old := make([]*Transaction, 0, len(page))
		for _, t := range page {
			if after = t.Seq; t.Ended.Before(before) {
				old = append(old, t)
			}
		}
		gone, err := c.remove(ctx, old)
		if err != nil {
			return removed, false, err
		}
		full := len(page) == pruneBatch-removed
		if !full {
			after = 0 // from the beginning the next time: some end long after they began
		}
		c.pruning.Lock()
		c.pruned[s] = after
		c.pruning.Unlock()
		removed += gone
		if full {
			return removed, true, nil
		}
	}
	return removed, false, nil
}

// remove returns how many it removed itself.
func (c *Coordinator) remove(ctx context.Context, old []*Transaction) (gone int, err error) {
	if len(old) == 0 {
		return 0, nil
	}
	names := make([]string, len(old))
	for i, t := range old {
		names[i] = t.ID
	}
	for name, p := range c.parts {
		if f, ok := p.(Forgetter); ok {
			if err := f.Forget(ctx, names); err != nil {
				return 0, fmt.Errorf("participant %s: forget %d transactions: %w", name, len(names), err)
			}
		}
	}
	err = c.store.Do(ctx, sqldb.NoLock, func(tx sqldb.Tx) error {
		gone = 0
		for _, t := range old {
			n, err := tx.Exec(`DELETE FROM transactions WHERE seq=? AND version=?`, t.Seq, t.Version)
			if err == nil && n == 1 {
				gone++
				_, err = tx.Exec(`DELETE FROM transaction_steps WHERE tx=?`, t.ID)
			}
			if err != nil {
				return fmt.Errorf("remove transaction %s: %w", t.ID, err)
			}
		}
		return nil
	})
	return gone, err
}
