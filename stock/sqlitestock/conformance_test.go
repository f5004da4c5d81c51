package sqlitestock_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"penstock/internal/clock"
	"penstock/internal/fault"
	"penstock/stock/driver"
	"penstock/stock/drivertest"
	"penstock/stock/sqlitestock"
)

// files remembers where the open databases are.
type files struct {
	mu    sync.Mutex
	paths map[driver.Driver]string
}

func (f *files) open(t testing.TB, path string, clk clock.Clock, p *fault.Points) driver.Driver {
	t.Helper()
	d, err := sqlitestock.Open(context.Background(), path, sqlitestock.Options{Clock: clk, Fault: p, CacheKiB: 1024})
	if err != nil {
		t.Fatalf("open %s: %v", path, err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close %s: %v", path, err)
		}
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paths[d] = path
	return d
}

func (f *files) pathOf(d driver.Driver) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.paths[d]
}

// copyFiles copies the database file and its log as they are now, without what only a living process needs.
func copyFiles(t testing.TB, from, to string) {
	t.Helper()
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(from + suffix)
		if err != nil {
			t.Fatalf("copy a crashed database: %v", err)
		}
		if err := os.WriteFile(to+suffix, data, 0o600); err != nil {
			t.Fatalf("copy a crashed database: %v", err)
		}
	}
}

// The SQLite driver keeps the contract of the stock port.
func TestConformance(t *testing.T) {
	f := &files{paths: map[driver.Driver]string{}}
	h := drivertest.Harness{
		Open: func(t testing.TB, clk clock.Clock, p *fault.Points) driver.Driver {
			return f.open(t, filepath.Join(t.TempDir(), "stock.db"), clk, p)
		},
		Reopen: func(t testing.TB, old driver.Driver, clk clock.Clock, p *fault.Points) driver.Driver {
			return f.open(t, f.pathOf(old), clk, p)
		},
		Crash: func(t testing.TB, old driver.Driver, clk clock.Clock, p *fault.Points) driver.Driver {
			path := filepath.Join(t.TempDir(), "stock.db")
			copyFiles(t, f.pathOf(old), path)
			return f.open(t, path, clk, p)
		},
		Tidy: func(t testing.TB, drv driver.Driver) {
			if _, err := drv.(*sqlitestock.Driver).Archive(t.Context()); err != nil {
				t.Fatalf("archive: %v", err)
			}
		},
		FaultCommits: []string{sqlitestock.FaultCommit, sqlitestock.FaultCommitted},
	}
	drivertest.Run(t, h)
	t.Run("pruning", func(t *testing.T) { drivertest.Pruning(t, h) })
}
