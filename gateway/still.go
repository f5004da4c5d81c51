package gateway

import "penstock/errs"

// Still asks again whether the caller may make the call, for calls that go on for long, such as streams: a session that was ended, a
// person or an app that was disabled, a role or a permission that was taken away, and a token that is over end them. It reads memory
// only. Errors are those of the stages token and app.
func (c *Call) Still() error {
	g, who := c.g, c.Who
	if !wantsCaller(c.plan) {
		return nil
	}
	if who.App == "" && g.o.Sessions != nil && len(c.R.Header["Authorization"]) == 0 {
		found, ok, err := g.o.Sessions.Session(c.R)
		if err != nil {
			return err
		}
		if ok {
			who = found
			if err := g.allowed(c, who); err != nil {
				return err
			}
		}
	}
	if !who.Expires.IsZero() && !g.o.Clock.Now().Before(who.Expires) {
		return errs.New(errs.Unauthenticated, "the token is over")
	}
	if c.plan.access == ByOperator || c.plan.rule.Off.Has(StageApp) {
		return nil
	}
	return g.checkApp(c)
}
