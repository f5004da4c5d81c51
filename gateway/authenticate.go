package gateway

import (
	"strings"

	"penstock/auth"
	"penstock/errs"
)

// authenticate finds out who calls, on routes that are not for anyone. A pass is good for its sale only, and never for an
// operator's call.
func (g *Gateway) authenticate(next Handler) Handler {
	return func(c *Call) {
		if c.route.Access == ByAnyone {
			next(c)
			return
		}
		who, err := g.who(c)
		if err == nil {
			err = allowed(c, who)
		}
		if err != nil {
			c.Fail(err)
			return
		}
		c.Who, c.User = who, who.User
		next(c)
	}
}

func (g *Gateway) who(c *Call) (auth.Identity, error) {
	header, ok := c.only("Authorization")
	const scheme = "Bearer "
	if !ok || len(header) <= len(scheme) || !strings.EqualFold(header[:len(scheme)], scheme) {
		return auth.Identity{}, errs.New(errs.Unauthenticated, "send one Authorization header with a bearer token")
	}
	token := header[len(scheme):]
	if !auth.IsPass(token) {
		return g.verify.Verify(token)
	}
	user, sale, err := g.verify.VerifyPass(token, c.Start)
	return auth.Identity{User: user, Sale: sale}, err
}

func allowed(c *Call, who auth.Identity) error {
	if c.route.Access == ByOperator && who.Role != auth.Operator {
		return errs.New(errs.Forbidden, "this call is for operators")
	}
	if c.attempt {
		return AllowSale(who, c.sale)
	}
	return nil
}

// AllowSale refuses a pass that is for another sale.
func AllowSale(who auth.Identity, sale string) error {
	if who.Sale != "" && who.Sale != sale {
		return errs.New(errs.Forbidden, "the pass is for another sale")
	}
	return nil
}
