package gateway

import (
	"strings"

	"penstock/auth"
	"penstock/errs"
)

// authenticate finds out who calls, on routes that are not for anyone. A pass is good for its sale only, and never for an
// operator's call.
func (g *Gateway) authenticate(c *Call) error {
	who, err := g.who(c)
	if err == nil {
		err = g.allowed(c, who)
	}
	if err != nil {
		return err
	}
	c.Who, c.User = who, who.User
	return nil
}

func wantsCaller(p *plan) bool { return p.access != ByAnyone }

func (g *Gateway) who(c *Call) (auth.Identity, error) {
	if g.o.Apps != nil && g.o.Apps.Signed(c.R) {
		if err := c.buffer(); err != nil {
			return auth.Identity{}, err
		}
		return g.o.Apps.Verify(c.R.Context(), c.R, c.body)
	}
	header, ok := c.only("Authorization")
	if !ok && g.o.Sessions != nil && len(c.R.Header["Authorization"]) == 0 {
		if who, found, err := g.o.Sessions.Session(c.R); found {
			return who, err
		}
	}
	const scheme = "Bearer "
	if !ok || len(header) <= len(scheme) || !strings.EqualFold(header[:len(scheme)], scheme) {
		return auth.Identity{}, errs.New(errs.Unauthenticated, "send one Authorization header with a bearer token")
	}
	token := header[len(scheme):]
	if auth.IsPass(token) {
		user, sale, err := g.verify.VerifyPass(token, c.Start)
		return auth.Identity{User: user, Sale: sale}, err
	}
	return g.verify.Verify(token)
}

func (g *Gateway) allowed(c *Call, who auth.Identity) error {
	switch {
	case c.plan.access == ByOperator && !g.operates(c, who):
		return errs.New(errs.Forbidden, "this call is for operators whose role allows it")
	case c.plan.access == ByApp && who.App == "":
		return errs.New(errs.Forbidden, "this call is for apps")
	case c.attempt:
		return AllowSale(who, c.Sale)
	case who.Sandbox && c.plan.noSandbox:
		return errs.New(errs.Forbidden, "a sandbox app does not reach this service")
	case who.Sale != "" && c.plan.noPass:
		return errs.New(errs.Forbidden, "a pass opens its sale only")
	}
	return nil
}

// operates reports a role that may make the operator's call. A pass has no role.
func (g *Gateway) operates(c *Call, who auth.Identity) bool {
	if g.o.May == nil || who.App != "" {
		return who.Role == auth.Operator
	}
	return g.o.May(who.Role, c.Route)
}

func (g *Gateway) sayToken(c *Call) (string, error) {
	if err := g.authenticate(c); err != nil {
		return "", err
	}
	switch {
	case c.Who.App != "":
		return "the app " + c.Who.App, nil
	case c.Who.Sale != "":
		return "the user " + c.Who.User + " by a pass for the sale " + c.Who.Sale, nil
	case c.Who.Role != "":
		return "the user " + c.Who.User + ", role " + c.Who.Role, nil
	}
	return "the user " + c.Who.User, nil
}

// AllowSale refuses a pass that is for another sale, and a sandbox app where stock is real.
func AllowSale(who auth.Identity, sale string) error {
	if who.Sandbox && !strings.HasPrefix(sale, auth.SandboxSales) {
		return errs.New(errs.Forbidden, "a sandbox app reaches sales whose id begins with %s", auth.SandboxSales)
	}
	if who.Sale != "" && who.Sale != sale {
		return errs.New(errs.Forbidden, "the pass is for another sale")
	}
	return nil
}
