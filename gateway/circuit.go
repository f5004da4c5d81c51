package gateway

import (
	"errors"

	"penstock/breaker"
	"penstock/errs"
)

// breakCircuit asks the breaker of the route, and tells it how the call ended.
func (g *Gateway) breakCircuit(next Handler) Handler {
	return func(c *Call) {
		done, err := c.plan.rule.Breaker.Allow()
		if err != nil {
			c.Fail(err)
			return
		}
		begun, ended := g.o.Clock.Now(), false
		c.judge = func(failure error) {
			c.judge = nil
			done(failure, g.o.Clock.Now().Sub(begun))
		}
		defer func() {
			if c.judge == nil {
				return // it was a stream
			}
			var failure error
			if !ended || c.failed() {
				failure = errors.New("the call failed")
			}
			c.judge(failure)
		}()
		next(c)
		ended = true
	}
}

// failed reports an answer that says something behind us does not work. What was refused for lack of room is no such answer.
func (c *Call) failed() bool {
	return c.Code == errs.Unknown || c.Status >= 500 && c.Code != errs.ReducedCapacity
}

func hasBreaker(p *plan) bool { return p.rule.Breaker != nil }

// sayBreaker refuses while the breaker is open. Half-open, it lets one call at a time through.
func (g *Gateway) sayBreaker(c *Call) (string, error) {
	state := c.plan.rule.Breaker.State()
	if state == breaker.Open {
		return "", errs.New(errs.ReducedCapacity, "the breaker of the route is open")
	}
	return "the breaker of the route is " + string(state), nil
}
