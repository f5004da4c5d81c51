package gateway

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"penstock/errs"
	"penstock/limit"
)

// CallbackRoute is where payment providers report. A provider speaks for all buyers from few addresses, and its calls carry a
// signature that costs a microsecond to check, so they do not count against the address.
const CallbackRoute = "POST /v1/payment-callbacks/{provider}"

// FreeRoutes are those that no limit for all callers together may refuse. A stampede is what attempts, passes and lines are for: each
// buyer has limits of his own there, and shedding decides when there are too many. Streams are bounded by how many are open, what
// a provider reports is money, and a page is a few bytes from memory.
func FreeRoutes() []string {
	return []string{
		AttemptRoute, "POST /v1/sales/{sale}/pass", "POST /v1/sales/{sale}/line", "GET /v1/sales/{sale}/line/{entry}",
		"DELETE /v1/sales/{sale}/line/{entry}", "GET /v1/events", CallbackRoute, ShopRoute,
	}
}

// limitAddress refuses a client address that is too fast. A refused call does not count here; one that a later stage refuses
// does, since it cost work.
func (g *Gateway) limitAddress(c *Call) error {
	return g.within(c, c.plan.rule.Address.Take(c.R.Context(), c.address()))
}

// limitCaller refuses a user, an app or a route that is too fast, from however many addresses.
func (g *Gateway) limitCaller(c *Call) error {
	return g.within(c, c.plan.rule.Limits.Take(c.R.Context(), c.subject()))
}

func limitsAddresses(p *plan) bool { return p.rule.Address != nil }
func limitsCallers(p *plan) bool   { return p.rule.Limits != nil }

// address is the subject before it is known who calls. What the rules have to say is put into memory of the call.
func (c *Call) address() limit.Subject {
	return limit.Subject{IP: c.Client, API: c.Route, Into: c.quotas[:0]}
}

func (c *Call) subject() limit.Subject {
	return limit.Subject{IP: c.Client, User: c.Who.User, App: c.Who.App, API: c.Route, Into: c.quotas[:0]}
}

// within turns a refusal into the answer that tells how every rule stands, and holds a call back that has to wait its turn.
func (g *Gateway) within(c *Call, d limit.Decision) error {
	if d.Allowed {
		if d.Wait > 0 && !c.asking {
			return g.hold(c, d.Wait)
		}
		return nil
	}
	c.set("Ratelimit-Policy", d.Policy())
	c.set("Ratelimit", d.State())
	e := errs.New(errs.QuotaExceeded, "too many calls: %s", refusal(&d))
	e.RetryAfter = d.RetryAfter
	return e
}

// refusal names the limit that refused.
func refusal(d *limit.Decision) string {
	for _, q := range d.Quotas {
		if q.Name == d.Rule {
			return fmt.Sprintf("the limit %q allows %s", q.Name, limit.Rate{Calls: int(q.Limit), Per: q.Window})
		}
	}
	return "over the limit " + strconv.Quote(d.Rule)
}

// MaxHold is the longest that a call waits for its turn in a leaky bucket. It keeps its connection and its goroutine meanwhile, and
// its body must still arrive in time.
const MaxHold = 5 * time.Second

// hold waits for the turn of a call in a leaky bucket. Whoever goes away meanwhile was not served, and whose turn is too far away comes
// back for it.
func (g *Gateway) hold(c *Call, wait time.Duration) error {
	if wait > MaxHold {
		e := errs.New(errs.QuotaExceeded, "too many calls: the turn of this one is more than %v away", MaxHold)
		e.RetryAfter = wait
		return e
	}
	t := g.o.Clock.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C():
		return nil
	case <-c.R.Context().Done():
		return errs.New(errs.RequestTimeout, "the call was given up while it waited for its turn")
	}
}

func (g *Gateway) sayAddressLimit(c *Call) (string, error) {
	return g.sayQuotas(c, c.plan.rule.Address.Explain(c.address()))
}

func (g *Gateway) sayLimits(c *Call) (string, error) {
	return g.sayQuotas(c, c.plan.rule.Limits.Explain(c.subject()))
}

func (g *Gateway) sayQuotas(c *Call, d limit.Decision) (string, error) {
	if err := g.within(c, d); err != nil {
		return "", err
	}
	var all []string
	for _, q := range d.Quotas {
		all = append(all, fmt.Sprintf("%s: %d of %d left", q.Name, q.Remaining, q.Limit))
	}
	if all == nil {
		return "no rule applies to this caller", nil
	}
	return strings.Join(all, ", "), nil
}

// seconds rounds up: a client that comes back after that many is not early.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// retryAfter is the Retry-After value: whole seconds, never earlier than d, up to a tenth (at least one second) later, so
// that those who were refused together do not come back together.
func (g *Gateway) retryAfter(d time.Duration) string {
	s := seconds(max(d, time.Millisecond))
	spread := uint64(s/10 + 2)
	return strconv.FormatInt(s+int64(g.o.Random()%spread), 10)
}

// opensIn is the Retry-After of a sale that has not begun: never early, and at most two seconds late however long it is, because
// those who wait as they are told shall not come after those who do not.
func (g *Gateway) opensIn(d time.Duration) string {
	return strconv.FormatInt(seconds(max(d, time.Millisecond))+int64(g.o.Random()%2), 10)
}

// builtIn is the policy of options that bring none, with what sweeps its limits.
func builtIn(o Options) (*Policy, func(), error) {
	address, callers, err := addressAndUser(o)
	if err != nil {
		return nil, nil, err
	}
	p := &Policy{Rule: func(route string) Rule {
		var r Rule
		if address != nil && route != CallbackRoute {
			r.Address = address
		}
		if callers != nil {
			r.Limits = callers
		}
		return r
	}}
	return p, func() {
		for _, s := range []*limit.Set{address, callers} {
			if s != nil {
				s.Sweep()
			}
		}
	}, nil
}

func addressAndUser(o Options) (address, callers *limit.Set, err error) {
	one := func(name string, by limit.Dimension, rate limit.Rate) (*limit.Set, error) {
		if rate.Off() {
			return nil, nil
		}
		return limit.NewSet([]limit.Rule{{Name: name, By: []limit.Dimension{by}, Rate: rate}}, limit.SetOptions{Clock: o.Clock})
	}
	if address, err = one("ip", limit.ByIP, o.IP); err != nil {
		return nil, nil, err
	}
	callers, err = one("user", limit.ByUser, o.User)
	return address, callers, err
}
