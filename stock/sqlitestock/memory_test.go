package sqlitestock

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"
	"time"

	"penstock/internal/ident"
	"penstock/stock/driver"
)

// A tally adds and takes off exactly, beyond 32 bits and back, and keeps nothing of who has nothing.
func TestTally(t *testing.T) {
	t.Parallel()
	m, c := newMemory(), newTally()
	ann, ben := m.holder("ann"), m.holder("ben")
	for _, step := range []struct{ add, want int64 }{
		{3, 3}, {-2, 1}, {math.MaxUint32, math.MaxUint32 + 1}, {-1, math.MaxUint32}, {1 << 40, 1<<40 + math.MaxUint32}, {-(1 << 40), math.MaxUint32}, {-math.MaxUint32, 0},
	} {
		if c.add(ann, step.add); c.of(ann) != step.want || c.of(ben) != 0 {
			t.Fatalf("after %+d: %d, and %d of another", step.add, c.of(ann), c.of(ben))
		}
	}
	if len(c.small)+len(c.large) != 0 || (*tally)(nil).of(ann) != 0 {
		t.Errorf("%d and %d are kept of nothing", len(c.small), len(c.large))
	}
}

// Every row of keys whose short hashes are alike is a candidate, also one beyond 32 bits behind the first.
func TestKeysThatShareAHash(t *testing.T) {
	t.Parallel()
	m, s := newMemory(), newSale(1, 10)
	for _, seq := range []uint64{11, 12, 10 + math.MaxUint32 + 1} {
		m.addKey(s, "ann", "k", seq)
	}
	m.addKey(s, "ben", "far", 1<<40)
	if rows := m.candidates(s, "ann", "k"); !slices.Equal(rows, []uint64{11, 12, 10 + math.MaxUint32 + 1}) {
		t.Errorf("candidates %d", rows)
	}
	if rows := m.candidates(s, "ben", "far"); !slices.Equal(rows, []uint64{1 << 40}) {
		t.Errorf("candidates %d", rows)
	}
}

// Ids in front of every sale that is not archived leave memory; those of others are found as before.
func TestSpansOfArchivedSalesGo(t *testing.T) {
	t.Parallel()
	m := newMemory()
	for i := range uint64(10 * spanRows) {
		m.addID(ident.ID((i+1)<<30), i+1)
		m.seq = i + 1
	}
	old, open := newSale(1, 0), newSale(2, 5*spanRows)
	old.archived = true
	m.sales["old"], m.sales["open"] = old, open
	m.dropSpans()
	if len(m.spans) != 5 {
		t.Errorf("%d spans are left, want 5", len(m.spans))
	}
	id := ident.ID((7*spanRows + 3) << 30)
	if from, to, ok := m.rowsOf(id); !ok || from > 7*spanRows+3 || to < 7*spanRows+3 {
		t.Errorf("the row of an order is looked for in %d to %d, %v", from, to, ok)
	}
	open.archived = true
	if m.dropSpans(); len(m.spans) != 0 {
		t.Errorf("%d spans are left of archived sales", len(m.spans))
	}
}

// What a claim costs in memory, as learned from decisions and as read at a start.
func BenchmarkMemoryPerClaim(b *testing.B) {
	const claims = 1_000_000
	for _, way := range []string{"decided", "read"} {
		b.Run(way, func(b *testing.B) {
			for range b.N {
				before := liveHeap()
				m := newMemory()
				s := newSale(1, 0)
				s.doc.ID = "s"
				m.sales["s"], m.byNum[1] = s, s
				sums := map[driver.StockRef]*driver.Stock{}
				begin := time.Now()
				for i := range uint64(claims) {
					user, key := fmt.Sprintf("buyer-%08d", i), fmt.Sprintf("key-%d", i)
					id := ident.ID(i)
					if way == "read" {
						m.learnRow(&brief{seq: int64(i + 1), kind: 1, sale: 1, id: int64(id), quantity: 1, releaseAt: int64(i), state: 1, user: user, key: key, sku: "lamp"}, claims, sums)
						continue
					}
					m.learn(&driver.Attempt{ID: id, Seq: i + 1, Key: driver.Key{Sale: "s", User: user, Key: key}, ReleaseAt: time.UnixMicro(int64(i)), State: driver.Held, Lines: []driver.Line{{SKU: "lamp", Quantity: 1}}}, s)
				}
				b.ReportMetric(float64(time.Since(begin).Nanoseconds())/claims, "ns/claim")
				m.unsent = nil
				b.ReportMetric(float64(liveHeap()-before)/claims, "B/claim")
				runtime.KeepAlive(m)
			}
		})
	}
}

func liveHeap() int64 {
	runtime.GC()
	runtime.GC()
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.HeapAlloc)
}
