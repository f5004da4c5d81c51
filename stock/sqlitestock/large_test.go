package sqlitestock_test

import (
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"penstock/stock"
	"penstock/stock/driver"
	"penstock/stock/sqlitestock"
)

// Of a million buyers of 100,000 units exactly 100,000 win, and after a restart the records say the same.
func TestHundredThousandUnitsAndAMillionBuyers(t *testing.T) {
	const callers = 512
	units, buyers := 100_000, 1_000_000
	if testing.Short() {
		units, buyers = 2_000, 20_000
	}
	path := filepath.Join(t.TempDir(), "stock.db")
	drv, err := sqlitestock.Open(t.Context(), path, sqlitestock.Options{})
	if err != nil {
		t.Fatal(err)
	}
	st, err := stock.New(t.Context(), drv, stock.Options{Deadline: time.Minute, Linger: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	sale := driver.Sale{
		ID: "s", StartsAt: now.Add(-time.Minute), EndsAt: now.Add(time.Hour), Window: time.Hour,
		Items: []driver.SaleItem{{SKU: "a", Price: 1, Currency: "CNY", Limit: 1}},
	}
	if _, err = st.CreateSale(t.Context(), sale, map[string]int64{"a": int64(units)}, driver.Audit{Who: "op", Act: "create"}); err != nil {
		t.Fatal(err)
	}
	var won, unknown atomic.Int64
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			for n := c; n < buyers; n += callers {
				a := st.Attempt(t.Context(), stock.Request{Sale: "s", User: "u" + strconv.Itoa(n), Key: "k", Items: []stock.Item{{SKU: "a", Quantity: 1}}})
				switch a.State {
				case stock.Won:
					won.Add(1)
				case stock.Unknown:
					unknown.Add(1)
				}
			}
		})
	}
	all.Wait()
	if won.Load() != int64(units) || unknown.Load() != 0 {
		t.Errorf("%d buyers won and %d do not know, want %d and 0", won.Load(), unknown.Load(), units)
	}
	if err = st.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err = drv.Close(); err != nil {
		t.Fatal(err)
	}
	if drv, err = sqlitestock.Open(t.Context(), path, sqlitestock.Options{}); err != nil { // which compares rows and journal
		t.Fatal(err)
	}
	snap, err := drv.Snapshot(t.Context())
	if err != nil || snap.Stock[0].Held != int64(units) || snap.Stock[0].Available != 0 {
		t.Errorf("after the restart: %+v (%v)", snap.Stock, err)
	}
	if err = drv.Close(); err != nil {
		t.Error(err)
	}
}
