package identity_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"penstock/engine/sqldb"
	"penstock/errs"
	"penstock/identity"
	"penstock/internal/clock"
)

// stuck is a store that reads and, from some time on, does not get its locks to write.
type stuck struct {
	identity.Store
	free  chan struct{} // closed: it writes
	held  atomic.Bool
	reads atomic.Int64
	// silent is set for a read that is never answered.
	silent atomic.Bool
}

func (s *stuck) Do(ctx context.Context, slot int, f func(sqldb.Tx) error) error {
	if s.held.Load() {
		<-s.free
	}
	return s.Store.Do(ctx, slot, f)
}

func (s *stuck) Scan(ctx context.Context, query string, args []any, dest ...any) error {
	defer s.reads.Add(1)
	if s.silent.Swap(false) {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.Store.Scan(ctx, query, args, dest...)
}

// goesOn lets time pass until the store was read n times more.
func (s *stuck) goesOn(t *testing.T, c *clock.Fake, n int64) {
	t.Helper()
	for want, tries := s.reads.Load()+n, 0; s.reads.Load() < want; tries++ {
		if tries == 5000 {
			t.Fatalf("nothing is read any more: %d reads are missing", want-s.reads.Load())
		}
		c.Advance(250 * time.Millisecond)
		<-time.After(time.Millisecond)
	}
}

// While rows are locked by somebody who does not go on, such as a process that was stopped in a transaction, sessions are still
// checked by what can be read: who is logged in is not locked out by the housekeeping.
func TestHousekeepingDelaysNoCheck(t *testing.T) {
	t.Parallel()
	w := &world{t: t, clock: clock.NewFake(start)}
	db := &stuck{Store: onSQLite.open(t, onSQLite.place(t)), free: make(chan struct{})}
	w.People = open(t, db, identity.Options{Clock: w.clock, Audit: w.audit})
	if _, err := w.Create(t.Context(), "test", identity.User{Name: "alice", Role: identity.Operator}, password); err != nil {
		t.Fatal(err)
	}
	l := w.in(from("192.0.2.1"), "alice")
	if err := w.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	t.Cleanup(func() { close(db.free) })
	w.clock.Advance(time.Minute) // the session is to be noted as used, and what has ended to be swept
	db.goesOn(t, w.clock, 1)
	w.good(l.Cookie)
	db.held.Store(true)
	db.goesOn(t, w.clock, 120)
	w.good(l.Cookie)
}

// A caller with a cookie that nobody knows has the store looked at. When that look is not answered, the others do not wait for it
// for longer than they can do without.
func TestUnansweredLookHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	db := &stuck{Store: onSQLite.open(t, onSQLite.place(t))}
	p := open(t, db, identity.Options{})
	for end := time.Now().Add(60 * time.Second); ; { // until the last look is old enough for another
		db.silent.Store(true)
		_, err := p.Check(context.Background(), "nobody's")
		if errs.CodeOf(err) == errs.ReducedCapacity {
			break
		}
		if db.silent.Store(false); time.Now().After(end) {
			t.Fatalf("no look: %v", err)
		}
	}
	if err := p.Refresh(t.Context()); err != nil {
		t.Error(err)
	}
}
