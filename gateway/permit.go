package gateway

import (
	"strings"

	"penstock/errs"
)

// checkApp refuses an app what it was not given. People pass.
func (g *Gateway) checkApp(c *Call) error {
	if c.Who.App == "" {
		return nil
	}
	if g.o.Apps == nil {
		return errs.New(errs.Forbidden, "apps are not taken here")
	}
	refusal := error(errs.New(errs.Forbidden, "no API of apps has this call"))
	for _, api := range c.plan.rule.APIs {
		if refusal = g.o.Apps.Permit(c.Who, api); refusal == nil {
			return nil
		}
	}
	return refusal
}

func (g *Gateway) takesApps(p *plan) bool { return wantsCaller(p) && p.access != ByOperator }

func (g *Gateway) sayApp(c *Call) (string, error) {
	if c.Who.App == "" {
		return "no app calls", nil
	}
	if err := g.checkApp(c); err != nil {
		return "", err
	}
	return "the app may call " + strings.Join(c.plan.rule.APIs, ", "), nil
}
