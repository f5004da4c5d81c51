package gateway

import (
	"strconv"
	"time"

	"penstock/errs"
	"penstock/limit"
)

// CallbackRoute is where payment providers report. A provider speaks for all buyers from few addresses, and its calls carry a
// signature that costs a microsecond to check, so they do not count against the address.
const CallbackRoute = "POST /v1/payment-callbacks/{provider}"

// limitAddress refuses a client address that is too fast. A refused call does not count.
func (g *Gateway) limitAddress(next Handler) Handler {
	if g.o.IP.Off() {
		return next
	}
	return func(c *Call) {
		if c.Route == CallbackRoute {
			next(c)
			return
		}
		if res := g.ip.Take(limit.AddrKey(c.Client)); !res.Allowed {
			g.tooFast(c, "ip", g.o.IP, res)
			return
		}
		next(c)
	}
}

// limitUser refuses a user who is too fast, from however many addresses.
func (g *Gateway) limitUser(next Handler) Handler {
	if g.o.User.Off() {
		return next
	}
	return func(c *Call) {
		if c.Who.User != "" {
			if res := g.user.Take(c.Who.User); !res.Allowed {
				g.tooFast(c, "user", g.o.User, res)
				return
			}
		}
		next(c)
	}
}

func (g *Gateway) tooFast(c *Call, policy string, rate limit.Rate, res limit.Result) {
	quoted := strconv.Quote(policy)
	c.set("Ratelimit-Policy", quoted+";q="+strconv.Itoa(rate.Calls)+";w="+strconv.FormatInt(seconds(rate.Per), 10))
	c.set("Ratelimit", quoted+";r="+strconv.Itoa(res.Remaining)+";t="+strconv.FormatInt(seconds(res.Reset), 10))
	e := errs.New(errs.QuotaExceeded, "more than %d calls in %v by one %s", rate.Calls, rate.Per, map[string]string{"ip": "address", "user": "user"}[policy])
	e.RetryAfter = res.RetryAfter
	c.Fail(e)
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
