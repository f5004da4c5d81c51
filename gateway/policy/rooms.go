package policy

import (
	"maps"

	"penstock/breaker"
	"penstock/gateway"
	"penstock/gateway/upstream"
	"penstock/limit"
	"penstock/shed"
)

// Rooms are what a policy is made of and what makes its parts. Only Routes is needed.
type Rooms struct {
	// Routes are the calls of our own, by name.
	Routes map[string]gateway.Access
	// APIs are the names of the APIs that those calls belong to where the file says nothing else.
	APIs map[string]string
	// Limits are the rules that apply where the file has none.
	Limits []limit.Rule
	// Quotas are rules beside those of the file, asked for at each change; nil means none.
	Quotas func() []limit.Rule
	// Limit, Shed and Break are options of the limits, the shedder and a breaker beside those in the file.
	Limit limit.SetOptions
	Shed  shed.Options
	Break func(name string) breaker.Options
	// Forward is what routes to other services need beside the file; what is about calls is filled in here. nil means that there
	// are none, and that a file may not speak of them.
	Forward *upstream.Deps
}

// known returns all routes, those to other services included.
func (r Rooms) known(up gateway.Upstreams) map[string]gateway.Access {
	all := maps.Clone(r.Routes)
	if all == nil {
		all = map[string]gateway.Access{}
	}
	all[gateway.Unmatched] = gateway.ByAnyone
	if up != nil {
		for _, route := range up.Routes() {
			all[route.Name] = route.Access
		}
	}
	return all
}

// classOf is how much a call of our own matters where the file says nothing else: who pays what he has won comes first, who
// only looks comes last. Our streams are exempt: each user may have a few, and those that were cut come back together.
func classOf(route string) shed.Class {
	switch route {
	case "POST /v1/orders/{order}/payments", gateway.CallbackRoute:
		return shed.Paying
	case "GET /v1/orders", "GET /v1/orders/{order}", "GET /v1/balance", "GET /v1/balance/entries":
		return shed.ReadingWon
	case "GET /v1/sales/{sale}/attempts/{key}", "GET /v1/sales/{sale}/attempts/{key}/why", "POST /v1/orders/{order}/cancellation", "POST /v1/orders/{order}/refunds":
		return shed.Confirming
	case gateway.AttemptRoute, "POST /v1/sales/{sale}/pass", "POST /v1/sales/{sale}/waiting", "POST /v1/sales/{sale}/line":
		return shed.Attempting
	case "GET /v1/events", "GET /v1/sales/{sale}/line/{entry}":
		return shed.Exempt
	}
	return shed.Browsing
}
