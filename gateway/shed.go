package gateway

import (
	"fmt"

	"penstock/limit"
	"penstock/shed"
)

// makeRoom takes a place for the call, or refuses it with the reason that the shedder gives.
func (g *Gateway) makeRoom(next Handler) Handler {
	return func(c *Call) {
		release, err := c.plan.rule.Shedder.Acquire(c.R.Context(), g.class(c), c.person())
		if err != nil {
			c.Fail(err)
			return
		}
		c.place = release
		defer c.leave()
		next(c)
	}
}

func (g *Gateway) hasShedder(p *plan) bool {
	return p.rule.Shedder != nil && (p.rule.Class != shed.Exempt || g.o.Classifier != nil)
}

// class is how much a call matters: what its route says, more with a pass, and what the caller holds.
func (g *Gateway) class(c *Call) shed.Class {
	base := c.plan.rule.Class
	if base == shed.Attempting && c.Who.Sale != "" {
		base = shed.AttemptingWithPass
	}
	if g.o.Classifier != nil {
		return g.o.Classifier.Class(c.Route, c.Who, base)
	}
	return base
}

// person is whose share of the capacity a call uses.
func (c *Call) person() string {
	if c.Who.User != "" {
		return c.Who.User
	}
	return limit.AddrKey(c.Client).String()
}

func (g *Gateway) sayShedding(c *Call) (string, error) {
	state := c.plan.rule.Shedder.State()
	return fmt.Sprintf("class %v; %d of at most %d run, %d wait", g.class(c), state.Running, state.Limit, state.Waiting), nil
}
