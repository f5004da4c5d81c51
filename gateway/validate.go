package gateway

// validate refuses what does not follow the document that is attached to the route. Calls of our own have their schema checked
// by their handler, which reads the body anyway.
func (g *Gateway) validate(c *Call) error {
	if err := c.buffer(); err != nil {
		return err
	}
	if err := c.plan.validate(c.R); err != nil {
		return err
	}
	return c.buffer()
}

func hasSchema(p *plan) bool { return p.validate != nil }

// sayValidation has no body to judge.
func (g *Gateway) sayValidation(*Call) (string, error) {
	return "parameters and body must follow the document of the route", nil
}
