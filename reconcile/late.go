package reconcile

import (
	"penstock/order"
	"penstock/stock"
	"penstock/stock/driver"
)

// paidLate reports whether an order went from expired to paid, by a claim that its late money made.
func paidLate(o *order.Order) bool {
	for _, e := range o.Events {
		if e.From == order.Expired && e.To == order.Paid {
			return true
		}
	}
	return false
}

// agreesLate is agrees where late money has claimed again: the order follows the new claim once that is sold, and has left the
// first one, which expired, behind.
func agreesLate(c *driver.Attempt, o *order.Order, behind bool) (want string, ok bool) {
	late := stock.OrderOf(c) != c.ID
	switch {
	case late && c.State == driver.Sold:
		want, ok = agrees(c, o.State, behind)
		return want, ok || behind && o.State == order.Expired
	case late && c.State == driver.Released && c.Why == stock.WhyRefunded:
		return agrees(c, o.State, behind)
	case late: // held for a moment, or let go: the order stays as it was
		return string(o.State), true
	}
	return stock.WhyExpired, c.State == driver.Released && c.Why == stock.WhyExpired
}
