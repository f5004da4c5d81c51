package limit_test

import (
	"testing"
	"time"

	"penstock/internal/clock"
	"penstock/limit/drivertest"
)

// A set that counts in this process keeps the contract.
func TestContract(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC)
	c := clock.NewFake(start)
	drivertest.Run(t, drivertest.World{Clock: c, Now: func() time.Duration { return c.Now().Sub(start) }, Advance: c.Advance})
}
