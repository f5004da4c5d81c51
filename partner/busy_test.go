package partner

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"penstock/engine/sqldb"
	"penstock/internal/clock"
)

// stuck is a store that reads and, from some time on, does not get its locks to write.
type stuck struct {
	Store
	free  chan struct{} // closed: it writes
	held  atomic.Bool
	reads atomic.Int64
}

func (s *stuck) Do(ctx context.Context, slot int, f func(sqldb.Tx) error) error {
	if s.held.Load() {
		<-s.free
	}
	return s.Store.Do(ctx, slot, f)
}

func (s *stuck) Scan(ctx context.Context, query string, args []any, dest ...any) error {
	defer s.reads.Add(1)
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

// While old nonces are being removed, however long that takes, apps are still let in by what can be read.
func TestPruningDelaysNoLook(t *testing.T) {
	t.Parallel()
	fake := clock.NewFake(noon)
	db := &stuck{Store: onSQLite().open(t, onSQLite().place(t)), free: make(chan struct{})}
	w := openWorld(t, db, fake)
	a := w.create("sales.read")
	who := w.snap.Load().apps[a.ID].identity(a.client.ID, noon.Add(24*time.Hour))
	t.Cleanup(func() { close(db.free) })
	db.held.Store(true)
	db.goesOn(t, fake, 40) // two removals are due
	check(t, w.Permit(who, "sales.read"))
}
