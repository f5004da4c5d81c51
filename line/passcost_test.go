package line_test

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"penstock/stock"
	"penstock/stock/driver"
	"penstock/stock/sqlitestock"
)

// What a pass costs: rounds of wins with and without one by turns over one file, 256 at once. Told are the processor time of the
// process and the allocations for each win, which other work on the machine changes little, and the ratios of with to without.
func BenchmarkPass(b *testing.B) {
	drv, err := sqlitestock.Open(b.Context(), filepath.Join(b.TempDir(), "stock.db"), sqlitestock.Options{})
	if err != nil {
		b.Fatal(err)
	}
	st, err := stock.New(b.Context(), drv, stock.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _, _ = st.Close(context.Background()), drv.Close() }()
	now := time.Now()
	doc := driver.Sale{
		ID: "s", StartsAt: now.Add(-time.Hour), EndsAt: now.Add(time.Hour), Window: time.Hour, Admission: driver.AdmitLine,
		Items: []driver.SaleItem{{SKU: "tea", Price: 990, Currency: "CNY"}},
	}
	if _, err := st.CreateSale(b.Context(), doc, map[string]int64{"tea": 1 << 40}, driver.Audit{Who: "op", Act: "sale.create", Why: "bench"}); err != nil {
		b.Fatal(err)
	}
	const each = 64 // wins of each of the callers in a round
	var n atomic.Int64
	wins := func(pass bool, c *cost) {
		defer c.add(callers * each)()
		var wg sync.WaitGroup
		for range callers {
			wg.Go(func() {
				for range each {
					i := n.Add(1)
					r := stock.Request{Sale: "s", User: fmt.Sprint("user-", i), Key: "k", Items: []stock.Item{{SKU: "tea", Quantity: 1}}}
					if pass {
						r.Pass, r.PassSKU = uint64(i), "tea"
					}
					if a := st.Attempt(b.Context(), r); a.State != stock.Won {
						b.Errorf("%v %s", a.State, a.Reason)
						return
					}
				}
			})
		}
		wg.Wait()
	}
	var with, without cost
	for range b.N {
		wins(false, &without)
		wins(true, &with)
	}
	b.ReportMetric(without.cpu/without.wins, "cpu-µs/win")
	b.ReportMetric(with.cpu/with.wins, "cpu-µs/win-with-pass")
	b.ReportMetric(with.cpu/without.cpu, "cpu-ratio")
	b.ReportMetric(without.allocs/without.wins, "allocs/win")
	b.ReportMetric(with.allocs/with.wins, "allocs/win-with-pass")
}

const callers = 256

// cost sums what rounds of wins took, in microseconds of processor time.
type cost struct{ wins, cpu, allocs float64 }

// add begins a round; what it returns ends it.
func (c *cost) add(wins int) (end func()) {
	read := func() (cpu, allocs float64) {
		var u syscall.Rusage
		var m runtime.MemStats
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
		runtime.ReadMemStats(&m)
		return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e3, float64(m.Mallocs)
	}
	cpu, allocs := read()
	return func() {
		after, made := read()
		c.wins, c.cpu, c.allocs = c.wins+float64(wins), c.cpu+after-cpu, c.allocs+made-allocs
	}
}
