package policy

import (
	"errors"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"penstock/gateway"
	"penstock/internal/clock"
	"penstock/limit"
	"penstock/shed"
)

var start = time.Date(2026, 11, 11, 0, 0, 0, 0, time.UTC)

// routes are some of those of the public listener.
func routes() map[string]gateway.Access {
	return map[string]gateway.Access{
		"GET /v1/sales": gateway.ByAnyone, "GET /v1/sales/{sale}": gateway.ByAnyone, gateway.AttemptRoute: gateway.ByUser, gateway.CallbackRoute: gateway.ByAnyone,
		"GET /v1/orders": gateway.ByUser, "GET /v1/orders/{order}": gateway.ByUser, "POST /v1/orders/{order}/payments": gateway.ByUser,
	}
}

func rooms() Rooms {
	fake := clock.NewFake(start)
	return Rooms{
		Routes: routes(), APIs: map[string]string{"GET /v1/orders": "orders.read", "GET /v1/sales": "sales.read"},
		Limits: []limit.Rule{{Name: "ip", By: []limit.Dimension{limit.ByIP}, Rate: limit.Rate{Calls: 100, Per: time.Minute}}},
		Limit:  limit.SetOptions{Clock: fake}, Shed: shed.Options{Clock: fake},
	}
}

// theExample is the policy that docs/gateway.md shows.
func theExample(t testing.TB) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/gateway.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	text, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("docs/gateway.md shows no policy")
	}
	return text
}

// The example of the page loads, and means what the page says.
func TestTheExampleOfThePage(t *testing.T) {
	t.Parallel()
	b, err := rooms().build([]byte(theExample(t)), nil)
	if err != nil {
		t.Fatal(err)
	}
	sale, callback, pay, attempt := b.view("GET /v1/sales"), b.view(gateway.CallbackRoute), b.view("POST /v1/orders/{order}/payments"), b.view(gateway.AttemptRoute)
	for what, ok := range map[string]bool{
		"a small body for sales":            sale.MaxBody == 1024 && sale.Class == "browsing",
		"an API of its own, not the usual":  strings.Join(sale.APIs, ",") == "catalog.read" && strings.Join(b.view("GET /v1/orders").APIs, ",") == "orders.read",
		"callbacks are not shed or counted": strings.Join(callback.Off, ",") == "ipLimit,shedding" && callback.Allow[0] == "198.51.100.0-198.51.100.255",
		"denied everywhere":                 len(callback.Deny) == 2 && len(pay.Deny) == 2,
		"payments have their breaker":       pay.Breaker == "payments" && pay.Class == "paying" && attempt.Breaker == "",
		"attempts have no limit together":   strings.Join(attempt.Limits, ",") == "ip,user,app" && strings.Join(pay.Limits, ",") == "ip,user,route,app",
		"addresses are limited early":       b.address != nil && len(b.address.Rules()) == 1 && len(b.callers.Rules()) == 3,
	} {
		if !ok {
			t.Errorf("not so: %s\n%+v\n%+v\n%+v\n%+v", what, sale, callback, pay, attempt)
		}
	}
}

// A policy that says nothing leaves everything as it is without a file; an empty list of limits takes them all away.
func TestDefaults(t *testing.T) {
	t.Parallel()
	b, err := rooms().build([]byte("{}"), nil)
	if err != nil {
		t.Fatal(err)
	}
	r := b.policy.Rule("GET /v1/orders")
	if r.Address == nil || r.Limits != nil || r.Shedder == nil || r.Breaker != nil || r.Allow != nil || r.Deny != nil || r.Off != 0 {
		t.Errorf("%+v", r)
	}
	if c := b.policy.Rule(gateway.CallbackRoute); c.Off != gateway.StageIPLimit {
		t.Errorf("%+v", c)
	}
	if other := b.policy.Rule("GET /nobody/knows"); other.Address == nil {
		t.Error("a route that the policy does not know has no limit")
	}
	if b, err = rooms().build([]byte("limits: []\nrules: [{match: [\"POST /v1/payment*\"], stages: {ipLimit: on}}]"), nil); err != nil {
		t.Fatal(err)
	}
	if r := b.policy.Rule(gateway.CallbackRoute); r.Address != nil || r.Off != 0 {
		t.Errorf("%+v", r)
	}
}

