package payment_test

import (
	"testing"

	"penstock/engine/groupcommit"
	"penstock/internal/fault"
	"penstock/order"
)

// A commit that fails in the background heals in the background: money that was taken pays its order though no buyer writes
// anything, and reads work again.
func testFailedCommitHealsByItself(t *testing.T, on engine) {
	t.Parallel()
	for failing := 2; failing <= 4; failing++ {
		faults := &fault.Points{}
		w := setup(t, on, nil)
		w.muted.Store(true)
		if err := w.pay.Load().Stop(); err != nil {
			t.Fatal(err)
		}
		w.open(faults)
		id := w.shop.sell("u")
		faults.Set(groupcommit.PointCommit, func(hit int) error {
			if hit == failing {
				return errCrash
			}
			return nil
		})
		w.begin(id, "u", "capture")
		w.until("the order is paid", func() bool { return w.order(id).State == order.Paid })
		w.muted.Store(false)
		w.settled()
		if w.money() != price {
			t.Errorf("commit %d failed: the provider keeps %d, want %d", failing, w.money(), price)
		}
	}
}
