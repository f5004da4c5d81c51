package line_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/stock"
	"penstock/stock/driver"
	"penstock/stock/sqlitestock"
)

// What the second key of a win costs: rounds of wins with and without a pass by turns over one file, 256 at once, and the ratio of
// their rates.
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
	var n atomic.Int64
	wins := func(pass bool, d time.Duration) (rate float64) {
		begun, before := time.Now(), n.Load()
		var wg sync.WaitGroup
		for range 256 {
			wg.Go(func() {
				for time.Since(begun) < d {
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
		return float64(n.Load()-before) / time.Since(begun).Seconds()
	}
	var with, without float64
	for range b.N {
		without += wins(false, time.Second)
		with += wins(true, time.Second)
	}
	b.ReportMetric(without/float64(b.N), "wins/s")
	b.ReportMetric(with/float64(b.N), "wins-with-pass/s")
	b.ReportMetric(with/without, "ratio")
}
