package mysqlstock_test

import (
	"testing"

	"penstock/internal/clock"
	"penstock/internal/fault"
	"penstock/stock/driver"
	"penstock/stock/drivertest"
	"penstock/stock/mysqlstock"
)

// The driver keeps the contract of the stock port, unchanged.
func conformance(t *testing.T, e *env) {
	h := drivertest.Harness{
		Open: func(t testing.TB, clk clock.Clock, p *fault.Points) driver.Driver {
			return e.open(t, e.server.Database(t), mysqlstock.Options{Clock: clk, Fault: p})
		},
		Reopen: func(t testing.TB, old driver.Driver, clk clock.Clock, p *fault.Points) driver.Driver {
			return e.open(t, e.urlOf(old), mysqlstock.Options{Clock: clk, Fault: p})
		},
		Crash: func(t testing.TB, old driver.Driver, clk clock.Clock, p *fault.Points) driver.Driver {
			killSessions(t, e.admin(t, e.urlOf(old)))
			return e.open(t, e.urlOf(old), mysqlstock.Options{Clock: clk, Fault: p})
		},
		FaultCommits: []string{mysqlstock.FaultCommit, mysqlstock.FaultCommitted},
	}
	drivertest.Run(t, h)
	t.Run("pruning", func(t *testing.T) { drivertest.Pruning(t, h) })
}
