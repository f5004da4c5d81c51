package gateway

import (
	"fmt"
	"net/http"
)

// plan is the chain of one route, made when a policy comes into use: it holds the stages that have something to do, and no
// other.
type plan struct {
	name      string
	access    Access
	rule      Rule
	noPass    bool
	noSandbox bool
	validate  func(r *http.Request) error
	run       Handler
}

// plans is a policy in use. It is never changed.
type plans struct {
	attempt *plan
	routes  map[string]*plan
	other   [accessLevels]*plan // of routes that nobody named beforehand
	up      Upstreams
}

// Use puts a policy in the place of the one before, for all routes at once. Calls that have begun end by the old one. After an
// error everything is as it was.
func (g *Gateway) Use(p *Policy) error {
	swap, err := g.Prepare(p)
	if err == nil {
		swap()
	}
	return err
}

// Prepare makes the chains of a policy. swap brings it into use and cannot fail, so that several gateways can change together.
func (g *Gateway) Prepare(p *Policy) (swap func(), err error) {
	rule := p.Rule
	if rule == nil {
		rule = func(string) Rule { return Rule{} }
	}
	made := &plans{routes: map[string]*plan{}, up: p.Upstreams}
	add := func(r Route) error {
		pl := g.compile(r, rule(r.Name))
		if missing := pl.unsafe(); missing != "" {
			return fmt.Errorf("route %q: %s", r.Name, missing)
		}
		made.routes[r.Name] = pl
		return nil
	}
	var all []Route
	if lists, ok := g.router.(interface{ Routes() map[string]Access }); ok {
		for name, access := range lists.Routes() {
			all = append(all, Route{Name: name, Access: access})
		}
	}
	if p.Upstreams != nil {
		all = append(all, p.Upstreams.Routes()...)
	}
	for _, r := range append(all, Route{Name: AttemptRoute, Access: ByUser}) {
		if err := add(r); err != nil {
			return nil, err
		}
	}
	for access := range made.other {
		made.other[access] = g.compile(Route{Name: Unmatched, Access: Access(access)}, rule(Unmatched))
		if missing := made.other[access].unsafe(); missing != "" {
			return nil, fmt.Errorf("route %q: %s", Unmatched, missing)
		}
	}
	made.attempt = made.routes[AttemptRoute]
	return func() { g.plans.Store(made) }, nil
}

// compile makes the chain of a route.
func (g *Gateway) compile(r Route, rule Rule) *plan {
	if rule.MaxBody == 0 {
		rule.MaxBody = g.o.MaxBody
	}
	p := &plan{name: r.Name, access: r.Access, rule: rule, noPass: r.NoPass, noSandbox: r.NoSandbox, validate: r.Validate, run: g.dispatch}
	for i := len(g.stages) - 1; i >= 0; i-- {
		if s := g.stages[i]; s.runs(p) {
			p.run = s.wrap(p.run)
		}
	}
	return p
}

// runs reports whether a route's chain has the stage.
func (s stage) runs(p *plan) bool { return (s.name == 0 || p.rule.Off&s.name == 0) && s.on(p) }

// unsafe says what a route would lose that it cannot do without, or "".
func (p *plan) unsafe() string {
	off := p.rule.Off
	switch {
	case off.Has(StageToken) && p.access != ByAnyone && p.name != Unmatched:
		return "the stage token cannot be off: the route must know who calls"
	case off.Has(StageAddress) && !off.Has(StageLists) && hasLists(p):
		return "the stage lists needs the stage address"
	case off.Has(StageAddress) && !off.Has(StageIPLimit) && limitsAddresses(p):
		return "the stage ipLimit needs the stage address"
	}
	return ""
}

// named returns the plan of a route.
func (p *plans) named(r Route) *plan {
	if found, ok := p.routes[r.Name]; ok && found.access == r.Access {
		return found
	}
	return p.other[r.Access]
}