// Of several rules the later counts; allowed lists replace, denials add up.
func TestLaterRulesCount(t *testing.T) {
	t.Parallel()
	b, err := rooms().build([]byte(`
addresses: {allow: [10.0.0.0/8], deny: [10.9.0.0/16]}
rules:
  - {match: ["GET /v1/*"], stages: {shedding: off, limits: off}, class: searching, addresses: {deny: [10.8.0.0/16]}}
  - {match: ["GET /v1/orders"], stages: {shedding: on}, class: paying, addresses: {allow: [192.0.2.0/24]}}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	orders, sales := b.view("GET /v1/orders"), b.view("GET /v1/sales")
	if strings.Join(orders.Off, ",") != "limits" || orders.Class != "paying" || strings.Join(orders.Allow, ",") != "192.0.2.0-192.0.2.255" || len(orders.Deny) != 2 && orders.Deny[0] != "10.8.0.0-10.9.255.255" {
		t.Errorf("%+v", orders)
	}
	if strings.Join(sales.Off, ",") != "limits,shedding" || sales.Class != "searching" || strings.Join(sales.Allow, ",") != "10.0.0.0-10.255.255.255" {
		t.Errorf("%+v", sales)
	}
	if v := b.view(gateway.AttemptRoute); len(v.Off) != 0 || v.Class != "attempting" {
		t.Errorf("%+v", v)
	}
}

// Shedding by capacity can be written as off, as its page says.
func TestCapacityOff(t *testing.T) {
	t.Parallel()
	if err := rooms().Check([]byte("shedding: {capacity: off, floor: 64}")); err != nil {
		t.Error(err)
	}
}

// What is wrong with a file is told with its line, its key, its value, and something that would work.
func TestBadFilesSayWhy(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                "line 1: the file is empty",
		"# nothing\n":     "line 1: the file is empty",
		"limits: [":       "line 1: ",
		"a: b\n---\nc: d": "a second document begins here",
		"[]":              "must be a mapping",
		"\nlimit: []":     "line 2: limit: is no key; known here are addresses, apis, breakers, limits, routes, rules, shedding, upstreams; did you mean limits?",
		"limits:\n  - {name: ip, by: [ip], rate: 100 a minute}":                                              `line 2: limits[0].rate: "100 a minute" is not a rate`,
		"limits:\n  - {name: ip, by: [ip], rate: 1/s}\n  - {name: ip, by: [user], rate: 1/s}":                `line 3: limits[1].name: "ip" is the name of another limit too`,
		"limits:\n  - {name: ip, by: [moon], rate: 1/s}":                                                     `line 2: limits[0]: limit ip: by has "moon"`,
		"limits:\n  - {name: ip, by: [ip], rate: 1/s, burst: many}":                                          `line 2: limits[0].burst: "many" is no whole number; write for example burst: 200`,
		"limits:\n  - {name: ip, by: [ip], rate: 1/s, algorithm: leaky-bucket, burst: 6}":                    `line 2: limits[0].burst: "6" would hold calls back for up to 6s: at most 5s`,
		"limits:\n  - {name: ip, by: [ip], rate: 1/s, algorithm: guess}":                                     `line 2: limits[0].algorithm: "guess" is not an algorithm`,
		"limits:\n  - {name: ip, by: [ip], rate: 1/s, routes: [GET /v1/order]}":                              "did you mean GET /v1/orders?",
		"limits:\n  - {name: ip, by: [ip], rate: 1/s, rate: 2/s}":                                            "limits[0].rate: stands on line 2 already",
		"addresses:\n  deny:\n    - 203.0.113.0/33":                                                          `line 3: addresses.deny[0]: "203.0.113.0/33" is neither a network nor an address; write for example deny: [`,
		"addresses: {deny: 203.0.113.0/24}":                                                                  "line 1: addresses.deny: \"203.0.113.0/24\" must be a list",
		"apis:\n  a.read: [GET /v1/orders]\n  b.read: [GET /v1/orders]":                                      `line 3: apis.b.read[0]: "GET /v1/orders" belongs to the API a.read already`,
		"apis:\n  a read: [GET /v1/orders]":                                                                  "line 2: apis.a read: is no name of an API",
		"rules:\n  - match: [GET /v1/orders]\n    stages: {shedding: maybe}":                                 `"maybe" is neither on nor off; write for example shedding: off`,
		"rules:\n  - match: [GET /v1/salez]":                                                                 "did you mean GET /v1/sales?",
		"rules:\n  - match: [GET /nope]":                                                                     `"GET /nope" is no route; write for example GET /v1/orders`,
		"rules:\n  - {stages: {token: on}}":                                                                  "match is missing",
		"rules:\n  - match: [GET /v1/nope]":                                                                  `line 2: rules[0].match[0]: "GET /v1/nope" is no route`,
		"rules:\n  - match: [GET /v1/orders]\n    stages: {tokn: off}":                                       "rules[0].stages.tokn: there is no such stage",
		"rules:\n  - match: [GET /v1/orders]\n    stages: {token: maybe}":                                    `line 3: rules[0].stages.token: "maybe" is neither on nor off; write for example token: on`,
		"rules:\n  - match: [GET /v1/orders]\n    stages: {token: off}":                                      `line 3: rules[0].stages.token: "off" cannot be: GET /v1/orders must know who calls`,
		"rules:\n  - match: [GET /v1/sales]\n    stages: {address: off}":                                     `line 3: rules[0].stages.address: "off" cannot be while the stage ipLimit is on`,
		"rules:\n  - match: [GET /v1/orders]\n    maxBody: 1GiB":                                             `line 3: rules[0].maxBody: "1GiB" is no size`,
		"rules:\n  - match: [GET /v1/orders]\n    class: royal":                                              `line 3: rules[0].class: "royal" is no class`,
		"breakers: {pay: {}}\nrules:\n  - match: [GET /v1/orders]\n    breaker: pai":                         `line 4: rules[0].breaker: "pai" is not among breakers; did you mean pay?`,
		"breakers:\n  pay: {open: soon}":                                                                     `line 2: breakers.pay.open: "soon" is no duration; write for example open: 30s`,
		"breakers:\n  pay: {failures: -1}":                                                                   "line 2: breakers.pay: ",
		"shedding:\n  inFlight: -4":                                                                          `line 2: shedding.inFlight: "-4" inFlight is -4`,
		"shedding: {patience: {kings: 1s}}":                                                                  `shedding.patience.kings: "kings" is not known here`,
		"addresses: &a {deny: []}":                                                                           "is an alias or an anchor",
		"addresses: {allow: []}":                                                                             "line 1: addresses.allow: names nobody; leave it out to let everybody in; write for example allow: [",
		"addresses:\n  allow:\n":                                                                             "line 2: addresses.allow: names nobody",
		"rules:\n  - match: [GET /v1/orders]\n    addresses: {allow: []}":                                    "line 3: rules[0].addresses.allow: names nobody",
		"shedding: {capacity: 0}":                                                                            `shedding.capacity: "0" is neither a number of calls a second, from 1, nor off; write for example capacity: 5000`,
		"shedding: {capacity: .nan}":                                                                         "nor off",
		"limits: [{name: a, by: [ip], rate: 5/m, overrides: {\"2001:db8::1\": 1/m, \"2001:db8::2\": 50/m}}]": `limit a: overrides: "2001:db8::1" and "2001:db8::2" are counted as one`,
		"shedding: {inFlight: 0}":                                                                            `shedding.inFlight: "0" is not more than 0; what is left out has its default; write for example inFlight: 2048`,
		"shedding: {waiting: 0}":                                                                             `shedding.waiting: "0" is not more than 0`,
		"shedding: {target: 0s}":                                                                             `shedding.target: "0s" is not more than 0`,
		"shedding: {patience: {browsing: 0s}}":                                                               `shedding.patience.browsing: "0s" is not more than 0`,
		"breakers: {pay: {failures: 0}}":                                                                     `breakers.pay.failures: "0" is not more than 0`,
		"breakers: {pay: {open: 0s}}":                                                                        `breakers.pay.open: "0s" is not more than 0`,
		"limits: [{name: a, by: [api], rate: 1/s, overrides: {\"GET /v1/order\": 2/s}}]":                     `limits[0].overrides.GET /v1/order: is for "GET /v1/order", which is no route; did you mean GET /v1/orders?`,
		"limits: [{name: a, by: [app, api], rate: 1/s, overrides: {\"acme|GET /v1/order\": off}}]":           "which is no route",
		"routes: [{}]": "forwards no calls to other services",
	} {
		err := rooms().Check([]byte(text))
		if p, ok := errors.AsType[*Problem](err); !ok || !strings.Contains(err.Error(), want) || p.Key != "" && p.Line == 0 {
			t.Errorf("%q:\n got %v\nwant %s", text, err, want)
		}
	}
}

// Whatever is cut off a good file, and whatever byte of it is changed, it loads or says why; it never panics.
func FuzzBadFiles(f *testing.F) {
	text := theExample(f)
	for i := 0; i < len(text); i += 7 {
		f.Add(text[:i])
	}
	f.Add("a: &a [*a]")
	f.Add("? {a: b}\n: c")
	f.Add("limits: [null]\nrules: [null]\nbreakers: {a: null}\nshedding: null")
	r := rooms()
	f.Fuzz(func(t *testing.T, text string) {
		err := r.Check([]byte(text))
		if _, ok := errors.AsType[*Problem](err); err != nil && !ok {
			t.Errorf("%q: %v has no place", text, err)
		}
	})
}

// Routes to other services are routes like others: a policy can name them, and calls that no route of ours takes come to them.
func TestUpstreamsAreRoutes(t *testing.T) {
	t.Parallel()
	if known := rooms().known(elsewhere{}); known["GET /ext/*"] != gateway.ByApp || maps.Equal(known, rooms().Routes) {
		t.Errorf("%v", known)
	}
}

type elsewhere struct{ gateway.Upstreams }

func (elsewhere) Routes() []gateway.Route {
	return []gateway.Route{{Name: "GET /ext/*", Access: gateway.ByApp}}
}
