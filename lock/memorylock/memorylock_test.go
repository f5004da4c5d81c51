package memorylock

import (
	"testing"

	"penstock/lock/driver"
	"penstock/lock/drivertest"
)

// The store in memory keeps the contract of the port.
func TestConformance(t *testing.T) {
	t.Parallel()
	s := New(nil)
	drivertest.Run(t, func(testing.TB) driver.Driver { return s })
	t.Cleanup(func() {
		s.Flush()
		if len(s.slots) != 0 {
			t.Errorf("%d names are left behind", len(s.slots))
		}
	})
}
