package mysqlstore_test

import (
	"testing"
	"time"

	"penstock/bus/driver"
	"penstock/bus/drivertest"
	"penstock/bus/mysqlstore"
	"penstock/bus/outboxbus"
	"penstock/internal/engines"
)

// Store, cursors and the outbox bus over them keep the contracts of their ports on a real server, and hold what several
// processes need beyond them.
func TestMariaDB(t *testing.T) {
	t.Parallel()
	server := engines.MariaDB(t)
	t.Run("store", func(t *testing.T) { testStore(t, server) })
	t.Run("takeover", func(t *testing.T) { testTakeover(t, server) })
	t.Run("store down", func(t *testing.T) { testStoreDown(t, server) })
	t.Run("bus", func(t *testing.T) {
		drivertest.Run(t, func(t *testing.T) drivertest.Harness {
			db := open(t, database(t, server))
			c, log := &shifted{}, drivertest.NewLog("outbox")
			drv, err := outboxbus.New(mysqlstore.NewCursors(db, c), map[string][]outboxbus.Source{"topic": {log}},
				outboxbus.Options{Clock: c, Idle: 20 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = drv.Close() })
			return drivertest.Harness{
				Driver: drv, Store: mysqlstore.New(db), Topic: "topic",
				Publish: func(msgs ...driver.Message) { log.Append(msgs...) },
				Expire:  func() { c.pass(time.Minute) },
			}
		})
	})
	t.Run("cursors", func(t *testing.T) {
		drivertest.RunCursors(t, func(t *testing.T) drivertest.CursorsHarness {
			c := &shifted{}
			return drivertest.CursorsHarness{
				Cursors: mysqlstore.NewCursors(open(t, database(t, server)), c), Expire: func() { c.pass(time.Minute) },
			}
		})
	})
}
