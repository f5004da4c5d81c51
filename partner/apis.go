package partner

import (
	"strings"
)

// BuiltInAPIs is the one table of the named APIs that the public routes belong to, by the pattern of the route. A policy may
// give a route another name, and names to routes of its own. A route without a name is not for apps: streams stay open longer
// than a revocation may take, and passes are for people.
func BuiltInAPIs() map[string]string {
	return map[string]string{
		"GET /v1/sales":                           "sales.read",
		"GET /v1/sales/{sale}":                    "sales.read",
		"POST /v1/sales/{sale}/attempts":          "orders.write",
		"GET /v1/sales/{sale}/attempts/{key}":     "orders.read",
		"GET /v1/sales/{sale}/attempts/{key}/why": "orders.read",
		"POST /v1/sales/{sale}/waiting":           "orders.write",
		"GET /v1/sales/{sale}/waiting/{entry}":    "orders.read",
		"DELETE /v1/sales/{sale}/waiting/{entry}": "orders.write",
		"GET /v1/orders":                          "orders.read",
		"GET /v1/orders/{order}":                  "orders.read",
		"POST /v1/orders/{order}/cancellation":    "orders.write",
		"POST /v1/orders/{order}/payments":        "payments.write",
		"POST /v1/orders/{order}/refunds":         "payments.write",
		"GET /v1/balance":                         "balance.read",
		"GET /v1/balance/entries":                 "balance.read",
	}
}

// PeopleOnly are the public routes with a caller that belong to no API, each with the reason. A new route is in one of the two lists.
func PeopleOnly() map[string]string {
	const stream, person = "a stream stays open longer than a revocation may take", "a place in a line, and the pass it leads to, are bound to a person"
	return map[string]string{
		"GET /v1/events":                       stream,
		"POST /v1/sales/{sale}/pass":           person,
		"POST /v1/sales/{sale}/line":           person,
		"GET /v1/sales/{sale}/line/{entry}":    person,
		"DELETE /v1/sales/{sale}/line/{entry}": person,
	}
}

// validAPI reports a name of at least two words in lower case, such as "sales.read".
func validAPI(name string) bool {
	words := strings.Split(name, ".")
	if len(name) > 64 || len(words) < 2 {
		return false
	}
	for _, w := range words {
		if w == "" || w[0] < 'a' || w[0] > 'z' || strings.Trim(w, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return true
}
