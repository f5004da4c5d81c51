package app_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"penstock/engine/mysql"
	"penstock/internal/clock"
	"penstock/internal/engines"
	"penstock/reconcile"
	"penstock/stock"
	"penstock/stock/driver"
	"penstock/stock/mysqlstock"
	"penstock/stock/sqlitestock"
)

// A round of the monitor over 100 stock rows, at rest and after 1,000 wins.
func BenchmarkMonitorRound(b *testing.B) {
	b.Run("embedded", func(b *testing.B) {
		db, err := sqlitestock.Open(b.Context(), filepath.Join(b.TempDir(), "stock.db"), sqlitestock.Options{})
		if err != nil {
			b.Fatal(err)
		}
		monitorRounds(b, db)
	})
	b.Run("MariaDB", func(b *testing.B) {
		cfg, err := mysql.Parse(engines.MariaDB(b).Database(b))
		if err != nil {
			b.Fatal(err)
		}
		db, err := mysqlstock.Open(b.Context(), cfg, mysqlstock.Options{})
		if err != nil {
			b.Fatal(err)
		}
		monitorRounds(b, db)
	})
}

func monitorRounds(b *testing.B, db driver.Driver) {
	s, err := stock.New(b.Context(), db, stock.Options{Clock: clock.Real{}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		s.Close(context.Background())
		db.Close()
	})
	d := driver.Sale{ID: "s", StartsAt: time.Now().Add(-time.Hour), EndsAt: time.Now().Add(time.Hour), Window: time.Hour, Admission: "open"}
	offers := map[string]int64{}
	for i := range 100 {
		sku := fmt.Sprint("sku", i)
		d.Items, offers[sku] = append(d.Items, driver.SaleItem{SKU: sku, Price: 1, Currency: "EUR"}), 1<<40
	}
	if _, err := s.CreateSale(b.Context(), d, offers, driver.Audit{Who: "op", Act: "create"}); err != nil {
		b.Fatal(err)
	}
	m := reconcile.NewMonitor(s, reconcile.MonitorOptions{Clock: clock.Real{}, Logger: slog.New(slog.DiscardHandler)})
	user := 0
	for _, wins := range []int{0, 1000} {
		b.Run(fmt.Sprint("wins=", wins), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				var all sync.WaitGroup
				for i := range wins {
					user++
					r := stock.Request{Sale: "s", User: fmt.Sprint("u", user), Key: "k", Items: []stock.Item{{SKU: fmt.Sprint("sku", i%100), Quantity: 1}}}
					all.Go(func() { s.Attempt(b.Context(), r) })
				}
				all.Wait()
				b.StartTimer()
				if found, err := m.Round(b.Context()); err != nil || len(found) > 0 {
					b.Fatal(found, err)
				}
			}
		})
	}
}
