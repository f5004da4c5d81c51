package stock

import (
	"strings"

	"penstock/internal/ident"
	"penstock/stock/driver"
)

// lateMark begins the keys of claims that late money made. No caller can send it: keys that come from outside are printable
// ASCII.
const lateMark = "·late:"

// LateKey is the key under which an expired order's units are claimed again for a payment that came late. The same payment
// always claims under the same key, so that it claims once.
func LateKey(order, payment ident.ID) string {
	return lateMark + order.String() + ":" + payment.String()
}

// OrderOf returns the order that follows a claim: for a claim made for late money the order that had expired, for any other
// the claim's own id.
func OrderOf(a *driver.Attempt) ident.ID { return OrderOfKey(a.ID, a.Key.Key) }

// OrderOfKey is OrderOf for a claim that is known by its id and its key.
func OrderOfKey(claim ident.ID, key string) ident.ID {
	rest, late := strings.CutPrefix(key, lateMark)
	if !late {
		return claim
	}
	of, _, _ := strings.Cut(rest, ":")
	id, err := ident.Parse(of)
	if err != nil || id.Slot() != claim.Slot() { // a user's ids share a slot
		return claim
	}
	return id
}
