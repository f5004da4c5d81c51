package sqlitestock_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"penstock/internal/clock"
	"penstock/internal/fault"
	"penstock/stock"
	"penstock/stock/driver"
	"penstock/stock/sqlitestock"
)

// What a commit changed whose reply was lost is told like any other change, so that no filter turns buyers away for ever.
func TestLostReplyIsTold(t *testing.T) {
	t.Parallel()
	points := &fault.Points{}
	drv, err := sqlitestock.Open(t.Context(), filepath.Join(t.TempDir(), "stock.db"), sqlitestock.Options{Fault: points, CacheKiB: 1024})
	if err != nil {
		t.Fatal(err)
	}
	defer drv.Close()
	var mu sync.Mutex
	levels := map[string]driver.Stock{}
	st, err := stock.New(t.Context(), drv, stock.Options{Deadline: time.Minute, OnCommit: func(c stock.Committed) {
		mu.Lock()
		defer mu.Unlock()
		for _, l := range c.Stock {
			levels[l.SKU] = l
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close(t.Context())
	now := clock.Real{}.Now()
	sale := driver.Sale{
		ID: "s", StartsAt: now.Add(-time.Minute), EndsAt: now.Add(time.Hour), Window: time.Hour,
		Items: []driver.SaleItem{{SKU: "a", Price: 1, Currency: "CNY"}},
	}
	lose := func() {
		points.Set(sqlitestock.FaultCommitted, func(hit int) error {
			if hit == 1 {
				return errors.New("the reply is lost")
			}
			return nil
		})
	}
	told := func(when string, available, held int64) {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if l := levels["a"]; l.Available != available || l.Held != held {
			t.Errorf("%s the rows told say %d available and %d held, want %d and %d", when, l.Available, l.Held, available, held)
		}
	}
	lose()
	if _, err = st.CreateSale(t.Context(), sale, map[string]int64{"a": 1}, driver.Audit{}); err != nil {
		t.Fatal(err)
	}
	told("after the sale was made", 1, 0)
	lose()
	won := st.Attempt(t.Context(), stock.Request{Sale: "s", User: "u", Key: "k", Items: []stock.Item{{SKU: "a", Quantity: 1}}})
	if won.State != stock.Won {
		t.Fatalf("attempt: %+v", won)
	}
	told("after the win", 0, 1)
	lose()
	if _, err = st.Release(t.Context(), won.Attempt.ID, driver.Held, stock.WhyCancelled, ""); err != nil {
		t.Fatal(err)
	}
	told("after the release", 1, 0)
}

// A caller who gives up while the last message is being noted as sent does not cost the stock its database.
func TestSentCutOff(t *testing.T) {
	t.Parallel()
	drv, err := sqlitestock.Open(t.Context(), filepath.Join(t.TempDir(), "stock.db"), sqlitestock.Options{CacheKiB: 1024})
	if err != nil {
		t.Fatal(err)
	}
	defer drv.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := drv.Sent(ctx, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("sent: %v, want the caller's own end", err)
	}
	if err := drv.Ready(); err != nil {
		t.Errorf("the database is broken by a caller who gave up: %v", err)
	}
}
