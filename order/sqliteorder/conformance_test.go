package sqliteorder

import (
	"testing"

	"penstock/order/drivertest"
)

// The driver keeps the contract.
func TestConformance(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), t.TempDir(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	drivertest.Run(t, s)
}
