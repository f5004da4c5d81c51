package stock

import "penstock/stock/driver"

// enoughNoes is how many final noes a user may have bound in a sale before filters answer for the limit.
const enoughNoes = 8

// hinter is what a driver can say from memory, without a look at the engine. A hint may be a moment old.
type hinter interface {
	// Taken returns the user's allowance as far as it is used.
	Taken(ref driver.TakenRef) int64
	// Refusals returns how many final noes are bound to keys of the user in the sale.
	Refusals(sale, user string) int
}

// UsedUp reports whether an attempt asks for more than the user's limit leaves although the user was told so, finally and
// durably, several times. Each bound no costs a row for ever; who goes on with fresh keys shall not cost more of them. It is a
// hint for filters: it binds nothing, and false means only that the decision must say.
func (s *Stock) UsedUp(sale *driver.Sale, r *Request) (sku string, left int64, yes bool) {
	h, ok := s.drv.(hinter)
	if !ok || h.Refusals(r.Sale, r.User) < enoughNoes {
		return "", 0, false
	}
	for _, it := range r.Items {
		si := item(sale, it.SKU)
		if si == nil || si.Limit == 0 {
			continue
		}
		if left := si.Limit - h.Taken(driver.TakenRef{Sale: r.Sale, SKU: it.SKU, User: r.User}); it.Quantity > left {
			return it.SKU, max(left, 0), true
		}
	}
	return "", 0, false
}
