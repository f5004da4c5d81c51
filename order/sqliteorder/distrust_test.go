package sqliteorder

import (
	"os"
	"testing"
	"time"

	"penstock/internal/ident"
	"penstock/order/driver"
)

// A connection that is not trusted any more is replaced, what was written before is checkpointed, and writing goes on.
func TestDistrustedConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	slot := ident.SlotOf("alice")
	n, table := s.Map().Route(slot)
	d, gen := s.dbs[n], ident.NewGenerator(1, 0)
	write := func(rows int) ident.ID {
		b := driver.Batch{}
		for range rows {
			b.Changes = append(b.Changes, &driver.Change{ID: gen.Next(time.Unix(1.8e9, 0), slot), Table: table, Exist: true, Seed: &driver.Seed{
				User: "alice", Sale: "s1", Key: "k", Items: "[]", Currency: "CNY", Amount: 5, Created: 1, PayBefore: 2}})
		}
		if err := d.Write(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
		return b.Changes[rows-1].ID
	}
	log := func() int64 {
		info, err := os.Stat(d.Path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	write(50)
	before := log()
	d.distrust()
	id := write(1)
	if after := log(); after >= before {
		t.Errorf("the log went from %d to %d bytes: there was no checkpoint", before, after)
	}
	if o, err := d.Get(t.Context(), table, id); err != nil || o == nil || o.State != driver.PendingPayment {
		t.Errorf("the order is %+v, %v", o, err)
	}
}
