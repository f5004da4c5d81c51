package sqlstore_test

import (
	"path/filepath"
	"testing"
	"time"

	"penstock/bus/drivertest"
	"penstock/bus/sqlstore"
	"penstock/engine/sqlite"
	"penstock/internal/clock"
)

// Cursors in a file keep the contract of their port.
func TestCursors(t *testing.T) {
	t.Parallel()
	drivertest.RunCursors(t, func(t *testing.T) drivertest.CursorsHarness {
		db, err := sqlstore.Open(t.Context(), filepath.Join(t.TempDir(), "bus.db"), sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		c := clock.NewFake(time.Date(2026, 11, 11, 12, 0, 0, 0, time.UTC))
		return drivertest.CursorsHarness{Cursors: sqlstore.NewCursors(db, c), Expire: func() { c.Advance(time.Minute) }}
	})
}
