package saga_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/engine/sqldb"
	"penstock/errs"
	"penstock/saga"
	"penstock/saga/barrier"
	"penstock/saga/participant"
)

// Forget removes the barrier's rows.
func (p *purse) Forget(ctx context.Context, transactions []string) error {
	return p.db.Do(ctx, sqldb.NoLock, func(tx sqldb.Tx) error {
		for _, name := range transactions {
			if err := p.gates.Forget(tx, name); err != nil {
				return err
			}
		}
		return nil
	})
}

// Forget passes on.
func (r *rough) Forget(ctx context.Context, transactions []string) error {
	return r.Participant.(saga.Forgetter).Forget(ctx, transactions)
}

// rows counts the rows of a table.
func rows(t *testing.T, s sqldb.Store, table string) (n int) {
	t.Helper()
	check(t, s.Scan(t.Context(), `SELECT count(*) FROM `+table, nil, &n))
	return n
}

// What ended long ago is removed, once, by however many prune, with timelines and barriers; what ended lately, waits for a
// person or has not ended stays, and goes on.
func testPrune(t *testing.T, e engine) {
	w := newTown(t, e)
	c := w.start(w.log, saga.Options{Tries: 3})
	other, err := saga.New(w.log, map[string]participant.Participant{"left": w.nets[0], "right": w.nets[1]}, nil, saga.Options{Clock: w.clock})
	check(t, err)
	const many = 130 // more than a batch
	for i := range many {
		_, _, err := c.Begin(t.Context(), spec(fmt.Sprint("old-", i), "1", "1"))
		check(t, err)
	}
	var sold int64 // on a busy machine a try may fail as often as is allowed, and be cancelled
	count := func(tx *saga.Transaction) {
		if tx.State == saga.Confirmed {
			sold++
		}
	}
	for i := range many {
		count(w.until(c, fmt.Sprint("old-", i)))
	}
	w.nets[1].set(func(op barrier.Op) int { return map[bool]int{true: refused}[op == barrier.Try] })
	_, _, err = c.Begin(t.Context(), spec("no", "1", "1"))
	check(t, err)
	w.until(c, "no")
	w.nets[1].set(func(op barrier.Op) int { return map[bool]int{true: lost}[op == barrier.Confirm] })
	_, _, err = c.Begin(t.Context(), spec("case", "1", "1"))
	check(t, err)
	w.until(c, "case")
	w.clock.Advance(31 * 24 * time.Hour)
	w.nets[1].set(nil)
	before := w.clock.Now().Add(-30 * 24 * time.Hour)
	_, _, err = c.Begin(t.Context(), spec("new", "1", "1"))
	check(t, err)
	count(w.until(c, "new"))

	var all atomic.Int64
	var both sync.WaitGroup
	for _, one := range []*saga.Coordinator{c, other} {
		both.Go(func() {
			for more := true; more; {
				n, again, err := one.Prune(t.Context(), before)
				if err != nil {
					t.Error(err)
				}
				all.Add(int64(n))
				more = again
			}
		})
	}
	both.Wait()
	if n := all.Load(); n != many+1 {
		t.Errorf("%d were removed", n)
	}
	left, err := c.List(t.Context(), "", 0, 100)
	check(t, err)
	if len(left) != 2 || left[0].ID != "new" || left[1].ID != "case" {
		t.Errorf("%d are left", len(left))
	}
	if _, steps, err := c.Get(t.Context(), "case"); err != nil || rows(t, w.log, "transaction_steps") != len(steps)+int(left[0].Steps) {
		t.Errorf("%d steps of %d are left, %v", rows(t, w.log, "transaction_steps"), len(steps), err)
	}
	for _, p := range w.purses {
		if n := rows(t, p.db, string(p.gates)); n != 2 {
			t.Errorf("%d rows of barrier %s are left", n, p.gates)
		}
	}
	_, _, err = c.Resolve(t.Context(), "case", saga.Resolution{Action: saga.Retry, Who: "eve", Reason: "it is back"})
	check(t, err)
	if tx := w.until(c, "case"); tx.State != saga.Confirmed {
		t.Errorf("the case: %s %s", tx.State, tx.Reason)
	}
	if n, more, err := c.Prune(t.Context(), before); n != 0 || more || err != nil { // it began long ago and ended now
		t.Errorf("again: %d %v %v", n, more, err)
	}
	if _, _, err := c.Get(t.Context(), "old-0"); !errs.Is(err, errs.NotFound) {
		t.Errorf("what was removed: %v", err)
	}
	if held, taken := w.purses[0].has(t); held != 0 || taken != sold+1 {
		t.Errorf("held %d, taken %d, want 0 and %d", held, taken, sold+1)
	}
}
